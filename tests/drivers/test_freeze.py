"""Workspaces that stand still, and go on as another generation: as root and as an ordinary user where that can be had."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from taskyard.drivers.base import PlaceState, WorkspaceSpec
from taskyard.drivers.sandbox.cgroups.groups import find_cgroups, written_groups
from taskyard.drivers.sandbox.cgroups.model import Can
from taskyard.drivers.sandbox.driver import SandboxDriver
from taskyard.drivers.sandbox.frozen import channel
from taskyard.drivers.sandbox.place import Place, load_record, save_record
from taskyard.errors import CannotFreeze
from taskyard.wire.enums import LogLevel
from tests.drivers.sandbox_kit import (
    PYTHON,
    SLEEPER,
    Yard,
    into,
    new_yard,
    processes_of,
    quiet,
    spec,
    until,
)

pytestmark = pytest.mark.anyio

AGENT = (
    PYTHON,
    "-c",
    """
import os, time
pipe = int(os.environ["TASKYARD_HANDOVER_FD"])
os.set_blocking(pipe, False)
n = 0
while True:
    n += 1
    try:
        open("got", "ab").write(os.read(pipe, 65536))
    except BlockingIOError:
        pass
    open("n.new", "w").write(str(n))
    os.rename("n.new", "n")
    time.sleep(0.001)
