"""The template `custom`: an AgentAPI server that the user brings, through a task's whole life."""

from uuid import UUID

import pytest

from taskyard.wire.enums import JobStatus, TaskState, TaskStatus
from taskyard.wire.tasks import CreateTaskRequest, TaskSendRequest
from tests.system.kit import World
from tests.waiting import until


@pytest.fixture
def custom_version(shared: World) -> UUID:
    """The active version of the starter template, once it is imported."""

    def look() -> UUID | None:
        for template in shared.owner.list_templates("has-ai-task:true"):
            version = shared.owner.get_template_version(template.active_version_id)
            if template.name == "custom" and version.job.status is JobStatus.SUCCEEDED:
                return version.id
        return None

    return until("the custom template", look)


def test_a_whole_life(shared: World, custom_version: UUID) -> None:
    """It gets its input, says when it is idle, is paused with its log kept, and goes on after."""
    request = CreateTaskRequest(template_version_id=custom_version, input="hello")
    task = shared.owner.create_task("me", request)

    def idle(said: str) -> bool | None:
        """Whether it is idle and has said so much: it is idle as well before the input has reached it."""
        seen = shared.owner.get_task("me", task.id)
        state = seen.current_state.state if seen.current_state else None
        if seen.status is not TaskStatus.ACTIVE or state is not TaskState.IDLE:
            return None
        return shared.text(task.id).endswith(said) or None

    until("the server to be idle", lambda: idle("You said: hello"))
    assert shared.text(task.id) == "hello\nYou said: hello"
    shared.owner.send_task_input("me", task.id, TaskSendRequest(input="more"))
    until("the second answer", lambda: "You said: more" in shared.text(task.id) or None)
    shared.owner.pause_task("me", task.id)
    until("the pause", lambda: shared.status(task.id, TaskStatus.PAUSED))
    assert shared.text(task.id).endswith("more\nYou said: more")
    shared.owner.resume_task("me", task.id)
    until("the server to be idle again", lambda: idle("You said: more"))
    assert shared.text(task.id).count("You said:") == 2
    shared.owner.delete_task("me", task.id)
