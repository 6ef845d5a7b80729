"""Sockets that the server answers on, and the HTTP servers behind them."""

import asyncio
import contextlib
import errno
import os
import re
import socket
import ssl
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from taskyard.daemon.guard import GuardedHttp, GuardedWebSocket, PublicHttp
from taskyard.daemon.tls_accept import TlsAcceptor
from taskyard.errors import StartupError
from taskyard_agent.protocol import MAX_FRAME_BYTES

BACKLOG = 2048
"""Connections the kernel holds while the server is busy; uvicorn's own default."""

DRAIN_S = 3
"""Seconds that requests under way may take when the server stops; Postgres needs the rest of the five."""


ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - recognised, not chosen
"""Addresses that stand for all of a machine's, and where one then finds the server from here."""

_TCP = re.compile(r"(?P<host>[^\[\]:/\s]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Place:
    """Where to listen: a host and a port, or the path of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine gets here."""
        return bool(self.path) or self.host in ("localhost", "::1") or self.host.startswith("127.")

    def url(self, port: int, *, tls: bool) -> str:
        """How a program on this machine calls it, when it listens on that port."""
        if self.path:
            return f"unix://{Path(self.path).absolute()}"
        host = ANYWHERE.get(self.host, f"[{self.host}]" if ":" in self.host else self.host)
        return f"{'https' if tls else 'http'}://{host}:{port}"


PING_S = 20.0
"""Seconds between signs of life to those who follow a log: proxies give a silent connection up after a minute."""


class Listener(uvicorn.Server):
    """An HTTP server that leaves signals to the daemon and says when it is ready.

    tls is the context of the certificate it shows, null for plain HTTP. What is under way when it stops is cut off
    after drain_s; whoever passes a Drain to the application ends it before. A public one does not count the
    connections of whoever is at the other end of a Unix socket, which may be a proxy for everybody.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        tls: ssl.SSLContext | None = None,
        public: bool = False,
        drain_s: int = DRAIN_S,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=PublicHttp if public else GuardedHttp,
                ws=GuardedWebSocket,
                ws_max_size=MAX_FRAME_BYTES,
                ws_per_message_deflate=False,
                # Agents send heartbeats of their own; who follows a log or watches does not.
                ws_ping_interval=PING_S if public else None,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # the application's own edge listens to proxies
                timeout_graceful_shutdown=drain_s,
            )
        )
        self.ready = asyncio.Event()
        self._tls = tls
        self._taking: asyncio.Task[None] | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Answers until it is told to stop."""
        async with asyncio.TaskGroup() as self._group:
            await super().serve(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals alone: the daemon decides what they mean."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to answer."""
        if self._tls is None:
            await super().startup(sockets)
        else:
            await super().startup([])
            acceptor = TlsAcceptor(self._tls, self._protocol, self._count)
            self._taking = self._group.create_task(acceptor.run(sockets or []))
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes no more connections, and ends those that there are."""
        if self._taking is None:
            await super().shutdown(sockets)
        else:
            self._taking.cancel()
            await super().shutdown([])

    def _protocol(self) -> asyncio.Protocol:
        """What a new connection is for, as uvicorn makes it."""
        return self.config.http_protocol_class(  # type: ignore[call-arg]  # so says uvicorn too
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    def _count(self) -> int:
        return len(self.server_state.connections)


def read_place(text: str, setting: str) -> Place:
    """Where to listen, from ADDRESS:PORT, [ADDRESS]:PORT or unix:PATH. Raises StartupError, which names the setting."""
    if text.startswith("unix:") and text != "unix:":
        return Place(path=text.removeprefix("unix:").removeprefix("//"))
    found = _TCP.fullmatch(text)
    if found is None or int(found["port"]) > 65535:
        raise StartupError(
            f"{setting} is {text!r}, but takes ADDRESS:PORT, [ADDRESS]:PORT or unix:PATH, for example "
            "0.0.0.0:7080, [::]:7080 or unix:/run/taskyard/api.sock"
        )
    return Place(host=found["host"].strip("[]"), port=int(found["port"]))


def listen_at(place: Place) -> socket.socket:
    """A bound socket. Raises StartupError when it cannot be had."""
    return _listen_path(Path(place.path)) if place.path else listen_tcp(place.host, place.port)


def _listen_path(path: Path) -> socket.socket:
    """A bound Unix socket in a folder that is there already; one that a server left behind is replaced."""
    try:
        if path.exists() and not stat.S_ISSOCK(path.stat().st_mode):
            raise StartupError(f"cannot listen on {path}: there is a file of that name already")
        if _answers(path):
            raise StartupError(
                f"cannot listen on {path}: another server does. Stop that one, or choose another path."
            )
        return listen_unix(path)
    except OSError as error:
        raise StartupError(
            f"cannot listen on {path}: {error.strerror}. Its folder must be writable for this user."
        ) from error


def _answers(path: Path) -> bool:
    """Whether somebody listens on this Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.connect(str(path))
        except OSError:
            return False
        return True


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
        return (
            "Choose an address of this machine with --host or --listen (0.0.0.0 takes all of them)."
        )
    if error.errno == errno.EACCES:
        return "Choose a port above 1023, or start the server as root."
    return "Stop what uses it, or choose another with --port or --listen (0 takes any free one)."


def listen_unix(path: Path, *, mode: int = 0o666) -> socket.socket:
    """A bound Unix socket, by default for every user; who gets that far is up to its folder.

    The bound name goes through the folder's descriptor, so the length of the path does not matter.
    """
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        sock.bind(f"/proc/self/fd/{folder}/{path.name}")
        path.chmod(mode)
        sock.listen(BACKLOG)
    finally:
        os.close(folder)
    return sock
