"""What was decided about workspaces' connections: a row type and one function a statement of sql/network.sql."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.db.statements import NoRow, statement
from taskyard.wire.network import NetworkVerdict

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


class DecisionRow(msgspec.Struct, frozen=True, kw_only=True):
    """So many connections or requests with the same end.

    port 0 and empty texts stand for none; an empty host for all that no row of its own was left for.
    """

    verdict: NetworkVerdict
    host: str
    port: int
    method: str
    path: str
    reason: str
    count: int
    first_at: datetime
    last_at: datetime


_COUNT = statement("network", "count_decisions_as_system", NoRow)
_LIST = statement("network", "list_decisions_as_system", DecisionRow)


async def count_decisions_as_system(
    conn: "Connection", workspace_id: UUID, decisions: Sequence[DecisionRow]
) -> None:
    """Adds to what was decided about a workspace's connections, if the workspace is there still."""
    await _COUNT.execute(
        conn,
        workspace_id=workspace_id,
        verdicts=[each.verdict for each in decisions],
        hosts=[each.host for each in decisions],
        ports=[each.port for each in decisions],
        methods=[each.method for each in decisions],
        paths=[each.path for each in decisions],
        reasons=[each.reason for each in decisions],
        counts=[each.count for each in decisions],
        firsts=[each.first_at for each in decisions],
        lasts=[each.last_at for each in decisions],
    )


async def list_decisions_as_system(conn: "Connection", workspace_id: UUID) -> list[DecisionRow]:
    """What was decided about a workspace's connections, the newest first."""
    return await _LIST.many(conn, workspace_id=workspace_id)
