"""The phases of starts: row types and one function a statement of sql/phases.sql."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.db.statements import NoRow, statement
from taskyard.lifecycle.phases import End, Stage
from taskyard.wire.enums import Transition
from taskyard.wire.phases import FailureCause, Phase, PhaseOutcome

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


class RoundRow(msgspec.Struct, frozen=True):
    """The number of a round, from 1."""

    round: int


class ToldRow(msgspec.Struct, frozen=True):
    """How many items were added to a task's transcript."""

    told: int


class PhaseNameRow(msgspec.Struct, frozen=True):
    """A phase that goes on."""

    phase: Phase


class PhaseAppRow(msgspec.Struct, frozen=True):
    """The build whose task's app an app is, and whether our bridge serves it."""

    build_id: UUID
    is_ours: bool


class StartRow(msgspec.Struct, frozen=True, kw_only=True):
    """A start. agent_id is null before its driver was done, started_at before a worker had it."""

    id: UUID
    build_number: int
    job_id: UUID
    agent_id: UUID | None
    started_at: datetime | None
    error: str | None


class PhaseRow(msgspec.Struct, frozen=True, kw_only=True):
    """A phase of one round of a start."""

    round: int
    phase: Phase
    began_at: datetime
    ended_at: datetime | None
    outcome: PhaseOutcome | None
    cause: FailureCause | None
    reason: str | None

    @property
    def stage(self) -> Stage:
        """The same as the rules see it."""
        return Stage(
            self.phase, self.began_at, self.ended_at, self.outcome, self.cause, self.reason
        )


class FailureRow(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong with a workspace whose task is in error.

    error and is_canceled are of its newest build's job. phase and cause are null together: no phase of a start
    failed. seen_reason: why its coding agent failed, as it was last seen.
    """

    workspace_id: UUID
    transition: Transition
    error: str | None
    is_canceled: bool
    phase: Phase | None
    cause: FailureCause | None
    reason: str | None
    seen_reason: str | None


class DataRow(msgspec.Struct, frozen=True):
    """What an item says: one JSON object."""

    data: bytes


class OutputRow(msgspec.Struct, frozen=True):
    """A line of a log."""

    output: str


_BEGIN = statement("phases", "begin_phases_as_system", RoundRow)
_END = statement("phases", "end_phases_as_system", ToldRow)
_RECORD = statement("phases", "record_phases_as_system", ToldRow)
_EXPLAIN_EXIT = statement("phases", "explain_agent_exit_as_system", NoRow)
_GET_RUNNING = statement("phases", "get_running_phase_as_system", PhaseNameRow)
_GET_APP = statement("phases", "get_phase_app_as_system", PhaseAppRow)
_GET_START = statement("phases", "get_start_as_system", StartRow)
_LIST = statement("phases", "list_phases_as_system", PhaseRow)
_LIST_FAILURES = statement("phases", "list_failures_as_system", FailureRow)
_JOB_LINES = statement("phases", "list_last_job_lines_as_system", OutputRow)
_GET_EXIT = statement("phases", "get_last_exit_as_system", DataRow)
_AGENT_LINES = statement("phases", "list_last_agent_lines_as_system", OutputRow)


async def begin_phases_as_system(
    conn: "Connection", workspace_id: UUID, build_id: UUID, now: datetime
) -> None:
    """Begins the next round of a start; whatever went on in the workspace is not waited for any more."""
    await _BEGIN.one(conn, workspace_id=workspace_id, build_id=build_id, now=now)


async def end_phases_as_system(
    conn: "Connection",
    build_id: UUID,
    ends: Sequence[End],
    now: datetime,
    *,
    skips: Sequence[Phase] = (),
) -> bool:
    """Whether these ends of phases told anything new, which then stands in the task's transcript.

    skips: what this start does not go through.
    """
    row = await _END.one(conn, build_id=build_id, now=now, skips=list(skips), **_columns(ends))
    return row is not None and row.told > 0


async def record_phases_as_system(
    conn: "Connection",
    build_id: UUID,
    skips: Sequence[Phase],
    ends: Sequence[End],
    *,
    now: datetime,
) -> bool:
    """The same when a driver is done; skips: what the template leaves out."""
    row = await _RECORD.one(conn, build_id=build_id, now=now, skips=list(skips), **_columns(ends))
    return row is not None and row.told > 0


def _columns(ends: Sequence[End]) -> dict[str, object]:
    return {
        "phases": [end.phase for end in ends],
        "outcomes": [end.outcome for end in ends],
        "causes": [end.cause for end in ends],
        "reasons": [end.reason or None for end in ends],
        "times": [end.at for end in ends],
    }


async def explain_agent_exit_as_system(conn: "Connection", build_id: UUID, reason: str) -> None:
    """Gives the end of a coding agent, where it is why a start failed, this reason."""
    await _EXPLAIN_EXIT.execute(conn, build_id=build_id, reason=reason)


async def get_running_phase_as_system(conn: "Connection", workspace_id: UUID) -> Phase | None:
    """The phase in which a workspace is; None where nothing of a start goes on."""
    row = await _GET_RUNNING.one(conn, workspace_id=workspace_id)
    return None if row is None else row.phase


async def get_phase_app_as_system(
    conn: "Connection", agent_id: UUID, slug: str
) -> PhaseAppRow | None:
    """The build whose task's app this is; None for any other app."""
    return await _GET_APP.one(conn, agent_id=agent_id, slug=slug)


async def get_start_as_system(
    conn: "Connection", workspace_id: UUID, build_number: int | None
) -> StartRow | None:
    """The newest start of a workspace, or the one of that number; None when there is none."""
    return await _GET_START.one(conn, workspace_id=workspace_id, build_number=build_number)


async def list_phases_as_system(conn: "Connection", build_id: UUID) -> list[PhaseRow]:
    """What a start went through, in each of its rounds; in no order."""
    return await _LIST.many(conn, build_id=build_id)


async def list_failures_as_system(
    conn: "Connection", workspace_ids: Sequence[UUID]
) -> list[FailureRow]:
    """What went wrong with workspaces whose tasks are in error, in no order."""
    return await _LIST_FAILURES.many(conn, workspace_ids=list(workspace_ids))


async def list_last_job_lines_as_system(conn: "Connection", job_id: UUID, most: int) -> list[str]:
    """The end of a job's log, in order."""
    rows = await _JOB_LINES.many(conn, job_id=job_id, most=most)
    return [row.output for row in reversed(rows)]


async def list_last_agent_lines_as_system(
    conn: "Connection", agent_id: UUID, sources: Sequence[str], *, of_these: bool, most: int
) -> list[str]:
    """The end of what these writers of an agent's log have written, or all others; in order."""
    rows = await _AGENT_LINES.many(
        conn, agent_id=agent_id, sources=list(sources), of_these=of_these, most=most
    )
    return [row.output for row in reversed(rows)]


async def get_last_exit_as_system(conn: "Connection", task_id: UUID) -> bytes | None:
    """The item that tells of a task's coding agent's last end; None where it never ended."""
    row = await _GET_EXIT.one(conn, task_id=task_id)
    return None if row is None else row.data
