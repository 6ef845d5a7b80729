"""The queue of jobs: enqueue, claim, renew, finish. Writes of a worker always name its lease.

A lease is (job id, attempt, worker id). A write whose lease was lost changes nothing and raises
LeaseLost, so that a worker that was taken for dead cannot touch what its successor does.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.db.locks import CLAIMS
from taskyard.db.pool import CHANNEL, ring
from taskyard.db.statements import NoRow, statement
from taskyard.errors import (
    JobCancelRequested,
    JobCompleted,
    JobStatusUnexpected,
    LeaseLost,
    NotFound,
)
from taskyard.lifecycle.job import SERVER_SILENCE_S, job_status
from taskyard.wire.base import NIL_UUID
from taskyard.wire.enums import JobStatus, LogLevel, LogSource, QueueReason

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

JOBS = "jobs"
"""The topic that is rung when a job may be claimed or canceled; its subject is the job's id."""

WORKSPACES = "workspace"
"""The topic that is rung when a workspace looks different; its subject is the workspace's id."""


class JobKind(StrEnum):
    """What a job does: read a template's files, change a workspace, or bring a lost one back."""

    IMPORT = "template_version_import"
    BUILD = "workspace_build"
    REPAIR = "workspace_repair"


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """A job. run_at: not claimed before. lease_expires_at: until when worker_id has it.

    queue_position is its place among the pending jobs from 1, 0 when it is not pending; queue_size
    their number. tags is JSON text. attempt counts claims.
    """

    id: UUID
    type: JobKind
    organization_id: UUID
    initiator_id: UUID
    file_id: UUID
    template_version_id: UUID | None
    workspace_id: UUID | None
    workspace_build_id: UUID | None
    tags: bytes
    attempt: int
    run_at: datetime
    worker_id: UUID | None
    worker_name: str | None
    lease_expires_at: datetime | None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    canceled_at: datetime | None
    completed_at: datetime | None
    error: str | None
    error_code: str | None
    queue_position: int
    queue_size: int

    @property
    def status(self) -> JobStatus:
        """Where the job is. Source: S3."""
        return job_status(self.started_at, self.completed_at, self.canceled_at, self.error)


class JobLogRow(msgspec.Struct, frozen=True):
    """One line of a job's log; ids rise."""

    id: int
    created_at: datetime
    source: LogSource
    level: LogLevel
    stage: str
    output: str


class HeldRow(msgspec.Struct, frozen=True):
    """What the holder of a lease must know of its job: since when somebody wants it canceled."""

    canceled_at: datetime | None


class TurnRow(msgspec.Struct, frozen=True):
    """It is this claimer's turn."""

    taken: int


class RungRow(msgspec.Struct, frozen=True):
    """How many were rung."""

    rung: int


class FinishedRow(msgspec.Struct, frozen=True):
    """What a job that is over was about."""

    id: UUID
    workspace_id: UUID | None
    workspace_build_id: UUID | None


class LockedRow(FinishedRow, frozen=True):
    """What decides whether a job can be canceled."""

    started_at: datetime | None
    canceled_at: datetime | None
    completed_at: datetime | None
    error: str | None


class DueRow(msgspec.Struct, frozen=True):
    """A point in time; null for never."""

    due: datetime | None


class IdRow(msgspec.Struct, frozen=True):
    """Just an id."""

    id: UUID


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's right to one try of one job."""

    job_id: UUID
    attempt: int
    worker_id: UUID

    def values(self) -> dict[str, object]:
        """The three parameters that fence a statement."""
        return {"job_id": self.job_id, "attempt": self.attempt, "worker_id": self.worker_id}


@dataclass(frozen=True, slots=True)
class Limits:
    """How many workspaces anybody, or any organization, may have running at once; null is no limit."""

    per_user: int | None = None
    per_organization: int | None = None

    def values(self) -> dict[str, object]:
        """The two parameters of a statement that heeds them."""
        return {
            "max_per_user": self.per_user,
            "max_per_organization": self.per_organization,
        }


class WaitingRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a start waits for that nobody has begun, and its place among those that wait for the same, from 1.

    most is the limit that it waits for; null where it waits for a place on the server.
    """

    workspace_id: UUID
    reason: QueueReason
    most: int | None
    position: int
    size: int


@dataclass(frozen=True, slots=True)
class Claim:
    """Who claims, what, and until when.

    max_running is how many workspaces may run at once here, which is the data directory host_id. limits are those of owners and organizations that have
    none of their own. in_hand are jobs that the claimer works on.
    """

    worker_id: UUID
    worker_name: str
    kinds: Sequence[JobKind]
    lease_expires_at: datetime
    max_running: int
    limits: Limits = Limits()
    host_id: UUID = NIL_UUID
    in_hand: Sequence[UUID] = ()


LogLine = tuple[datetime, LogSource, LogLevel, str, str]
"""Time, source, level, stage and text of a line for a job's log."""

