"""Whose database it is: one data directory's, because each server runs what its database holds."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from taskyard.db.jobs import IdRow
from taskyard.db.statements import NoRow, statement

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

_CLAIM = statement("deployment", "claim_deployment_as_system", NoRow)
_GET = statement("deployment", "get_deployment_as_system", IdRow)


async def claim_deployment_as_system(
    conn: "Connection", deployment_id: UUID, now: datetime
) -> None:
    """Makes the database that of this data directory, unless it is another's."""
    await _CLAIM.execute(conn, id=deployment_id, now=now)


async def get_deployment_as_system(conn: "Connection") -> UUID | None:
    """The id of the data directory that the database belongs to; None before it was claimed."""
    row = await _GET.one(conn)
    return None if row is None else row.id
