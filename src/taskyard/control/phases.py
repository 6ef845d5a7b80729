"""Writing down what a start goes through, in the transactions in which it does.

What ends a phase, and what follows, is decided in lifecycle/phases.py; the clock is the server's, whatever that of
the workspace says.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import UUID

import msgspec

from taskyard.control.actors import AgentActor
from taskyard.db import phases as db
from taskyard.db.jobs import JobKind, JobRow
from taskyard.db.transcript import NewItem
from taskyard.lifecycle.observed import IN_SESSION, one_line
from taskyard.lifecycle.phases import PLACE, End, cause_of_agent, cause_of_job
from taskyard.lifecycle.template_model import Template
from taskyard.wire.enums import AgentLifecycle, AppHealth
from taskyard.wire.link import AgentState, ItemKind, StateNews
from taskyard.wire.phases import FailureCause, Phase, PhaseOutcome

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

T = TypeVar("T", bound=msgspec.Struct)

ANSWERS: Final = frozenset(
    {
        ItemKind.AGENT_TEXT,
        ItemKind.AGENT_MESSAGE,
        ItemKind.TOOL_CALL,
        ItemKind.PERMISSION_REQUEST,
    }
)
"""Items by which a coding agent first says or does something."""

TELLING: Final = ANSWERS | {ItemKind.STATE, ItemKind.USER_MESSAGE, ItemKind.TURN_END}
"""Items that may end a phase."""

NOT_IN_SESSION: Final = frozenset({AgentState.STARTING, AgentState.STOPPED})
"""States of a coding agent that has not come up, or was ended by us."""


class _TurnEnd(msgspec.Struct):
    error: str | None = None


async def begin(conn: "Connection", workspace_id: UUID, build_id: UUID, now: datetime) -> None:
    """A start was asked for, or has to be done again: it waits for a worker now."""
    await db.begin_phases_as_system(conn, workspace_id, build_id, now)


async def lost(
    conn: "Connection", workspace_id: UUID, build_id: UUID, now: datetime, *, why: str = ""
) -> None:
    """A workspace has to be started again: what went on in it failed, and a new round begins.

    why: how it ended, as far as its driver knows.
    """
    reason = (
        f"The workspace ended: {why}."
        if why
        else "The workspace ended, or nothing was heard of its agent any more."
    )
    await db.end_phases_as_system(conn, build_id, [_failed(FailureCause.LOST, reason, now)], now)
    await db.begin_phases_as_system(conn, workspace_id, build_id, now)


async def given_up(conn: "Connection", build_id: UUID, reason: str, now: datetime) -> None:
    """A workspace is not started again, as its agent never calls."""
    ends = [_failed(FailureCause.NEVER_CONNECTED, reason, now, Phase.CONNECTING)]
    await db.end_phases_as_system(conn, build_id, ends, now)


async def prepared(conn: "Connection", job: JobRow, now: datetime) -> None:
    """A worker took the job when it did, has looked at everything, and asks the driver next."""
    if job.workspace_build_id is not None:
        ends = [_claimed(job, now), End(Phase.PREPARING, now)]
        await db.end_phases_as_system(conn, job.workspace_build_id, ends, now)


async def started(conn: "Connection", build_id: UUID, template: Template, now: datetime) -> None:
    """The driver is done, and the agent is expected to call."""
    ends = [End(Phase.STARTING, now)]
    await db.record_phases_as_system(conn, build_id, _without(template), ends, now=now)


def _without(template: Template) -> list[Phase]:
    """What a start of that template does not go through, because nobody tells of it."""
    if template.task_app is None:
        return [Phase.CODING_AGENT, Phase.FIRST_PROMPT, Phase.FIRST_ANSWER]
    if template.agent is not None:
        return []
    checked = any(app.slug == template.task_app and app.healthcheck for app in template.apps)
    return [Phase.FIRST_ANSWER] if checked else [Phase.CODING_AGENT, Phase.FIRST_ANSWER]


async def job_failed(conn: "Connection", job: JobRow, error: str | None, now: datetime) -> None:
    """The job of a start, or of a repair of one, came to a bad end; error null: it was canceled."""
    if job.workspace_build_id is None or job.workspace_id is None or job.type is JobKind.IMPORT:
        return
    phase = await db.get_running_phase_as_system(conn, job.workspace_id)
    if phase is None:
        return
    if error is None:
        end = _failed(FailureCause.CANCELED, "The start was canceled.", now)
    else:
        before = Phase.PREPARING if phase is Phase.QUEUED and job.started_at else phase
        end = _failed(cause_of_job(error, before), error, now)
    claimed = [_claimed(job, now)] if job.started_at else []
    await db.end_phases_as_system(conn, job.workspace_build_id, [*claimed, end], now)


async def canceled_in_queue(conn: "Connection", build_id: UUID, now: datetime) -> None:
    """A start was canceled before any worker had it."""
    end = _failed(FailureCause.CANCELED, "The start was canceled while it waited.", now)
    await db.end_phases_as_system(conn, build_id, [end], now)


async def stopped(conn: "Connection", workspace_id: UUID, now: datetime) -> None:
    """The workspace is stopped: nobody waits for what its last start was about to do."""
    build = await db.get_start_as_system(conn, workspace_id, None)
    if build is not None:
        end = End(None, now, PhaseOutcome.SKIPPED, reason="The workspace was stopped before.")
        await db.end_phases_as_system(conn, build.id, [end], now)


async def connected(
    conn: "Connection", agent: AgentActor, now: datetime, *, has_scripts: bool
) -> None:
    """The workspace's agent has called. has_scripts: it has something to run or to clone first."""
    skips = () if has_scripts else (Phase.SCRIPTS,)
    ends = [End(Phase.CONNECTING, now)]
    await db.end_phases_as_system(conn, agent.build_id, ends, now, skips=skips)


