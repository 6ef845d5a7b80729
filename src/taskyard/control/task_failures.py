"""Why tasks are in error, and what to do about each: as a task shows it, alone and in lists."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from taskyard.control.services import Services
from taskyard.db import phases as db
from taskyard.db.tasks import TaskRow
from taskyard.lifecycle.phases import advice, cause_of_agent, cause_of_job, reason_of
from taskyard.wire.enums import TaskStatus, Transition
from taskyard.wire.phases import FailureCause, Phase, TaskFailure

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

Failures = Mapping[UUID, TaskFailure]
"""Why tasks are in error, by workspace; others are not in it."""


async def task_failures(services: Services, rows: Sequence[TaskRow]) -> Failures:
    """Why those tasks are in error that are; the database is asked only where one is."""
    if not _in_error(rows):
        return {}
    async with services.db.connection() as conn:
        return await read_failures(conn, rows)


async def read_failures(conn: "Connection", rows: Sequence[TaskRow]) -> Failures:
    """The same, over a connection that is there already."""
    names = _in_error(rows)
    if not names:
        return {}
    found = await db.list_failures_as_system(conn, list(names))
    return {row.workspace_id: _failure(row, names[row.workspace_id]) for row in found}


def _in_error(rows: Sequence[TaskRow]) -> dict[UUID, str]:
    """Full names of the tasks that are, by workspace."""
    return {
        row.workspace_id: f"{row.owner_name}/{row.name}"
        for row in rows
        if row.status is TaskStatus.ERROR
    }


def _failure(row: db.FailureRow, name: str) -> TaskFailure:
    phase, cause, reason = _why(row)
    told = reason_of(cause, reason)
    return TaskFailure(phase=phase, cause=cause, reason=told, advice=advice(phase, cause, name))


def _why(row: db.FailureRow) -> tuple[Phase | None, FailureCause, str | None]:
    """Phase, cause and reason; no phase where a stop or a delete failed."""
    if row.transition is Transition.START and row.phase is not None and row.cause is not None:
        return row.phase, row.cause, row.reason
    phase = Phase.STARTING if row.transition is Transition.START else None
    if row.error is not None:
        return phase, cause_of_job(row.error, phase), row.error
    if row.is_canceled:
        return phase, FailureCause.CANCELED, None
    if row.seen_reason:
        return Phase.CODING_AGENT, cause_of_agent(row.seen_reason), row.seen_reason
    return Phase.CODING_AGENT, FailureCause.APP_UNHEALTHY, None
