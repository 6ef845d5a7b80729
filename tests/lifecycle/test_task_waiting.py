"""What a task waits for, and when its coding agent can be reached at all."""

from dataclasses import replace
from itertools import product

from taskyard.lifecycle.task import (
    RefusalKind,
    TaskFacts,
    TaskVerb,
    allowed,
    derive_status,
    derive_waiting,
)
from taskyard.wire.enums import AgentLifecycle, AppHealth, JobStatus, TaskStatus, Transition
from taskyard.wire.link import Waiting

ASKED = Waiting("permission", "p1", "Run make")

EVERYTHING = [
    TaskFacts(True, *facts)
    for facts in product(
        (None, *Transition), (None, *JobStatus), (None, *AgentLifecycle), (None, *AppHealth)
    )
]


def test_a_task_waits_only_while_it_is_active() -> None:
    """What was asked is shown while it can be answered, whatever else is known; without it nothing is."""
    for facts in EVERYTHING:
        status = derive_status(facts).status
        waiting = derive_waiting(replace(facts, waiting=ASKED), status)
        assert waiting == (ASKED if status is TaskStatus.ACTIVE else None)
        assert derive_waiting(facts, status) is None


def test_answers_and_attaching_take_an_active_task() -> None:
    """Everything else is a refusal for now, never for good: the same may work later. Source: C8."""
    for facts, verb in product(EVERYTHING, (TaskVerb.ANSWER, TaskVerb.ATTACH)):
        refusal = allowed(verb, facts)
        if derive_status(facts).status is TaskStatus.ACTIVE:
            assert refusal is None
        else:
            assert refusal is not None
            assert refusal.kind is RefusalKind.LATER
