"""Following one task, or all that somebody may see: from where they had come to, and on as things happen."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final, NamedTuple
from uuid import UUID

from taskyard.control.actors import Actor, Who
from taskyard.control.feeds import Batch, Frame, Position
from taskyard.control.services import Services
from taskyard.control.task_news import item_view, news_view, sent, standing_view
from taskyard.db import events as db
from taskyard.db.pool import Database
from taskyard.db.viewer import Viewer
from taskyard.errors import NotFound, QueryInvalid
from taskyard.wire import transcript as wire
from taskyard.wire.base import NIL_UUID

PING_S: Final = 15.0
"""Seconds of silence until a sign of life: proxies give a silent connection up after a minute."""

PING: Final = b": nothing new\n\n"
"""A sign of life, which is a comment to every reader of such streams."""

PAGE: Final = 200
"""Items or events that are read at a time."""

PAGE_BYTES: Final = 256 * 1024
"""Bytes of items that are read at a time, and one item more: what a client is sent in one piece."""

MOST: Final = 2**63 - 1
"""The highest number that a column takes."""

_ID: Final = re.compile(r"([0-9]{1,19})(?:\.([0-9]{1,19}))?")

EVERYBODY: Final = Viewer(NIL_UUID, sees_all=True, admin_of=frozenset())
"""The eyes of a feed, which reads for all."""


class TaskRef(NamedTuple):
    """A task that somebody was found to see, and what that hung on. deleted: it was gone before."""

    id: UUID
    owner_id: UUID
    organization_id: UUID
    deleted: bool = False


class Begin(NamedTuple):
    """Where a client wants to begin; null for what it did not say."""

    item: int | None = None
    event: int | None = None
    tail: int | None = None


def read_begin(after: str, tail: int | None = None) -> Begin:
    """Where an id of a stream, or the number of an item, says to begin. Raises QueryInvalid."""
    if not after:
        return Begin(tail=tail)
    found = _ID.fullmatch(after)
    numbers = [] if found is None else [int(part) for part in found.groups() if part is not None]
    if not numbers or max(numbers) > MOST:
        raise QueryInvalid([("after", f'"{after[:80]}" is no id of an event of this stream')])
    return Begin(*numbers)


async def follow_task(
    services: Services, who: Who, task: TaskRef, begin: Begin, *, ping_s: float = PING_S
) -> AsyncGenerator[bytes, None]:
    """The stream of a task: what it had become, its items, and both as they come, until it is deleted.

    Raises what who raises, and NotFound once its actor may no longer see the task.
    """
    source = TaskSource(task.id)
    if task.deleted:
        async with aclosing(_tell_rest(services, source, begin)) as rest:
            async for text in rest:
                await _check(who, task)
                yield text
        return
    async with services.feeds.open(services.db, services.doorbell, task.id, source) as feed:
        cursor = _start(begin, await feed.join())
        # Sent at once, so that a client learns that its connection has come about.
        yield PING
        while True:
            batch = await feed.next(cursor, ping_s)
            await _check(who, task)
            yield PING if batch is None else batch.text
            if batch is not None:
                cursor = batch.end
                if batch.is_last:
                    return


async def _check(who: Who, task: TaskRef) -> None:
    if not (await who()).viewer.sees(task.owner_id, task.organization_id):
        raise NotFound(f"task {task.id}")


async def _tell_rest(
    services: Services, source: "TaskSource", begin: Begin
) -> AsyncGenerator[bytes, None]:
    """All that there is of a deleted task. No feed has a part in it: one may not have heard yet what came last."""
    end = await source.end(services.db)
    cursor = _start(begin, end)
    while cursor.is_behind(end):
        batch = await source.read(services.db, cursor, end)
        cursor = batch.end
        yield batch.text
        if batch.is_last:
            return
    # Its last event was too old to be kept.
    gone = wire.TaskDeleted(at=services.now())
    yield sent(wire.NewsKind.DELETED, f"{cursor.item}.{cursor.event}", gone)


def _start(begin: Begin, end: Position) -> Position:
    """Where a client begins: nowhere beyond the end, and without a word of events at the newest of them."""
    item = begin.item
    if item is None:
        item = 0 if begin.tail is None else max(0, end.item - begin.tail)
    event = max(0, end.event - 1) if begin.event is None else begin.event
    return Position(min(item, end.item), min(event, end.event))


async def follow_tasks(
    services: Services, who: Who, begin: Begin, *, ping_s: float = PING_S
) -> AsyncGenerator[bytes, None]:
    """The stream of all tasks that whoever asks may see. Raises what who raises."""
    async with services.feeds.open(services.db, services.doorbell, None, SITE) as feed:
        end = await feed.join()
        cursor = end if begin.item is None else Position(0, min(begin.item, end.event))
        async with services.db.connection() as conn:
            missing_to = (await db.get_end_of_events_as_system(conn)).missing_to
        # An id that is not there yet is of a database that was put back to an earlier state.
        if begin.item is None or begin.item > end.event or cursor.event < missing_to:
            cursor = end
            yield sent(wire.NewsKind.RESET, str(cursor.event), wire.TasksReset())
        else:
            yield PING
        clock = asyncio.get_running_loop().time
        due = clock() + ping_s
        while True:
            batch = await feed.next(cursor, max(0.0, due - clock()))
            actor = await who()
            text = b"" if batch is None else _visible(batch, actor)
            cursor = cursor if batch is None else batch.end
            if text or clock() >= due:
                due = clock() + ping_s
                yield text or PING + b"id: %d\n\n" % cursor.event


def _visible(batch: Batch, actor: Actor) -> bytes:
    viewer = actor.viewer
    if viewer.sees_all:
        return batch.text
    return b"".join(
        frame.text for frame in batch.frames if viewer.sees(frame.owner_id, frame.organization_id)
    )


class TaskSource:
    """Items and events of one task."""

    def __init__(self, task_id: UUID) -> None:
        self._task_id = task_id

    async def end(self, db_: Database) -> Position:
        """The newest of both, as of one moment."""
        async with db_.connection() as conn:
            row = await db.get_end_as_system(conn, self._task_id)
        return Position(row.item, row.event)

    async def read(self, db_: Database, start: Position, until: Position) -> Batch:
        """Items first: what a task had become is told behind all that was said before it had."""
        if start.item < until.item:
            return await self._items(db_, start, until)
        async with db_.connection() as conn:
            rows = await db.list_task_events_as_system(
                conn, self._task_id, after=start.event, until=until.event, limit=PAGE
            )
        item = start.joined(until).item
        end = Position(item, rows[-1].id if len(rows) == PAGE else max(start.event, until.event))
        text = b"".join(_event_text(item, row) for row in rows)
        return Batch(start, end, text, is_last=any(row.deleted for row in rows))

    async def _items(self, db_: Database, start: Position, until: Position) -> Batch:
        span = db.Span(after=start.item, before=until.item + 1)
        async with db_.connection() as conn:
            rows = await db.list_transcript_as_system(
                conn, self._task_id, span, limit=PAGE, limit_bytes=PAGE_BYTES
            )
        text = b"".join(
            sent(wire.NewsKind.ITEM, f"{row.number}.{start.event}", item_view(row)) for row in rows
        )
        # Items are numbered without gaps; were some deleted by hand, nobody shall wait for them.
        end = rows[-1].number if rows else until.item
        return Batch(start, Position(end, start.event), text)


def _event_text(item: int, row: db.EventRow) -> bytes:
    if row.deleted:
        return sent(wire.NewsKind.DELETED, f"{item}.{row.id}", wire.TaskDeleted(at=row.at))
    return sent(wire.NewsKind.STATUS, f"{item}.{row.id}", standing_view(row))


class SiteSource:
    """Events of all tasks. A position's item is always 0."""

    async def end(self, db_: Database) -> Position:
        """The newest of them."""
        async with db_.connection() as conn:
            row = await db.get_end_of_events_as_system(conn)
        return Position(0, row.event)

    async def read(self, db_: Database, start: Position, until: Position) -> Batch:
        """Events in order, whoever may see them."""
        async with db_.connection() as conn:
            rows = await db.list_events(
                conn, EVERYBODY, after=start.event, until=until.event, limit=PAGE
            )
        frames = tuple(
            Frame(
                row.owner_id,
                row.organization_id,
                sent(wire.NewsKind.TASK, str(row.id), news_view(row)),
            )
            for row in rows
        )
        end = rows[-1].id if len(rows) == PAGE else max(start.event, until.event)
        text = b"".join(frame.text for frame in frames)
        return Batch(start, Position(0, end), text, frames)


SITE: Final = SiteSource()
"""There is one."""
