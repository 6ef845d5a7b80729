"""The disk is full, or Postgres is down: answers say so, nothing that was acknowledged is lost, and all goes on by itself."""

import asyncio
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
import pytest

from taskyard.daemon.postgres import EmbeddedPostgres
from taskyard.sdk import ApiError, Client, SdkError
from taskyard.sdk.local import LocalServer
from taskyard.wire.base import encode
from taskyard.wire.enums import TaskState, TaskStatus
from taskyard.wire.tasks import CreateTaskRequest, Task, TaskSendRequest
from tests.faults.boxed import NEEDS_ROOT, BoxedServer
from tests.system.kit import LASTING, World, agents_of, only_agent, open_folder
from tests.waiting import until

pytestmark = pytest.mark.all_tier

OUTAGE_S = float(os.environ.get("TASKYARD_SOAK_OUTAGE_S", "4"))
"""Seconds that the trouble lasts; a soak has 30."""

DISK_BYTES = 300 * 1024 * 1024
"""A database of ours takes 40 MB, and its log of changes as much again."""

TROUBLE = {"database_full", "database_away", "busy"}
"""Reasons of answers that a client may simply ask for again."""


class Asked:
    """What a client asked for while there was trouble: what it was promised, and how it was refused."""

    def __init__(self, world: World) -> None:
        self.created: list[str] = []
        self.sent: list[str] = []
        self.refused: Counter[tuple[int, str]] = Counter()
        self._world = world
        self._count = 0

    def for_so_long(self, seconds: float, talking: Task) -> None:
        """Creates, sends and reads in turn."""
        end = time.monotonic() + seconds
        with Client(self._world.server.url, self._world._token) as client:
            while time.monotonic() < end:
                self._count += 1
                name, text = f"n{self._count}", f"s{self._count}"
                request = CreateTaskRequest(
                    template_version_id=self._world.version_id, input=f"echo of {name}", name=name
                )
                say = TaskSendRequest(input=f"echo said {text}")
                if self._did(lambda: client.create_task("me", request)):  # noqa: B023 called at once
                    self.created.append(name)
                if self._did(lambda: client.send_task_input("me", talking.id, say)):  # noqa: B023 called at once
                    self.sent.append(text)
                self._did(lambda: client.get_task("me", talking.id))
                time.sleep(0.1)

    def _did(self, ask: Callable[[], object]) -> bool:
        try:
            ask()
        except ApiError as error:
            self.refused[error.status, error.reason] += 1
            return False
        return True


def good(world: World, task_id: object) -> bool | None:
    """Whether a task is active and waits for input."""
    try:
        task = world.owner.get_task("me", str(task_id))
    except SdkError:
        return None
    idle = task.current_state is not None and task.current_state.state is TaskState.IDLE
    return (task.status is TaskStatus.ACTIVE and idle) or None


def came_through(world: World, asked: Asked, talking: Task) -> None:
    """Whatever was promised is done, or has failed with a sentence and a way out, and new things are done at once."""
    last = until("a task to be made", lambda: _created(world))
    world.says(last.id, "echo of last")
    for name in asked.created:
        until(f"task {name} to come to rest", lambda: _rested(world, name))  # noqa: B023 called at once
        if world.owner.get_task("me", name).status is TaskStatus.ERROR:
            # Its workspace could not be made while there was no room: that is said, and it can be had again.
            world.owner.pause_task("me", name)
            until("a paused task", lambda: _is(world, name, TaskStatus.PAUSED))  # noqa: B023 called at once
            world.owner.resume_task("me", name)
        world.says(world.owner.get_task("me", name).id, f"of {name}")
    until("the talking task to be idle", lambda: good(world, talking.id))
    for text in asked.sent:
        until(f"{text} to be said", lambda: f"said {text}" in world.text(talking.id) or None)  # noqa: B023 called at once
    gaps = asyncio.run(_gaps(world))
    assert gaps == [], "numbers of transcripts have gaps"


def _created(world: World) -> Task | None:
    try:
        return world.create("echo of last", name="last")
    except SdkError:
        with suppress(SdkError):  # who was told of trouble may have been heard all the same
            return world.owner.get_task("me", "last")
        return None


LONG = "touch stay; while test -e stay; do sleep 0.1; done; echo "
"""The beginning of a turn that lasts until the test takes that file away."""


def _stay(data_dir: Path, task: Task) -> Path:
    """That file, once it is there."""
    file = data_dir / "workspaces" / str(task.workspace_id) / "home" / "stay"
    return until("the file of the turn", lambda: file if file.exists() else None)


def _is(world: World, name: str, wanted: TaskStatus) -> bool | None:
    return world.owner.get_task("me", name).status is wanted or None


def _rested(world: World, name: str) -> bool | None:
    status = world.owner.get_task("me", name).status
    return status in (TaskStatus.ACTIVE, TaskStatus.ERROR) or None


async def _gaps(world: World) -> list[object]:
    query = "select task_id from task_items group by task_id having max(number) <> count(*)"
    return [row["task_id"] for row in await world.query(query)]


class FarWorld(World):
    """A world whose database is looked at elsewhere than its data directory says."""

    database = ""

    async def query(self, sql: str, *values: object) -> list[asyncpg.Record]:
        conn = await asyncpg.connect(self.database)
        try:
            return await conn.fetch(sql, *values)
        finally:
            await conn.close()


