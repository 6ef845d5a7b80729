"""Processes that die at any moment, records that lie, and servers that take over from each other."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from taskyard.drivers.base import PlaceState
from taskyard.drivers.sandbox.driver import SandboxDriver
from taskyard.drivers.sandbox.place import Place, reported_pid
from taskyard.errors import DriverError
from tests.drivers.sandbox_kit import (
    Yard,
    descendants,
    lives,
    new_yard,
    processes_of,
    quiet,
    spec,
    until,
)
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
async def yard() -> AsyncIterator[Yard]:
    async with new_yard() as made:
        yield made


def record_path(yard: Yard, workspace_id: UUID) -> Path:
    return yard.root / str(workspace_id) / "record.json"


def record_of(yard: Yard, workspace_id: UUID) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(record_path(yard, workspace_id).read_text())
    return record


def has_agent(yard: Yard, workspace_id: UUID) -> bool:
    """Whether a start has come to its end."""
    path = record_path(yard, workspace_id)
    return path.exists() and json.loads(path.read_text())["agent"] is not None


def change_record(yard: Yard, workspace_id: UUID, **changes: object) -> None:
    record = record_of(yard, workspace_id) | changes
    record_path(yard, workspace_id).write_text(json.dumps(record))


class Victim:
    """A server process in which verbs run until they are killed."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def begin(self, verb: str, made: tuple[UUID, int]) -> int:
        """The pid of whoever does the verb, and stays when it is done."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{verb} {made[0]} {made[1]}\n")
        self._process.stdin.flush()
        return int(self._line())

    def kill(self, pid: int) -> None:
        """Ends whoever does a verb, wherever it is."""
        os.kill(pid, signal.SIGKILL)
        assert self._line() == "dead"

    def kill_during(self, verb: str, made: tuple[UUID, int], after_s: float) -> None:
        """Begins the verb and kills whoever does it so many seconds later."""
        pid = self.begin(verb, made)
        time.sleep(after_s)  # the moment of death is what the test is about
        self.kill(pid)


@contextmanager
def victim(yard: Yard) -> Iterator[Victim]:
    script = "tests.drivers.sandbox_victim"
    with subprocess.Popen(
        [sys.executable, "-m", script, yard.root, yard.link],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Victim(process)
        finally:
            process.kill()


async def check_takeover(driver: SandboxDriver, yard: Yard, made: tuple[UUID, int]) -> PlaceState:
    """What another server found; fails unless it can go on and in the end nothing is left."""
    workspace_id, generation = made
    seen = await driver.observe(workspace_id)
    if seen.state is not PlaceState.RUNNING:
        # A launcher without orders goes by itself, which takes as long as Python takes to start.
        await until(lambda: not processes_of(workspace_id))
    await driver.ensure(spec(workspace_id, generation + 1), quiet)
    assert (await driver.observe(workspace_id)).generation == generation + 1
    monitor = record_of(yard, workspace_id)["monitor"]["pid"]
    # What launched the tree is done, but may not have left yet.
    await until(lambda: processes_of(workspace_id) <= descendants(monitor))
    await driver.destroy(workspace_id)
    assert not processes_of(workspace_id)
    assert not yard.kept()
    return seen.state


async def sweep_ensure(yard: Yard, moments_ms: list[int]) -> set[PlaceState]:
    driver = yard.driver()
    await driver.probe()
    found = set()
    with victim(yard) as server:
        for moment in moments_ms:
            made = (uuid4(), 3)
            server.kill_during("ensure", made, moment / 1000)
            found.add(await check_takeover(driver, yard, made))
    return found


async def test_a_server_killed_while_it_starts_a_workspace(yard: Yard) -> None:
    """Whenever ensure is killed, another server finds all that was started, and can start and end it."""
    await sweep_ensure(yard, [0, 4, 8, 14, 20, 26])


@pytest.mark.all_tier
async def test_a_server_killed_at_every_millisecond_of_a_start(yard: Yard) -> None:
    """The same for each millisecond from the first to well after the start, three times over."""
    found = await sweep_ensure(yard, [*range(60), *range(60), *range(60), 200, 500, 1000])
    assert PlaceState.RUNNING in found
    assert len(found) >= 2


@pytest.mark.parametrize("verb", ["stop", "destroy", "ensure"])
async def test_a_server_killed_while_it_ends_a_workspace(yard: Yard, verb: str) -> None:
    """Whenever stop, destroy or a replacing ensure is killed, another server brings it to the end."""
    driver = yard.driver()
    await driver.probe()
    with victim(yard) as server:
        for moment in (0, 2, 4, 8):
            made = (uuid4(), 3)
            await driver.ensure(spec(made[0], 2), quiet)
            server.kill_during(verb, made, moment / 1000)
            await check_takeover(driver, yard, made)


async def test_workspaces_outlive_a_killed_server(yard: Yard) -> None:
    """kill -9 of the server leaves the workspace running; the next server finds and stops it."""
    workspace_id = uuid4()
    with victim(yard) as server:
        pid = server.begin("ensure", (workspace_id, 1))
        await until(lambda: has_agent(yard, workspace_id))
        server.kill(pid)
    driver = yard.driver()
    assert (await driver.observe(workspace_id)).state is PlaceState.RUNNING
    agent = record_of(yard, workspace_id)["agent"]["pid"]
    assert lives(agent)
    await driver.stop(workspace_id, grace_s=DEADLINE_S)
    assert not lives(agent)
    seen = await driver.observe(workspace_id)
    assert seen.detail == "stopped; the agent was ended by signal 15"


@pytest.mark.parametrize("role", ["monitor", "init", "agent"])
async def test_a_killed_process_of_the_tree_is_seen(yard: Yard, role: str) -> None:
    """When one of the tree's processes is killed the driver sees the truth and can go on."""
    driver, made = yard.driver(), spec()
    await driver.ensure(made, quiet)
    record = record_of(yard, made.workspace_id)
    os.kill(record[role]["pid"], signal.SIGKILL)
    await until(lambda: not lives(record[role]["pid"]))
    seen = await driver.observe(made.workspace_id)
    if role == "monitor":
        assert seen.state is PlaceState.RUNNING
    else:
        assert (seen.state, seen.detail) == (
            PlaceState.STOPPED,
            "the agent was ended by signal 9",
        )
        assert not processes_of(made.workspace_id)
    await driver.stop(made.workspace_id, grace_s=1)
    assert not [role for role in ("monitor", "init", "agent") if lives(record[role]["pid"])]


