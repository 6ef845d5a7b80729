"""What is runc's own: nothing of it stays, a start cut short is found, limits and freezing reach into its groups.

Life and walls are in test_sandbox*.py and test_conformance.py, which run for runc too.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from taskyard.drivers.base import Limits, PlaceState
from taskyard.drivers.sandbox.runc import read_options
from taskyard.errors import DriverError
from taskyard.lifecycle.walls import Backend, Overlay, Wall
from tests.drivers.runc_kit import groups_of, yard_for
from tests.drivers.sandbox_kit import (
    PYTHON,
    Yard,
    lives,
    new_yard,
    processes_of,
    quiet,
    spec,
    until,
)

pytestmark = [pytest.mark.anyio, pytest.mark.all_tier]

REPOSITORY = Path(__file__).parents[2]
STARTING = """
import asyncio, sys
from pathlib import Path
from uuid import UUID
from tests.drivers.runc_kit import ContainerDriver
from tests.drivers.sandbox_kit import SLEEPER, quiet, spec
root, link, name = sys.argv[1:]
driver = ContainerDriver(Path(root), Path(link), allow_unconfined=False, agent_argv=SLEEPER)
async def main():
    await driver.probe()
    print("go", flush=True)
    await driver.ensure(spec(UUID(name)), quiet)
    print("done", flush=True)
asyncio.run(main())
"""
HUNGRY = """
import json, os, subprocess, sys
grown = subprocess.run([sys.executable, "-c", "b'x' * (200 << 20)"], stderr=subprocess.DEVNULL).returncode
children = []
try:
    while len(children) < 100:
        children.append(subprocess.Popen(["/bin/sleep", "100"]))
except OSError as error:
    stopped = type(error).__name__
with open("report.new", "w") as file:
    json.dump([grown, len(children), stopped], file)
os.rename("report.new", "report.json")
[child.wait() for child in children]
"""


@pytest.fixture
async def yard() -> AsyncIterator[Yard]:
    async with new_yard(yard_for(Backend.RUNC)) as made:
        yield made


def left_of(yard: Yard, workspace_id: UUID) -> list[str]:
    """What is left of a container anywhere on this machine."""
    state = yard.root / ".runc"
    states = [path.name for path in state.iterdir()] if state.is_dir() else []
    processes = [str(pid) for pid in processes_of(workspace_id)]
    return [*states, *processes, *map(str, groups_of(str(workspace_id)))]


def begun(yard: Yard, name: UUID) -> "subprocess.Popen[bytes]":
    """A server process that starts this workspace as soon as it has said "go"."""
    return subprocess.Popen(
        [sys.executable, "-c", STARTING, str(yard.root), str(yard.link), str(name)],
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY}/src:{REPOSITORY}"},
    )


async def test_nothing_of_a_container_stays(yard: Yard) -> None:
    """It is one process tree without a keeper, and after destroy there is no state, no group and no process."""
    driver = yard.driver()
    made = spec()
    await driver.ensure(made, quiet)
    record = json.loads((yard.root / str(made.workspace_id) / "record.json").read_text())
    assert record["monitor"] == record["init"]
    assert left_of(yard, made.workspace_id)
    await driver.destroy(made.workspace_id)
    assert left_of(yard, made.workspace_id) == []
    assert not yard.kept()


async def test_what_the_environment_holds_comes_to_no_disk(yard: Yard) -> None:
    """Neither token nor environment are in any file of the server's, nor in a process list."""
    made = spec(env={"DEAR": "a-secret-of-somebody"})
    await yard.driver().ensure(made, quiet)
    texts = [
        path.read_bytes()
        for path in yard.root.rglob("*")
        if path.is_file() and not path.is_symlink()
    ]
    texts += [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in processes_of(made.workspace_id)]
    assert len(texts) > 10
    for secret in (made.agent_token, "a-secret-of-somebody"):
        assert not [text for text in texts if secret.encode() in text]


