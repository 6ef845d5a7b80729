"""The transcript of a task, in every status it may have: a page of it, or all of it, an item at a time."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from difflib import get_close_matches
from functools import partial
from typing import Final, TypeVar
from uuid import UUID

import anyio
import anyio.to_thread

from taskyard.control.actors import Actor
from taskyard.control.services import Services
from taskyard.control.task_news import item_view
from taskyard.control.transcript_text import TranscriptText
from taskyard.db import events as db
from taskyard.errors import NotFound, QueryInvalid
from taskyard.lifecycle.wording import cut
from taskyard.wire import transcript as wire
from taskyard.wire.base import encode
from taskyard.wire.link import ItemKind

T = TypeVar("T")

PAGE: Final = 200
"""Items of a page, unless told."""

PAGE_BYTES: Final = 1024 * 1024
"""Bytes of the items of a page, and one item more: a page that has as many is shorter than was asked for. A slow reader
keeps the memory of it for a while."""

PART: Final = 200
"""Items that are read at a time of what is sent while it is read."""

PART_BYTES: Final = 512 * 1024
"""Bytes of them, and one item more: all that is in memory of the longest transcript."""

_LIMITER: list[anyio.CapacityLimiter] = []


async def find_deleted_task(services: Services, actor: Actor, task_id: UUID) -> db.DeletedTaskRow:
    """A deleted task that the actor could see; raises NotFound."""
    async with services.db.connection() as conn:
        row = await db.get_deleted_task(conn, actor.viewer, task_id)
    if row is None:
        raise NotFound(f"task {task_id}")
    return row


async def get_page(
    services: Services, task_id: UUID, query: wire.TranscriptQuery
) -> wire.TaskTranscript:
    """The items that a query asks for; with `before` alone, the last ones before it. Raises QueryInvalid."""
    span, limit = span_of(query), query.limit or PAGE
    from_end = query.before is not None and query.after is None
    read = db.list_end_of_transcript_as_system if from_end else db.list_transcript_as_system
    async with services.db.connection() as conn:
        # In this order: the number of the newest item is never lower than one that is listed.
        rows = await read(conn, task_id, span, limit=limit + 1, limit_bytes=PAGE_BYTES)
        end = await db.get_end_as_system(conn, task_id)
    shown = rows[-limit:] if from_end else rows[:limit]
    has_more = bool(shown) and not from_end and rows[0].found > len(shown)
    return wire.TaskTranscript(
        items=[item_view(row) for row in shown],
        last_number=end.item,
        next_after=shown[-1].number if has_more else None,
    )


async def lines(
    services: Services, task_id: UUID, query: wire.TranscriptQuery
) -> AsyncGenerator[bytes, None]:
    """The items that a query asks for, each as one line of JSON."""
    async with aclosing(_pages(services, task_id, query)) as pages:
        async for page in pages:
            yield b"".join(encode(item) + b"\n" for item in page)


async def markdown(
    services: Services, task_id: UUID, name: str, query: wire.TranscriptQuery
) -> AsyncGenerator[bytes, None]:
    """The same as Markdown for people, under the name of the task."""
    text = TranscriptText(name)
    yield text.head().encode()
    async with aclosing(_pages(services, task_id, query)) as pages:
        async for page in pages:
            part = await _in_thread(partial(_added, text, page))
            if part:
                yield part
    yield (await _in_thread(text.end)).encode()


def _added(text: TranscriptText, page: list[wire.TaskItem]) -> bytes:
    return "".join(text.add(item) for item in page).encode()


async def _in_thread(make: Callable[[], T]) -> T:
    """What is made of other people's text, which takes as long as they like; for one reader at a time."""
    # A limiter belongs to an event loop, so it is made inside the first one that needs it.
    if not _LIMITER:
        _LIMITER.append(anyio.CapacityLimiter(1))
    return await anyio.to_thread.run_sync(make, limiter=_LIMITER[0])


async def _pages(
    services: Services, task_id: UUID, query: wire.TranscriptQuery
) -> AsyncGenerator[list[wire.TaskItem], None]:
    """All items of a span, or the first so many; what is stored meanwhile is not waited for."""
    span, left = span_of(query), query.limit
    while left is None or left > 0:
        limit = PART if left is None else min(PART, left)
        async with services.db.connection() as conn:
            rows = await db.list_transcript_as_system(
                conn, task_id, span, limit=limit, limit_bytes=PART_BYTES
            )
        if not rows:
            return
        yield [item_view(row) for row in rows]
        left = None if left is None else left - len(rows)
        span = db.Span(after=rows[-1].number, before=span.before, kinds=span.kinds)


def span_of(query: wire.TranscriptQuery) -> db.Span:
    """Which items a query asks for. Raises QueryInvalid for a kind that there is not."""
    kinds = [word.strip() for word in query.kinds.split(",") if word.strip()]
    unknown = [word for word in kinds if word not in set(ItemKind)]
    if unknown:
        raise QueryInvalid([("kinds", _unknown(unknown[0]))])
    before = db.NO_END if query.before is None else query.before
    return db.Span(after=query.after or 0, before=before, kinds=kinds or None)


def _unknown(word: str) -> str:
    near = get_close_matches(word, list(ItemKind), n=1)
    hint = f'; did you mean "{near[0]}"?' if near else f". There are: {', '.join(ItemKind)}."
    return f'there are no items of the kind "{cut(word)}"{hint}'
