"""What the reaper removes: row types and the statements of sql/retention.sql."""

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.db.locks import RETENTION
from taskyard.db.statements import NoRow, Statement, statement

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

LOCK_TIMEOUT = "1s"
"""How long removing waits for somebody's row before it leaves it to the next time."""


class SaidRow(msgspec.Struct, frozen=True):
    """What a setting of the transaction is now."""

    said: str


class ScanRow(msgspec.Struct, frozen=True):
    """How many rows were looked at, the last one's number, how many of them went; young: all are too new to go."""

    seen: int
    last: int | None
    gone: int
    young: bool


class GoneRow(msgspec.Struct, frozen=True):
    """A workspace that is gone, and its task, null where it had none."""

    id: UUID
    task_id: UUID | None


_BEGIN = statement("retention", "begin_upkeep_as_system", NoRow)
_OPEN_AUDIT = statement("retention", "open_audit_as_system", SaidRow)
_AUDIT = statement("retention", "reap_audit_logs_as_system", NoRow)
_LIST_GONE = statement("retention", "list_gone_workspaces_as_system", GoneRow)

MANY = {
    "items": statement("retention", "reap_items_as_system", NoRow),
    "reports": statement("retention", "reap_app_statuses_as_system", NoRow),
    "agent_logs": statement("retention", "reap_logs_of_agents_as_system", NoRow),
    "job_logs": statement("retention", "reap_logs_of_jobs_as_system", NoRow),
}
"""What a deleted workspace and its task may have very much of, by kind; each removes so many rows at most."""

KEYS = statement("retention", "reap_idempotency_keys_as_system", NoRow)
API_KEYS = statement("retention", "reap_api_keys_as_system", NoRow)
FILES = statement("retention", "reap_files_as_system", NoRow)

EVENTS = statement("retention", "reap_task_events_as_system", ScanRow)
JOB_LOGS = statement("retention", "reap_job_logs_as_system", ScanRow)
AGENT_LOGS = statement("retention", "reap_agent_logs_as_system", ScanRow)

_OF_TASK = (
    statement("retention", "reap_prompts_as_system", NoRow),
    statement("retention", "reap_task_as_system", NoRow),
)
_OF_WORKSPACE = (
    statement("retention", "reap_agents_as_system", NoRow),
    statement("retention", "reap_resources_as_system", NoRow),
    statement("retention", "reap_builds_as_system", NoRow),
    statement("retention", "reap_jobs_as_system", NoRow),
    statement("retention", "reap_workspace_as_system", NoRow),
)
"""In the order in which rows refer to each other."""


async def begin_upkeep_as_system(conn: "Connection", name: str, every_s: float) -> bool:
    """Whether this server does this work now; every_s: seconds after it was begun anywhere, until it is due again."""
    return await _BEGIN.execute(conn, name=name, seconds=every_s) > 0


async def hold_reaping_as_system(conn: "Connection") -> bool:
    """Whether this transaction may remove things; it never makes others wait for long."""
    await conn.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
    held: bool = await conn.fetchval("select pg_try_advisory_xact_lock($1)", RETENTION)
    return held


async def reap_rows_as_system(
    conn: "Connection", what: Statement[NoRow], before: datetime, batch: int
) -> int:
    """How many rows of before then went, so many at most."""
    return await what.execute(conn, before=before, batch=batch)


async def reap_audit_as_system(conn: "Connection", before: datetime, batch: int) -> int:
    """How many rows of the audit went; nothing else may remove any."""
    await _OPEN_AUDIT.one(conn)
    return await _AUDIT.execute(conn, before=before, batch=batch)


async def reap_scanned_as_system(
    conn: "Connection", what: Statement[ScanRow], before: datetime, *, after: int, batch: int
) -> ScanRow:
    """What became of the next rows after that number."""
    row = await what.one(conn, before=before, after=after, batch=batch)
    assert row is not None
    return row


async def list_gone_workspaces_as_system(
    conn: "Connection", before: datetime, without: Collection[UUID], batch: int
) -> list[GoneRow]:
    """Workspaces of which everything may go, but for these."""
    return await _LIST_GONE.many(conn, before=before, without=list(without), batch=batch)


async def reap_of_as_system(
    conn: "Connection", what: Statement[NoRow], gone: GoneRow, batch: int
) -> int:
    """How many rows went that are of a deleted workspace, or of its task."""
    known = {"workspace_id": gone.id, "task_id": gone.task_id, "batch": batch}
    return await what.execute(conn, **{name: known[name] for name in what.parameters})


async def reap_workspace_as_system(conn: "Connection", gone: GoneRow) -> None:
    """Removes all that is left of a deleted workspace and its deleted task."""
    if gone.task_id is not None:
        for each in _OF_TASK:
            await each.execute(conn, task_id=gone.task_id)
    for each in _OF_WORKSPACE:
        await each.execute(conn, workspace_id=gone.id)
