"""What the coding agent of a task shows as doing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from taskyard.lifecycle.task import (
    AppReport,
    CurrentState,
    TaskFacts,
    derive_current_state,
    derive_status,
)
from taskyard.wire.enums import (
    AgentLifecycle,
    AppHealth,
    AppStatusState,
    JobStatus,
    TaskState,
    TaskStatus,
    Transition,
)

BUILT = datetime(2026, 11, 1, 12, tzinfo=UTC)
LATER = BUILT + timedelta(seconds=5)
USABLE = TaskFacts(
    True, Transition.START, JobStatus.SUCCEEDED, AgentLifecycle.READY, AppHealth.HEALTHY, BUILT
)


def report(
    at: datetime = LATER, state: AppStatusState = AppStatusState.WORKING, uri: str = ""
) -> AppReport:
    return AppReport(state, "counting words", uri, at)


def shown(facts: TaskFacts) -> CurrentState | None:
    return derive_current_state(facts, derive_status(facts).status)


def test_a_task_without_report_shows_nothing_while_pending_or_active() -> None:
    """T84: null, not an empty object."""
    assert shown(USABLE) is None
    assert shown(replace(USABLE, job=JobStatus.PENDING)) is None


@pytest.mark.parametrize(
    ("reported", "state"),
    [
        (AppStatusState.WORKING, TaskState.WORKING),
        (AppStatusState.IDLE, TaskState.IDLE),
        (AppStatusState.COMPLETE, TaskState.COMPLETE),
        (AppStatusState.FAILURE, TaskState.FAILED),
    ],
)
def test_a_report_is_shown_with_failure_as_failed(
    reported: AppStatusState, state: TaskState
) -> None:
    """T81: the other three words stay as they are, and message, uri and time are the report's."""
    facts = replace(USABLE, report=report(state=reported, uri="https://example.org/pull/7"))
    assert shown(facts) == CurrentState(
        LATER, state, "counting words", "https://example.org/pull/7"
    )


@pytest.mark.parametrize("transition", [Transition.STOP, Transition.DELETE])
def test_the_last_report_stays_after_a_pause_however_old(transition: Transition) -> None:
    """T82: a build that is no start hides nothing."""
    facts = replace(USABLE, transition=transition, report=report(BUILT - timedelta(days=1)))
    state = shown(facts)
    assert state is not None
    assert state.message == "counting words"


def test_a_start_hides_reports_up_to_its_own_moment() -> None:
    """T83: only a report made strictly after the newest start counts."""
    for at in (BUILT - timedelta(days=1), BUILT):
        assert shown(replace(USABLE, report=report(at))) is None
    assert shown(replace(USABLE, report=report(BUILT + timedelta(microseconds=1)))) is not None


def test_a_report_counts_in_an_error_too() -> None:
    """Section 6: the report comes first whatever the status is; without one an error shows nothing."""
    failed = replace(USABLE, app_health=AppHealth.UNHEALTHY)
    assert shown(failed) is None
    assert shown(replace(failed, report=report())) is not None


def test_each_step_of_a_start_has_words_of_its_own() -> None:
    """T80: working since the build was made, and one can tell how far it got."""
    steps = [
        replace(USABLE, job=JobStatus.RUNNING, agent_lifecycle=None, app_health=None),
        replace(USABLE, agent_lifecycle=None, app_health=None),
        replace(USABLE, agent_lifecycle=AgentLifecycle.CREATED),
        replace(USABLE, agent_lifecycle=AgentLifecycle.STARTING),
        replace(USABLE, app_health=AppHealth.INITIALIZING),
        replace(
            USABLE,
            agent_lifecycle=AgentLifecycle.START_ERROR,
            app_health=AppHealth.INITIALIZING,
        ),
    ]
    states = [shown(facts) for facts in steps]
    assert all(state is not None for state in states)
    found = [state for state in states if state is not None]
    assert {(state.timestamp, state.state, state.uri) for state in found} == {
        (BUILT, TaskState.WORKING, "")
    }
    assert len({state.message for state in found}) == len(steps)


def test_every_status_and_build_has_an_answer() -> None:
    """Section 6 is total: a state is there exactly for a report that counts or a start under way."""
    combinations = product(
        TaskStatus, (None, *Transition), (None, *JobStatus), (None, *AgentLifecycle), (None, BUILT)
    )
    for status, transition, job, lifecycle, built_at in combinations:
        facts = TaskFacts(True, transition, job, lifecycle, AppHealth.INITIALIZING, built_at)
        state = derive_current_state(facts, status)
        expected = status is TaskStatus.INITIALIZING and built_at is not None
        assert (state is not None) is expected
