"""Records that contradict each other, and what waits for nothing: found and set right by the reconciler."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.db.jobs import DueRow, IdRow
from taskyard.db.servers import ALIVE
from taskyard.db.statements import statement

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


class StuckPromptRow(msgspec.Struct, frozen=True):
    """A prompt on its way to a start that has ended."""

    id: UUID
    task_id: UUID


class SilentRow(msgspec.Struct, frozen=True):
    """A workspace whose agent never called."""

    workspace_id: UUID


_SETTLE_BUILDS = statement("records", "settle_builds_of_ended_jobs", IdRow)
_END_JOBS = statement("records", "end_jobs_of_settled_builds", IdRow)
_FREE_AGENTS = statement("records", "free_agents_of_dead_servers", IdRow)
_CLOSE_PERMISSIONS = statement("records", "close_permissions_of_ended_starts", IdRow)
_STUCK_PROMPTS = statement("records", "list_stuck_prompts", StuckPromptRow)
_SILENT_AGENTS = statement("records", "list_silent_agents", SilentRow)
_LAST_FAILED_REPAIR = statement("records", "get_last_failed_repair", DueRow)


async def settle_builds_of_ended_jobs(conn: "Connection", now: datetime) -> list[UUID]:
    """Settles the builds whose jobs are over; which they were."""
    return [row.id for row in await _SETTLE_BUILDS.many(conn, now=now)]


async def end_jobs_of_settled_builds(conn: "Connection", error: str, now: datetime) -> list[UUID]:
    """Ends with that error the jobs that nobody holds and whose builds are settled; which they were."""
    return [row.id for row in await _END_JOBS.many(conn, error=error, now=now)]


async def free_agents_of_dead_servers(
    conn: "Connection", silent_since: datetime, now: datetime
) -> list[UUID]:
    """Marks agents as disconnected whose server is gone and that were not heard since; which they were."""
    rows = await _FREE_AGENTS.many(conn, silent_since=silent_since, alive=ALIVE, now=now)
    return [row.id for row in rows]


async def close_permissions_of_ended_starts(conn: "Connection", now: datetime) -> list[UUID]:
    """Closes requests that an earlier start left open; the tasks of each."""
    return [row.id for row in await _CLOSE_PERMISSIONS.many(conn, now=now)]


async def list_stuck_prompts_as_system(
    conn: "Connection", before: datetime
) -> Sequence[StuckPromptRow]:
    """Prompts marked before that time for a start that ended before it too."""
    return await _STUCK_PROMPTS.many(conn, before=before)


async def list_silent_agents_as_system(
    conn: "Connection", host_id: UUID, before: datetime, stage: str
) -> list[UUID]:
    """Workspaces started before that time whose agent never called; none whose log has lines of the stage."""
    rows = await _SILENT_AGENTS.many(conn, host_id=host_id, before=before, stage=stage)
    return [row.workspace_id for row in rows]


async def get_last_failed_repair(conn: "Connection", workspace_id: UUID) -> datetime | None:
    """When the newest repair of a workspace failed; None when it did not, or there was none."""
    row = await _LAST_FAILED_REPAIR.one(conn, workspace_id=workspace_id)
    return None if row is None else row.due
