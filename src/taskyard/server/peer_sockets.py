"""Connections to other servers of the database, and WebSockets that are passed on over them."""

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

CONNECT_S: Final = 3.0
"""Seconds to connect to another server: the next rack answers within milliseconds."""

AWAY_CLOSE: Final = 1012
"""WebSocket close code that says: come back, the server went away."""


async def connected(url: str) -> socket.socket:
    """A connection to another server. Raises OSError, TimeoutError."""
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    family: int = socket.AF_UNIX
    place: tuple[str | int | bytes, ...] | str = parts.path
    async with asyncio.timeout(CONNECT_S):
        if parts.scheme != "unix":
            port = parts.port or (443 if parts.scheme == "https" else 80)
            found = await loop.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
            family, _, _, _, place = found[0]
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, place)
        except BaseException:
            sock.close()
            raise
    return sock


async def join(here: WebSocket, there: "ClientConnection") -> None:
    """Passes messages on, both ways, until either side has left; what was sent before that arrives."""
    async with asyncio.TaskGroup() as group:
        up = group.create_task(_up(here, there))
        down = group.create_task(_down(here, there))
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        down.cancel()


async def _up(here: WebSocket, there: "ClientConnection") -> None:
    with contextlib.suppress(RuntimeError, ConnectionClosed):
        while (message := await here.receive())["type"] != "websocket.disconnect":
            text: str | None = message.get("text")
            await there.send(text if text is not None else message["bytes"])
        await there.close()


async def _down(here: WebSocket, there: "ClientConnection") -> None:
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
        try:
            async for message in there:
                if isinstance(message, str):
                    await here.send_text(message)
                else:
                    await here.send_bytes(message)
        except ConnectionClosed:
            await here.close(AWAY_CLOSE)
        else:
            await here.close(there.close_code or AWAY_CLOSE)
