"""What the reconciler decides: idempotent, never during a build, and it brings the world to rest."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard.lifecycle.job import AGENT_LEASE_S, is_active
from taskyard.lifecycle.plan import (
    REPAIR_MAX_S,
    Action,
    AutoPause,
    Desired,
    DestroyOrphan,
    Halt,
    Observed,
    Place,
    Repair,
    plan,
)
from taskyard.wire.enums import BuildReason, JobStatus, Transition

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LONG_AGO = NOW - timedelta(hours=1)
ONE = UUID(int=1)
RUNNING = Desired(
    workspace_id=ONE,
    transition=Transition.START,
    job=JobStatus.SUCCEEDED,
    generation=3,
    settled_at=LONG_AGO,
    restarts=0,
    agent_last_seen=NOW - 5 * SECOND,
    deadline=None,
    is_task=True,
)
SEEN = Observed(Place.RUNNING, 3, NOW - SECOND)


def decide(desired: Desired | None, seen: Observed | None) -> list[Action]:
    live = [] if desired is None else [desired]
    observed = {} if seen is None else {ONE: seen}
    return plan(live, observed, NOW, listening_since=LONG_AGO)


def test_a_workspace_that_runs_as_it_should_is_left_alone() -> None:
    """Nothing to do is an empty list."""
    assert decide(RUNNING, SEEN) == []


@pytest.mark.parametrize(
    "seen",
    [
        replace(SEEN, state=Place.ABSENT, generation=0),
        replace(SEEN, state=Place.STOPPED),
        replace(SEEN, generation=2),
    ],
)
def test_a_workspace_that_should_run_and_does_not_is_repaired(seen: Observed) -> None:
    """Gone, ended by itself, or an older life of it: ensured again under the next generation."""
    assert decide(RUNNING, seen) == [Repair(ONE, 3, 4, 1)]


def test_a_generation_is_never_given_twice() -> None:
    """A driver that holds a higher one than the database (restored from a copy) is topped."""
    assert decide(RUNNING, replace(SEEN, generation=9)) == [Repair(ONE, 3, 10, 1)]


def test_an_agent_that_lost_its_lease_is_started_again() -> None:
    """A process that runs but is not heard of is as good as dead; one that never called too."""
    silent = NOW - AGENT_LEASE_S * SECOND
    assert decide(replace(RUNNING, agent_last_seen=silent), SEEN) == [Repair(ONE, 3, 4, 1)]
    assert decide(replace(RUNNING, agent_last_seen=silent + SECOND), SEEN) == []
    assert decide(replace(RUNNING, agent_last_seen=None), SEEN) == [Repair(ONE, 3, 4, 1)]
    fresh = replace(RUNNING, agent_last_seen=None, settled_at=silent + SECOND)
    assert decide(fresh, SEEN) == []


def test_a_longer_lease_is_waited_for() -> None:
    """The lease is a setting; an agent within its lease is alive."""
    silent = replace(RUNNING, agent_last_seen=NOW - AGENT_LEASE_S * SECOND)
    longer = AGENT_LEASE_S + 1
    assert plan([silent], {ONE: SEEN}, NOW, listening_since=LONG_AGO, agent_lease_s=longer) == []


def test_silence_while_no_server_listened_is_nobodys_fault() -> None:
    """After a long outage agents get a whole lease to call again."""
    silent = replace(RUNNING, agent_last_seen=NOW - timedelta(minutes=30))
    assert plan([silent], {ONE: SEEN}, NOW, listening_since=NOW - 60 * SECOND) == []


@pytest.mark.parametrize("job", [job for job in JobStatus if is_active(job)])
@pytest.mark.parametrize("transition", Transition)
@pytest.mark.parametrize("state", Place)
def test_nothing_is_done_while_a_build_is_active(
    job: JobStatus, transition: Transition, state: Place
) -> None:
    """The worker that holds the job is the only one that acts."""
    busy = replace(RUNNING, job=job, transition=transition, deadline=LONG_AGO)
    assert decide(busy, replace(SEEN, state=state)) == []


@pytest.mark.parametrize("state", [Place.STOPPED, Place.RUNNING])
def test_what_no_live_workspace_owns_is_destroyed(state: Place) -> None:
    """Also the rest of a workspace whose delete build ended."""
    seen = replace(SEEN, state=state)
    assert decide(None, seen) == [DestroyOrphan(ONE)]
    gone = replace(RUNNING, transition=Transition.DELETE)
    assert decide(gone, seen) == [DestroyOrphan(ONE)]
    assert decide(None, replace(SEEN, state=Place.ABSENT, generation=0)) == []


@pytest.mark.parametrize(
    ("is_task", "reason"), [(True, BuildReason.TASK_AUTO_PAUSE), (False, BuildReason.AUTOSTOP)]
)
def test_a_passed_deadline_makes_a_stop_build(is_task: bool, reason: BuildReason) -> None:  # noqa: FBT001 - a parametrized value
    """T160: whatever the driver sees; not a moment before the deadline."""
    late = replace(RUNNING, deadline=NOW, is_task=is_task)
    for seen in (SEEN, None, replace(SEEN, state=Place.ABSENT)):
        assert decide(late, seen) == [AutoPause(ONE, reason)]
    assert decide(replace(late, deadline=NOW + SECOND), SEEN) == []


def test_a_deadline_of_a_stopped_workspace_means_nothing() -> None:
    """What is paused is not paused again."""
    paused = replace(RUNNING, transition=Transition.STOP, deadline=LONG_AGO)
    assert decide(paused, replace(SEEN, state=Place.STOPPED)) == []


@pytest.mark.parametrize(
    ("transition", "job"),
    [
        (Transition.STOP, JobStatus.SUCCEEDED),
        (Transition.START, JobStatus.FAILED),
        (Transition.START, JobStatus.CANCELED),
    ],
)
def test_processes_that_nothing_asks_for_are_halted(transition: Transition, job: JobStatus) -> None:
    """After a pause, and after a start that failed or was canceled; files stay."""
    idle = replace(RUNNING, transition=transition, job=job)
    assert decide(idle, SEEN) == [Halt(ONE)]
    assert decide(idle, replace(SEEN, state=Place.STOPPED)) == []


def test_what_is_frozen_stays_so_where_a_pause_may_freeze() -> None:
    """A pause may leave it so, with its room; what is dormant is ended, and what is gone frees its room."""
    frozen = replace(SEEN, state=Place.FROZEN)
    paused = replace(RUNNING, transition=Transition.STOP, takes_room=True, may_freeze=True)
    assert decide(paused, frozen) == []
    assert decide(replace(paused, may_freeze=False), frozen) == [Halt(ONE)]
    assert decide(paused, replace(SEEN, state=Place.STOPPED)) == [Halt(ONE)]
    assert decide(paused, SEEN) == [Halt(ONE)]
    assert decide(replace(RUNNING, job=JobStatus.FAILED), frozen) == [Halt(ONE)]
    assert decide(RUNNING, frozen) == [Repair(ONE, 3, 4, 1)]


@pytest.mark.parametrize("transition", [Transition.STOP, Transition.DELETE])
def test_a_failed_stop_or_delete_is_left_to_people(transition: Transition) -> None:
    """They see the error and choose."""
    assert decide(replace(RUNNING, transition=transition, job=JobStatus.FAILED), SEEN) == []


def test_an_observation_older_than_the_build_counts_for_nothing() -> None:
    """The build may have changed what was seen."""
    just_built = replace(RUNNING, settled_at=SEEN.at)
    assert decide(just_built, replace(SEEN, state=Place.ABSENT)) == []


def test_a_workspace_that_was_not_observed_is_left_alone() -> None:
    """Its driver may be out of reach for a moment."""
    assert decide(RUNNING, None) == []


def test_repairs_in_a_row_come_ever_more_slowly_and_are_forgotten() -> None:
    """At once, then after 1, 2, 4 … seconds up to a minute; a minute of life starts anew."""
    dead = replace(SEEN, state=Place.STOPPED, at=NOW)
    waits = []
    for restarts in range(9):
        for lived_s in (0.5, *range(1, REPAIR_MAX_S + 1)):
            settled_at = NOW - lived_s * SECOND
            actions = decide(replace(RUNNING, settled_at=settled_at, restarts=restarts), dead)
            if actions:
                waits.append(lived_s)
                last_s = lived_s == REPAIR_MAX_S
                assert actions == [Repair(ONE, 3, 4, 1 if last_s else restarts + 1)]
                break
    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


ids = st.integers(1, 6).map(lambda number: UUID(int=number))
times = st.integers(-400, 0).map(lambda seconds: NOW + seconds * SECOND)
workspaces = st.builds(
    Desired,
    workspace_id=ids,
    transition=st.sampled_from(Transition),
    job=st.sampled_from(JobStatus),
    generation=st.integers(1, 5),
    settled_at=times,
    restarts=st.integers(0, 3),
    agent_last_seen=st.none() | times,
    deadline=st.none() | st.integers(-9, 9).map(lambda seconds: NOW + seconds * SECOND),
    is_task=st.booleans(),
)
worlds = st.lists(workspaces, unique_by=lambda workspace: workspace.workspace_id)
places = st.dictionaries(
    ids,
    st.builds(Observed, state=st.sampled_from(Place), generation=st.integers(0, 6), at=times),
)


@given(worlds, places)
def test_planning_twice_on_the_same_facts_gives_the_same(
    desired: list[Desired], observed: dict[UUID, Observed]
) -> None:
    """In whatever order the facts are read; at most one action a workspace, never on a busy one."""
    actions = plan(desired, observed, NOW, listening_since=LONG_AGO)
    turned = dict(reversed(observed.items()))
    assert plan(desired[::-1], turned, NOW, listening_since=LONG_AGO) == actions
    touched = [action.workspace_id for action in actions]
    assert len(set(touched)) == len(touched)
    busy = {workspace.workspace_id for workspace in desired if is_active(workspace.job)}
    assert busy.isdisjoint(touched)


@given(worlds, places)
def test_a_plan_carried_out_leaves_nothing_to_plan(
    desired: list[Desired], observed: dict[UUID, Observed]
) -> None:
    """One round brings the world to rest: what was repaired runs, what was halted stands."""
    live = {workspace.workspace_id: workspace for workspace in desired}
    seen = dict(observed)
    for action in plan(desired, observed, NOW, listening_since=LONG_AGO):
        carry_out(action, live, seen)
    assert plan(live.values(), seen, NOW, listening_since=LONG_AGO) == []


def carry_out(action: Action, live: dict[UUID, Desired], seen: dict[UUID, Observed]) -> None:
    key = action.workspace_id
    match action:
        case Repair():
            live[key] = replace(
                live[key],
                generation=action.generation,
                restarts=action.restarts,
                settled_at=NOW,
                agent_last_seen=NOW,
            )
            seen[key] = Observed(Place.RUNNING, action.generation, NOW + SECOND)
        case Halt():
            seen[key] = replace(seen[key], state=Place.STOPPED)
        case DestroyOrphan():
            del seen[key]
        case AutoPause():
            live[key] = replace(live[key], transition=Transition.STOP, job=JobStatus.PENDING)
