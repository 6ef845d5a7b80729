"""kill -9 of each process in turn while a task works: the task can be used after, its transcript is whole."""

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from taskyard.sdk import SdkError
from taskyard.sdk.local import LocalServer
from taskyard.wire.enums import TaskStatus
from taskyard.wire.tasks import Task, TaskSendRequest
from tests.system.kit import World, agents_of, only_agent, processes_of
from tests.waiting import DEADLINE_S, until

LINES = 240
SLOW = (
    f"for i in $(seq {LINES}); do echo line $i of the turn; sleep 0.05; done; echo the turn is over"
)
"""A turn of twelve seconds that says something all the time: longer than any restart takes."""


ITEMS = "select number, kind, data::text as data from task_items where task_id = $1 order by number"


@pytest.fixture
def working(world: World) -> Task:
    """A task in the middle of a turn, of which some lines are in the log."""
    task = world.create(SLOW)
    world.active(task.id)
    until("the turn to begin", lambda: "line 5 of" in world.text(task.id) or None)
    return task


def usable(world: World, task: Task) -> str:
    """The conversation, after the task has answered again."""

    def sent() -> bool | None:
        try:
            if world.owner.get_task("me", task.id).status is not TaskStatus.ACTIVE:
                return None
            request = TaskSendRequest(input="echo usable again")
            world.owner.send_task_input("me", task.id, request)
        except SdkError:  # not active, not idle, or not there: it is asked again
            return None
        return True

    until("the task to take input", sent)
    return world.says(task.id, "\nusable again")


async def transcript_is_whole(world: World, task: Task, seen: str) -> None:
    """Every line that was seen before the kill is stored, items have no gap, and no turn is left open."""
    async with asyncio.timeout(DEADLINE_S):
        while not _ended(rows := await world.query(ITEMS, task.id)):
            await asyncio.sleep(0.05)
    assert [row["number"] for row in rows] == list(range(1, len(rows) + 1))
    stored = "".join(row["data"] for row in rows if row["kind"] == "agent_text")
    lines = [line for line in seen.splitlines() if line.startswith("line ")]
    missing = [line for line in lines if f"{line}\\n" not in stored]
    assert lines
    assert missing == []


def _ended(rows: list[Any]) -> bool:
    """Whether both prompts and the ends of their turns are there: an answer is seen before its turn ends."""
    kinds = Counter(row["kind"] for row in rows)
    return (kinds["user_message"], kinds["turn_end"]) == (2, 2)


@pytest.mark.anyio
async def test_kill_of_the_coding_agent(world: World, working: Task) -> None:
    """The bridge starts it again and says what happened."""
    seen = world.text(working.id)
    pid = only_agent(world.server.data_dir, "taskyard_agent.shell")
    os.kill(pid, signal.SIGKILL)
    text = usable(world, working)
    assert "line 5 of" in text
    await transcript_is_whole(world, working, seen)


@pytest.mark.all_tier
@pytest.mark.anyio
async def test_kill_of_the_agent(world: World, working: Task) -> None:
    """The workspace is made again in its home: same build, next generation, conversation restored."""
    seen = world.text(working.id)
    before = world.owner.get_task("me", working.id)
    pid = only_agent(world.server.data_dir, "-m taskyard_agent run")
    os.kill(pid, signal.SIGKILL)
    text = usable(world, working)
    after = world.owner.get_task("me", working.id)
    assert "line 5 of" in text
    assert after.workspace_build_number == before.workspace_build_number == 1
    assert after.workspace_agent_id == before.workspace_agent_id
    await transcript_is_whole(world, working, seen)


@pytest.mark.all_tier
@pytest.mark.anyio
async def test_kill_of_the_server(world: World, working: Task) -> None:
    """The workspace works on; the next server on the directory finds it, and nothing said meanwhile is lost."""
    seen = world.text(working.id)
    agent = only_agent(world.server.data_dir, "-m taskyard_agent run")
    world.server.kill()
    world.restart()
    text = world.says(working.id, "the turn is over")
    assert agents_of(world.server.data_dir, "-m taskyard_agent run") == [agent]
    assert all(f"line {number} of" in text for number in range(1, LINES + 1))
    usable(world, working)
    await transcript_is_whole(world, working, seen)