async def test_a_start_that_was_cut_short_is_found(yard: Yard) -> None:
    """Whenever the server is killed while runc works, the next one ends and removes all that there is."""
    driver = yard.driver()
    await driver.probe()
    for delay_s in (0.0, 0.03, 0.07, 0.15):
        name = uuid4()
        with begun(yard, name) as victim:
            assert victim.stdout is not None
            assert victim.stdout.readline() == b"go\n"
            await asyncio.sleep(delay_s)
            victim.kill()
        await driver.observe(name)
        await driver.destroy(name)
        assert left_of(yard, name) == [], delay_s


async def test_what_ended_with_the_machine_is_forgotten(yard: Yard) -> None:
    """After a boot the same workspace starts at once, and destroy leaves no state, whatever the record says."""
    driver, made = yard.driver(), spec()
    await driver.ensure(made, quiet)
    path = yard.root / str(made.workspace_id) / "record.json"
    record = json.loads(path.read_text())
    os.kill(record["init"]["pid"], signal.SIGKILL)
    await until(lambda: not lives(record["init"]["pid"]))
    path.write_text(json.dumps(record | {"boot_id": "another"}))
    await driver.ensure(replace(made, generation=2), quiet)
    assert (await driver.observe(made.workspace_id)).state is PlaceState.RUNNING
    await driver.stop(made.workspace_id, grace_s=0)
    (yard.root / ".runc" / str(made.workspace_id)).mkdir()
    path.unlink()
    await driver.destroy(made.workspace_id)
    assert left_of(yard, made.workspace_id) == []


async def test_limits_hold_in_a_container(yard: Yard) -> None:
    """Too much memory ends the one that took it, and there are no more processes than the template says."""
    driver = yard.driver((PYTHON, "-I", "-c", HUNGRY))
    made = spec(limits=Limits(memory_bytes=100 << 20, processes=30))
    await driver.ensure(made, quiet)
    report = yard.home(made.workspace_id) / "report.json"
    await until(report.exists)
    grown, children, stopped = json.loads(report.read_text())
    assert grown == -9
    assert 15 < children < 30
    assert stopped == "BlockingIOError"


async def test_a_container_can_stand_still(yard: Yard) -> None:
    """Frozen it is seen as that, and can be ended."""
    driver = yard.driver()
    made = spec(freezes=True)
    await driver.ensure(made, quiet)
    await driver.freeze(made.workspace_id)
    assert (await driver.observe(made.workspace_id)).state is PlaceState.FROZEN
    record = json.loads((yard.root / str(made.workspace_id) / "record.json").read_text())
    groups = Path(f"/proc/{record['init']['pid']}/cgroup").read_text().splitlines()
    assert str(made.workspace_id) in next(line for line in groups if line.startswith("0::"))
    assert "/taskyard/" in next(line for line in groups if line.startswith("0::"))
    await driver.stop(made.workspace_id, grace_s=1)
    assert (await driver.observe(made.workspace_id)).state is PlaceState.STOPPED
    await driver.destroy(made.workspace_id)
    assert left_of(yard, made.workspace_id) == []


async def test_a_container_can_change_its_own_usr(yard: Yard) -> None:
    """With an overlay a file appears below /usr/local inside, and not on the machine."""
    write = ("/bin/sh", "-c", "echo x > /usr/local/bin/ours && touch there; exec sleep 1000")
    made = spec(overlay=Overlay.SCRATCH)
    await yard.driver(write).ensure(made, quiet)
    await until((yard.home(made.workspace_id) / "there").exists)
    assert not Path("/usr/local/bin/ours").exists()


def test_a_word_that_runc_has_not_is_no_gap() -> None:
    """What bubblewrap is told and this cannot say ends the start, and names the option."""
    with pytest.raises(DriverError, match="--bind-data"):
        read_options(["--unshare-user", "--bind-data", "9", "/etc/motd"])


async def test_the_machine_is_asked_once(yard: Yard) -> None:
    """runc is a wall that a template may demand; it is had here, and the answer is kept."""
    driver = yard.driver()
    assert await driver.lacks([Wall.RUNC]) == {}
    assert await driver.lacks([Wall.RUNC, Wall.SECCOMP]) == {}
