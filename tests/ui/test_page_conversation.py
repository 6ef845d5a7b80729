"""The conversation of a task in a real browser: what is asked, what is long, what is hostile, what is changed."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from taskyard.wire.enums import TaskStatus
from taskyard.wire.tasks import CreateTaskRequest, Task, TaskSendRequest
from tests.system.kit import PASSWORD, World
from tests.ui.hostile import HOSTILE_NAME, HOSTILE_PARTS, HOSTILE_PROMPT
from tests.ui.page_kit import Browser
from tests.ui.seeds import peer_version
from tests.waiting import until

pytestmark = pytest.mark.all_tier

OWNER = {"email": "ada@example.com", "password": PASSWORD}
"""Who owns the server."""

QUESTIONS = {
    "clean up": [
        {"say": "".join(f"{n}. Something that was looked at.\n\n" for n in range(1, 40))},
        {
            "ask": {
                "title": "Remove the build",
                "kind": "delete",
                "allowed": [{"say": "The build is gone.\n\n"}],
            }
        },
        {
            "ask": {
                "title": "Write the notes",
                "kind": "edit",
                "path": "notes.md",
                "old": "",
                "new": "One line.\n",
                "refused": [{"say": "No notes then.\n\n"}],
            }
        },
        {"say": "That is all."},
    ]
}
"""What a coding agent does that asks twice."""


ADD_ITEMS = """
with task as (
    update tasks set last_number = last_number + 50000 where id = $1 returning id, last_number - 50000 as before
)
insert into task_items (task_id, number, kind, turn, data, time, stored_at)
select
    task.id, task.before + n, kind.name, 10 + n / 10,
    case kind.name
        when 'user_message' then json_build_object('text', 'question ' || n)
        when 'agent_text' then json_build_object('message_id', 'm' || n / 10, 'text', format(E'item %s of 50000\n\n', n))
        when 'tool_call' then json_build_object(
            'tool_call_id', 'c' || n / 10, 'title', 'Call ' || n / 10, 'kind', 'read', 'status', 'completed'
        )
        else json_build_object('reason', 'end_turn')
    end,
    now(), now()
from task, generate_series(1, 50000) n,
    lateral (
        select case when n % 10 = 0 then 'turn_end' when n % 10 = 1 then 'user_message' when n % 10 > 7 then 'tool_call'
            else 'agent_text' end as name
    ) kind
"""
"""5,000 turns behind what there is: a prompt, six pieces of a text, a tool call that is told twice, and the end."""


def made(world: World, version_id: UUID, text: str, title: str) -> tuple[Task, str]:
    """A new task, and the address of its page."""
    request = CreateTaskRequest(template_version_id=version_id, input=text, display_name=title)
    task = world.owner.create_task("me", request)
    return task, f"/tasks/{task.owner_name}/{task.name}"


def test_permission(browser: Browser, world: World, tmp_path: Path) -> None:
    """A question is answered where it is asked and found from anywhere; whoever is slower sees who answered it."""
    version_id = peer_version(world, QUESTIONS, "asker")
    _, path = made(world, version_id, "clean up", "Clean up")
    browser.plays("permission", tmp_path, address=world.server.url, path=path, **OWNER)


def test_transcript_long(
    browser: Browser, world: World, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    """Of 50,000 items the newest are there at once, the oldest a key away; what is read above moves nothing."""
    task, path = made(world, world.version_id, "echo the first words", "A long way")
    world.says(task.id, "the first words")
    asyncio.run(world.query(ADD_ITEMS, task.id))

    def say(words: str) -> None:
        world.owner.send_task_input("me", task.id, TaskSendRequest(input=words))

    def told(words: str) -> None:
        figure(f"scrolling through a conversation of 50,000 items: {words}")

    browser.having(say=say, told=told).plays(
        "transcript_long", tmp_path, address=world.server.url, path=path, **OWNER
    )


def test_hostile_text(browser: Browser, world: World, tmp_path: Path) -> None:
    """Whatever a coding agent writes is shown as text: nothing of it runs, and nothing is asked of anybody."""
    version_id = peer_version(world, HOSTILE_PARTS, "hostile")
    task, path = made(world, version_id, HOSTILE_PROMPT, HOSTILE_NAME)
    world.says(task.id, "the end of it")
    browser.plays("hostile_text", tmp_path, address=world.server.url, path=path, **OWNER)


def test_paused_edit(browser: Browser, world: World, tmp_path: Path) -> None:
    """A paused task is renamed and gets another input and a queue; when it goes on, it has them."""
    task, path = made(world, world.version_id, "echo the first words", "Some name")
    world.says(task.id, "the first words")
    until("an active task", lambda: world.status(task.id, TaskStatus.ACTIVE))
    browser.plays("paused_edit", tmp_path, address=world.server.url, path=path, **OWNER)
