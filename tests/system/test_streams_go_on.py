"""A server, or its Postgres, ends in the middle of streams: by our clients each follower has everything once, in order."""

import asyncio
import json
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest

from taskyard.sdk import AsyncClient, Client, SdkError
from taskyard.sdk.event_text import Followed
from taskyard.sdk.local import LocalServer
from taskyard.wire.enums import TaskState
from taskyard.wire.link import ItemKind
from taskyard.wire.tasks import Task
from taskyard.wire.transcript import (
    TaskDeleted,
    TaskItem,
    TasksReset,
    TasksStreamed,
    TaskStanding,
    TaskStreamed,
)
from tests.system.kit import World, processes_of, steady_port
from tests.waiting import until

TURN: Final = "until test -e ~/enough; do i=$((i + 1)); echo line $i of the turn; sleep 0.05; done; echo lines: $i"
"""A turn that says something all the time until it has been enough: it goes on while the server is away."""

ENOUGH: Final = 10
"""Pieces of its text after which a turn is in its middle: some were told live."""

ITEMS: Final = "select number, kind, data::text from task_items where task_id = $1 order by number"

EVENTS: Final = "select id from task_events where task_id = $1 order by id"


@pytest.fixture
def world(data_dir: Path, tmp_path: Path) -> Iterator[World]:
    """A server that is found at the same address after a restart."""
    port = steady_port()
    log = tmp_path / "server.log"
    server = LocalServer(data_dir, options=["--port", str(port)], log=log)
    server.start()
    try:
        world = World(server)
        yield world
        world.close()
    finally:
        server.stop()
        print(log.read_text(errors="replace"))


