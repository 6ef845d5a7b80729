"""Plain HTTP through the proxy: `GET http://host/path`, one request a connection.

The request is read and written anew, so that a second one on the same connection, for another host,
cannot reach the first one's host.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import SplitResult, urlsplit

import h11

from taskyard_agent.relay_answer import Answer, answer_of
from taskyard_agent.splice import End

HTTP_PORT = 80

_HOP = {
    *(b"connection", b"proxy-connection", b"proxy-authorization", b"proxy-authenticate"),
    *(b"keep-alive", b"te", b"trailer", b"upgrade", b"host"),
}
"""Headers that are between two neighbours only, and the host, which the address says."""

Tunnel = Callable[[str], Awaitable[End | Answer]]
Headers = list[tuple[bytes, bytes]]


async def forward(client: End, head: bytes, tunnel: Tunnel) -> None:
    """Sends the request that begins with this head where its address says, and the answer back."""
    inward, outward = h11.Connection(h11.SERVER), h11.Connection(h11.CLIENT)
    inward.receive_data(head)
    try:
        request = inward.next_event()
        url = urlsplit(request.target.decode("ascii")) if isinstance(request, h11.Request) else None
        target = _target(url)
    except (h11.RemoteProtocolError, ValueError):
        request, url, target = None, None, ""
    if not isinstance(request, h11.Request) or url is None or not target:
        client.write(answer_of(400, "Bad Request", _NOT_FOR_PROXIES).whole)
        return
    made = await tunnel(target)
    if isinstance(made, Answer):
        client.write(made.whole)
        return
    try:
        made.write(_sent(outward, _onward(request, url)))
        await _exchange(_Way(client, inward), _Way(made, outward))
    except* h11.ProtocolError:
        client.abort()
    finally:
        made.abort()


_NOT_FOR_PROXIES = "This is a proxy: ask it for http://host/path, or CONNECT host:port."


class _Way:
    """A connection and what was understood of it."""

    def __init__(self, end: End, state: h11.Connection) -> None:
        self.end = end
        self.state = state

    async def next(self) -> object:
        """What comes next. Raises h11.RemoteProtocolError."""
        while True:
            event = self.state.next_event()
            if event is not h11.NEED_DATA:
                return event
            self.state.receive_data(await self.end.read())

    async def send(self, event: h11.Event) -> None:
        """Sends, no faster than it is read."""
        self.end.write(_sent(self.state, event))
        await self.end.drain()


async def _exchange(client: _Way, server: _Way) -> None:
    """Returns when the answer is over; raises ConnectionError when the client does not wait for it."""
    async with asyncio.TaskGroup() as tasks:
        up = tasks.create_task(_send_request(client, server))
        await _send_answer(server, client)
        up.cancel()


async def _send_request(client: _Way, server: _Way) -> None:
    """Sends what the client says, and then watches whether it is still there."""
    await _send_body(client, server)
    await client.end.hung_up()
    raise ConnectionResetError("the client left")


async def _send_body(client: _Way, server: _Way) -> None:
    while True:
        event = await client.next()
        match event:
            case h11.Data():
                await server.send(h11.Data(data=bytes(event.data)))
            case h11.EndOfMessage():
                await server.send(h11.EndOfMessage(headers=list(event.headers)))
                return
            case _:
                return


async def _send_answer(server: _Way, client: _Way) -> None:
    while True:
        event = await server.next()
        match event:
            case h11.InformationalResponse():
                await client.send(event)
            case h11.Response():
                headers = [*_passed_on(event.headers.raw_items()), (b"Connection", b"close")]
                await client.send(
                    h11.Response(
                        status_code=event.status_code, reason=event.reason, headers=headers
                    )
                )
            case h11.Data():
                await client.send(h11.Data(data=bytes(event.data)))
            case h11.EndOfMessage():
                await client.send(h11.EndOfMessage(headers=list(event.headers)))
                return
            case _:
                return


def _target(url: SplitResult | None) -> str:
    """Host and port; raises ValueError for an address that is not plain HTTP."""
    if url is None or url.scheme != "http" or not url.hostname:
        raise ValueError("no http address")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"{host}:{url.port or HTTP_PORT}"


def _onward(request: h11.Request, url: SplitResult) -> h11.Request:
    """The request as its server gets it."""
    path = f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
    host = url.netloc.rpartition("@")[2].encode()
    headers = [(b"Host", host), *_passed_on(request.headers.raw_items()), (b"Connection", b"close")]
    return h11.Request(method=request.method, target=path, headers=headers)


def _passed_on(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """What is meant for the other side."""
    items = list(headers)
    named = {
        word.strip().lower()
        for name, value in items
        if name.lower() == b"connection"
        for word in value.split(b",")
    }
    return [(name, value) for name, value in items if name.lower() not in _HOP | named]


def _sent(state: h11.Connection, event: h11.Event) -> bytes:
    data = state.send(event)
    return bytes(data) if data else b""
