"""Tasks in the states in which people find them, for scenarios and pictures that need a server in use."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import UUID

import msgspec

from taskyard.sdk import ApiError
from taskyard.wire.enums import JobStatus, TaskStatus
from taskyard.wire.tasks import CreateTaskRequest, Task, TaskSendRequest
from tests.system.kit import World, pushed
from tests.waiting import until

RANKING = """\
cd "$TASKYARD_TEMPLATE_DIR/words"
echo "The ten most frequent words of $(find . -name '*.txt' | wc -l) files:"
find . -name '*.txt' -exec cat {} + | tr 'A-Z' 'a-z' | tr -cs 'a-z' '\\n' | grep -E '.{5,}' | sort | uniq -c | sort -rn | head -10
"""
LONG = 'for step in $(seq 1 600); do echo "step $step of 600"; sleep 1; done'
NOTES = "printf 'first line\\nsecond line\\n' > notes.txt; git -c init.defaultBranch=main init -q .; ls -la"

BROKEN = {
    "taskyard.toml": "[template]\ndisplay_name = 'With a missing program'\n[task]\napp = 'agent'\n[agent]\n"
    "type = 'custom'\ntransport = 'acp'\ncommand = ['no-such-program']\n"
}
"""A template whose tasks fail, with a cause and a way out."""


PEER = """\
[template]
display_name = "{name}"
description = "{description}"
[task]
app = "agent"
[agent]
type = "custom"
transport = "acp"
permissions = "ask"
command = ["bash", "-c", 'exec python3 -S "$TASKYARD_TEMPLATE_DIR/peer.py"']
"""


Parts = Mapping[str, Sequence[object]]


def peer_files(parts: Parts, title: str, description: str) -> dict[str, str]:
    """A template whose coding agent plays these parts, by a word of the prompt: see peer.py."""
    return {
        "taskyard.toml": PEER.format(name=title, description=description),
        "peer.py": Path(__file__).with_name("peer.py").read_text(encoding="utf-8"),
        "parts.json": msgspec.json.encode(parts).decode(),
    }


def peer_version(world: World, parts: Parts, name: str = "peer") -> UUID:
    """A version of a new template of that kind."""
    files = peer_files(parts, name.capitalize(), "Plays the parts that it was given.")
    version = pushed(world, name, files)
    assert version.job.status is JobStatus.SUCCEEDED, version.job.error
    return version.id


def seed(world: World) -> dict[str, Task]:
    """Tasks by the name of their state: idle, working, paused, failed; each is in it."""
    version = pushed(world, "broken", BROKEN)
    assert version.job.status is JobStatus.SUCCEEDED, version.job.error
    failed = _created(world, version.id, "begin", "Use a program that is missing")
    idle = _created(world, world.version_id, RANKING, "Count the words")
    paused = _created(world, world.version_id, NOTES, "Take notes")
    working = _created(world, world.version_id, "echo ready", "Build for ten minutes")
    world.says(idle.id, "most frequent")
    _say(world, idle, "echo The second message is answered as well.")
    world.says(paused.id, "notes.txt")
    world.owner.pause_task("me", paused.id)
    world.says(working.id, "ready")
    _say(world, working, LONG)
    found = {
        "idle": (idle, TaskStatus.ACTIVE),
        "working": (working, TaskStatus.ACTIVE),
        "paused": (paused, TaskStatus.PAUSED),
        "failed": (failed, TaskStatus.ERROR),
    }
    return {name: _reached(world, task, status) for name, (task, status) in found.items()}


def _created(world: World, version_id: UUID, text: str, title: str) -> Task:
    """A task that is shown by this title, and found by it with hyphens for blanks."""
    request = CreateTaskRequest(
        template_version_id=version_id,
        input=text,
        name=title.lower().replace(" ", "-"),
        display_name=title,
    )
    return world.owner.create_task("me", request)


def _say(world: World, task: Task, words: str) -> None:
    def sent() -> bool | None:
        try:
            world.owner.send_task_input("me", task.id, TaskSendRequest(input=words))
        except ApiError:  # it is not yet ready for more
            return None
        return True

    until(f"{task.name} to take a message", sent)


def _reached(world: World, task: Task, status: TaskStatus) -> Task:
    return until(f"{task.name} to be {status}", lambda: world.status(task.id, status))