""",
)
"""Counts, and writes down what comes through the pipe."""

Line = tuple[LogLevel, str]

FRESH_S = 0.05
"""How long something that stands still is watched."""


@pytest.fixture
async def yard() -> AsyncIterator[Yard]:
    async with new_yard() as made:
        if Can.FREEZE not in find_cgroups(made.root).controllers:
            pytest.skip("no control group can freeze here")
        yield made


async def counting(yard: Yard, driver: SandboxDriver) -> WorkspaceSpec:
    """A workspace that counts."""
    wanted = spec(freezes=True, mark="one")
    await driver.ensure(wanted, quiet)
    home = yard.home(wanted.workspace_id)
    await until((home / "n").exists)
    return wanted


def count(yard: Yard, workspace_id: UUID) -> int:
    return int((yard.home(workspace_id) / "n").read_text())


def goes_on(yard: Yard, workspace_id: UUID, before: int) -> bool:
    return count(yard, workspace_id) > before


def tokens(yard: Yard, workspace_id: UUID) -> list[str]:
    lines = (yard.home(workspace_id) / "got").read_text().splitlines()
    return [json.loads(line)["token"] for line in lines]


def has_token(yard: Yard, wanted: WorkspaceSpec) -> bool:
    return tokens(yard, wanted.workspace_id)[-1:] == [wanted.agent_token]


def next_of(wanted: WorkspaceSpec, **changes: Any) -> WorkspaceSpec:
    known: dict[str, Any] = {"generation": wanted.generation + 1, "agent_token": str(uuid4())}
    return replace(wanted, **(known | changes))


async def test_it_stands_still_and_goes_on(yard: Yard) -> None:
    """Nothing runs while it is frozen; the next ensure hands the token over, and the same processes go on, fast."""
    driver = yard.driver(AGENT)
    wanted = await counting(yard, driver)
    pids, took = processes_of(wanted.workspace_id), []
    for _ in range(5):
        await driver.freeze(wanted.workspace_id)
        await driver.freeze(wanted.workspace_id)  # once more changes nothing
        seen = await driver.observe(wanted.workspace_id)
        assert (seen.state, seen.generation) == (PlaceState.FROZEN, wanted.generation)
        before = count(yard, wanted.workspace_id)
        await asyncio.sleep(FRESH_S)  # what is promised is that nothing happens meanwhile
        assert count(yard, wanted.workspace_id) == before
        wanted, began, lines = next_of(wanted), time.perf_counter(), list[Line]()
        await driver.ensure(wanted, into(lines))
        took.append((time.perf_counter() - began) * 1000)
        assert "goes on" in lines[0][1]
        # It has read the token when this returns, and may not have written it down yet.
        await until(partial(has_token, yard, wanted))
        seen = await driver.observe(wanted.workspace_id)
        assert (seen.state, seen.generation) == (PlaceState.RUNNING, wanted.generation)
        await until(partial(goes_on, yard, wanted.workspace_id, before))
    assert processes_of(wanted.workspace_id) == pids
    print(f"ensure of a frozen one: {min(took):.1f} to {max(took):.1f} ms")


@pytest.mark.parametrize(
    "change", [{"mark": "two"}, {"template_tar": b"\0" * 1024}, {"env": {"A": "1"}}]
)
async def test_another_workspace_is_started_anew(yard: Yard, change: dict[str, Any]) -> None:
    """What was asked for differs: the frozen processes go, the files stay, and the log says why."""
    driver, lines = yard.driver(AGENT), list[Line]()
    wanted = await counting(yard, driver)
    (yard.home(wanted.workspace_id) / "kept").touch()
    pids = processes_of(wanted.workspace_id)
    await driver.freeze(wanted.workspace_id)
    await driver.ensure(next_of(wanted, **change), into(lines))
    assert lines[0][0] is LogLevel.WARN
    assert "have changed" in lines[0][1]
    assert not pids & processes_of(wanted.workspace_id)
    assert (yard.home(wanted.workspace_id) / "kept").exists()


async def test_an_agent_that_takes_no_token_is_replaced(yard: Yard) -> None:
    """One that does not read what it is handed would go on with a dead token: it is ended, and started anew."""
    driver, lines = yard.driver(SLEEPER), list[Line]()
    wanted = spec(freezes=True)
    await driver.ensure(wanted, quiet)
    await driver.freeze(wanted.workspace_id)
    await driver.ensure(next_of(wanted), into(lines))
    assert "did not take the new token" in lines[0][1]
    assert (await driver.observe(wanted.workspace_id)).generation == wanted.generation + 1


async def test_a_frozen_workspace_can_be_stopped_and_destroyed(yard: Yard) -> None:
    """Without a grace that it could not use; nothing of it is left, not even its group."""
    driver = yard.driver(AGENT)
    wanted = await counting(yard, driver)
    await driver.freeze(wanted.workspace_id)
    began = time.perf_counter()
    await driver.stop(wanted.workspace_id, grace_s=60)
    assert time.perf_counter() - began < 50
    assert (await driver.observe(wanted.workspace_id)).state is PlaceState.STOPPED
    assert not processes_of(wanted.workspace_id)
    await driver.ensure(next_of(wanted), quiet)
    await driver.freeze(wanted.workspace_id)
    groups = written_groups(yard.root).groups(str(wanted.workspace_id))
    assert groups
    await driver.destroy(wanted.workspace_id)
    assert not processes_of(wanted.workspace_id)
    assert not [folder for folder in groups if folder.exists()]
    assert not yard.kept()


async def test_an_agent_killed_while_it_stood_still(yard: Yard) -> None:
    """It is gone, the next ensure starts anew, and nothing of the old tree stays."""
    driver, lines = yard.driver(AGENT), list[Line]()
    wanted = await counting(yard, driver)
    pids = processes_of(wanted.workspace_id)
    await driver.freeze(wanted.workspace_id)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    await driver.ensure(next_of(wanted), into(lines))
    assert not pids & processes_of(wanted.workspace_id)
    assert (await driver.observe(wanted.workspace_id)).state is PlaceState.RUNNING


async def test_a_machine_that_was_restarted(yard: Yard) -> None:
    """A frozen workspace does not outlive its machine: it is seen as stopped, and starts anew."""
    driver = yard.driver(AGENT)
    wanted = await counting(yard, driver)
    await driver.freeze(wanted.workspace_id)
    path = yard.root / str(wanted.workspace_id) / "record.json"
    record = path.read_text()
    path.write_text(json.dumps(json.loads(record) | {"boot_id": "another"}))
    assert (await driver.observe(wanted.workspace_id)).state is PlaceState.STOPPED
    path.write_text(record)  # so that it can be ended here


async def test_what_cannot_be_frozen(yard: Yard) -> None:
    """One that was not made for it, that does not run, or that nobody knows is refused, and goes on as it was."""
    driver = yard.driver(SLEEPER)
    wanted = spec()
    await driver.ensure(wanted, quiet)
    with pytest.raises(CannotFreeze, match="did not ask"):
        await driver.freeze(wanted.workspace_id)
    assert (await driver.observe(wanted.workspace_id)).state is PlaceState.RUNNING
    await driver.stop(wanted.workspace_id, grace_s=1)
    for workspace_id in (wanted.workspace_id, uuid4()):
        with pytest.raises(CannotFreeze, match="does not run"):
            await driver.freeze(workspace_id)


async def test_a_later_generation_is_left_alone(yard: Yard) -> None:
    """A worker that comes late freezes nothing that somebody else has started since."""
    driver = yard.driver(AGENT)
    wanted = await counting(yard, driver)
    await driver.ensure(next_of(wanted), quiet)
    await driver.freeze(wanted.workspace_id, up_to=wanted.generation)
    assert (await driver.observe(wanted.workspace_id)).state is PlaceState.RUNNING


SPY = (
    PYTHON,
    "-c",
    """
