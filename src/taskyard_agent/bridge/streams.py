"""Answers that go on until the caller hangs up: counted, and ended when a reader is stuck. Source: A11, N41."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from taskyard_agent.bridge.errors import Problem

EVENT_HEADERS = {
    "content-type": "text/event-stream",
    "cache-control": "no-cache, no-store, must-revalidate",
    "pragma": "no-cache",
    "expires": "0",
    "x-accel-buffering": "no",
    "x-proxy-buffering": "no",
    "connection": "keep-alive",
}
"""Headers of server-sent events. Source: agentapi 2."""

Feed = Callable[[Send], Awaitable[None]]
"""Writes all that there is; returns at the end. Raises TimeoutError when its reader is stuck."""


class Streams:
    """How many are open."""

    def __init__(self, limit: int) -> None:
        self.open = 0
        self._limit = limit

    def stream(self, headers: dict[str, str], feed: Feed) -> Response:
        """An answer that this feed writes. Raises Problem when there are too many."""
        if self.open >= self._limit:
            raise Problem(429, "queue_full", f"{self._limit} streams are open; close one.")
        return _Stream(self, headers, feed)


class _Stream(Response):
    def __init__(self, streams: Streams, headers: dict[str, str], feed: Feed) -> None:
        super().__init__()
        self._streams = streams
        self._sent_headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._feed = feed

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        self._streams.open += 1
        try:
            await self._run(receive, send)
        finally:
            self._streams.open -= 1

    async def _run(self, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self._sent_headers})
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(_until_hung_up(receive))
            work = group.create_task(self._work(send))
            await asyncio.wait({watch, work}, return_when=asyncio.FIRST_COMPLETED)
            watch.cancel()
            work.cancel()

    async def _work(self, send: Send) -> None:
        try:
            await self._feed(send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            return  # without an end: the caller sees that something is missing


async def write(send: Send, data: bytes, stuck_s: float) -> None:
    """The bytes are on their way. Raises TimeoutError when the reader takes none for so long."""
    async with asyncio.timeout(stuck_s):
        await send({"type": "http.response.body", "body": data, "more_body": True})


async def _until_hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
