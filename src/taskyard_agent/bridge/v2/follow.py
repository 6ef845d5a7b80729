"""Streams that follow what is on disk: each is a place in it, so that none is ever behind a queue. Source: agentapi 10."""

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Send

from taskyard_agent.bridge.record import Record
from taskyard_agent.bridge.served import Served
from taskyard_agent.bridge.session import ByteLog
from taskyard_agent.bridge.streams import EVENT_HEADERS, write
from taskyard_agent.bridge.v2.reading import number
from taskyard_agent.bridge.v2.shapes import Gap
from taskyard_agent.protocol import Item

HEARTBEAT_S = 15.0
"""Seconds without an item after which a comment shows that the stream lives. Source: agentapi 10."""

STUCK_S = 30.0
"""Seconds after which a reader that takes nothing is cut off; it goes on later with its last id."""

PAGE_ITEMS = 200
PAGE_BYTES = 128 * 1024
"""Most that is written at once, and what a reader that is stuck costs in memory; a larger item goes alone."""

LOG_BYTES = 64 * 1024
"""Bytes of a terminal's log written at once."""

COMMENT = b":\n\n"


class Follow:
    """Handlers of streams."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._record = served.session.record

    async def events(self, request: Request) -> Response:
        """Items after a number, then new ones as they come."""
        last = request.headers.get("last-event-id")
        after = number(request.query_params.get("after"), "query.after", 0)
        after = number(last, "header.Last-Event-ID", after)
        feed = ItemFeed(self._record, after).feed
        return self._served.streams.stream(EVENT_HEADERS, feed)


class ItemFeed:
    """Sends items from a number on, until the bridge closes."""

    def __init__(self, record: Record, after: int, *, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._record = record
        self._after = after
        self._heartbeat_s = heartbeat_s

    async def feed(self, send: Send) -> None:
        """Sends what is on disk, then what comes. Raises TimeoutError for a reader that is stuck."""
        await write(send, COMMENT, STUCK_S)  # the caller sees at once that it is connected
        while True:
            frames = self._page()
            if frames:
                await write(send, b"".join(frames), STUCK_S)
                await asyncio.sleep(0)
            elif self._record.closed:
                return
            elif not await self._news():
                await write(send, COMMENT, STUCK_S)

    def _page(self) -> list[bytes]:
        """The next frames; where items are gone, one that says so comes first."""
        journal = self._record.journal
        frames = []
        if self._after < journal.first_seq - 1 or self._after > journal.last_seq:
            gap = Gap(self._after, journal.first_seq)
            self._after = journal.first_seq - 1
            frames.append(_frame("gap", self._after, msgspec.json.encode(gap)))
        for item in journal.read(self._after, PAGE_ITEMS, PAGE_BYTES):
            frames.append(_item(item))
            self._after = item.seq
        return frames

    async def _news(self) -> bool:
        """Whether there may be something new; not, when nothing came for so long."""
        try:
            async with asyncio.timeout(self._heartbeat_s):
                await self._record.journal.news(self._after)
        except TimeoutError:
            return False
        return True


def _item(item: Item) -> bytes:
    return _frame(item.kind, item.seq, msgspec.json.encode(item))


def _frame(event: str, seq: int, data: bytes) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (seq, event.encode(), data)


class LogFeed:
    """Sends a terminal's bytes from an offset on; with follow until the bridge closes, else up to the end."""

    def __init__(self, record: Record, log: ByteLog, offset: int, *, follow: bool) -> None:
        self._record = record
        self._log = log
        self._offset = offset
        self._follow = follow

    async def feed(self, send: Send) -> None:
        """Sends what there is. Raises TimeoutError for a reader that is stuck."""
        end = self._log.end
        while self._follow or self._offset < end:
            data = self._log.read(self._offset, LOG_BYTES)
            if data:
                self._offset = max(self._offset, self._log.first) + len(data)
                await write(send, data, STUCK_S)
                await asyncio.sleep(0)
            elif self._record.closed or not self._follow:
                return
            else:
                await self._news()

    async def _news(self) -> None:
        """Returns when there are more bytes, or will be none any more."""
        async with asyncio.TaskGroup() as group:
            more = group.create_task(self._log.wait_beyond(self._offset))
            end = group.create_task(self._record.ended.wait())
            await asyncio.wait({more, end}, return_when=asyncio.FIRST_COMPLETED)
            more.cancel()
            end.cancel()
