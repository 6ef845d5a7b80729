"""Serves an ASGI app on a port of the loopback without any timer: an idle bridge sleeps."""

import asyncio
import socket
from typing import cast

from starlette.types import ASGIApp
from uvicorn._types import ASGIApplication
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState


class Listener:
    """An HTTP/1.1 server. uvicorn's own loop would wake ten times a second, so only its protocol is used."""

    def __init__(self, app: ASGIApp, listening: socket.socket) -> None:
        self._socket = listening
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self._config = Config(
            cast(ASGIApplication, app),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
        )

    async def start(self) -> None:
        """Requests are answered from now on."""
        self._config.load()
        loop = asyncio.get_running_loop()
        # asyncio does this only for sockets that name TCP, which a ready-made listening one does not:
        # without it each answer on a connection that is kept waits 40 ms for the reader's acknowledgement.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server = await loop.create_server(self._protocol, sock=self._socket)

    def _protocol(self) -> H11Protocol:
        return H11Protocol(config=self._config, server_state=self._state, app_state={})

    async def close(self, grace_s: float) -> None:
        """Nothing new is accepted; requests under way may end in time, then they are cut off."""
        if self._server is None:
            self._socket.close()
            return
        self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=grace_s)
        for connection in list(self._state.connections):
            connection.transport.abort()
        for task in list(self._state.tasks):
            task.cancel()
