"""HTTP to an app in a workspace: HTTP/1.1 over a byte stream of the agent link."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

import h11

from taskyard.control.links import Links
from taskyard.errors import (
    AgentUnreachable,
    AppFailed,
    AppUnconnected,
    AppUrlEmpty,
    AppUrlScheme,
)
from taskyard_agent.mux import LinkError, LinkLost, Stream, StreamClosed, StreamRefused

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Largest body taken from an app; a conversation of that size is no longer read in one piece."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts an app's URL may name: an app is reached on the loopback of its own workspace only."""


@dataclass(frozen=True, slots=True)
class AppResponse:
    """An app's answer; content_type is lower case and without parameters. code is X-Agentapi-Code."""

    status: int
    content_type: str
    code: str
    body: bytes


@dataclass(frozen=True, slots=True)
class AppAddress:
    """Where an app is: the agent that reaches it and its URL, treated as a directory."""

    agent_id: UUID
    url: str

    def target(self, path: str) -> tuple[int, str, str]:
        """Port, Host header and request target of a path below the URL.

        Raises AppUrlEmpty, AppUrlScheme, AppFailed for another host than the loopback or no URL at all.
        """
        if not self.url:
            raise AppUrlEmpty
        try:
            parts = urlsplit(self.url)
            port = parts.port or 80
        except ValueError as error:
            raise AppFailed(f"the app's URL {self.url} cannot be used: {error}") from error
        if parts.scheme != "http":
            raise AppUrlScheme(parts.scheme)
        if parts.hostname not in LOOPBACK:
            raise AppFailed(f"the app's host {parts.hostname} is not the workspace's loopback")
        return port, parts.netloc, f"{parts.path.rstrip('/')}/{path}"


async def app_request(
    links: Links,
    address: AppAddress,
    method: str,
    path: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 30.0,
) -> AppResponse:
    """The app's answer, whole.

    Raises AgentUnreachable, AppUnconnected, AppFailed, AppUrlEmpty, AppUrlScheme. Only after
    AppUnconnected is it certain that the app got nothing.
    """
    port, host, target = address.target(path)
    mux = await links.get(address.agent_id)
    sent = {"Host": host, "Connection": "close", "Accept": "application/json", **(headers or {})}
    if body is not None:
        sent |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    with _explained(address, port):
        request = h11.Request(method=method, target=target, headers=list(sent.items()))
        try:
            async with asyncio.timeout(timeout_s), await mux.open_stream(port) as stream:
                return await _exchange(stream, request, body)
        except TimeoutError as error:
            raise AppFailed(f"the app did not answer within {timeout_s:g} s") from error


class AppStream:
    """An app's answer that comes bit by bit; whoever does not read it holds up the app, not this server."""

    def __init__(self, conn: h11.Connection, stream: Stream, head: h11.Response) -> None:
        found = _headers(head)
        self.status = head.status_code
        self.code = found.get("x-agentapi-code", "")
        self.headers = found
        self._conn = conn
        self._stream = stream

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes, until the app ends it. Raises AppFailed, AgentUnreachable, within the context."""
        while True:
            event = self._conn.next_event()
            if event is h11.NEED_DATA:
                self._conn.receive_data(await self._stream.read())
            elif isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                return


@asynccontextmanager
async def app_stream(
    links: Links, address: AppAddress, path: str, *, timeout_s: float = 30.0
) -> AsyncIterator[AppStream]:
    """The app's answer to a GET as soon as its head is there, which must be in time; the rest may take for ever.

    Leaving the context hangs up. Raises what app_request raises, also from within the context.
    """
    port, host, target = address.target(path)
    mux = await links.get(address.agent_id)
    conn = h11.Connection(h11.CLIENT)
    with _explained(address, port):
        request = h11.Request(
            method="GET", target=target, headers=[("Host", host), ("Connection", "close")]
        )
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(timeout_s):
                    stream = await stack.enter_async_context(await mux.open_stream(port))
                    await stream.write(_message(conn, request, None))
                    head = await _head(conn, stream)
            except TimeoutError as error:
                raise AppFailed(f"the app did not answer within {timeout_s:g} s") from error
            yield AppStream(conn, stream, head)


@contextlib.contextmanager
def _explained(address: AppAddress, port: int) -> Iterator[None]:
    """What goes wrong between here and the app, in words for who asked."""
    try:
        yield
    except LinkLost as error:
        raise AgentUnreachable(address.agent_id) from error
    except StreamRefused as error:
        raise AppUnconnected(f"port {port} of the workspace cannot be reached: {error}") from error
    except LinkError as error:
        raise AppFailed(f"port {port} of the workspace broke off: {error}") from error
    except h11.RemoteProtocolError as error:
        raise AppFailed(f"the app does not speak HTTP: {error}") from error
    except (h11.LocalProtocolError, UnicodeEncodeError) as error:
        raise AppFailed(f"the app's URL {address.url} cannot be used: {error}") from error


async def _head(conn: h11.Connection, stream: Stream) -> h11.Response:
    while True:
        event = conn.next_event()
        if event is h11.NEED_DATA:
            conn.receive_data(await stream.read())
        elif isinstance(event, h11.Response):
            return event
        elif isinstance(event, h11.ConnectionClosed):
            raise AppFailed("the app hung up without an answer")


def _message(conn: h11.Connection, request: h11.Request, body: bytes | None) -> bytes:
    """The bytes of a request."""
    message = conn.send(request) or b""
    if body:
        message += conn.send(h11.Data(data=body)) or b""
    return message + (conn.send(h11.EndOfMessage()) or b"")


def _headers(head: h11.Response) -> dict[str, str]:
    return {name.decode().lower(): value.decode("latin-1") for name, value in head.headers}


async def _exchange(stream: Stream, request: h11.Request, body: bytes | None) -> AppResponse:
    conn = h11.Connection(h11.CLIENT)
    message = _message(conn, request, body)
    # An app may answer, and hang up, before it has read everything: then the answer is what counts.
    with contextlib.suppress(StreamClosed):
        await stream.write(message)
    return await _receive(conn, stream)


async def _receive(conn: h11.Connection, stream: Stream) -> AppResponse:
    head: h11.Response | None = None
    parts: list[bytes] = []
    size = 0
    while True:
        event = conn.next_event()
        if event is h11.NEED_DATA:
            conn.receive_data(await stream.read())
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            parts.append(bytes(event.data))
            size += len(event.data)
            if size > MAX_ANSWER_BYTES:
                raise AppFailed(f"the app's answer is larger than {MAX_ANSWER_BYTES} bytes")
        elif isinstance(event, h11.EndOfMessage):
            break
        elif isinstance(event, h11.ConnectionClosed):
            raise AppFailed("the app hung up without an answer")
    assert head is not None
    found = _headers(head)
    media = found.get("content-type", "").partition(";")[0].strip().lower()
    return AppResponse(head.status_code, media, found.get("x-agentapi-code", ""), b"".join(parts))
