"""File operations that never return: what waits for them goes on, and so does everything else."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from uuid import UUID

import pytest

from taskyard.drivers.base import PlaceState
from taskyard.drivers.sandbox.driver import SandboxDriver
from taskyard.drivers.sandbox.waiting import LEAVE_S, Threads
from taskyard.errors import DriverError
from tests.drivers.sandbox_kit import Yard, new_yard, quiet, spec, until
from tests.waiting import DEADLINE_S
from tests.waiting import until as until_soon

pytestmark = pytest.mark.anyio

SOON_S = LEAVE_S + 30
"""More than it takes to leave a thread behind, on a slow machine; less than any work may take."""


@pytest.fixture
async def yard() -> AsyncIterator[Yard]:
    async with new_yard() as made:
        yield made


@contextmanager
def answering(path: Path) -> Iterator[None]:
    """Makes a pipe of a file, so that whoever writes to it hangs; afterwards it answers."""
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    try:
        yield
    finally:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        path.unlink()
        until_soon("who writes to be through with it", lambda: _ended(handle) or None)
        os.close(handle)


def _ended(handle: int) -> bool:
    """Whether nobody has the pipe open to write to it."""
    try:
        return os.read(handle, 65536) == b""
    except BlockingIOError:
        return False


async def hung_start(driver: SandboxDriver, workspace_id: UUID, generation: int) -> None:
    """A start that its caller has given up, whose thread hangs."""
    for given_s in (0.3, 3, 30):  # a slow machine takes longer to come to where it hangs
        with suppress(TimeoutError):
            async with asyncio.timeout(given_s) as given:
                await driver.ensure(spec(workspace_id, generation), quiet)
        asked_back = given.when()
        assert asked_back is not None
        assert asyncio.get_running_loop().time() - asked_back < SOON_S
        seen = {one.workspace_id: one for one in await driver.list()}
        if seen[workspace_id].state is PlaceState.UNKNOWN:
            return


async def test_a_start_that_hangs_holds_up_nobody(yard: Yard) -> None:
    """Its caller is free at once, others are seen and stopped; the workspace itself is left alone until it is back."""
    driver, bad, good = yard.driver(), spec(), spec()
    for one in (bad, good):
        await driver.ensure(one, quiet)
    await driver.stop(bad.workspace_id, grace_s=0)
    with answering(yard.root / str(bad.workspace_id) / "hosts"):
        await hung_start(driver, bad.workspace_id, 2)
        seen = {one.workspace_id: one for one in await driver.list()}
        assert seen[good.workspace_id].state is PlaceState.RUNNING
        assert seen[bad.workspace_id].state is PlaceState.UNKNOWN
        assert "does not answer" in seen[bad.workspace_id].detail
        await driver.stop(good.workspace_id, grace_s=0)
        # Another server must not get the lock meanwhile: the thread may still do anything.
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await yard.driver().destroy(bad.workspace_id)
    async with asyncio.timeout(DEADLINE_S):
        await driver.stop(bad.workspace_id, grace_s=0)
        assert (await driver.observe(bad.workspace_id)).state is PlaceState.STOPPED
        await yard.driver().destroy(bad.workspace_id)


@pytest.mark.parametrize("name", ["record.json", "status", "agent.log"])
async def test_what_is_no_file_is_not_opened(yard: Yard, name: str) -> None:
    """A pipe in place of a file of the driver's makes no verb hang, and hides no other workspace."""
    driver, made, good = yard.driver(), spec(), spec()
    for one in (made, good):
        await driver.ensure(one, quiet)
    path = yard.root / str(made.workspace_id) / name
    whole = path.read_bytes()
    with answering(path):
        async with asyncio.timeout(DEADLINE_S):
            seen = {one.workspace_id: one.state for one in await driver.list()}
            with suppress(DriverError):
                await driver.stop(made.workspace_id, grace_s=0)
    assert seen[good.workspace_id] is PlaceState.RUNNING
    path.write_bytes(whole)


async def test_what_comes_back_late_is_taken_back() -> None:
    """Meanwhile the next about the same is refused; a result that nobody waits for goes to who tidies up."""
    threads, gate, late = Threads(patience_s=0.05), Event(), list[int]()

    def work() -> int:
        gate.wait()
        return 7

    with pytest.raises(DriverError, match="given up after"):
        await threads.to_end("it", work, late.append, within_s=0.05)
    with pytest.raises(DriverError, match="given up before"):
        await threads.to_end("it", lambda: 2)
    assert await threads.to_end("something else", lambda: 1) == 1
    gate.set()
    await until(lambda: late == [7])
    assert await threads.to_end("it", lambda: 2) == 2


async def test_a_caller_that_is_cancelled_waits_a_moment_for_its_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is done within it is told apart from what hangs: nothing is left behind."""
    monkeypatch.setattr("taskyard.drivers.sandbox.waiting.LEAVE_S", DEADLINE_S)
    threads, done = Threads(), list[str]()

    def work() -> None:
        time.sleep(0.2)  # the thread's work
        done.append("work")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await threads.to_end("it", work)
    assert done == ["work"]
    assert not threads.left("it")


PROGRAM = """
import asyncio, threading, uvloop
from taskyard.drivers.sandbox.waiting import Threads

async def main():
    try:
        async with asyncio.timeout(0.1):
            await Threads().to_end("it", threading.Event().wait)
    except TimeoutError:
        print("over")

uvloop.run(main())
"""


def test_a_process_ends_although_a_thread_hangs() -> None:
    """A server that is told to stop does not wait for a disk that never answers."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("over\n", "")
