"""A server that stops: what is under way ends in time, in a way that clients come back from."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from taskyard.server.draining import LAST_EVENT, Drain

pytestmark = pytest.mark.anyio

SCOPE: Scope = {"type": "http", "method": "GET", "path": "/", "headers": []}


class Client:
    """One request, and what comes back."""

    def __init__(self, drain: Drain, app: ASGIApp, **scope: object) -> None:
        self._drain, self._app = drain, app
        self._scope = {**SCOPE, **scope}
        self.got: list[Message] = []
        self.came = asyncio.Event()

    @property
    def status(self) -> int | None:
        """The status of the answer; None where none was begun."""
        return self.got[0]["status"] if self.got else None

    @property
    def body(self) -> bytes:
        """What came of it."""
        return b"".join(m.get("body", b"") for m in self.got)

    @property
    def is_whole(self) -> bool:
        """Whether the answer came to its end."""
        return bool(self.got) and not self.got[-1].get("more_body", False)

    async def run(self) -> None:
        """Returns when the request is over."""
        await self._drain.serve(self._app, self._scope, self._receive, self._send)

    async def _receive(self) -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def _send(self, message: Message) -> None:
        self.got.append(message)
        self.came.set()


async def never() -> AsyncIterator[bytes]:
    """One piece, then silence."""
    yield b"data: 1\n\n"
    await asyncio.Event().wait()


async def hangs(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """A request that waits for something that does not come."""
    await asyncio.Event().wait()


async def drained(
    app: ASGIApp, *, begun: bool, within_s: float = 0.05, method: str = "GET"
) -> Client:
    """A request that was under way when its server began to drain."""
    drain = Drain()
    client = Client(drain, app, method=method)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(client.run())
        await asyncio.sleep(0)
        if begun:
            await client.came.wait()
        drain.begin(within_s)
    return client


async def test_what_has_time_is_finished() -> None:
    """A request that ends within the time gets its own answer."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.01)
        await Response(b"done")(scope, receive, send)

    client = await drained(app, begun=False, within_s=30)
    assert (client.status, client.body, client.is_whole) == (200, b"done", True)


async def test_what_takes_too_long_is_told_to_come_back() -> None:
    """Without an answer in time it is 503, with the seconds until the next try."""
    client = await drained(hangs, begun=False)
    assert client.status == 503
    headers = dict(client.got[0]["headers"])
    assert headers[b"retry-after"] == b"1"
    assert headers[b"x-taskyard-reason"] == b"stopping"


async def test_what_may_have_been_done_is_told_apart() -> None:
    """What was begun and changes something is no request that can be sent again as it is."""
    client = await drained(hangs, begun=False, method="POST")
    assert client.status == 503
    headers = dict(client.got[0]["headers"])
    assert headers[b"x-taskyard-reason"] == b"cut_off"
    assert b"retry-after" not in headers
    assert b"carried out" in client.body


async def test_no_websocket_is_let_in_any_more() -> None:
    """It gets the answer of a request that is not begun."""
    drain = Drain()
    drain.begin(60)
    client = Client(drain, hangs, type="websocket", extensions={"websocket.http.response": {}})
    await client.run()
    assert client.got[0]["type"] == "websocket.http.response.start"
    assert client.status == 503
    assert dict(client.got[0]["headers"])[b"x-taskyard-reason"] == b"stopping"


async def test_nothing_new_is_begun() -> None:
    """A request on a connection that was kept open gets the same at once."""
    drain = Drain()
    drain.begin(60)
    client = Client(drain, hangs)
    await client.run()
    assert client.status == 503


async def test_a_stream_of_events_ends_at_once_and_comes_back() -> None:
    """Its last words are when to come back; what it sent before stands."""
    client = await drained(
        StreamingResponse(never(), media_type="text/event-stream"), begun=True, within_s=60
    )
    assert client.body == b"data: 1\n\n" + LAST_EVENT
    assert client.is_whole


async def test_half_an_answer_is_not_taken_for_a_whole_one() -> None:
    """Any other answer that takes too long is cut off before its end."""
    client = await drained(StreamingResponse(never(), media_type="text/plain"), begun=True)
    assert client.status == 200
    assert not client.is_whole
