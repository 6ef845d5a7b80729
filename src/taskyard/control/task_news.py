"""Items and events of tasks as clients read them: pure functions of rows."""

import re
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from taskyard.db.events import EventRow, TranscriptRow
from taskyard.lifecycle.task import AppReport, CurrentState, TaskFacts, derive_current_state
from taskyard.wire import transcript as wire
from taskyard.wire.base import encode
from taskyard.wire.enums import TaskStatus, Transition
from taskyard.wire.tasks import TaskStateEntry, WaitingFor

_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)"
)
"""An escape of a JSON text: two halves of one character, half a character, or any other."""

_HALF_CHARS: Final = 6
"""Bytes of half a character as an escape."""


def item_view(row: TranscriptRow) -> wire.TaskItem:
    """An item as the wire shows it."""
    return wire.TaskItem(
        number=row.number,
        kind=row.kind,
        turn=row.turn,
        time=row.time,
        stored_at=row.stored_at,
        data=msgspec.Raw(readable(row.data)),
    )


def readable(data: bytes) -> bytes:
    """A JSON text as every reader takes it, on one line: half characters are replaced, all else is as it came."""
    if b"\\ud" in data or b"\\uD" in data:
        data = _ESCAPE.sub(_whole, data)
    # Between values only: within a string a line's end is an escape.
    return data.replace(b"\r", b" ").replace(b"\n", b" ")


def _whole(escape: re.Match[bytes]) -> bytes:
    is_half = len(escape[0]) == _HALF_CHARS and escape[0][1:3].lower() == b"ud"
    return b"\\ufffd" if is_half else escape[0]


def standing_view(row: EventRow) -> wire.TaskStanding:
    """What a task had become, as the wire shows it."""
    return wire.TaskStanding(
        display_name=_title(row),
        status=row.status,
        current_state=_state(row),
        waiting_for=_waiting(row),
        at=row.at,
    )


def news_view(row: EventRow) -> wire.TaskNews:
    """The same of one task among many."""
    return wire.TaskNews(
        task=wire.TaskName(
            id=row.task_id,
            name=row.name,
            display_name=_title(row),
            owner_name=row.owner_name,
            organization_id=row.organization_id,
        ),
        status=row.status,
        current_state=_state(row),
        waiting_for=_waiting(row),
        at=row.at,
        deleted=row.deleted,
    )


def sent(kind: wire.NewsKind, event_id: str, body: msgspec.Struct) -> bytes:
    """A server-sent event; its id is where whoever has it goes on."""
    return b"event: %b\nid: %b\ndata: %b\n\n" % (kind.encode(), event_id.encode(), encode(body))


def current_state(row: EventRow) -> CurrentState | None:
    """What the coding agent did, by the same rules as for the task itself."""
    is_start = row.status is TaskStatus.INITIALIZING
    facts = TaskFacts(
        has_workspace=True,
        transition=Transition.START if is_start else None,
        job=row.job_status,
        agent_lifecycle=row.agent_lifecycle,
        app_health=row.app_health,
        build_created_at=row.build_created_at,
        report=_report(row),
    )
    return derive_current_state(facts, row.status)


def _report(row: EventRow) -> AppReport | None:
    if row.report_state is None or row.report_created_at is None:
        return None
    return AppReport(
        row.report_state, row.report_message or "", row.report_uri or "", row.report_created_at
    )


def _state(row: EventRow) -> TaskStateEntry | None:
    state = current_state(row)
    if state is None:
        return None
    return TaskStateEntry(
        timestamp=state.timestamp, state=state.state, message=state.message, uri=state.uri
    )


def _title(row: EventRow) -> str | UnsetType:
    return UNSET if row.display_name is None else row.display_name


def _waiting(row: EventRow) -> WaitingFor | UnsetType:
    if row.waiting_kind is None:
        return UNSET
    return WaitingFor(kind=row.waiting_kind, id=row.waiting_id or "", title=row.waiting_title or "")