@NEEDS_ROOT
def test_disk_full(tmp_path: Path, figure: Callable[[str], None]) -> None:
    """The disk of database and homes is full while people and a coding agent work: 503, and all is there afterwards."""
    with open_folder() as home:
        box = home / "disk"
        box.mkdir(mode=0o711)
        log = tmp_path / "server.log"
        server = BoxedServer(box, size=DISK_BYTES, log=log, environment=LASTING)
        server.start()
        try:
            world = FarWorld(server)
            world.database = server.database
            talking = world.create("echo begun", name="talking")
            world.says(talking.id, "begun")
            long = world.create(f"{LONG}end of a turn", name="long")
            until("a turn", lambda: _working(world, long))
            stay = _stay(server.disk / "data", long)
            asked = Asked(world)
            full = threading.Thread(target=server.keep_full, args=(OUTAGE_S,))
            server.fill()
            stay.unlink()
            full.start()
            asked.for_so_long(OUTAGE_S, talking)
            full.join()
            server.free()
            figure(
                f"disk full for {OUTAGE_S:g} s: {dict(asked.refused)}, {len(asked.created)} tasks made"
            )
            came_through(world, asked, talking)
            until("the long turn to be over", lambda: good(world, long.id))
            assert {reason for status, reason in asked.refused if status == 503} <= TROUBLE
            assert not [key for key in asked.refused if key[0] in (500, 504)]
            world.close()
        finally:
            server.stop()
            print(log.read_text(errors="replace")[-20_000:])


def _working(world: World, task: Task) -> bool | None:
    found = world.owner.get_task("me", task.id).current_state
    return (found is not None and found.state is TaskState.WORKING) or None


def _others(place: Path, ended: int) -> set[int] | None:
    """Agents of a workspace but for one that was ended."""
    return set(agents_of(place, "taskyard_agent run")) - {ended} or None


@contextmanager
def own_postgres() -> Iterator[EmbeddedPostgres]:
    """A Postgres that the test can take away, and that forgets nothing."""
    with open_folder() as home:
        postgres = EmbeddedPostgres(home / "pg")
        asyncio.run(postgres.start())
        try:
            yield postgres
        finally:
            asyncio.run(postgres.stop())


def test_postgres_down(tmp_path: Path, figure: Callable[[str], None]) -> None:
    """Postgres is killed and stays away: 503 with a reason; API, worker, reconciler, links and streams come back by themselves."""
    with own_postgres() as postgres, open_folder() as home:
        log = tmp_path / "server.log"
        options = ["--postgres-url", postgres.url]
        server = LocalServer(home / "data", options=options, log=log, environment=LASTING)
        server.start()
        try:
            world = FarWorld(server)
            world.database = postgres.url
            talking = world.create("echo begun", name="talking")
            world.says(talking.id, "begun")
            lost = world.create("echo to be lost", name="lost")
            world.says(lost.id, "to be lost")
            long = world.create(f"{LONG}said in the dark", name="long")
            until("a turn", lambda: _working(world, long))
            stay = _stay(home / "data", long)
            place = home / "data" / "workspaces" / str(lost.workspace_id)
            ended = only_agent(place, "taskyard_agent run")
            with following(world, talking) as heard:
                os.kill(postgres.pid, signal.SIGKILL)
                stay.unlink()
                asked = Asked(world)
                asked.for_so_long(OUTAGE_S / 2, talking)
                os.kill(ended, signal.SIGKILL)  # found when there is somebody to tell it
                asked.for_so_long(OUTAGE_S / 2, talking)
                asyncio.run(postgres.restart())
                figure(f"Postgres away for {OUTAGE_S:g} s: {dict(asked.refused)}")
                came_through(world, asked, talking)
                until("the long turn to be over", lambda: good(world, long.id))
                until("another agent", lambda: _others(place, ended))
                until("the lost workspace to be back", lambda: good(world, lost.id))
                assert "said in the dark" in world.text(long.id)
                say = TaskSendRequest(input="echo heard afterwards")
                world.owner.send_task_input("me", talking.id, say)
                until("the stream to go on", lambda: "heard afterwards" in "".join(heard) or None)
            assert asked.refused, "nobody noticed"
            assert {key[0] for key in asked.refused} <= {503, 502}
            assert {reason for status, reason in asked.refused if status == 503} <= TROUBLE
            assert server.process.poll() is None
            world.close()
        finally:
            server.stop()
            print(log.read_text(errors="replace")[-20_000:])


@contextmanager
def following(world: World, task: Task) -> Iterator[list[str]]:
    """What a client hears that follows a task all the while."""
    heard: list[str] = []
    over = threading.Event()

    def listen() -> None:
        last = ""
        with Client(world.server.url, world._token) as client:
            while not over.is_set():
                with suppress(SdkError):  # it was patient for as long as it is
                    time.sleep(0.1)
                    for event in client.follow_task("me", task.id, after=last):
                        heard.append(encode(event.news).decode())
                        last = event.id
                        if over.is_set():
                            return

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        until("the stream to begin", lambda: heard or None)
        yield heard
    finally:
        over.set()
        with suppress(SdkError):
            world.owner.send_task_input("me", task.id, TaskSendRequest(input="echo bye"))
        thread.join(30)
