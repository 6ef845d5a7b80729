"""A server as the daemon runs it, with its guards and its edge, and requests byte by byte."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import msgspec
from starlette.types import ASGIApp

from taskyard.control import passwords
from taskyard.control.services import Services
from taskyard.daemon.listen import Listener, listen_tcp
from taskyard.daemon.reach import reach_of
from taskyard.server.app import build_app
from taskyard.server.handlers import HANDLERS, SOCKETS
from taskyard.wire.base import Response
from taskyard.wire.routes import ROUTES
from tests.waiting import DEADLINE_S


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; header names are in lower case, of those sent twice the last stands."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def reason(self) -> tuple[int, str]:
        """Status and reason of an error, whose body has the shape of errors."""
        assert msgspec.json.decode(self.body, type=Response).message
        return self.status, self.headers["x-taskyard-reason"]


@asynccontextmanager
async def edged(services: Services, **settings: object) -> AsyncIterator[int]:
    """The port of a server with the edge that these settings ask for."""
    services = _with(services, settings)
    app = build_app(services, ROUTES, HANDLERS, SOCKETS, reach=reach_of(services.settings))
    async with listening(app) as port:
        yield port


@asynccontextmanager
async def listening(app: ASGIApp) -> AsyncIterator[int]:
    """The port on which an application is served."""
    sock = listen_tcp("127.0.0.1", 0)
    listener = Listener(app, public=True)
    async with asyncio.TaskGroup() as group:
        group.create_task(listener.serve([sock]))
        await listener.ready.wait()
        try:
            yield sock.getsockname()[1]
        finally:
            listener.should_exit = listener.force_exit = True


@asynccontextmanager
async def no_hashes() -> AsyncIterator[None]:
    """No password is hashed or compared meanwhile: whoever needs that waits for a turn."""
    limiter, holders = passwords._limiter(), [object() for _ in range(passwords.HASH_SLOTS)]
    for holder in holders:
        await limiter.acquire_on_behalf_of(holder)
    try:
        yield
    finally:
        for holder in holders:
            limiter.release_on_behalf_of(holder)


async def say(port: int, raw: bytes, *, end: bool = False) -> Reply | None:
    """The first answer to these bytes, null where the server just hung up; `end` closes our side."""
    loop, answer = asyncio.get_running_loop(), bytearray()
    with socket.socket() as sock:
        sock.setblocking(False)
        async with asyncio.timeout(DEADLINE_S):
            await loop.sock_connect(sock, ("127.0.0.1", port))
            # Who hangs up on half a request resets the connection: what was answered before that is there still.
            with suppress(ConnectionError):
                await loop.sock_sendall(sock, raw)
                if end:
                    sock.shutdown(socket.SHUT_WR)
            with suppress(ConnectionError):
                while piece := await loop.sock_recv(sock, 1 << 16):
                    answer += piece
    return parsed(bytes(answer))


async def ask(
    port: int, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> Reply:
    """The answer to a request of one connection; a Host comes first unless it is among the headers."""
    sent = {"Host": f"127.0.0.1:{port}", **(headers or {}), "Connection": "close"}
    if body:
        sent["Content-Length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in sent.items() if value)
    reply = await say(port, f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + body)
    assert reply is not None
    return reply


def parsed(raw: bytes) -> Reply | None:
    """An answer, whose connection ended after it; null for none."""
    if not raw:
        return None
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Reply(int(status.split(" ")[1]), headers, body)


def _with(services: Services, settings: Mapping[str, object]) -> Services:
    changed = msgspec.structs.replace(services.settings, **settings)
    fields = {name: getattr(services, name) for name in services.__slots__}
    return Services(**{**fields, "settings": changed})
