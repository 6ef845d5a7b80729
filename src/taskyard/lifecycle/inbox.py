"""What queued prompts wait for: a pure function of what a task and its coding agent do."""

from typing import assert_never

from taskyard.lifecycle.task import StatusReason, TaskFacts, derive_status
from taskyard.wire.enums import QueueWait, TaskStatus
from taskyard.wire.link import AgentState


def waits_for(facts: TaskFacts, observed: AgentState | None) -> QueueWait | None:
    """What has to happen until a queued prompt can go out; None: it goes out now, as far as anybody can tell.

    observed null: nobody tells what the coding agent does, so it is asked when its turn comes. Total.
    """
    derived = derive_status(facts)
    match derived.status:
        case TaskStatus.ACTIVE:
            return _of_agent(observed)
        case TaskStatus.PENDING | TaskStatus.INITIALIZING:
            return QueueWait.START
        case TaskStatus.PAUSED:
            return QueueWait.RESUME
        case TaskStatus.ERROR | TaskStatus.UNKNOWN:
            is_stopping = derived.reason in (StatusReason.STOPPING, StatusReason.AGENT_ENDING)
            return QueueWait.RESUME if is_stopping else QueueWait.REPAIR
    assert_never(derived.status)


def _of_agent(observed: AgentState | None) -> QueueWait | None:
    match observed:
        case None | AgentState.IDLE:
            return None
        case AgentState.STARTING | AgentState.STOPPED:
            return QueueWait.START
        case AgentState.WORKING:
            return QueueWait.TURN
        case AgentState.WAITING:
            return QueueWait.ANSWER
        case AgentState.FAILED:
            return QueueWait.FAILURE
    assert_never(observed)
