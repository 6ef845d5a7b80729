"""Which verbs are legal in which state: the error matrix of the contract."""

from itertools import product

import pytest

from taskyard.lifecycle.task import (
    LogOrigin,
    Refusal,
    RefusalCode,
    RefusalKind,
    TaskFacts,
    TaskVerb,
    allowed,
    derive_status,
    log_origin,
)
from taskyard.wire.enums import AgentLifecycle, AppHealth, JobStatus, TaskStatus, Transition

START, STOP, DELETE = Transition.START, Transition.STOP, Transition.DELETE
READY, HEALTHY = AgentLifecycle.READY, AppHealth.HEALTHY
OK = None
VERBS = (TaskVerb.DELETE, TaskVerb.INPUT, TaskVerb.SEND, TaskVerb.PAUSE, TaskVerb.RESUME)
C = RefusalCode


def built(transition: Transition, job: JobStatus) -> TaskFacts:
    return TaskFacts(True, transition, job, None, None)


def started(lifecycle: AgentLifecycle, health: AppHealth) -> TaskFacts:
    return TaskFacts(True, START, JobStatus.SUCCEEDED, lifecycle, health)


MATRIX = {
    "pending": (
        [built(START, JobStatus.PENDING)],
        (C.BUILD_ACTIVE, C.TASK_NOT_PAUSED, C.TASK_PENDING, C.BUILD_ACTIVE, C.BUILD_ACTIVE),
        LogOrigin.SNAPSHOT,
    ),
    "initializing, build running": (
        [built(START, JobStatus.RUNNING)],
        (C.BUILD_ACTIVE, C.TASK_NOT_PAUSED, C.TASK_INITIALIZING, C.BUILD_ACTIVE, C.BUILD_ACTIVE),
        LogOrigin.SNAPSHOT,
    ),
    "initializing, build done": (
        [
            built(START, JobStatus.SUCCEEDED),
            started(AgentLifecycle.STARTING, AppHealth.INITIALIZING),
        ],
        (OK, C.TASK_NOT_PAUSED, C.TASK_INITIALIZING, OK, C.WORKSPACE_RUNNING),
        LogOrigin.SNAPSHOT,
    ),
    "active": (
        [started(READY, HEALTHY), started(AgentLifecycle.START_ERROR, AppHealth.DISABLED)],
        (OK, C.TASK_NOT_PAUSED, OK, OK, C.WORKSPACE_RUNNING),
        LogOrigin.LIVE,
    ),
    "pausing": (
        [built(STOP, JobStatus.PENDING), built(STOP, JobStatus.RUNNING)],
        (C.BUILD_ACTIVE, C.TASK_NOT_PAUSED, C.TASK_NOT_ACTIVE, C.BUILD_ACTIVE, C.BUILD_ACTIVE),
        C.LOGS_UNAVAILABLE,
    ),
    "paused": (
        [built(STOP, JobStatus.SUCCEEDED)],
        (OK, OK, C.TASK_PAUSED, OK, OK),
        LogOrigin.SNAPSHOT,
    ),
    "error, start failed": (
        [built(START, JobStatus.FAILED), built(START, JobStatus.CANCELED)],
        (OK, C.TASK_NOT_PAUSED, C.TASK_NOT_ACTIVE, OK, OK),
        C.LOGS_UNAVAILABLE,
    ),
    "error, app unhealthy": (
        [started(READY, AppHealth.UNHEALTHY)],
        (OK, C.TASK_NOT_PAUSED, C.TASK_NOT_ACTIVE, OK, C.WORKSPACE_RUNNING),
        C.LOGS_UNAVAILABLE,
    ),
    "error, job canceling": (
        [built(START, JobStatus.CANCELING), built(STOP, JobStatus.CANCELING)],
        (C.BUILD_ACTIVE, C.TASK_NOT_PAUSED, C.TASK_NOT_ACTIVE, C.BUILD_ACTIVE, C.BUILD_ACTIVE),
        C.LOGS_UNAVAILABLE,
    ),
    "unknown, agent ending": (
        [started(AgentLifecycle.SHUTTING_DOWN, HEALTHY)],
        (OK, C.TASK_NOT_PAUSED, C.TASK_NOT_ACTIVE, OK, C.WORKSPACE_RUNNING),
        C.LOGS_UNAVAILABLE,
    ),
    "error, stop or delete failed": (
        [built(STOP, JobStatus.FAILED), built(DELETE, JobStatus.FAILED)],
        (OK, C.TASK_NOT_PAUSED, C.TASK_NOT_ACTIVE, OK, OK),
        C.LOGS_UNAVAILABLE,
    ),
    "workspace deleted by its own API": (
        [built(DELETE, JobStatus.SUCCEEDED)],
        (OK, OK, C.TASK_PAUSED, C.WORKSPACE_DELETED, C.WORKSPACE_DELETED),
        LogOrigin.SNAPSHOT,
    ),
    "no workspace": (
        [TaskFacts(False, None, None, None, None), TaskFacts(True, None, None, None, None)],
        (OK, C.TASK_NOT_PAUSED, C.TASK_PENDING, C.NO_WORKSPACE, C.NO_WORKSPACE),
        LogOrigin.SNAPSHOT,
    ),
}