@pytest.mark.parametrize("monitor_dies", [False, True])
async def test_a_start_that_nobody_wrote_down_is_found(yard: Yard, *, monitor_dies: bool) -> None:
    """A record that names only the launcher is enough to end the whole tree, with bubblewrap's outer process or without."""
    driver, made = yard.driver(), spec()
    await driver.ensure(made, quiet)
    record = record_of(yard, made.workspace_id)
    change_record(yard, made.workspace_id, init=None, agent=None)
    if monitor_dies:
        os.kill(record["monitor"]["pid"], signal.SIGKILL)
        await until(lambda: not lives(record["monitor"]["pid"]))
    assert (await driver.observe(made.workspace_id)).state is PlaceState.STOPPED
    assert not [role for role in ("monitor", "init", "agent") if lives(record[role]["pid"])]


@pytest.fixture
def bystander() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that has nothing to do with any workspace."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("change", ["started", "boot"])
async def test_a_reused_pid_is_never_signalled(
    yard: Yard, bystander: "subprocess.Popen[bytes]", change: str
) -> None:
    """A record whose pids belong to others by now, or to another boot, harms nobody."""
    driver, made = yard.driver(), spec()
    await driver.ensure(made, quiet)
    await driver.stop(made.workspace_id, grace_s=0)
    stat = Path(f"/proc/{bystander.pid}/stat").read_text().rpartition(")")[2].split()
    started = int(stat[19]) - (change == "started")
    other = {"pid": bystander.pid, "started": started}
    boot = {"boot_id": "another"} if change == "boot" else {}
    change_record(yard, made.workspace_id, monitor=other, init=other, agent=other, **boot)
    seen = await driver.observe(made.workspace_id)
    assert seen.state is PlaceState.STOPPED
    await driver.stop(made.workspace_id, grace_s=0)
    await driver.destroy(made.workspace_id)
    assert bystander.poll() is None


