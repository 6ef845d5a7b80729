"""What queued prompts wait for, by what the task and its coding agent do."""

import pytest

from taskyard.lifecycle.inbox import waits_for
from taskyard.lifecycle.task import TaskVerb, allowed, derive_status
from taskyard.wire.enums import AgentLifecycle, JobStatus, QueueWait, TaskStatus, Transition
from taskyard.wire.link import AgentState
from tests.lifecycle.test_task_verbs import DELETE, HEALTHY, READY, STOP, built, every_fact, started

OF_STATUS = {
    TaskStatus.PENDING: {QueueWait.START},
    TaskStatus.INITIALIZING: {QueueWait.START},
    TaskStatus.PAUSED: {QueueWait.RESUME},
    TaskStatus.ERROR: {QueueWait.REPAIR},
    TaskStatus.UNKNOWN: {QueueWait.RESUME, QueueWait.REPAIR},
}
"""What a task waits for that is not active, whatever its coding agent did last."""


@pytest.mark.parametrize(
    ("observed", "wanted"),
    [
        (None, None),
        (AgentState.IDLE, None),
        (AgentState.STARTING, QueueWait.START),
        (AgentState.STOPPED, QueueWait.START),
        (AgentState.WORKING, QueueWait.TURN),
        (AgentState.WAITING, QueueWait.ANSWER),
        (AgentState.FAILED, QueueWait.FAILURE),
    ],
)
def test_while_the_task_is_active(observed: AgentState | None, wanted: QueueWait | None) -> None:
    """The coding agent decides; of one that nobody observes it is not known."""
    assert waits_for(started(READY, HEALTHY), observed) is wanted


def test_while_the_task_is_not_active() -> None:
    """Total over all facts: a start, a resume or a repair; a task that is being paused has to be resumed."""
    for facts in every_fact():
        status = derive_status(facts).status
        for observed in (None, *AgentState):
            if status is not TaskStatus.ACTIVE:
                assert waits_for(facts, observed) in OF_STATUS[status]
    assert waits_for(built(STOP, JobStatus.RUNNING), None) is QueueWait.RESUME
    ending = started(AgentLifecycle.SHUTTING_DOWN, HEALTHY)
    assert waits_for(ending, None) is QueueWait.RESUME


def test_who_takes_prompts() -> None:
    """Every task that can be active again; one can be interrupted while it is."""
    for facts in every_fact():
        is_built = facts.has_workspace and facts.transition is not None and facts.job is not None
        is_gone = facts.transition is Transition.DELETE and facts.job is JobStatus.SUCCEEDED
        assert (allowed(TaskVerb.QUEUE, facts) is None) is (is_built and not is_gone)
        is_active = derive_status(facts).status is TaskStatus.ACTIVE
        assert (allowed(TaskVerb.INTERRUPT, facts) is None) is is_active
    assert allowed(TaskVerb.QUEUE, built(DELETE, JobStatus.FAILED)) is None