_INSERT = statement("jobs", "insert_job", NoRow)
_GET = statement("jobs", "get_job", JobRow)
_TAKE_TURN = statement("jobs", "take_turn", TurnRow)
_CLAIM = statement("jobs", "claim_job", JobRow)
_NEXT_DUE = statement("jobs", "get_next_due", DueRow)
_DROP_REPAIRS = statement("jobs", "drop_waiting_repairs", NoRow)
_FREE_ROOM = statement("jobs", "free_room", NoRow)
_KEEP_ROOM = statement("jobs", "keep_room", NoRow)
_HOLD = statement("jobs", "hold_job", HeldRow)
_RENEW = statement("jobs", "renew_lease", HeldRow)
_RELEASE = statement("jobs", "release_leases", NoRow)
_FINISH = statement("jobs", "finish_job", FinishedRow)
_SETTLE = statement("jobs", "settle_build", NoRow)
_TOUCH = statement("jobs", "touch_workspace_of_job", NoRow)
_RING_CHANGED = statement("jobs", "ring_changed_as_system", RungRow)
_RETRY = statement("jobs", "retry_job", NoRow)
_LOCK = statement("jobs", "lock_job", LockedRow)
_CANCEL_PENDING = statement("jobs", "cancel_pending_job", NoRow)
_CANCEL_RUNNING = statement("jobs", "cancel_running_job", NoRow)
_APPEND_LOGS = statement("jobs", "append_job_logs", NoRow)
_LIST_LOGS = statement("jobs", "list_job_logs", JobLogRow)
_LIST_WAITING = statement("jobs", "list_waiting_starts", WaitingRow)


async def enqueue_job(
    conn: "Connection",
    *,
    job_id: UUID,
    kind: str,
    organization_id: UUID,
    initiator_id: UUID,
    file_id: UUID,
    template_version_id: UUID | None,
    workspace_id: UUID | None,
    workspace_build_id: UUID | None,
    now: datetime,
) -> None:
    """Puts a job at the end of the queue; workers, and who waits for a build, are woken when that is committed."""
    await _INSERT.execute(
        conn,
        id=job_id,
        kind=JobKind(kind),
        organization_id=organization_id,
        initiator_id=initiator_id,
        file_id=file_id,
        template_version_id=template_version_id,
        workspace_id=workspace_id,
        workspace_build_id=workspace_build_id,
        now=now,
    )
    is_seen = kind != JobKind.REPAIR
    await ring_changed(
        conn,
        workspace_id if is_seen else None,
        workspace_build_id if is_seen else None,
        also=(f"{JOBS}:{job_id}",),
    )


async def get_job(conn: "Connection", job_id: UUID) -> JobRow | None:
    """A job with its place in the queue; None when there is none."""
    return await _GET.one(conn, job_id=job_id)


async def claim_job(conn: "Connection", claim: Claim, now: datetime) -> JobRow | None:
    """The oldest runnable job, leased to the claimer; None when nothing is to be done.

    Waits its turn among claimers. The attempt is counted; what too many attempts mean is the
    caller's decision.
    """
    await _TAKE_TURN.one(conn, lock=CLAIMS)
    job = await _CLAIM.one(
        conn,
        worker_id=claim.worker_id,
        worker_name=claim.worker_name,
        kinds=list(claim.kinds),
        lease_expires_at=claim.lease_expires_at,
        max_running=claim.max_running,
        host_id=claim.host_id,
        in_hand=list(claim.in_hand),
        alive=timedelta(seconds=SERVER_SILENCE_S),
        **claim.limits.values(),
        now=now,
    )
    if job is not None:
        await ring_changed(conn, job.workspace_id, job.workspace_build_id)
    return job


async def get_next_due(
    conn: "Connection", kinds: Sequence[JobKind], now: datetime
) -> datetime | None:
    """When a job may become runnable because time passes, at the earliest; None when none will."""
    row = await _NEXT_DUE.one(conn, kinds=list(kinds), now=now)
    return None if row is None else row.due


async def list_waiting_starts(
    conn: "Connection", workspace_ids: Sequence[UUID] | None, limits: Limits
) -> list[WaitingRow]:
    """What the starts of these workspaces, or of all, wait for; nothing of those that were begun or are over."""
    return await _LIST_WAITING.many(conn, workspace_ids=workspace_ids, **limits.values())


async def drop_waiting_repairs(conn: "Connection", workspace_id: UUID, now: datetime) -> None:
    """Ends the repairs of a workspace that no worker has begun or holds."""
    await _DROP_REPAIRS.execute(conn, workspace_id=workspace_id, now=now)


async def free_room(conn: "Connection", workspace_id: UUID, build_id: UUID) -> None:
    """Nothing runs any more of what the build started, unless a later one was asked for; the workspace is locked."""
    await _FREE_ROOM.execute(conn, workspace_id=workspace_id, build_id=build_id)


async def keep_room(conn: "Connection", workspace_id: UUID) -> None:
    """The workspace takes room although its stop succeeded, in the same transaction; the workspace is locked."""
    await _KEEP_ROOM.execute(conn, workspace_id=workspace_id)


