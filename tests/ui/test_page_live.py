"""The page while things change: by its own buttons, by other browsers, and while nobody can be reached."""

from pathlib import Path
from uuid import UUID

import pytest

from bench.crowd import crowded
from taskyard.sdk import ApiError
from taskyard.wire.tasks import CreateTaskRequest, Task, TaskSendRequest, UpdateTaskRequest
from tests.system.kit import PASSWORD, World, turns_are_over
from tests.ui.page_kit import Browser
from tests.ui.seeds import peer_version
from tests.waiting import until

pytestmark = pytest.mark.all_tier

PERSON = {"email": "ada@example.com", "password": PASSWORD}

MANY = 10_000
"""Tasks that a list must bear."""

ASKING = {"": [{"ask": {"title": "Write notes.txt", "kind": "edit"}}]}
"""The part of a coding agent that asks for a permission at once."""


def answered(world: World, name: str) -> dict[str, str]:
    """What a scenario is told of a task that has said its first words."""
    task = world.create('echo "the answer is $((6 * 7))"', name=name)
    world.says(task.id, "the answer is 42")
    return {"path": f"/tasks/ada/{task.id}", "name": task.display_name, "id": str(task.id)}


def say(world: World, task: str, text: str) -> None:
    """The task has got a message and answered it."""

    def sent() -> bool | None:
        try:
            world.owner.send_task_input("me", UUID(task), TaskSendRequest(input=text))
        except ApiError:  # the server has just begun, or the turn before is not yet over
            return None
        return True

    until("the task to take a message", sent)
    until("its turn to be over", lambda: turns_are_over(world.owner, UUID(task)) or None)


def test_lifecycle(browser: Browser, world: World, tmp_path: Path) -> None:
    """A task is answered, paused with its words kept, resumed, asked again and deleted, and its link leads to its words."""
    browser.plays(
        "lifecycle", tmp_path, address=world.server.url, **PERSON, **answered(world, "life")
    )


def test_two_browsers(browser: Browser, world: World, tmp_path: Path) -> None:
    """What one browser does is seen in another: messages, names, pauses and deletes."""
    browser.plays(
        "two_browsers", tmp_path, address=world.server.url, **PERSON, **answered(world, "two")
    )


def test_restart(browser: Browser, steady_world: World, tmp_path: Path) -> None:
    """Pages say that the server is gone; when it is back they show what happened since, once, without a reload."""
    world, task = steady_world, answered(steady_world, "restarted")
    playing = browser.having(
        stop=lambda: world.server.stop(by_hand=False),
        start=world.restart,
        happen=lambda text: say(world, task["id"], text),
        rename=lambda title: world.owner.update_task(
            "me", UUID(task["id"]), UpdateTaskRequest(display_name=title)
        ),
    )
    playing.plays("restart", tmp_path, address=world.server.url, **PERSON, **task)


def test_asleep(browser: Browser, world: World, tmp_path: Path) -> None:
    """A browser without a network says so, and shows afterwards what it missed, each thing once, without a reload."""
    task = answered(world, "asleep")
    playing = browser.having(happen=lambda text: say(world, task["id"], text))
    playing.plays("asleep", tmp_path, address=world.server.url, **PERSON, **task)


def test_notices(browser: Browser, world: World, tmp_path: Path) -> None:
    """Who looks elsewhere is told of the end of a turn and of a task that waits, which every tab counts."""
    task = answered(world, "told")

    def ask() -> None:
        request = CreateTaskRequest(
            template_version_id=peer_version(world, ASKING, "asking"), input="go"
        )
        asking = world.owner.create_task("me", request)
        until("a question", lambda: waits(world, asking))

    playing = browser.having(
        happen=lambda text: say(world, task["id"], text), wait_for_permission=ask
    )
    playing.plays("notices", tmp_path, address=world.server.url, **PERSON, **task)


def waits(world: World, task: Task) -> bool | None:
    """Whether it waits for somebody; null for not yet."""
    return True if world.owner.get_task("me", task.id).waiting_for else None


def test_list(browser: Browser, tmp_path: Path) -> None:
    """Ten thousand tasks are scrolled, searched and filtered by the address; several are deleted by keys alone."""
    with crowded(MANY) as (port, owner, _):
        browser.plays("list", tmp_path, address=f"http://127.0.0.1:{port}", token=owner, count=MANY)
