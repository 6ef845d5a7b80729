"""Where launchers come from: a process that is kept for it, so that a workspace's start waits for no interpreter."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from taskyard.drivers.base import PlaceState
from taskyard.drivers.sandbox.launchers import Launchers
from taskyard.drivers.sandbox.process import Process, identify
from tests.drivers.sandbox_kit import SLEEPER, descendants, lives, new_yard, quiet, spec, until
from tests.waiting import until as waited

pytestmark = pytest.mark.anyio

BEGUN = b"launch_fork import main"
"""What the kept process shows in the process table."""
SERVER = """
import os, signal
from taskyard.drivers.sandbox.launchers import Launchers
launchers, (read, write) = Launchers(), os.pipe()
null = os.open(os.devnull, os.O_RDWR)
print(launchers.fork([read, null, null, null]), flush=True)
signal.pause()
"""
"""Has a launcher made that waits for its orders, and says which."""
LOOK = "cat /proc/self/mountinfo >/home/agent/mounts; exec sleep 1000"


def kept_by(pid: int) -> set[int]:
    """Children of a process that are kept for launchers, which are not its children."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    children = {child for file in lists for child in file.read_text().split()}
    return {
        int(child) for child in children if BEGUN in Path(f"/proc/{child}/cmdline").read_bytes()
    }


@contextmanager
def asked(launchers: Launchers) -> Iterator[Process]:
    """A launcher that gets no orders; those end with the block."""
    read, write = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    try:
        process = identify(launchers.fork([read, null, null, null]))
        assert process is not None
        os.close(read)
        yield process
    finally:
        os.close(write)
        os.close(null)


async def test_no_orders_no_launcher() -> None:
    """A launcher waits as long as orders may come, ends when they cannot, and stays in no process table."""
    launchers = Launchers()
    with asked(launchers) as process:
        assert lives(process.pid)
    await until(lambda: not Path(f"/proc/{process.pid}").exists())


async def test_the_kept_process_ends_with_its_owner_of_this_process() -> None:
    """Whoever drops a driver leaves no process behind, running or ended."""
    before = kept_by(os.getpid())
    launchers = Launchers()
    with asked(launchers):
        [kept] = kept_by(os.getpid()) - before
    del launchers
    assert not Path(f"/proc/{kept}").exists()


def test_a_server_that_is_killed_takes_all_of_it_along() -> None:
    """With the server go the process that is kept and the launchers that wait."""
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE)
    assert server.stdout is not None
    waiting = int(server.stdout.readline())
    found = descendants(server.pid) - {server.pid}
    assert waiting in found
    assert len(found) == 2
    server.kill()
    server.communicate()
    waited("all of it to end", lambda: True if not any(map(lives, found)) else None)


async def test_workspaces_start_after_the_kept_process_was_killed() -> None:
    """What is kept may be killed at any moment; a start makes it anew, and workspaces that came of it go on."""
    async with new_yard() as yard:
        driver = yard.driver(SLEEPER)
        before = kept_by(os.getpid())
        first, second = uuid4(), uuid4()
        await driver.ensure(spec(first), quiet)
        [kept] = kept_by(os.getpid()) - before
        os.kill(kept, signal.SIGKILL)
        await driver.ensure(spec(second), quiet)
        seen = {each.workspace_id: each.state for each in await driver.list()}
        assert seen == {first: PlaceState.RUNNING, second: PlaceState.RUNNING}


async def test_what_is_laid_on_shared_folders_is_sealed_with_them() -> None:
    """Packages and files that come with a folder of ours can be written no more than the folder, and hold no devices."""
    async with new_yard() as yard:
        workspace_id = uuid4()
        mounts = yard.home(workspace_id) / "mounts"
        await yard.driver(("/bin/sh", "-c", LOOK)).ensure(spec(workspace_id), quiet)
        await until(lambda: mounts.exists() and " /home/agent " in mounts.read_text())
        found = [line.split() for line in mounts.read_text().splitlines()]
        shared = {
            line[4]: line[5] for line in found if line[4].startswith(("/etc", "/opt/taskyard"))
        }
        assert {"/etc", "/etc/hosts", "/opt/taskyard"} < set(shared)
        assert len(shared) > 10
        for flags in shared.values():
            assert {"ro", "nosuid", "nodev"} <= set(flags.split(","))