async def hold_job(conn: "Connection", lease: Lease) -> HeldRow:
    """Locks the job for its holder until the transaction ends; raises LeaseLost."""
    row = await _HOLD.one(conn, **lease.values())
    if row is None:
        raise LeaseLost(lease.job_id, lease.attempt)
    return row


async def renew_lease(conn: "Connection", lease: Lease, lease_expires_at: datetime) -> HeldRow:
    """Makes the lease longer; raises LeaseLost."""
    row = await _RENEW.one(conn, **lease.values(), lease_expires_at=lease_expires_at)
    if row is None:
        raise LeaseLost(lease.job_id, lease.attempt)
    return row


async def release_leases(conn: "Connection", worker_id: UUID, now: datetime) -> int:
    """Ends every lease of a worker that begins its life, for others to claim; how many there were."""
    return await _RELEASE.execute(conn, worker_id=worker_id, now=now)


async def finish_job(
    conn: "Connection",
    lease: Lease,
    now: datetime,
    *,
    error: str | None = None,
    error_code: str | None = None,
) -> None:
    """The job is over and its build settled; error null means that it was done or canceled.

    Raises LeaseLost.
    """
    row = await _FINISH.one(conn, **lease.values(), now=now, error=error, error_code=error_code)
    if row is None:
        raise LeaseLost(lease.job_id, lease.attempt)
    await _over(conn, row, now)


async def retry_job(conn: "Connection", lease: Lease, run_at: datetime, now: datetime) -> None:
    """Gives the job back: any worker may claim it from run_at on; raises LeaseLost."""
    if not await _RETRY.execute(conn, **lease.values(), run_at=run_at, now=now):
        raise LeaseLost(lease.job_id, lease.attempt)
    await ring(conn, JOBS, str(lease.job_id))


async def cancel_job(
    conn: "Connection", job_id: UUID, now: datetime, *, expected: JobStatus | None = None
) -> JobStatus:
    """Cancels a pending job at once, asks the worker of a running one; returns the status after that.

    expected: nothing is done unless the job is in this status. Raises NotFound, JobStatusUnexpected,
    JobCompleted, JobCancelRequested. Source: supporting-api 10 row 71.
    """
    row = await _LOCK.one(conn, job_id=job_id)
    if row is None:
        raise NotFound(f"job {job_id}")
    status = job_status(row.started_at, row.completed_at, row.canceled_at, row.error)
    if row.completed_at is not None:
        raise JobCompleted(job_id)
    if row.canceled_at is not None:
        raise JobCancelRequested(job_id)
    if expected is not None and status is not expected:
        raise JobStatusUnexpected(expected, status)
    if row.started_at is None:
        await _CANCEL_PENDING.execute(conn, job_id=job_id, now=now)
        await _over(conn, row, now)
        return JobStatus.CANCELED
    await _CANCEL_RUNNING.execute(conn, job_id=job_id, now=now)
    await ring(conn, JOBS, str(job_id))
    await ring_changed(conn, row.workspace_id, row.workspace_build_id)
    return JobStatus.CANCELING


async def append_job_logs(conn: "Connection", job_id: UUID, lines: Iterable[LogLine]) -> None:
    """Adds lines to a job's log, in the order given."""
    rows = list(lines)
    if not rows:
        return
    created_ats, sources, levels, stages, outputs = zip(*rows, strict=True)
    await _APPEND_LOGS.execute(
        conn,
        job_id=job_id,
        created_ats=created_ats,
        sources=sources,
        levels=levels,
        stages=stages,
        outputs=[text.replace("\0", "�") for text in outputs],
    )


async def list_job_logs(conn: "Connection", job_id: UUID, after: int) -> list[JobLogRow]:
    """The lines of a job's log whose ids are higher than after, oldest first."""
    return await _LIST_LOGS.many(conn, job_id=job_id, after=after)


async def _over(conn: "Connection", row: FinishedRow, now: datetime) -> None:
    """What follows from a job's end: its build is settled, and who waits for either is woken."""
    if row.workspace_id is not None:
        # The workspace before its build, as everywhere: else two transactions may wait for each other.
        await _TOUCH.execute(conn, job_id=row.id, now=now)
        await _SETTLE.execute(conn, job_id=row.id, now=now)
    await ring_changed(conn, row.workspace_id, row.workspace_build_id, also=(f"{JOBS}:{row.id}",))


async def ring_changed(
    conn: "Connection",
    workspace_id: UUID | None,
    build_id: UUID | None,
    *,
    also: tuple[str, ...] = (),
) -> None:
    """Wakes who waits for a build, its workspace, or the task of that; without a build only with other payloads."""
    changed = () if build_id is None else (f"build:{build_id}", f"{WORKSPACES}:{workspace_id}")
    if payloads := [*also, *changed]:
        await _RING_CHANGED.one(conn, channel=CHANNEL, payloads=payloads, workspace_id=workspace_id)
