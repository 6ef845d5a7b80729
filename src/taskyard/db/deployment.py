"""Whose database it is: one data directory's, because each server runs what its database holds."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from taskyard.db.statements import NoRow, statement

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

_CLAIM = statement("deployment", "claim_deployment_as_system", NoRow)


async def claim_deployment_as_system(
    conn: "Connection", deployment_id: UUID, now: datetime
) -> None:
    """Makes the database that of this data directory, unless it is another's."""
    await _CLAIM.execute(conn, id=deployment_id, now=now)
