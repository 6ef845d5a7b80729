"""Handlers: the transcript of a task, and the streams of those who follow."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final
from uuid import UUID
from weakref import WeakValueDictionary

from starlette.requests import HTTPConnection

from taskyard.control import task_transcript
from taskyard.control.actors import Actor, Who
from taskyard.control.services import Services
from taskyard.control.task_follow import Begin, TaskRef, read_begin
from taskyard.control.task_follow import follow_task as follow_one
from taskyard.control.task_follow import follow_tasks as follow_all
from taskyard.errors import NotFound
from taskyard.server.call import Answer, Call, Handler
from taskyard.server.deps import session_of, token_of, user_param
from taskyard.server.event_stream import Events
from taskyard.server.following import RECHECK_S
from taskyard.server.places import place_for
from taskyard.server.streamed import Parts
from taskyard.wire import transcript as wire
from taskyard.wire.base import as_uuid
from taskyard.wire.transcript import TranscriptFormat

JSON_LINES: Final = "application/x-ndjson"
MARKDOWN: Final = "text/markdown; charset=utf-8"


async def get_task_transcript(call: Call) -> object:
    """Items of a task, in every status it may have, also after it was deleted."""
    task, name = await _task(call)
    query = call.query(wire.TranscriptQuery)
    match query.format:
        case TranscriptFormat.JSON:
            return await task_transcript.get_page(call.services, task.id, query)
        case TranscriptFormat.JSONL:
            task_transcript.span_of(query)  # what is wrong with it is said before anything is sent
            return _export(task_transcript.lines(call.services, task.id, query), JSON_LINES)
        case TranscriptFormat.MARKDOWN:
            task_transcript.span_of(query)
            text = task_transcript.markdown(call.services, task.id, name, query)
            return _export(text, MARKDOWN)


def _export(parts: AsyncGenerator[bytes, None], media_type: str) -> Answer:
    """All of a transcript, for as long as somebody reads it: the longest one has gigabytes."""
    return Answer(Parts(parts, media_type, whole_s=None))


async def follow_task(call: Call) -> object:
    """A task as it goes on: what it says and does, and what it becomes."""
    task, _ = await _task(call)
    query = call.query(wire.FollowTaskQuery)
    begin = read_begin(_after(call, query.after), query.tail)
    return await _stream(call, follow_one(call.services, _who(call, task.id), task, begin))


async def follow_tasks(call: Call) -> object:
    """All tasks that the caller may see, as they become something else."""
    query = call.query(wire.FollowTasksQuery)
    begin: Begin = read_begin(_after(call, query.after))
    return await _stream(call, follow_all(call.services, _who(call, None), begin))


def _after(call: Call, asked: str) -> str:
    """Where to go on: what a client that was here before says, else what its first request said."""
    return call.connection.headers.get(wire.LAST_EVENT_ID, "").strip() or asked


async def _stream(call: Call, parts: AsyncGenerator[bytes, None]) -> Answer:
    rest = _in_place(call.actor.user_id, parts)
    return Answer(Events(await anext(rest), rest))


async def _in_place(
    user_id: UUID, parts: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    """The parts, as one of the things that the user follows; raises TooManyFollowed."""
    with place_for(user_id):
        async with aclosing(parts):
            async for part in parts:
                yield part


async def _task(call: Call) -> tuple[TaskRef, str]:
    """The task of the path with its name; one that was deleted by its id. Raises NotFound."""
    live = call.session.task if call.session else None
    if live is not None:
        return TaskRef(live.id, live.owner_id, live.organization_id), live.name
    task_id = as_uuid(call.path("task"))
    if task_id is None:
        raise NotFound
    await user_param(call)  # as of a live one: found by its id behind any user that the caller sees
    row = await task_transcript.find_deleted_task(call.services, call.actor, task_id)
    return TaskRef(row.id, row.owner_id, row.organization_id, deleted=True), row.name


class _Asker:
    """Whoever follows by one token: asked for again every few seconds, once for all that they follow by it."""

    def __init__(self, actor: Actor) -> None:
        self._actor = actor
        self._clock = asyncio.get_running_loop().time
        self._checked_at = self._clock()
        self._checking = asyncio.Lock()

    async def actor(self, services: Services, connection: HTTPConnection) -> Actor:
        """The same actor with the rights of a moment ago; raises Unauthenticated, UserSuspended, Forbidden."""
        if self._is_due():
            async with self._checking:
                if self._is_due():
                    session = await session_of(services, connection, services.now())
                    self._actor, self._checked_at = session.actor, self._clock()
        return self._actor

    def _is_due(self) -> bool:
        return self._clock() - self._checked_at >= RECHECK_S


_askers: WeakValueDictionary[tuple[str | None, UUID | None], _Asker] = WeakValueDictionary()


def _who(call: Call, task_id: UUID | None) -> Who:
    key = (token_of(call.connection), task_id)
    asker = _askers.get(key)
    if asker is None:
        asker = _askers[key] = _Asker(call.actor)

    # The call itself, which holds all that is known of the task, is not kept as long as the stream.
    services, connection = call.services, call.connection

    async def who() -> Actor:
        return await asker.actor(services, connection)

    return who


HANDLERS: dict[str, Handler] = {
    handler.__name__: handler for handler in (get_task_transcript, follow_task, follow_tasks)
}
