"""Bad lines: between agents and the server, and between the server and those who follow a task."""

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from uuid import UUID

import anyio
import asyncpg
import pytest

from taskyard.sdk import Client, SdkError
from taskyard.wire.tasks import Task, TaskSendRequest
from taskyard.wire.transcript import TaskItem
from tests.faults import proxy
from tests.faults.holds import strike
from tests.system.kit import World, open_folder, serving
from tests.waiting import until

LINES = 150
TURN = f"for i in $(seq {LINES}); do echo line $i of the turn; sleep 0.02; done; echo x >> effects; echo over"
"""A turn of three seconds that says something all the time."""

SETTINGS = {
    "TASKYARD_RECONCILE_S": "0.3",
    "TASKYARD_STOP_GRACE_S": "2",
    "TASKYARD_AGENT_LEASE_S": "8",
}

LEASE_S = 8.0
"""As short as a busy machine can keep."""

CUTS = 12

CUTS_OF_A_FOLLOWER = 60
"""Then the line stays whole: on a slow machine none might last until something has come through."""


class BadLine:
    """A proxy as a process of its own: one that is frozen lets packets vanish."""

    def __init__(self, listen: str, target: str) -> None:
        argv = [sys.executable, proxy.__file__, listen, target]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True)
        assert self._process.stdout is not None
        self.place = self._process.stdout.readline().strip()

    def tell(self, order: str) -> None:
        """See proxy.py."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()

    def freeze(self, seconds: float) -> None:
        """For so long nothing passes, and nobody is told."""
        strike(self._process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        strike(self._process.pid, signal.SIGCONT)

    def close(self) -> None:
        """The line is gone."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def between(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, BadLine]]:
    """A server whose agents reach it over a bad line."""
    log = tmp_path_factory.mktemp("network") / "log"
    with open_folder() as home, serving(home / "data", log, SETTINGS) as world:
        link = world.server.data_dir / "run" / "link"
        (link / "agent.sock").rename(link / "server.sock")
        line = BadLine(str(link / "agent.sock"), str(link / "server.sock"))
        (link / "agent.sock").chmod(0o666)
        try:
            yield world, line
        finally:
            world.tidy()
            line.close()


def whole(world: World, task: Task) -> None:
    """Fails unless each line of the turn stands once in the transcript and the turn was run once."""
    task_id, workspace = task.id, task.workspace_id

    def over() -> list[asyncpg.Record] | None:
        rows = anyio.run(
            world.query,
            "select number, kind, data::text from task_items where task_id = $1 order by 1",
            task_id,
        )
        return rows if any(row["kind"] == "turn_end" for row in rows) else None

    rows = until("the end of the turn", over)
    assert [row["number"] for row in rows] == list(range(1, len(rows) + 1))
    said = "".join(json.loads(row["data"])["text"] for row in rows if row["kind"] == "agent_text")
    counts = Counter(said.count(f"line {number} of the turn") for number in range(1, LINES + 1))
    assert counts == {1: LINES}
    effects = world.server.data_dir / "workspaces" / str(workspace) / "home" / "effects"
    assert effects.read_text() == "x\n"


def begun(world: World) -> Task:
    """A task in the middle of its turn."""
    task = world.create(TURN)
    until("the turn to begin", lambda: begins(world, task.id))
    return task


def begins(world: World, task_id: UUID) -> bool | None:
    rows = anyio.run(
        world.query,
        "select 1 from task_items where task_id = $1 and kind = 'agent_text'",
        task_id,
    )
    return True if rows else None


@pytest.mark.all_tier
def test_the_link_is_cut_again_and_again(between: tuple[World, BadLine]) -> None:
    """Whatever was on its way, each item is stored once, and the turn goes on."""
    world, line = between
    task = begun(world)
    dice = random.Random(5)
    for _ in range(CUTS):
        line.tell("cut")
        time.sleep(dice.uniform(0.02, 0.3))
    whole(world, task)


@pytest.mark.all_tier
def test_the_link_is_slow(between: tuple[World, BadLine]) -> None:
    """A line of 20 kB/s delays what is said, and loses nothing."""
    world, line = between
    task = begun(world)
    line.tell("slow 20000")
    try:
        whole(world, task)
    finally:
        line.tell("slow 0")


@pytest.mark.all_tier
@pytest.mark.parametrize("leases", [0.25, 1.5])
def test_packets_vanish(between: tuple[World, BadLine], leases: float) -> None:
    """Shorter than a lease nothing comes of it; after it the workspace is made again, and takes the next message."""
    world, line = between
    task = begun(world)
    line.freeze(leases * LEASE_S)
    if leases < 1:
        whole(world, task)
    else:
        until("what was said before", lambda: said(world, task.id, "line 1 of the turn"))
        sent = "echo y >> effects; echo back again"
        until("a message to be taken", lambda: took(world, task.id, sent))
        until("its answer", lambda: said(world, task.id, "\nback again"))


def said(world: World, task_id: UUID, text: str) -> bool | None:
    """Whether the conversation has it; none while the workspace is made again and nobody can be asked."""
    try:
        entries = world.owner.get_task_logs("me", task_id).logs
    except SdkError:
        return None
    return any(text in entry.content for entry in entries) or None


def took(world: World, task_id: UUID, text: str) -> bool | None:
    try:
        world.owner.send_task_input("me", task_id, TaskSendRequest(input=text))
    except SdkError:
        return None
    return True


@contextmanager
def bad_line_to(world: World) -> Iterator[tuple[str, BadLine]]:
    """An address of the server over a bad line."""
    parts = urlsplit(world.server.url)
    line = BadLine("tcp", f"{parts.hostname}:{parts.port}")
    try:
        yield f"http://127.0.0.1:{line.place}", line
    finally:
        line.close()


@pytest.mark.all_tier
def test_who_follows_is_cut_off(between: tuple[World, BadLine]) -> None:
    """Someone who follows a task over a line that breaks at random gets each item once, in order."""
    world, _ = between
    task = begun(world)
    with bad_line_to(world) as (url, line), Client(url, world.token) as client:
        over = threading.Event()

        def cut() -> None:
            dice = random.Random(7)
            for _ in range(CUTS_OF_A_FOLLOWER):
                if over.wait(dice.uniform(0.05, 0.4)):
                    break
                line.tell("cut")

        cutting = threading.Thread(target=cut)
        cutting.start()
        try:
            numbers = []
            for event in client.follow_task("me", task.id):
                if isinstance(event.news, TaskItem):
                    numbers.append(event.news.number)
                    if event.news.kind == "turn_end":
                        break
        finally:
            over.set()
            cutting.join()
    assert numbers == list(range(1, len(numbers) + 1))
