"""One HTTP/1.1 request, over TCP or a Unix socket, with the answer as a whole or as it comes."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import h11

READ_BYTES = 64 * 1024
"""Bytes read at once."""


class FetchFailed(Exception):
    """There was no answer that makes sense; str() says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Ask:
    """A request. url is http(s)://…, or unix:/path/to.sock with the path of the resource in `path`.

    max_bytes: length of the longest body that is read; what is beyond it is left.
    """

    url: str
    path: str = ""
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    max_bytes: int = 64 * 1024


async def fetch(ask: Ask, timeout_s: float) -> Answer:
    """The answer, whatever its status. Raises FetchFailed."""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await _connect(ask.url)
            try:
                return await _exchange(ask, reader, writer)
            finally:
                writer.transport.abort()
    except TimeoutError:
        raise FetchFailed(f"no answer within {timeout_s:g} s") from None
    except (OSError, h11.ProtocolError, ValueError) as error:
        raise FetchFailed(str(error) or type(error).__name__) from error


async def _connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return await asyncio.open_unix_connection(parts.path)
    secure = parts.scheme == "https"
    # The name needs no look-up, which would cost a thread.
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname
    port = parts.port or (443 if secure else 80)
    return await asyncio.open_connection(host, port, ssl=secure or None)


@asynccontextmanager
async def connected(ask: Ask) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
    """Status of an answer without an end, and its body as it comes. Raises FetchFailed, also while it is read."""
    try:
        reader, writer = await _connect(ask.url)
    except (OSError, ValueError) as error:
        raise FetchFailed(str(error) or type(error).__name__) from error
    try:
        conn = await _request(ask, writer)
        head = await _event(conn, reader)
        status = head.status_code if isinstance(head, h11.Response) else 0
        yield status, _body(conn, reader)
    except (OSError, h11.ProtocolError) as error:
        raise FetchFailed(str(error) or type(error).__name__) from error
    finally:
        writer.transport.abort()


async def _body(conn: h11.Connection, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while isinstance(event := await _event(conn, reader), h11.Data):
        yield bytes(event.data)


async def _event(conn: h11.Connection, reader: asyncio.StreamReader) -> object:
    while (event := conn.next_event()) is h11.NEED_DATA:
        conn.receive_data(await reader.read(READ_BYTES))
    return event


async def _exchange(ask: Ask, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer:
    conn = await _request(ask, writer)
    return await _answer(conn, reader, ask.max_bytes)


async def _request(ask: Ask, writer: asyncio.StreamWriter) -> h11.Connection:
    """The connection, after the whole request was written."""
    parts = urlsplit(ask.url)
    base = "" if parts.scheme == "unix" else parts.path
    query = f"?{parts.query}" if parts.query and not ask.path else ""
    target = (base.rstrip("/") + ask.path if ask.path else base or "/") + query
    headers = {"Host": parts.netloc or "localhost", "Connection": "close", **ask.headers}
    if ask.body:
        headers["Content-Length"] = str(len(ask.body))
    conn = h11.Connection(h11.CLIENT)
    request = h11.Request(method=ask.method, target=target, headers=list(headers.items()))
    sent = (conn.send(request) or b"") + (
        (conn.send(h11.Data(data=ask.body)) or b"") if ask.body else b""
    )
    writer.write(sent + (conn.send(h11.EndOfMessage()) or b""))
    await writer.drain()
    return conn


async def _answer(conn: h11.Connection, reader: asyncio.StreamReader, max_bytes: int) -> Answer:
    status = 0
    body = b""
    while True:
        event = await _event(conn, reader)
        if isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) >= max_bytes:
                return Answer(status, body[:max_bytes])
        elif isinstance(event, h11.EndOfMessage):
            return Answer(status, body)
        elif isinstance(event, h11.ConnectionClosed):
            raise FetchFailed("the connection ended before the answer did")
