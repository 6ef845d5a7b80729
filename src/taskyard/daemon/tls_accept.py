"""Taking connections that have to agree on TLS first: those that have not count like all others.

A server of uvicorn's hears of a connection only once that is done, so that those who never do it could hold
every descriptor there is for a minute each.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

from taskyard.daemon.guard import HEAD_S, max_connections

TROUBLE_S = 1.0
"""Seconds until the next connection is taken after there was no descriptor left for one."""


class TlsAcceptor:
    """Takes connections until cancelled.

    protocol makes what a connection is for, agreed_count tells how many there are of those.
    """

    def __init__(
        self,
        tls: ssl.SSLContext,
        protocol: Callable[[], asyncio.Protocol],
        agreed_count: Callable[[], int],
    ) -> None:
        self._tls = tls
        self._protocol = protocol
        self._agreed_count = agreed_count
        self._agreeing_count = 0

    async def run(self, sockets: list[socket.socket]) -> None:
        """Takes the connections of these sockets, and closes them in the end."""
        with contextlib.ExitStack() as stack:
            for sock in sockets:
                stack.enter_context(sock)
            async with asyncio.TaskGroup() as group:
                for sock in sockets:
                    group.create_task(self._accept(sock, group))

    async def _accept(self, sock: socket.socket, group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        sock.setblocking(False)
        while True:
            try:
                connection, _ = await loop.sock_accept(sock)
            except OSError:
                await asyncio.sleep(TROUBLE_S)
                continue
            if self._agreeing_count + self._agreed_count() >= max_connections():
                connection.close()
                continue
            self._agreeing_count += 1
            group.create_task(self._agree(connection))

    async def _agree(self, connection: socket.socket) -> None:
        """Hands the connection over to a protocol, or gives it up after as long as a request's head may take."""
        loop = asyncio.get_running_loop()
        try:
            # Whatever the other end sends instead of TLS is an OSError.
            with contextlib.suppress(OSError):
                await loop.connect_accepted_socket(
                    self._protocol, connection, ssl=self._tls, ssl_handshake_timeout=HEAD_S
                )
        finally:
            self._agreeing_count -= 1
