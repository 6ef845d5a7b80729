"""What executors and the reconciler read and write: the system's own eyes on workspaces."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.db.builds import CountRow
from taskyard.db.jobs import IdRow
from taskyard.db.statements import NoRow, statement
from taskyard.wire.enums import BuildReason, JobStatus, Transition

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """A build for its executor.

    created_at and job_status are the build's; newest: no later build exists. orphan: a delete that leaves
    the driver alone. force: no grace, and a delete is done whatever the driver says. paused_before: the build
    before was a stop that succeeded. definition is the
    parsed template as JSON, null when its import did not succeed. driver is null before the first start.
    """

    build_id: UUID
    workspace_id: UUID
    build_number: int
    transition: Transition
    job_id: UUID
    created_at: datetime
    workspace_name: str
    ttl_ms: int | None
    generation: int
    driver: str | None
    deleted: bool
    template_version_name: str
    definition: bytes | None
    file_id: UUID
    task_id: UUID | None
    orphan: bool
    force: bool
    reason: BuildReason
    paused_before: bool
    newest: bool
    job_status: JobStatus


class MarkRow(msgspec.Struct, frozen=True):
    """What stands for all that a workspace is told by its manifest."""

    mark: str


class WorldRow(msgspec.Struct, frozen=True, kw_only=True):
    """A live workspace for the reconciler; lifecycle/plan.py says what the fields mean."""

    workspace_id: UUID
    owner_id: UUID
    driver: str | None
    generation: int
    restarts: int
    build_id: UUID
    job_id: UUID
    transition: Transition
    deadline: datetime | None
    template_version_id: UUID
    template_version_preset_id: UUID | None
    job_status: JobStatus
    settled_at: datetime
    agent_last_seen: datetime | None
    is_task: bool
    tidy_from: datetime | None
    rest_from: datetime | None
    discard_from: datetime | None
    abandoned_from: datetime | None
    takes_room: bool
    may_freeze: bool


class PlaceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A locked workspace with its newest build; busy: some job of it is not over.

    host_id is the data directory with its files; null before the first start.
    """

    workspace_id: UUID
    organization_id: UUID
    owner_id: UUID
    generation: int
    deleted: bool
    build_id: UUID
    job_id: UUID
    transition: Transition
    deadline: datetime | None
    max_deadline: datetime | None
    template_version_id: UUID
    template_version_preset_id: UUID | None
    file_id: UUID
    initiator_id: UUID
    job_status: JobStatus
    busy: bool
    workspace_name: str
    tidy_from: datetime | None
    rest_from: datetime | None
    discard_from: datetime | None
    abandoned_from: datetime | None
    host_id: UUID | None

    @property
    def id(self) -> UUID:
        """The workspace's id."""
        return self.workspace_id


class LapsedRow(msgspec.Struct, frozen=True):
    """An agent whose lease has run out, and whether it had said before that it ends."""

    id: UUID
    is_ended: bool


class FileRow(msgspec.Struct, frozen=True):
    """The bytes of an uploaded file."""

    data: bytes


class GenerationRow(msgspec.Struct, frozen=True):
    """The generation that a workspace has now."""

    generation: int


class FoundRow(msgspec.Struct, frozen=True):
    """Whether there is such a row."""

    found: bool


_GET_RUN = statement("runs", "get_run_as_system", RunRow)
_GET_MARK = statement("runs", "get_start_mark_as_system", MarkRow)
_GET_FILE = statement("runs", "get_file_as_system", FileRow)
_RAISE = statement("runs", "raise_generation", GenerationRow)
_SET_RESTARTS = statement("runs", "set_restarts", NoRow)
_END_AGENTS = statement("runs", "end_agents", NoRow)
_RENEW_AGENT = statement("runs", "renew_agent", NoRow)
_RENEW_APPS = statement("runs", "renew_apps", NoRow)
_HAS_SNAPSHOT = statement("runs", "has_snapshot_since", FoundRow)
_REST = statement("runs", "rest_workspace", NoRow)
_DELETE_WORKSPACE = statement("runs", "delete_workspace", NoRow)
_DELETE_TASK = statement("runs", "delete_task_of_workspace", NoRow)
_LIST_WORLD = statement("runs", "list_world_as_system", WorldRow)
_LIST_STRANGERS = statement("runs", "list_strangers_as_system", IdRow)
_LOCK_ANY = statement("runs", "lock_any_workspace", IdRow)
_GET_PLACE = statement("runs", "get_place_as_system", PlaceRow)
_COUNT_FAILED = statement("runs", "count_failed_starts", CountRow)
_HAS_STAGE = statement("runs", "has_log_stage", FoundRow)
_LAPSE_AGENTS = statement("runs", "lapse_agents", LapsedRow)


async def get_run_as_system(conn: "Connection", build_id: UUID) -> RunRow | None:
    """What an executor has to know of a build; None when there is none."""
    return await _GET_RUN.one(conn, build_id=build_id)


