"""What those who follow tasks read: events and items, each in its order; one function a statement of sql/events.sql."""

from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from taskyard.db.statements import statement
from taskyard.db.viewer import Viewer
from taskyard.wire.enums import AgentLifecycle, AppHealth, AppStatusState, JobStatus, TaskStatus

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

EVENTS: Final = "events"
"""Topic of a task of which an event was stored; rung by the database itself, in the transaction that stored it."""

ITEMS: Final = "items"
"""Topic of a task of which items were stored."""

NO_END: Final = 2**63 - 1
"""Higher than any number of an item."""


class EndRow(msgspec.Struct, frozen=True, kw_only=True):
    """The number of a task's newest item and the id of its newest event, 0 for none."""

    item: int
    event: int


class EndOfEventsRow(msgspec.Struct, frozen=True, kw_only=True):
    """The id of the newest event of all, and the id up to which some may be missing; 0 for none."""

    event: int
    missing_to: int


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a task had become at some moment.

    report_* are null together unless there is a report that counts; job_status, agent_lifecycle, app_health and
    build_created_at are there while the status is initializing, waiting_* while an active task waits for somebody. display_name is null where
    an older server stored the event.
    """

    id: int
    task_id: UUID
    owner_id: UUID
    owner_name: str
    organization_id: UUID
    name: str
    at: datetime
    deleted: bool
    status: TaskStatus
    report_state: AppStatusState | None
    report_message: str | None
    report_uri: str | None
    report_created_at: datetime | None
    job_status: JobStatus | None
    agent_lifecycle: AgentLifecycle | None
    app_health: AppHealth | None
    build_created_at: datetime | None
    waiting_kind: str | None
    waiting_id: str | None
    waiting_title: str | None
    display_name: str | None


class TranscriptRow(msgspec.Struct, frozen=True, kw_only=True):
    """A transcript item as it was stored. found: how many items of the page there are, were bytes not counted."""

    number: int
    kind: str
    turn: int
    data: bytes
    time: datetime
    stored_at: datetime
    found: int


class DeletedTaskRow(msgspec.Struct, frozen=True, kw_only=True):
    """A task that is gone, but for its transcript."""

    id: UUID
    owner_id: UUID
    organization_id: UUID
    name: str


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Which items of a transcript are meant: those between two numbers, of these kinds, null for all."""

    after: int = 0
    before: int = NO_END
    kinds: list[str] | None = None


_GET_END = statement("events", "get_end_as_system", EndRow)
_GET_END_OF_EVENTS = statement("events", "get_end_of_events_as_system", EndOfEventsRow)
_LIST_TASK_EVENTS = statement("events", "list_task_events_as_system", EventRow)
_LIST_EVENTS = statement("events", "list_events", EventRow)
_LIST_TRANSCRIPT = statement("events", "list_transcript_as_system", TranscriptRow)
_LIST_END = statement("events", "list_end_of_transcript_as_system", TranscriptRow)
_GET_DELETED = statement("events", "get_deleted_task", DeletedTaskRow)


async def get_end_as_system(conn: "Connection", task_id: UUID) -> EndRow:
    """How far items and events of a task go, at one moment; zeros for a task that is not there."""
    return await _GET_END.one(conn, task_id=task_id) or EndRow(item=0, event=0)


async def get_end_of_events_as_system(conn: "Connection") -> EndOfEventsRow:
    """How far events of all tasks go, and from where on none is missing."""
    row = await _GET_END_OF_EVENTS.one(conn)
    return row or EndOfEventsRow(event=0, missing_to=0)


async def list_task_events_as_system(
    conn: "Connection", task_id: UUID, *, after: int, until: int, limit: int
) -> list[EventRow]:
    """Events of one task, in order."""
    return await _LIST_TASK_EVENTS.many(
        conn, task_id=task_id, after=after, until=until, limit=limit
    )


async def list_events(
    conn: "Connection", viewer: Viewer, *, after: int, until: int, limit: int
) -> list[EventRow]:
    """Events of the tasks that the viewer may see, in order."""
    return await _LIST_EVENTS.many(conn, after=after, until=until, limit=limit, **viewer.values())


async def list_transcript_as_system(
    conn: "Connection", task_id: UUID, span: Span, *, limit: int, limit_bytes: int
) -> list[TranscriptRow]:
    """The first items of a span, at least one where there is one: no more bytes than that, and one item."""
    return await _LIST_TRANSCRIPT.many(
        conn, task_id=task_id, limit=limit, bytes=limit_bytes, **msgspec.structs.asdict(span)
    )


async def list_end_of_transcript_as_system(
    conn: "Connection", task_id: UUID, span: Span, *, limit: int, limit_bytes: int
) -> list[TranscriptRow]:
    """The last items of a span, in order, by the same limits."""
    return await _LIST_END.many(
        conn, task_id=task_id, limit=limit, bytes=limit_bytes, **msgspec.structs.asdict(span)
    )


async def get_deleted_task(
    conn: "Connection", viewer: Viewer, task_id: UUID
) -> DeletedTaskRow | None:
    """A deleted task that the viewer could see before; None when it is absent, live, or not theirs."""
    return await _GET_DELETED.one(conn, task_id=task_id, **viewer.values())