async def refused(conn: "Connection", agent: AgentActor, reason: str, now: datetime) -> None:
    """The workspace's agent has called, and was sent away as one of another release."""
    end = _failed(FailureCause.PROTOCOL, reason, now, Phase.CONNECTING)
    await db.end_phases_as_system(conn, agent.build_id, [end], now)


async def lifecycle_told(
    conn: "Connection", agent: AgentActor, lifecycle: AgentLifecycle, now: datetime
) -> None:
    """The agent has said how its start script went."""
    match lifecycle:
        case AgentLifecycle.READY:
            end = End(Phase.SCRIPTS, now)
        case AgentLifecycle.START_ERROR:
            why = "The start script failed, or the repository could not be cloned."
            end = _failed(FailureCause.SCRIPT, why, now, Phase.SCRIPTS)
        case AgentLifecycle.START_TIMEOUT:
            why = "The start script did not end in time, and was ended."
            end = _failed(FailureCause.SCRIPT_TIMEOUT, why, now, Phase.SCRIPTS)
        case _:
            return
    await db.end_phases_as_system(conn, agent.build_id, [end], now)


async def health_told(
    conn: "Connection", agent: AgentActor, slug: str, health: AppHealth, *, now: datetime
) -> None:
    """An app's health has changed. That our own bridge is up says less than the states it tells."""
    app = await db.get_phase_app_as_system(conn, agent.agent_id, slug)
    if app is None:
        return
    if health is AppHealth.UNHEALTHY:
        cause = FailureCause.AGENT_EXITED if app.is_ours else FailureCause.APP_UNHEALTHY
        end = _failed(cause, None, now, Phase.CODING_AGENT)
    elif health is AppHealth.HEALTHY and not app.is_ours:
        end = End(Phase.CODING_AGENT, now)
    else:
        return
    await db.end_phases_as_system(conn, app.build_id, [end], now)


async def prompt_settled(
    conn: "Connection", build_id: UUID, state: str, error: str | None, *, now: datetime
) -> None:
    """The first prompt of a start was brought to its app, or could not be."""
    match state:
        case "delivered":
            end = End(Phase.FIRST_PROMPT, now)
        case "failed":
            end = _failed(FailureCause.PROMPT_REFUSED, error, now, Phase.FIRST_PROMPT)
        case _:
            end = _failed(FailureCause.PROMPT_UNCERTAIN, error, now, Phase.FIRST_PROMPT)
    await db.end_phases_as_system(conn, build_id, [end], now)


async def items_told(
    conn: "Connection",
    build_id: UUID,
    phase: Phase | None,
    items: Sequence[NewItem],
    *,
    now: datetime,
) -> None:
    """Items of a workspace that is in a phase of its start; nothing for one that is through with it."""
    if phase is None or PLACE[phase] < PLACE[Phase.SCRIPTS]:
        return
    telling = [item for item in items if item.kind in TELLING]
    ends = _ends(phase, telling, now) if telling else []
    if ends:
        await db.end_phases_as_system(conn, build_id, ends, now)


def _ends(phase: Phase, items: Sequence[NewItem], now: datetime) -> list[End]:
    """What ends by these items for a start that is in that phase."""
    ends: list[End] = []
    asked = phase is Phase.FIRST_ANSWER
    for item in items:
        kind = ItemKind(item.kind)
        if kind is ItemKind.STATE:
            ends += _state_ends(item, now)
        elif kind is ItemKind.USER_MESSAGE:
            asked = True
            ends.append(End(Phase.FIRST_PROMPT, now))
        elif asked and kind is ItemKind.TURN_END:
            ends.append(_turn_end(item, now))
        elif asked:
            ends.append(End(Phase.FIRST_ANSWER, now))
    # A phase ends once: of many pieces of text the first one tells it.
    return [
        end
        for place, end in enumerate(ends)
        if end not in ends[:place] and (end.phase is None or PLACE[end.phase] >= PLACE[phase])
    ]


def _state_ends(item: NewItem, now: datetime) -> list[End]:
    news = _decoded(item, StateNews)
    if news is None or news.state in NOT_IN_SESSION:
        return []
    if news.state is not AgentState.FAILED:
        return [End(Phase.CODING_AGENT, now)]
    reason = one_line(news.reason or "")
    if news.session == IN_SESSION:
        return [_failed(FailureCause.TURN_FAILED, reason, now, Phase.FIRST_ANSWER)]
    cause = cause_of_agent(reason)
    # Whichever phase it is in; where its app told first that it is unhealthy, that gets its reason.
    return [_failed(cause, reason, now), _failed(cause, reason, now, Phase.CODING_AGENT)]


def _turn_end(item: NewItem, now: datetime) -> End:
    end = _decoded(item, _TurnEnd)
    if end is not None and end.error:
        return _failed(FailureCause.TURN_FAILED, one_line(end.error), now, Phase.FIRST_ANSWER)
    return End(Phase.FIRST_ANSWER, now)


def _decoded(item: NewItem, kind: type[T]) -> T | None:
    """What the item says; None when it says nothing of its kind: a workspace may send anything."""
    try:
        return msgspec.json.decode(item.data, type=kind)
    except (ValueError, RecursionError):
        return None


def _claimed(job: JobRow, now: datetime) -> End:
    """A worker took the job, when it did."""
    return End(Phase.QUEUED, job.started_at or now)


def _failed(
    cause: FailureCause, reason: str | None, now: datetime, phase: Phase | None = None
) -> End:
    return End(phase, now, PhaseOutcome.FAILED, cause, reason)
