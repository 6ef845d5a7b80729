"""What the reconciler does: the difference between what should be and what drivers see."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from taskyard.lifecycle.job import AGENT_LEASE_S, agent_lease_lapsed, is_active
from taskyard.wire.enums import BuildReason, JobStatus, Transition

SETTLED_S = 60
"""Seconds a workspace runs until its restarts are forgotten: longer than any start that fails by itself."""

REPAIR_FIRST_S = 1
"""Seconds after a start until the second repair in a row; the first comes at once."""

REPAIR_MAX_S = 60
"""Seconds between repairs at most: a workspace that always dies costs one start a minute."""


SET_BACK = timedelta(minutes=5)
"""A time that lies further ahead was written before the clock was set back: clocks of servers differ by seconds."""


class Place(StrEnum):
    """What a driver sees of a workspace; the words of its own PlaceState."""

    ABSENT = "absent"
    STOPPED = "stopped"
    RUNNING = "running"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True)
class Desired:
    """A live workspace as the database has it.

    transition and job are of its newest build. generation is that of the last start or repair.
    settled_at is when the newest build's job ended, moved on when a repair begins and when it ends, well
    or not: what was observed before it counts for nothing. restarts are the repairs in a row
    (Repair.restarts; 0 after a build). agent_last_seen is null for an agent that never called; a driver
    without agents of ours gives the time of the observation. deadline null: never stopped by itself.
    is_task: it belongs to a live task. tidy_from: from when a start that failed is stopped, rest_from: from when
    it is dormant for want of use, discard_from: from when it is deleted, having been dormant, abandoned_from: from
    when it is deleted because nobody sees it any more; null means never. takes_room: something of it may be there
    that was never certainly ended. may_freeze: a pause may leave its processes standing still; not where it is dormant
    or was stopped for want of use, so that memory comes back.
    """

    workspace_id: UUID
    transition: Transition
    job: JobStatus
    generation: int
    settled_at: datetime
    restarts: int
    agent_last_seen: datetime | None
    deadline: datetime | None
    is_task: bool
    tidy_from: datetime | None = None
    rest_from: datetime | None = None
    discard_from: datetime | None = None
    abandoned_from: datetime | None = None
    takes_room: bool = False
    may_freeze: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """A workspace as a driver sees it; generation is 0 where it holds nothing."""

    state: Place
    generation: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Repair:
    """Ensure the newest start again, under a higher generation.

    The database must still have seen_generation when generation, restarts and a new settled_at are
    written, else somebody else was faster and nothing is to be done.
    """

    workspace_id: UUID
    seen_generation: int
    generation: int
    restarts: int


@dataclass(frozen=True, slots=True)
class Halt:
    """Stop processes that nothing asks for; the home directory stays."""

    workspace_id: UUID


@dataclass(frozen=True, slots=True)
class DestroyOrphan:
    """Remove what a driver holds of a workspace that is no more."""

    workspace_id: UUID


@dataclass(frozen=True, slots=True)
class AutoPause:
    """Make a stop build, for its deadline has passed, or the time that a failed start is kept.

    The reason says what kind of workspace it is.
    """

    workspace_id: UUID
    reason: BuildReason


@dataclass(frozen=True, slots=True)
class Rest:
    """Set aside a workspace that nobody used for long: mark it as dormant, and stop it if it runs."""

    workspace_id: UUID


@dataclass(frozen=True, slots=True)
class Discard:
    """Make a delete build of a workspace that was dormant for long."""

    workspace_id: UUID


@dataclass(frozen=True, slots=True)
class Remove:
    """Make a delete build of a workspace that nobody sees any more, or one more after one that failed."""

    workspace_id: UUID


@dataclass(frozen=True, slots=True)
class _Clock:
    """What the time of a plan is measured by."""

    now: datetime
    listening_since: datetime
    agent_lease_s: float


Action = Repair | Halt | DestroyOrphan | AutoPause | Rest | Discard | Remove


def plan(
    desired: Iterable[Desired],
    observed: Mapping[UUID, Observed],
    now: datetime,
    *,
    listening_since: datetime,
    agent_lease_s: float = AGENT_LEASE_S,
) -> list[Action]:
    """What to do now, by workspace id. Planning twice on the same facts gives the same.

    desired must be read after every observation was made, else a workspace made in between looks like
    an orphan. A live workspace that was not observed is left alone: its driver may be out of reach.
    listening_since: since when agents could reach a server; silence before that is nobody's fault.
    agent_lease_s: seconds that an agent lives on without being heard of.
    """
    clock = _Clock(now, listening_since, agent_lease_s)
    live = {workspace.workspace_id: _by_now(workspace, clock) for workspace in desired}
    actions: list[Action | None] = []
    for workspace_id in sorted({*live, *observed}, key=str):
        workspace, seen = live.get(workspace_id), observed.get(workspace_id)
        if workspace is None:
            actions.append(_orphan(workspace_id, seen))
        elif not is_active(workspace.job):
            actions.append(_settled(workspace, seen, clock))
    return [action for action in actions if action is not None]


def _by_now(workspace: Desired, clock: _Clock) -> Desired:
    """The workspace with no time of a clock that was set back since: those are long past, or nobody knows when."""
    if workspace.settled_at > clock.now + SET_BACK:
        workspace = replace(workspace, settled_at=clock.now - timedelta(seconds=SETTLED_S))
    seen = workspace.agent_last_seen
    if seen is not None and seen > clock.now + SET_BACK:
        workspace = replace(workspace, agent_last_seen=clock.listening_since)
    return workspace


def _orphan(workspace_id: UUID, seen: Observed | None) -> Action | None:
    held = seen is not None and seen.state is not Place.ABSENT
    return DestroyOrphan(workspace_id) if held else None


def _settled(workspace: Desired, seen: Observed | None, clock: _Clock) -> Action | None:
    """What a workspace needs that no build is working on."""
    should_run = workspace.transition is Transition.START and workspace.job is JobStatus.SUCCEEDED
    timed = _by_the_clock(workspace, clock.now, should_run=should_run)
    if timed is not None:
        return timed
    if seen is None or seen.at <= workspace.settled_at:
        return None
    if should_run:
        return _repair(workspace, seen, clock)
    return _leftover(workspace, seen)


def _by_the_clock(workspace: Desired, now: datetime, *, should_run: bool) -> Action | None:
    """What is due because time has passed; a delete that failed is left to those who see it. Source: tasks-api 10."""
    if _due(workspace.abandoned_from, now):
        return Remove(workspace.workspace_id)
    if _due(workspace.discard_from, now) and workspace.transition is not Transition.DELETE:
        return Discard(workspace.workspace_id)
    if _due(workspace.rest_from, now):
        return Rest(workspace.workspace_id)
    if _due(workspace.deadline if should_run else workspace.tidy_from, now):
        reason = BuildReason.TASK_AUTO_PAUSE if workspace.is_task else BuildReason.AUTOSTOP
        return AutoPause(workspace.workspace_id, reason)
    return None


def _due(at: datetime | None, now: datetime) -> bool:
    return at is not None and at <= now


def _repair(workspace: Desired, seen: Observed, clock: _Clock) -> Repair | None:
    lived = clock.now - workspace.settled_at
    well = (
        seen.state is Place.RUNNING
        and seen.generation == workspace.generation
        and not _agent_lost(workspace, clock)
    )
    if well or lived < _wait(workspace.restarts):
        return None
    restarts = 1 if lived >= timedelta(seconds=SETTLED_S) else workspace.restarts + 1
    generation = max(workspace.generation, seen.generation) + 1
    return Repair(workspace.workspace_id, workspace.generation, generation, restarts)


def _agent_lost(workspace: Desired, clock: _Clock) -> bool:
    """Whether an agent that had every chance to call did not within its lease."""
    heard = workspace.agent_last_seen or workspace.settled_at
    heard = max(heard, workspace.settled_at, clock.listening_since)
    return agent_lease_lapsed(heard, clock.now, clock.agent_lease_s)


def _wait(restarts: int) -> timedelta:
    """How long a workspace must have been started before its next repair; doubles with each in a row."""
    if restarts == 0:
        return timedelta()
    return timedelta(seconds=min(REPAIR_FIRST_S * 2 ** min(restarts - 1, 16), REPAIR_MAX_S))


def _leftover(workspace: Desired, seen: Observed) -> Action | None:
    """What is to be cleaned up after a build that left nothing to run.

    A failed stop or delete is left to people: they see the error and try again.
    """
    match workspace.transition, workspace.job:
        case Transition.DELETE, JobStatus.SUCCEEDED:
            return _orphan(workspace.workspace_id, seen)
        case Transition.STOP, JobStatus.SUCCEEDED if (
            seen.state is Place.FROZEN and workspace.may_freeze
        ):
            return None
        case (Transition.STOP, JobStatus.SUCCEEDED) | (Transition.START, _):
            held = seen.state in (Place.RUNNING, Place.FROZEN) or workspace.takes_room
            return Halt(workspace.workspace_id) if held else None
    return None
