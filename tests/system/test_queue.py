"""The queue with everything real: prompts that wait outlive whatever dies, and each is worked on once, in order."""

import os
import signal

import pytest

from taskyard.wire.enums import PromptState, TaskStatus
from taskyard.wire.tasks import SendWhen, Task, TaskSendRequest
from tests.system.kit import World, only_agent
from tests.waiting import until

TURN = "echo {n} >> ~/order.txt; for i in 1 2 3 4; do echo turn {n}; sleep 0.2; done"
"""A turn that leaves a mark as it begins, and takes long enough to be cut off."""

LAST_CUT = 6
"""The turn in which, or before which, the task is paused: it lasts until a file is there, and so the next one waits."""


def queue(world: World, task: Task, text: str) -> None:
    """Leaves a prompt with the server."""
    request = TaskSendRequest(input=text, when=SendWhen.QUEUE)
    assert world.owner.send_task_input("me", task.id, request) is not None


def states(world: World, task: Task) -> list[PromptState]:
    """What became of the queued prompts."""
    found = world.owner.list_task_prompts("me", task.id).prompts
    return [prompt.state for prompt in found if prompt.source == "queue"]


def until_delivered(world: World, task: Task, count: int) -> None:
    """Returns once so many prompts were delivered."""

    def look() -> bool | None:
        return states(world, task).count(PromptState.DELIVERED) >= count or None

    until(f"{count} prompts to be delivered", look)


def order(world: World, task: Task) -> list[str]:
    """The marks of all turns, as the coding agent tells them after the last one."""
    queue(world, task, "cat ~/order.txt; echo all of it")
    text = world.says(task.id, "\nall of it")
    told = text[text.rindex("cat ~/order.txt") :].splitlines()
    return [line for line in told if line.isdigit()]


def killed(world: World, *words: str) -> None:
    """Kills the one process of a workspace with these words."""
    os.kill(only_agent(world.server.data_dir, *words), signal.SIGKILL)


@pytest.mark.all_tier
def test_a_queue_outlives_everything(world: World) -> None:
    """kill -9 of coding agent, agent and server, and a pause, in the middle of turns: nothing is lost or done twice."""
    task = world.create(TURN.format(n=0))
    world.active(task.id)
    for n in range(1, 8):
        gate = "; until test -e ~/go; do sleep 0.05; done" if n == LAST_CUT else ""
        queue(world, task, TURN.format(n=n) + gate)
    until_delivered(world, task, 1)
    killed(world, "taskyard_agent.shell")
    until_delivered(world, task, 2)
    killed(world, "-m taskyard_agent run")
    until_delivered(world, task, 4)
    world.server.kill()
    world.restart()
    until_delivered(world, task, 5)
    world.owner.pause_task("me", task.id)
    until("a paused task", lambda: world.status(task.id, TaskStatus.PAUSED))
    left = states(world, task)
    assert PromptState.WAITING in left
    assert world.owner.list_task_prompts("me", task.id).waits_for == "resume"
    assert world.status(task.id, TaskStatus.PAUSED)
    (world.server.data_dir / "workspaces" / str(task.workspace_id) / "home" / "go").touch()
    world.owner.resume_task("me", task.id)
    until_delivered(world, task, 7)
    assert order(world, task) == [str(n) for n in range(8)]
    assert set(states(world, task)) == {PromptState.DELIVERED}
