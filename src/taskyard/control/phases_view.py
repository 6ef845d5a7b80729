"""What a start of a task went through, as the wire shows it, and why one came to a bad end."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from taskyard.control.services import Services
from taskyard.db import phases as db
from taskyard.db.tasks import TaskRow
from taskyard.errors import Missing
from taskyard.lifecycle.phases import (
    JOB_PHASES,
    ORDER,
    End,
    Stage,
    advice,
    end,
    failed_stage,
    lasted_ms,
    reason_of,
    state_of,
)
from taskyard.wire import phases as wire
from taskyard.wire.phases import FailureCause, Phase, PhaseOutcome

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

LINES: Final = 20
"""Lines of a log that are shown with a failure: what a program says before it ends, and the error of it."""

SCRIPT_SOURCES: Final = ("start", "git", "secrets", "stop")
"""Writers of an agent's log that tell of scripts; all others tell of the coding agent and of apps."""


async def task_phases(
    services: Services, task: TaskRow, build_number: int | None, now: datetime
) -> wire.TaskPhasesResponse:
    """What a start of a task went through; build_number null: the newest. Raises Missing."""
    async with services.db.connection() as conn:
        start = await db.get_start_as_system(conn, task.workspace_id, build_number)
        if start is None:
            raise _no_start(task, build_number)
        rounds = await _rounds(conn, start)
        failed = _failed_of(rounds)
        lines = [] if failed is None else await _lines(conn, task, start, failed)
    newest = max(rounds, default=1)
    return wire.TaskPhasesResponse(
        build_number=start.build_number,
        round=newest,
        phases=_shown(rounds.get(newest, []), now),
        failure=None if failed is None else _failure(task, failed, lines),
    )


async def _rounds(conn: "Connection", start: db.StartRow) -> dict[int, list[Stage]]:
    """The phases of a start by its rounds, in order.

    That a worker took the job is written with what comes next, so that it costs nothing; it is told at once.
    """
    rounds: dict[int, list[Stage]] = {}
    for row in await db.list_phases_as_system(conn, start.id):
        rounds.setdefault(row.round, []).append(row.stage)
    found = {number: sorted(s, key=lambda e: ORDER.index(e.phase)) for number, s in rounds.items()}
    first = found.get(1)
    if first and first[-1].phase is Phase.QUEUED and first[-1].runs and start.started_at:
        found[1] = end(first, End(Phase.QUEUED, start.started_at))
    return found


def _failed_of(rounds: dict[int, list[Stage]]) -> Stage | None:
    """Why a start came to a bad end: the newest failure, unless the newest round got past it."""
    if not rounds:
        return None
    newest = max(rounds)
    for number in sorted(rounds, reverse=True):
        failed = failed_stage(rounds[number])
        if failed is None:
            continue
        past = any(
            s.phase is failed.phase and s.outcome is not PhaseOutcome.FAILED and not s.runs
            for s in rounds[newest]
        )
        return None if past else failed
    return None


async def _lines(conn: "Connection", task: TaskRow, start: db.StartRow, failed: Stage) -> list[str]:
    """The end of the log that tells of a phase; of a program with a screen, what stood on that at its end."""
    phase = failed.phase
    if phase in JOB_PHASES or phase is Phase.CONNECTING or start.agent_id is None:
        return await db.list_last_job_lines_as_system(conn, start.job_id, LINES)
    lines = await db.list_last_agent_lines_as_system(
        conn, start.agent_id, SCRIPT_SOURCES, of_these=phase is Phase.SCRIPTS, most=LINES
    )
    if failed.cause is FailureCause.AGENT_EXITED:
        lines += _screen(await db.get_last_exit_as_system(conn, task.id))
    return lines[-LINES:]


class _Exit(msgspec.Struct):
    screen: str = ""


def _screen(data: bytes | None) -> list[str]:
    """What stood on the screen of a program when it ended; nothing where that cannot be read, or there was none."""
    try:
        screen = "" if data is None else msgspec.json.decode(data, type=_Exit).screen
    except (ValueError, RecursionError):
        return []
    return [line.rstrip() for line in screen.splitlines() if line.strip()]


def _shown(stages: Sequence[Stage], now: datetime) -> list[wire.TaskPhase]:
    found = {stage.phase: stage for stage in stages}
    return [_phase(phase, found.get(phase), now) for phase in ORDER] if found else []


def _phase(phase: Phase, stage: Stage | None, now: datetime) -> wire.TaskPhase:
    return wire.TaskPhase(
        phase=phase,
        state=state_of(stage),
        began_at=None if stage is None else stage.began_at,
        ended_at=None if stage is None else stage.ended_at,
        ms=None if stage is None else lasted_ms(stage, now),
        reason=None if stage is None else stage.reason,
    )


def _failure(task: TaskRow, failed: Stage, lines: list[str]) -> wire.PhaseFailure:
    cause = failed.cause or FailureCause.INTERNAL
    return wire.PhaseFailure(
        phase=failed.phase,
        cause=cause,
        reason=reason_of(cause, failed.reason),
        lines=lines,
        advice=advice(failed.phase, cause, _name(task)),
    )


def _name(task: TaskRow) -> str:
    return f"{task.owner_name}/{task.name}"


def _no_start(task: TaskRow, build_number: int | None) -> Missing:
    if build_number is None:
        return Missing("start_unknown", f"The task {task.name} was never started.")
    return Missing(
        "start_unknown", f"Build {build_number} of the task {task.name} is no start of it."
    )