async def test_a_status_that_is_none_hides_nothing(yard: Yard) -> None:
    """Lines that say nothing, wrong things or too much end no verb; what bubblewrap wrote is believed."""
    driver, good, bad = yard.driver(), spec(), spec()
    for one in (good, bad):
        await driver.ensure(one, quiet)
    status = yard.root / str(bad.workspace_id) / "status"
    whole = status.read_bytes()
    for text in (b'{"exit-code": []}\n', b'{"child-pid": "x"}\n[]\n{}}\n', b"\xff{}\n"):
        status.write_bytes(text + whole)
        assert reported_pid(Place(yard.root, str(bad.workspace_id)))
    os.truncate(status, 1 << 40)
    record = json.loads(record_path(yard, bad.workspace_id).read_text())
    os.kill(record["agent"]["pid"], signal.SIGKILL)
    await until(lambda: not lives(record["agent"]["pid"]))
    async with asyncio.timeout(DEADLINE_S):
        seen = {one.workspace_id: one.state for one in await driver.list()}
    assert seen == {
        good.workspace_id: PlaceState.RUNNING,
        bad.workspace_id: PlaceState.STOPPED,
    }


async def test_another_boot_is_told(yard: Yard) -> None:
    """After a restart of the machine the workspace is stopped, says why, and starts again with its home."""
    driver, made = yard.driver(), spec()
    await driver.ensure(made, quiet)
    (yard.home(made.workspace_id) / "kept").touch()
    record = record_of(yard, made.workspace_id)
    await driver.stop(made.workspace_id, grace_s=0)
    record_path(yard, made.workspace_id).write_text(json.dumps(record | {"boot_id": "another"}))
    (yard.root / str(made.workspace_id) / "status").unlink()
    seen = await driver.observe(made.workspace_id)
    assert (seen.state, seen.detail) == (PlaceState.STOPPED, "the machine was restarted")
    await driver.ensure(made, quiet)
    assert (yard.home(made.workspace_id) / "kept").exists()


async def test_a_damaged_record_is_named(yard: Yard) -> None:
    """A record that cannot be read ends each verb with its path, and is not overwritten."""
    driver, made = yard.driver(), spec()
    await driver.ensure(made, quiet)
    path = record_path(yard, made.workspace_id)
    whole = path.read_bytes()
    path.write_bytes(whole[:20])
    with pytest.raises(DriverError, match=r"record\.json"):
        await driver.ensure(spec(made.workspace_id, 2), quiet)
    with pytest.raises(DriverError, match=r"record\.json"):
        await driver.destroy(made.workspace_id)
    path.write_bytes(whole)


async def test_a_bad_template_leaves_nothing_running(yard: Yard) -> None:
    """A template that cannot be unpacked ends ensure; the next one with a good template works."""
    driver, made = yard.driver(), spec()
    with pytest.raises(DriverError, match="cannot be unpacked"):
        await driver.ensure(spec(made.workspace_id, template_tar=b"rubbish" * 100), quiet)
    assert not processes_of(made.workspace_id)
    await driver.ensure(made, quiet)


async def test_a_destroyed_workspace_leaves_no_user_behind(yard: Yard) -> None:
    """As root, no process of the workspace's host user and no claim to its id is left after destroy."""
    if os.geteuid() != 0:
        pytest.skip("one host user per workspace needs root")
    driver, made = yard.driver(), spec()
    await driver.ensure(made, quiet)
    uid = record_of(yard, made.workspace_id)["uid"]
    assert (yard.root / ".uids" / str(uid)).is_symlink()
    await driver.destroy(made.workspace_id)
    owners = set()
    for path in Path("/proc").iterdir():
        with contextlib.suppress(FileNotFoundError):  # processes of others end while this looks
            alive = path.name.isdecimal() and lives(int(path.name))
            owners.add(path.stat().st_uid if alive else None)
    assert uid not in owners
    assert not yard.kept()
