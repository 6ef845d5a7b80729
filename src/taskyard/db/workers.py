"""Workers that live: what builds tell of who could take their job."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from taskyard.db.statements import NoRow, statement

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

FORGOTTEN = timedelta(minutes=10)
"""Silence after which the row of a worker goes; it stopped counting long before (see the view worker_facts)."""

_BEAT = statement("workers", "beat_worker", NoRow)
_REMOVE = statement("workers", "remove_worker", NoRow)


async def beat_worker(
    conn: "Connection", worker_id: UUID, name: str, now: datetime, *, running: int, capacity: int
) -> None:
    """The worker lives, with so many jobs in hand out of so many it takes at once."""
    await _BEAT.execute(
        conn,
        id=worker_id,
        name=name,
        running=running,
        capacity=capacity,
        now=now,
        forgotten=now - FORGOTTEN,
    )


async def remove_worker(conn: "Connection", worker_id: UUID) -> None:
    """The worker ends and takes no more jobs."""
    await _REMOVE.execute(conn, id=worker_id)
