"""Sockets that the server answers on, and the HTTP servers behind them."""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from taskyard.daemon.guard import GuardedHttp, GuardedWebSocket
from taskyard.errors import StartupError
from taskyard_agent.protocol import MAX_FRAME_BYTES

BACKLOG = 2048
"""Connections the kernel holds while the server is busy; uvicorn's own default."""

DRAIN_S = 3
"""Seconds that requests under way may take when the server stops; Postgres needs the rest of the five."""


class Listener(uvicorn.Server):
    """An HTTP server that leaves signals to the daemon and says when it is ready."""

    def __init__(self, app: ASGIApp, *, proxied: bool) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=GuardedHttp,
                ws=GuardedWebSocket,
                ws_max_size=MAX_FRAME_BYTES,
                ws_per_message_deflate=False,
                ws_ping_interval=None,  # agents send heartbeats of their own
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=proxied,
                timeout_graceful_shutdown=DRAIN_S,
            )
        )
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals alone: the daemon decides what they mean."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to answer."""
        await super().startup(sockets)
        self.ready.set()


def listen_tcp(host: str, port: int) -> socket.socket:
    """A bound TCP socket; port 0 means any free one. Raises StartupError when it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise StartupError(
            f"cannot listen on {host} port {port}: {error.strerror}. {_way_out(error)}"
        ) from error
    return sock


def _way_out(error: OSError) -> str:
    """What to do about an address and port that cannot be had."""
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "Choose an address of this machine with --host (0.0.0.0 takes all of them)."
    if error.errno == errno.EACCES:
        return "Choose a port above 1023 with --port, or start the server as root."
    return "Stop what uses it, or choose another with --port (0 takes any free one)."


def listen_unix(path: Path) -> socket.socket:
    """A bound Unix socket that every user may connect to; who gets that far is up to its folder.

    The bound name goes through the folder's descriptor, so the length of the path does not matter.
    """
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        sock.bind(f"/proc/self/fd/{folder}/{path.name}")
        path.chmod(0o666)
        sock.listen(BACKLOG)
    finally:
        os.close(folder)
    return sock
