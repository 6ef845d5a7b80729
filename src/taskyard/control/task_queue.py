"""What tasks wait for that nobody has begun to start, and their place among those that wait for the same."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import UNSET

from taskyard.control.admission import limits
from taskyard.control.services import Services
from taskyard.db import jobs
from taskyard.db.tasks import TaskRow
from taskyard.wire.enums import JobStatus, TaskStatus
from taskyard.wire.tasks import TaskQueue

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

Places = Mapping[UUID, TaskQueue]
"""Places in the queue by workspace; what does not wait is not in it."""


async def queue_places(services: Services, rows: Sequence[TaskRow]) -> Places:
    """The places of those tasks that wait for their start; the database is asked only where one does."""
    if not _waiting(rows):
        return {}
    async with services.db.connection() as conn:
        return await read_places(conn, services, rows)


async def read_places(conn: "Connection", services: Services, rows: Sequence[TaskRow]) -> Places:
    """The same, over a connection that is there already."""
    waiting = _waiting(rows)
    if not waiting:
        return {}
    found = await services.waiting.places(conn, waiting, limits(services.settings))
    return {row.workspace_id: _place(row) for row in found}


def _waiting(rows: Sequence[TaskRow]) -> list[UUID]:
    return [
        row.workspace_id
        for row in rows
        if row.status is TaskStatus.PENDING and row.job_status is JobStatus.PENDING
    ]


def _place(row: jobs.WaitingRow) -> TaskQueue:
    most = UNSET if row.most is None else row.most
    return TaskQueue(position=row.position, size=row.size, reason=row.reason, limit=most)