class Heard:
    """What the followers of a task were told, each in a thread of its own until the task was deleted."""

    def __init__(self, world: World, task: Task) -> None:
        self.by_client: list[list[Followed[TaskStreamed]]] = [[], []]
        self.of_all: list[Followed[TasksStreamed]] = []
        self.lost: list[SdkError] = []
        self._url, self._token, self._task_id = world.server.url, world.token, task.id

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Follows while the block runs; the block has the task deleted, else nobody comes to an end."""
        threads = [
            threading.Thread(target=listen, daemon=True)
            for listen in (self._blocking, lambda: asyncio.run(self._awaiting()), self._all)
        ]
        for thread in threads:
            thread.start()
        yield
        for thread in threads:
            thread.join(60)
        assert not [thread for thread in threads if thread.is_alive()], "somebody still listens"

    def items(self) -> list[list[TaskItem]]:
        """The items that each client was told."""
        return [
            [one.news for one in told if isinstance(one.news, TaskItem)] for told in self.by_client
        ]

    def counts(self) -> list[int]:
        """How many pieces of what the turn says each client was told; a start alone has more items than that."""
        return [sum(item.kind == ItemKind.AGENT_TEXT for item in items) for items in self.items()]

    def have_grown(self, known: list[int]) -> bool | None:
        """Whether each client was told more than it knew."""
        return all(new > old for new, old in zip(self.counts(), known, strict=True)) or None

    def is_over(self) -> bool | None:
        """Whether everybody knows that the turn is over."""
        kinds = [{item.kind for item in items} for items in self.items()]
        return all(ItemKind.TURN_END in found for found in kinds) or None

    def _blocking(self) -> None:
        with Client(self._url, self._token) as client:
            for told in client.follow_task("me", self._task_id, lost=self.lost.append):
                self.by_client[0].append(told)

    async def _awaiting(self) -> None:
        async with AsyncClient(self._url, self._token) as client:
            async for told in client.follow_task("me", self._task_id):
                self.by_client[1].append(told)

    def _all(self) -> None:
        with Client(self._url, self._token) as client:
            for told in client.follow_tasks():
                self.of_all.append(told)
                if not isinstance(told.news, TasksReset) and told.news.deleted:
                    return


def go_on_through(world: World, trouble: Callable[[Heard], None]) -> Heard:
    """Has trouble come in the middle of a turn that is followed; each follower must have had everything once."""
    task = world.create(TURN)
    heard = Heard(world, task)
    with heard.listening():
        until("text", lambda: min(heard.counts()) > ENOUGH or None)
        assert not heard.is_over()
        trouble(heard)
        home = world.server.data_dir / "workspaces" / str(task.workspace_id) / "home"
        (home / "enough").touch()
        until("the end of the turn", heard.is_over)
        until("an idle task", lambda: is_idle(heard))
        until("the deletion", lambda: deleted(world, task.id))
    rows = asyncio.run(world.query(ITEMS, task.id))
    stored = [(row["number"], row["kind"], row["data"]) for row in rows]
    assert [number for number, _, _ in stored] == list(range(1, len(stored) + 1))
    # Pieces may end in the midst of a line.
    said = "".join(
        json.loads(data)["text"] for _, kind, data in stored if kind == ItemKind.AGENT_TEXT
    )
    lines = re.search(r"lines: (\d+)", said)
    assert lines is not None
    assert [
        n for n in range(1, int(lines[1]) + 1) if said.count(f"line {n} of the turn\n") != 1
    ] == []
    for items, told in zip(heard.items(), heard.by_client, strict=True):
        # What was said after the deletion is in the transcript alone.
        assert [(i.number, i.kind, bytes(i.data).decode()) for i in items] == stored[: len(items)]
        assert isinstance(told[-1].news, TaskDeleted)
        once_in_order([int(one.id.partition(".")[2]) for one in told if not is_item(one)])
    events = [r["id"] for r in asyncio.run(world.query(EVENTS, task.id))]
    reset, *news = [int(told.id) for told in heard.of_all]
    assert isinstance(heard.of_all[0].news, TasksReset)
    assert news == [number for number in events if number > reset]
    return heard


def is_item(told: Followed[TaskStreamed]) -> bool:
    """Whether it is about what was said."""
    return isinstance(told.news, TaskItem)


def once_in_order(ids: list[int]) -> None:
    """Fails where one stands twice or before one that was earlier."""
    assert ids == sorted(set(ids))


def is_idle(heard: Heard) -> bool | None:
    """Whether everybody knows that the coding agent waits."""
    for told in heard.by_client:
        standings = [one.news for one in told if isinstance(one.news, TaskStanding)]
        state = standings[-1].current_state if standings else None
        if state is None or state.state is not TaskState.IDLE:
            return None
    return True


def deleted(world: World, task_id: UUID) -> bool | None:
    """Whether the task could be deleted."""
    try:
        world.owner.delete_task("me", task_id)
    except SdkError:
        return None
    return True


@pytest.mark.parametrize("how", [pytest.param("term", marks=pytest.mark.all_tier), "kill"])
def test_a_restart_in_the_middle_of_streams(world: World, how: str) -> None:
    """Told to stop or killed, and started again: each item and event once, by either client, without a new beginning."""

    def restart(_heard: Heard) -> None:
        if how == "kill":
            world.server.kill()
        else:
            assert world.server.stop(by_hand=False) == 0
        world.restart()

    assert go_on_through(world, restart).lost


@pytest.mark.all_tier
def test_postgres_is_killed_in_the_middle_of_streams(world: World) -> None:
    """Twice, and the server starts it again: whether a stream broke or not, each item and event comes once."""

    def kill_once(heard: Heard) -> None:
        known, killed = heard.counts(), postmaster(world)
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        until("another Postgres", lambda: postmaster(world) not in (None, killed) or None)
        until("more text", lambda: heard.have_grown(known))

    def kill_twice(heard: Heard) -> None:
        for _ in range(2):
            kill_once(heard)

    go_on_through(world, kill_twice)


def postmaster(world: World) -> int | None:
    """The process that a server's Postgres began as."""
    lines = processes_of(world.server.data_dir).items()
    return min((pid for pid, line in lines if "/postgres -D" in line), default=None)