@pytest.mark.all_tier
@pytest.mark.anyio
async def test_kill_of_postgres(world: World, working: Task) -> None:
    """The server starts it again under itself; the workspace does not notice."""
    seen = world.text(working.id)
    killed = postmaster(world)
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    until("another Postgres", lambda: True if postmaster(world) not in (None, killed) else None)

    def over() -> str | None:
        # What the killed one had started may still answer for a moment, and then nobody does.
        found = answers(world, working)
        return found if found is not None and "\nthe turn is over" in found else None

    assert "line 5 of" in until("the end of the turn", over)
    usable(world, working)
    await transcript_is_whole(world, working, seen)


def postmaster(world: World) -> int | None:
    """The process that a server's Postgres began as."""
    lines = processes_of(world.server.data_dir).items()
    return min((pid for pid, line in lines if "/postgres -D" in line), default=None)


def answers(world: World, task: Task) -> str | None:
    """The conversation, if the server can tell it at the moment."""
    try:
        return world.text(task.id)
    except SdkError:
        return None


@pytest.mark.all_tier
def test_kill_of_a_worker(data_dir: Path, tmp_path: Path) -> None:
    """Another worker takes its jobs over within the lease; the task becomes usable once, not twice."""
    options = ["--roles", "api"]
    with LocalServer(data_dir, options=options, log=tmp_path / "api.log"):
        pass  # makes the directory, so that workers may attach to it
    server = LocalServer(data_dir, options=options, log=tmp_path / "api.log")
    server.start()
    first, second = (worker(data_dir, tmp_path / f"worker{n}.log") for n in (1, 2))
    try:
        first.start()
        world = World(server)
        tasks = [world.create(f"echo answer {number}") for number in range(5)]
        first.kill()
        second.start()
        for number, task in enumerate(tasks):
            assert world.says(task.id, f"answer {number}").count(f"\nanswer {number}\n") == 1
        agents = agents_of(data_dir, "-m taskyard_agent run")
        assert len(agents) == len(tasks)
        for task in tasks:
            world.owner.delete_task("me", task.id)
        until("the agents to be gone", lambda: not agents_of(data_dir, "taskyard_agent") or None)
        world.close()
    finally:
        second.stop()
        server.stop()


def worker(data_dir: Path, log: Path) -> LocalServer:
    """A process that only runs jobs, with a short lease so that the test is."""
    return LocalServer(
        data_dir, options=["--roles", "worker"], log=log, environment={"TASKYARD_JOB_LEASE_S": "2"}
    )


@pytest.mark.all_tier
def test_a_second_start_by_hand_stop_leaves_nothing(world: World, data_dir: Path) -> None:
    """Ctrl-C pauses what runs and leaves no process; the next start finds the paused task."""
    task = world.create("echo before the stop")
    world.says(task.id, "before the stop")
    assert world.server.stop() == 0
    assert processes_of(data_dir) == {}
    world.restart()
    assert world.owner.get_task("me", task.id).status is TaskStatus.PAUSED
    assert "before the stop" in world.text(task.id)


def test_sigterm_leaves_workspaces_running(world: World, data_dir: Path) -> None:
    """An orderly stop of the server is nothing to a workspace: same process, same conversation."""
    task = world.create("echo before the restart")
    world.says(task.id, "before the restart")
    agents = agents_of(data_dir, "-m taskyard_agent run")
    assert world.server.stop(by_hand=False) == 0
    assert agents_of(data_dir, "-m taskyard_agent run") == agents
    world.restart()
    world.active(task.id)
    world.owner.send_task_input("me", task.id, TaskSendRequest(input="echo after the restart"))
    world.says(task.id, "after the restart")
    assert agents_of(data_dir, "-m taskyard_agent run") == agents