async def get_start_mark_as_system(conn: "Connection", build_id: UUID) -> str:
    """Stands for all that the build's workspace is told by its manifest; empty for a build that is not there."""
    row = await _GET_MARK.one(conn, build_id=build_id)
    return "" if row is None else row.mark


async def get_file_as_system(conn: "Connection", file_id: UUID) -> bytes | None:
    """The bytes of a template's tar; None when there is no such file."""
    row = await _GET_FILE.one(conn, file_id=file_id)
    return None if row is None else row.data


async def raise_generation(
    conn: "Connection", workspace_id: UUID, *, seen: int, driver: str, host_id: UUID, now: datetime
) -> int | None:
    """The workspace's new generation, above the one its driver has seen; None when it is deleted, or elsewhere."""
    row = await _RAISE.one(
        conn, workspace_id=workspace_id, seen=seen, driver=driver, host_id=host_id, now=now
    )
    return None if row is None else row.generation


async def set_restarts(conn: "Connection", workspace_id: UUID, restarts: int) -> None:
    """Keeps how many repairs in a row a workspace had."""
    await _SET_RESTARTS.execute(conn, workspace_id=workspace_id, restarts=restarts)


async def end_agents(
    conn: "Connection", workspace_id: UUID, now: datetime, *, but_of_build: UUID | None = None
) -> None:
    """Marks the agents of a workspace as ended, but for those of one build."""
    await _END_AGENTS.execute(conn, workspace_id=workspace_id, now=now, but_of_build=but_of_build)


async def renew_agent(
    conn: "Connection", build_id: UUID, *, token_hash: bytes, generation: int, now: datetime
) -> None:
    """Gives the agent of a build a new token and generation, and its apps a new start."""
    await _RENEW_AGENT.execute(
        conn, build_id=build_id, token_hash=token_hash, generation=generation, now=now
    )
    await _RENEW_APPS.execute(conn, build_id=build_id)


async def has_snapshot_since(conn: "Connection", task_id: UUID, since: datetime) -> bool:
    """Whether the log of a task was uploaded at or after that time."""
    row = await _HAS_SNAPSHOT.one(conn, task_id=task_id, since=since)
    return row is not None and row.found


async def rest_workspace(conn: "Connection", workspace_id: UUID, now: datetime) -> None:
    """Marks a workspace as dormant, and when it goes for that."""
    await _REST.execute(conn, workspace_id=workspace_id, now=now)


async def delete_workspace(conn: "Connection", workspace_id: UUID, now: datetime) -> None:
    """Marks a workspace and its live task as deleted."""
    await _DELETE_WORKSPACE.execute(conn, workspace_id=workspace_id, now=now)
    await _DELETE_TASK.execute(conn, workspace_id=workspace_id, now=now)


async def list_world_as_system(
    conn: "Connection",
    host_id: UUID,
    running: Sequence[UUID] = (),
    *,
    active: bool = False,
    now: datetime,
) -> list[WorldRow]:
    """Live workspaces of a data directory, or of none yet, that may need something, in no order.

    They take room, are among those that run, have something due by the clock or, if wanted, an active build.
    """
    return await _LIST_WORLD.many(
        conn, host_id=host_id, running=list(running), active=active, now=now
    )


async def list_strangers_as_system(
    conn: "Connection", host_id: UUID, seen: Sequence[UUID], *, looked_at: datetime
) -> set[UUID]:
    """Which of these, seen at that time or later, are no live workspaces of a data directory, or of none yet."""
    rows = await _LIST_STRANGERS.many(conn, host_id=host_id, seen=list(seen), looked_at=looked_at)
    return {row.id for row in rows}


async def hold_workspace(conn: "Connection", workspace_id: UUID) -> None:
    """Nobody else changes the workspace until the transaction ends: whoever locks its task too locks it first."""
    await _LOCK_ANY.one(conn, workspace_id=workspace_id)


async def lock_place(conn: "Connection", workspace_id: UUID) -> PlaceRow | None:
    """A workspace, deleted or not, locked until the transaction ends; None when there never was one."""
    if await _LOCK_ANY.one(conn, workspace_id=workspace_id) is None:
        return None
    return await _GET_PLACE.one(conn, workspace_id=workspace_id)


async def count_failed_starts(
    conn: "Connection", workspace_id: UUID, build_id: UUID, stretch: timedelta
) -> int:
    """Repairs of a build in the stretch before its newest one; 0 when its agent has called since."""
    row = await _COUNT_FAILED.one(
        conn, workspace_id=workspace_id, build_id=build_id, stretch=stretch
    )
    return 0 if row is None else row.count


async def has_log_stage(
    conn: "Connection", job_id: UUID, stage: str, *, since: datetime | None = None
) -> bool:
    """Whether a job's log has lines of that stage, written later than `since`."""
    row = await _HAS_STAGE.one(conn, job_id=job_id, stage=stage, since=since)
    return row is not None and row.found


async def lapse_agents(conn: "Connection", now: datetime) -> list[LapsedRow]:
    """The agents whose lease has run out, marked as disconnected."""
    return await _LAPSE_AGENTS.many(conn, now=now)
