"""What a task's workspace tried to reach, as the wire shows it."""

from taskyard.control.services import Services
from taskyard.db import network as db
from taskyard.db.tasks import TaskRow
from taskyard.wire.network import NetworkDecision, NetworkMore, TaskNetworkResponse


async def task_network(services: Services, task: TaskRow) -> TaskNetworkResponse:
    """What was decided about the connections of a task's workspace, the newest first."""
    async with services.db.connection() as conn:
        rows = await db.list_decisions_as_system(conn, task.workspace_id)
    return TaskNetworkResponse(
        decisions=[_decision(row) for row in rows if row.host],
        more=[
            NetworkMore(
                verdict=row.verdict, count=row.count, first_at=row.first_at, last_at=row.last_at
            )
            for row in rows
            if not row.host
        ],
    )


def _decision(row: db.DecisionRow) -> NetworkDecision:
    return NetworkDecision(
        verdict=row.verdict,
        host=row.host,
        port=row.port or None,
        method=row.method or None,
        path=row.path or None,
        reason=row.reason,
        count=row.count,
        first_at=row.first_at,
        last_at=row.last_at,
    )
