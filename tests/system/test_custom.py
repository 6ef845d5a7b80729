"""The template `custom`: an AgentAPI server that the user brings, through a task's whole life."""

from uuid import UUID

import pytest

from taskyard.wire.enums import TaskState, TaskStatus
from taskyard.wire.tasks import CreateTaskRequest, TaskSendRequest
from tests.system.kit import World, until


@pytest.fixture
def custom_version(world: World) -> UUID:
    """The active version of the starter template, once it is imported."""

    def look() -> UUID | None:
        found = {
            t.name: t.active_version_id for t in world.owner.list_templates("has-ai-task:true")
        }
        return found.get("custom")

    return until("the custom template", look)


def test_a_whole_life(world: World, custom_version: UUID) -> None:
    """It gets its input, says when it is idle, is paused with its log kept, and goes on after."""
    request = CreateTaskRequest(template_version_id=custom_version, input="hello")
    task = world.owner.create_task("me", request)

    def idle() -> bool | None:
        seen = world.owner.get_task("me", task.id)
        state = seen.current_state.state if seen.current_state else None
        return True if seen.status is TaskStatus.ACTIVE and state is TaskState.IDLE else None

    until("the server to be idle", idle)
    assert world.text(task.id) == "hello\nYou said: hello"
    world.owner.send_task_input("me", task.id, TaskSendRequest(input="more"))
    until("the second answer", lambda: "You said: more" in world.text(task.id) or None)
    world.owner.pause_task("me", task.id)
    until("the pause", lambda: world.status(task.id, TaskStatus.PAUSED))
    assert world.text(task.id).endswith("more\nYou said: more")
    world.owner.resume_task("me", task.id)
    until("the server to be idle again", idle)
    assert world.text(task.id).count("You said:") == 2
    world.owner.delete_task("me", task.id)
