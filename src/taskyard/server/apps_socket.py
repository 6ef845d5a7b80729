"""A WebSocket between a browser and an app of a workspace, over its agent's link."""

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Final

from starlette.websockets import WebSocket
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from taskyard.errors import AppFailed
from taskyard.server.apps_headers import Headers
from taskyard.server.peer_sockets import join
from taskyard_agent.mux import LinkError, Stream
from taskyard_agent.protocol import MAX_DATA_BYTES

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

OPEN_S: Final = 30.0
"""Seconds until an app has let somebody in."""

MESSAGE_BYTES: Final = 16 * 1024 * 1024
"""Largest message of an app; browsers may send as much as the listener takes, which is less."""


async def serve_socket(browser: WebSocket, stream: Stream, target: str, headers: Headers) -> None:
    """Returns when either side has left. Raises AppFailed where the app does not let the browser in."""
    # Each end of the stream's bytes is a socket of this process, as the client of WebSockets takes one.
    outer, inner = socket.socketpair()
    with contextlib.closing(outer), contextlib.closing(inner):
        async with asyncio.TaskGroup() as group:
            pumping = group.create_task(_pump(stream, inner))
            try:
                there = await _connect(browser, outer, target, headers)
                async with there:
                    await browser.accept(there.subprotocol)
                    await join(browser, there)
            finally:
                pumping.cancel()


async def _connect(
    browser: WebSocket, sock: socket.socket, target: str, headers: Headers
) -> "ClientConnection":
    # Imported on use, as forwarding does.
    from websockets.asyncio.client import connect

    named = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
    host = next((value for name, value in named if name == "host"), "localhost")
    try:
        return await connect(
            f"ws://{host}{target}",
            sock=sock,
            additional_headers=[(name, value) for name, value in named if name != "host"],
            subprotocols=[Subprotocol(word) for word in browser.scope["subprotocols"]] or None,
            compression=None,
            ping_interval=None,
            open_timeout=OPEN_S,
            max_size=MESSAGE_BYTES,
            user_agent_header=None,
            proxy=None,
        )
    except (OSError, TimeoutError, WebSocketException, ValueError) as error:
        raise AppFailed(f"the app took no WebSocket: {error}") from error


async def _pump(stream: Stream, sock: socket.socket) -> None:
    """Returns when both directions are over."""
    reader, writer = await asyncio.open_connection(sock=sock, limit=MAX_DATA_BYTES)
    try:
        async with asyncio.TaskGroup() as group:
            inward = group.create_task(_inward(stream, writer))
            with contextlib.suppress(OSError, LinkError):
                while data := await reader.read(MAX_DATA_BYTES):
                    await stream.write(data)
            inward.cancel()
    finally:
        writer.transport.abort()


async def _inward(stream: Stream, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, LinkError):
        while data := await stream.read():
            writer.write(data)
            await writer.drain()
    writer.close()
