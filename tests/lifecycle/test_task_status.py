"""The status of a task: the thirteen rows of the contract, and every combination of facts."""

from collections.abc import Iterator
from itertools import product

import pytest

from taskyard.lifecycle.task import StatusReason, TaskFacts, derive_status
from taskyard.wire.enums import AgentLifecycle, AppHealth, JobStatus, TaskStatus, Transition

TRANSITIONS = (None, *Transition)
JOBS = (None, *JobStatus)
LIFECYCLES = (None, *AgentLifecycle)
HEALTHS = (None, *AppHealth)


def every_task() -> Iterator[TaskFacts]:
    """Every combination of the five facts, also those that cannot be."""
    for facts in product((False, True), TRANSITIONS, JOBS, LIFECYCLES, HEALTHS):
        yield TaskFacts(*facts)


def contract(facts: TaskFacts) -> tuple[int, TaskStatus]:
    """The row of tasks-api 5 that applies, and its status: written down a second time, as a list."""
    transition, job = facts.transition, facts.job
    lifecycle, health = facts.agent_lifecycle, facts.app_health
    over = (JobStatus.FAILED, JobStatus.CANCELING, JobStatus.CANCELED)
    ending = (Transition.STOP, Transition.DELETE)
    waiting = (JobStatus.PENDING, JobStatus.RUNNING)
    started = transition is Transition.START and job in (JobStatus.RUNNING, JobStatus.SUCCEEDED)
    usable = (AgentLifecycle.READY, AgentLifecycle.START_TIMEOUT, AgentLifecycle.START_ERROR)
    rows = [
        (not facts.has_workspace, TaskStatus.PENDING),
        (transition is None or job is None, TaskStatus.PENDING),
        (job in over, TaskStatus.ERROR),
        (transition in ending and job is JobStatus.SUCCEEDED, TaskStatus.PAUSED),
        (transition is Transition.START and job is JobStatus.PENDING, TaskStatus.PENDING),
        (transition in ending and job in waiting, TaskStatus.UNKNOWN),
        (not started, TaskStatus.UNKNOWN),
        (
            lifecycle in (None, AgentLifecycle.CREATED, AgentLifecycle.STARTING),
            TaskStatus.INITIALIZING,
        ),
        (lifecycle not in usable, TaskStatus.UNKNOWN),
        (health is AppHealth.INITIALIZING, TaskStatus.INITIALIZING),
        (health is AppHealth.UNHEALTHY, TaskStatus.ERROR),
        (health in (AppHealth.HEALTHY, AppHealth.DISABLED), TaskStatus.ACTIVE),
        (health is None, TaskStatus.UNKNOWN),
    ]
    return next((row, status) for row, (holds, status) in enumerate(rows, 1) if holds)


def started(
    lifecycle: AgentLifecycle | None, health: AppHealth | None, job: JobStatus = JobStatus.SUCCEEDED
) -> TaskFacts:
    return TaskFacts(True, Transition.START, job, lifecycle, health)


def built(transition: Transition, job: JobStatus) -> TaskFacts:
    return TaskFacts(True, transition, job, None, None)


READY, HEALTHY = AgentLifecycle.READY, AppHealth.HEALTHY
START, STOP = Transition.START, Transition.STOP


@pytest.mark.parametrize(
    ("statement", "facts", "status", "reason"),
    [
        (
            "T60",
            TaskFacts(False, None, None, None, None),
            TaskStatus.PENDING,
            StatusReason.NO_WORKSPACE,
        ),
        ("T61", TaskFacts(True, None, None, None, None), TaskStatus.PENDING, StatusReason.NO_BUILD),
        ("T62", built(START, JobStatus.FAILED), TaskStatus.ERROR, StatusReason.BUILD_FAILED),
        ("T63", built(STOP, JobStatus.SUCCEEDED), TaskStatus.PAUSED, StatusReason.STOPPED),
        ("T64", built(START, JobStatus.PENDING), TaskStatus.PENDING, StatusReason.START_QUEUED),
        ("T65", built(STOP, JobStatus.RUNNING), TaskStatus.UNKNOWN, StatusReason.STOPPING),
        ("T66", built(START, JobStatus.UNKNOWN), TaskStatus.UNKNOWN, StatusReason.JOB_UNKNOWN),
        (
            "T67",
            started(AgentLifecycle.CREATED, None),
            TaskStatus.INITIALIZING,
            StatusReason.AGENT_CREATED,
        ),
        (
            "T68",
            started(AgentLifecycle.SHUTTING_DOWN, HEALTHY),
            TaskStatus.UNKNOWN,
            StatusReason.AGENT_ENDING,
        ),
        (
            "T69",
            started(READY, AppHealth.INITIALIZING),
            TaskStatus.INITIALIZING,
            StatusReason.APP_INITIALIZING,
        ),
        ("T70", started(READY, AppHealth.UNHEALTHY), TaskStatus.ERROR, StatusReason.APP_UNHEALTHY),
        ("T71", started(READY, AppHealth.DISABLED), TaskStatus.ACTIVE, StatusReason.USABLE),
        ("T72", started(READY, None), TaskStatus.UNKNOWN, StatusReason.NO_APP),
        (
            "T73",
            built(START, JobStatus.CANCELING),
            TaskStatus.ERROR,
            StatusReason.BUILD_CANCELING,
        ),
        (
            "T75",
            started(AgentLifecycle.START_ERROR, HEALTHY),
            TaskStatus.ACTIVE,
            StatusReason.USABLE,
        ),
    ],
)
def test_each_row_of_the_contract_gives_its_status(
    statement: str, facts: TaskFacts, status: TaskStatus, reason: StatusReason
) -> None:
    """T60-T73, T75: the status and the fact that decided it."""
    derived = derive_status(facts)
    assert (derived.status, derived.reason) == (status, reason), statement


def test_every_combination_of_facts_has_the_status_of_the_first_row_that_applies() -> None:
    """T60-T72 over the whole product: nothing is left out, and no row is unreachable."""
    seen = set()
    for facts in every_task():
        row, status = contract(facts)
        seen.add(row)
        assert derive_status(facts).status is status, facts
    assert seen == set(range(1, 14))


def test_a_reason_belongs_to_one_status_only_and_each_is_used() -> None:
    """Whoever knows the reason knows the status."""
    statuses: dict[StatusReason, set[TaskStatus]] = {}
    for facts in every_task():
        derived = derive_status(facts)
        statuses.setdefault(derived.reason, set()).add(derived.status)
    assert set(statuses) == set(StatusReason)
    assert all(len(of_reason) == 1 for of_reason in statuses.values())
