"""What is told to those who follow tasks, read once for all of them.

A feed is there while somebody follows. One of those who wait reads what is new, for everybody; it is kept as the text
that is sent, as long as there is room. Whoever is further behind reads from the store alone, until it has caught up.
So a thousand clients of a busy task cost one read for each change, and a slow one costs the others nothing.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from taskyard.db.events import EVENTS, ITEMS
from taskyard.db.pool import Database, Doorbell

LOOK_S: Final = 2.0
"""Seconds between looks when nobody rings: a ring may be lost with the connection it was to come by."""

REST_S: Final = 0.02
"""Seconds between looks at least: a busy workspace sends items many times a second, and each look is two questions
to the database."""

KEPT_BYTES: Final = 512 * 1024
"""Text that a feed keeps: some seconds of the busiest task, for those who were just being sent what came before."""


class Position(NamedTuple):
    """How far somebody has come: the number of an item, and the id of an event; 0 before the first."""

    item: int
    event: int

    def is_behind(self, other: "Position") -> bool:
        """Whether there is anything up to the other that is not up to this one."""
        return self.item < other.item or self.event < other.event

    def joined(self, other: "Position") -> "Position":
        """As far as either."""
        return Position(max(self.item, other.item), max(self.event, other.event))


class Frame(NamedTuple):
    """One event's text, and whose task it is about."""

    owner_id: UUID
    organization_id: UUID
    text: bytes


class Batch(NamedTuple):
    """What comes between two positions. frames: the parts of text, where not everybody may see each of them."""

    start: Position
    end: Position
    text: bytes
    frames: tuple[Frame, ...] = ()
    is_last: bool = False


class Source(Protocol):
    """Where a feed reads."""

    async def end(self, db: Database) -> Position:
        """How far it goes now."""

    async def read(self, db: Database, start: Position, until: Position) -> Batch:
        """What comes behind start, at most up to until; at least something of it."""


class Feed:
    """What is new of one task, or of all; made by Feeds. reads: how many batches were read for everybody."""

    def __init__(self, db: Database, source: Source) -> None:
        self.clients = 0
        self.reads = 0
        self._db = db
        self._source = source
        self._end: Position | None = None
        self._kept: dict[Position, Batch] = {}
        self._size = 0
        self._rung = asyncio.Event()
        self._grown = asyncio.Event()
        self._led = False
        self._looked_at = 0.0

    def ring(self) -> None:
        """There may be something new."""
        self._rung.set()

    async def join(self) -> Position:
        """How far it goes now; what comes later is not missed."""
        end = await self._source.end(self._db)
        if self._end is None:
            self._end = end
        elif self._end.is_behind(end):
            self.ring()
        return end

    async def next(self, cursor: Position, within_s: float) -> Batch | None:
        """What comes behind the cursor as soon as there is something; None when so long nothing came."""
        assert self._end is not None  # whoever asks has joined
        if not cursor.is_behind(self._end) and not await self._grows(cursor, within_s):
            return None
        kept = self._kept.get(cursor)
        return kept or await self._source.read(self._db, cursor, self._end)

    async def _grows(self, cursor: Position, within_s: float) -> bool:
        assert self._end is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not cursor.is_behind(self._end):
                    if self._led:
                        await self._grown.wait()
                    else:
                        await self._lead(cursor)
        return cursor.is_behind(self._end)

    async def _lead(self, cursor: Position) -> None:
        """Reads for everybody until there is something behind the cursor; whoever waits takes over at the end."""
        self._led = True
        try:
            while self._end is not None and not cursor.is_behind(self._end):
                await self._wait()
                await self._look()
        except BaseException:
            self.ring()  # what was rung is somebody else's to read
            raise
        finally:
            self._led = False
            self._wake()

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await self._rung.wait()
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, self._looked_at + REST_S - clock()))
        self._rung.clear()
        self._looked_at = clock()

    async def _look(self) -> None:
        """Reads all that is new; those who wait get each batch at once."""
        assert self._end is not None
        until = await self._source.end(self._db)
        while self._end.is_behind(until):
            self._keep(await self._source.read(self._db, self._end, until))
            self._wake()

    def _keep(self, batch: Batch) -> None:
        self.reads += 1
        self._end = batch.end
        self._kept[batch.start] = batch
        self._size += len(batch.text)
        while self._size > KEPT_BYTES and len(self._kept) > 1:
            oldest = self._kept.pop(next(iter(self._kept)))
            self._size -= len(oldest.text)

    def _wake(self) -> None:
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()


class Feeds:
    """The feeds of one server that somebody follows."""

    def __init__(self) -> None:
        self._feeds: dict[UUID | None, Feed] = {}
        self._rings = AsyncExitStack()

    @asynccontextmanager
    async def open(
        self, db: Database, doorbell: Doorbell, task_id: UUID | None, source: Source
    ) -> AsyncIterator[Feed]:
        """The feed of a task, null for that of all tasks, while the block runs."""
        if not self._feeds:
            await self._rings.enter_async_context(doorbell.on(ITEMS, self._items_rung))
            await self._rings.enter_async_context(doorbell.on(EVENTS, self._events_rung))
        feed = self._feeds.setdefault(task_id, Feed(db, source))
        feed.clients += 1
        try:
            yield feed
        finally:
            feed.clients -= 1
            if not feed.clients:
                del self._feeds[task_id]
            if not self._feeds:
                await self._rings.aclose()

    @property
    def opened(self) -> list[Feed]:
        """Those that somebody follows."""
        return list(self._feeds.values())

    def ring(self, task_id: UUID | None) -> None:
        """There may be something new of a task; null: of any of them, for those who follow all."""
        feed = self._feeds.get(task_id)
        if feed is not None:
            feed.ring()

    def _items_rung(self, subject: str) -> None:
        if subject:
            self.ring(UUID(subject))
        else:  # anything may have been missed
            for feed in self._feeds.values():
                feed.ring()

    def _events_rung(self, subject: str) -> None:
        self._items_rung(subject)
        self.ring(None)