@pytest.mark.parametrize("situation", MATRIX)
def test_each_cell_of_the_matrix_allows_or_refuses(situation: str) -> None:
    """Section 11, T92, T94, T100-T104, T111-T116: delete, input, send, pause, resume and logs."""
    examples, codes, logs = MATRIX[situation]
    for facts in examples:
        refusals = [allowed(verb, facts) for verb in VERBS]
        found = tuple(None if refusal is None else refusal.code for refusal in refusals)
        assert found == codes, facts
        origin = log_origin(facts)
        assert (origin.code if isinstance(origin, Refusal) else origin) == logs
        assert (allowed(TaskVerb.LOGS, facts) is None) is isinstance(origin, LogOrigin)


def every_fact() -> list[TaskFacts]:
    combinations = product(
        (False, True),
        (None, *Transition),
        (None, *JobStatus),
        (None, *AgentLifecycle),
        (None, *AppHealth),
    )
    return [TaskFacts(*facts) for facts in combinations]


def test_every_refusal_says_what_is_wrong_and_what_to_do() -> None:
    """Total over the whole product: two sentences each, and one kind a code."""
    kinds: dict[RefusalCode, set[RefusalKind]] = {}
    for facts, verb in product(every_fact(), TaskVerb):
        refusal = allowed(verb, facts)
        if refusal is not None:
            kinds.setdefault(refusal.code, set()).add(refusal.kind)
            assert refusal.message.endswith(".")
            assert refusal.detail.endswith(".")
    assert set(kinds) == set(RefusalCode)
    assert all(len(of_code) == 1 for of_code in kinds.values())


def test_send_is_never_possible_only_in_error_and_unknown() -> None:
    """C8: 400 means never in this state, 409 means try later."""
    for facts in every_fact():
        refusal = allowed(TaskVerb.SEND, facts)
        never = refusal is not None and refusal.kind is RefusalKind.NEVER
        hopeless = derive_status(facts).status in (TaskStatus.ERROR, TaskStatus.UNKNOWN)
        assert never is hopeless


def test_every_state_has_a_way_out() -> None:
    """A task can be deleted whenever no build is active, and an active build ends by itself."""
    for facts in every_fact():
        refusal = allowed(TaskVerb.DELETE, facts)
        assert refusal is None or refusal.code is RefusalCode.BUILD_ACTIVE


RETRIED = {
    "failed or canceled": (
        [built(t, j) for t in Transition for j in (JobStatus.FAILED, JobStatus.CANCELED)],
        OK,
    ),
    "well": (
        [
            started(READY, HEALTHY),
            started(READY, AppHealth.UNHEALTHY),
            built(STOP, JobStatus.SUCCEEDED),
        ],
        C.NOTHING_TO_RETRY,
    ),
    "at work": (
        [
            built(t, j)
            for t in Transition
            for j in (JobStatus.PENDING, JobStatus.RUNNING, JobStatus.CANCELING)
        ],
        C.BUILD_ACTIVE,
    ),
    "gone": ([built(DELETE, JobStatus.SUCCEEDED)], C.WORKSPACE_DELETED),
    "none": ([TaskFacts(False, None, None, None, None)], C.NO_WORKSPACE),
}


@pytest.mark.parametrize("situation", RETRIED)
def test_what_failed_can_be_tried_again(situation: str) -> None:
    """Whatever failed or was canceled, and nothing else."""
    examples, code = RETRIED[situation]
    for facts in examples:
        refusal = allowed(TaskVerb.RETRY, facts)
        assert (None if refusal is None else refusal.code) == code, facts


WAYS = {
    TaskVerb.PAUSE: STOP,
    TaskVerb.RESUME: START,
    TaskVerb.DELETE: DELETE,
}
"""What verbs build."""


def ends(transition: Transition) -> list[TaskFacts]:
    """How a build that was just made may end: well, failed, or canceled, which a person can always ask for."""
    well = (
        started(READY, HEALTHY) if transition is START else built(transition, JobStatus.SUCCEEDED)
    )
    return [well, built(transition, JobStatus.FAILED), built(transition, JobStatus.CANCELED)]


def steps(facts: TaskFacts) -> list[TaskFacts]:
    """Where a person can get from these facts: by a verb, or by waiting for, or canceling, what is at work."""
    if facts.transition is not None and facts.job in (
        JobStatus.PENDING,
        JobStatus.RUNNING,
        JobStatus.CANCELING,
    ):
        return ends(facts.transition)
    found = [ends(WAYS[verb]) for verb in WAYS if allowed(verb, facts) is None]
    if allowed(TaskVerb.RETRY, facts) is None and facts.transition is not None:
        found.append(ends(facts.transition))
    return [end for some in found for end in some]


def test_from_every_state_there_is_a_way_to_active_and_to_deleted() -> None:
    """Whatever a build ended in, the next verb is legal: no state is a dead end, but for a workspace that is gone."""
    active, deleted = started(READY, HEALTHY), built(DELETE, JobStatus.SUCCEEDED)
    for facts in every_fact():
        if (
            facts.job is JobStatus.UNKNOWN
            or not facts.has_workspace
            or facts.transition is None
            or facts.job is None
        ):
            continue  # no build of ours is in this state; it can be deleted, as shown above
        seen, open_ = set[TaskFacts](), [facts]
        while open_:
            here = open_.pop()
            if here not in seen:
                seen.add(here)
                open_ += steps(here)
        assert deleted in seen, facts
        gone = facts.transition is DELETE and facts.job is JobStatus.SUCCEEDED
        assert gone or active in seen, facts