import os, subprocess, time
pipe = int(os.environ["TASKYARD_HANDOVER_FD"])
os.set_inheritable(pipe, False)
import ctypes
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # as the agent does
code = '''
import os
found = []
for pid in [p for p in os.listdir("/proc") if p.isdigit()] + ["self"]:
    for what in ("fd", "map_files"):
        try:
            for number in os.listdir(f"/proc/{pid}/{what}"):
                try:
                    target = os.readlink(f"/proc/{pid}/{what}/{number}")
                except OSError as error:
                    target = ""
                if "handover" in target: found.append((pid, number, target))
        except OSError: pass
for top in ("/home", "/run", "/tmp", "/etc", "/dev"):
    found += [folder for folder, _, names in os.walk(top) if "handover" in names]
print(repr(found))
'''
out = subprocess.run(["/opt/taskyard/bin/python3", "-c", code], capture_output=True, text=True, close_fds=False)
open("found.new", "w").write(out.stdout + out.stderr)
os.rename("found.new", "found")
time.sleep(1000)
""",
)


async def test_nobody_else_in_the_box_holds_the_pipe(yard: Yard) -> None:
    """Neither process 1 nor a program of the workspace finds the pipe, in a descriptor or by its name."""
    driver = yard.driver(SPY)
    wanted = spec(freezes=True)
    await driver.ensure(wanted, quiet)
    found = yard.home(wanted.workspace_id) / "found"
    await until(found.exists)
    assert found.read_text() == "[]\n"
    record = json.loads((yard.root / str(wanted.workspace_id) / "record.json").read_text())
    assert holds(record["agent"]["pid"])
    assert not holds(record["init"]["pid"])
    assert not holds(record["monitor"]["pid"])


def holds(pid: int) -> bool:
    """Whether a process has the pipe open, as the machine sees it."""
    return any("handover" in str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir())


@pytest.mark.parametrize("step", ["handed", "recorded", "thawed"])
async def test_a_worker_that_died_while_it_woke_it(yard: Yard, step: str) -> None:
    """Whatever it had done, the next one starts the workspace under a generation of its own, with that one's token."""
    driver = yard.driver(AGENT)
    wanted = await counting(yard, driver)
    place = Place(yard.root, str(wanted.workspace_id))
    await driver.freeze(wanted.workspace_id)
    dead = next_of(wanted)
    pipe = os.open(channel(place), os.O_RDWR | os.O_NONBLOCK)
    os.write(pipe, msgspec.json.encode({"generation": dead.generation, "token": "dead"}) + b"\n")
    record = load_record(place)
    assert record is not None
    if step != "handed":
        save_record(place, msgspec.structs.replace(record, generation=dead.generation))
    if step == "thawed":
        written_groups(yard.root).thaw(place.name)
    os.close(pipe)
    after = next_of(dead)
    await driver.ensure(after, quiet)
    seen = await driver.observe(wanted.workspace_id)
    assert (seen.state, seen.generation) == (PlaceState.RUNNING, after.generation)
    if step != "thawed":
        await until(partial(has_token, yard, after))
        assert len(tokens(yard, wanted.workspace_id)) == 1
    await driver.freeze(wanted.workspace_id)
    assert (await driver.observe(wanted.workspace_id)).state is PlaceState.FROZEN
