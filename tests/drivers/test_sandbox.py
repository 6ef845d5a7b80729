"""The life of a workspace behind real walls, as whoever runs the tests."""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import pytest

from taskyard.drivers.base import Driver, PlaceState
from taskyard.errors import DriverError
from taskyard.wire.enums import LogLevel
from tests.drivers.runc_kit import BOTH, yard_for
from tests.drivers.sandbox_kit import (
    PYTHON,
    Yard,
    descendants,
    into,
    lives,
    milliseconds,
    new_yard,
    processes_of,
    quiet,
    spec,
    until,
)
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

POLITE = (
    "/bin/sh",
    "-c",
    "trap 'echo bye > bye; exit 7' TERM; echo up > up; while :; do sleep 0.01; done",
)
STUBBORN = (
    "/bin/sh",
    "-c",
    (
        "trap '' TERM; setsid sh -c 'trap \"\" TERM HUP; echo > orphan; while :; do sleep 0.01; done' &"
        " wait; while :; do sleep 0.01; done"
    ),
)


@pytest.fixture(params=BOTH)
async def yard(request: pytest.FixtureRequest) -> AsyncIterator[Yard]:
    async with new_yard(yard_for(request.param)) as made:
        yield made


def pid_of(yard: Yard, workspace_id: UUID, role: str) -> int:
    record = json.loads((yard.root / str(workspace_id) / "record.json").read_text())
    return int(record[role]["pid"])


async def test_a_workspace_lives_from_ensure_to_destroy(yard: Yard) -> None:
    """ensure, stop, ensure again, destroy: the home survives all but the last, and then nothing is left."""
    driver: Driver = yard.driver()
    made = spec()
    assert (await driver.observe(made.workspace_id)).state is PlaceState.ABSENT
    await driver.ensure(made, quiet)
    seen = await driver.observe(made.workspace_id)
    assert (seen.state, seen.generation, seen.detail) == (PlaceState.RUNNING, 1, "")
    (yard.home(made.workspace_id) / "kept").write_text("kept")
    await driver.stop(made.workspace_id, grace_s=5)
    seen = await driver.observe(made.workspace_id)
    assert (seen.state, seen.generation) == (PlaceState.STOPPED, 1)
    assert not processes_of(made.workspace_id)
    await driver.ensure(spec(made.workspace_id, 2), quiet)
    assert [(s.state, s.generation) for s in await driver.list()] == [(PlaceState.RUNNING, 2)]
    assert (yard.home(made.workspace_id) / "kept").read_text() == "kept"
    await driver.destroy(made.workspace_id)
    assert (await driver.observe(made.workspace_id)).state is PlaceState.ABSENT
    assert not processes_of(made.workspace_id)
    assert not yard.kept()


async def test_verbs_on_what_is_not_there_do_nothing(yard: Yard) -> None:
    """stop and destroy of an absent workspace succeed and leave nothing behind."""
    driver = yard.driver()
    await driver.stop(uuid4(), grace_s=1)
    await driver.destroy(uuid4())
    assert not yard.kept()


async def test_the_same_generation_is_left_alone(yard: Yard) -> None:
    """A second ensure of a running generation changes no process, also from another server process."""
    driver, made = yard.driver(), spec()
    await driver.ensure(made, quiet)
    before = pid_of(yard, made.workspace_id, "agent")
    lines: list[tuple[LogLevel, str]] = []
    await yard.driver().ensure(made, into(lines))
    assert pid_of(yard, made.workspace_id, "agent") == before
    assert lives(before)
    assert any("already" in line for _, line in lines)


async def test_a_higher_generation_replaces_a_lower_one(yard: Yard) -> None:
    """The old tree is gone and the home stays; a late ensure of the lower generation is refused."""
    driver, made = yard.driver(), spec()
    await driver.ensure(made, quiet)
    old = pid_of(yard, made.workspace_id, "init")
    await driver.ensure(spec(made.workspace_id, 5), quiet)
    assert not lives(old)
    with pytest.raises(DriverError, match="generation 5"):
        await driver.ensure(spec(made.workspace_id, 4), quiet)
    assert (await driver.observe(made.workspace_id)).generation == 5


async def test_stop_lets_the_agent_end_by_itself(yard: Yard) -> None:
    """The agent gets SIGTERM and ends in its own way; the observation tells how."""
    driver, made = yard.driver(POLITE), spec()
    await driver.ensure(made, quiet)
    await until((yard.home(made.workspace_id) / "up").exists)
    await driver.stop(made.workspace_id, grace_s=DEADLINE_S)
    assert (yard.home(made.workspace_id) / "bye").exists()
    seen = await driver.observe(made.workspace_id)
    assert seen.detail == "stopped; the agent ended with exit code 7"


async def test_stop_ends_what_does_not_want_to(yard: Yard) -> None:
    """An agent that ignores SIGTERM, and its daemon in another session, are gone after the grace."""
    driver, made = yard.driver(STUBBORN), spec()
    await driver.ensure(made, quiet)
    await until((yard.home(made.workspace_id) / "orphan").exists)
    tree = descendants(pid_of(yard, made.workspace_id, "monitor"))
    assert len(tree) >= 4
    start = time.perf_counter()
    async with asyncio.timeout(DEADLINE_S):
        await driver.stop(made.workspace_id, grace_s=0.1)
    assert milliseconds(start) >= 100
    assert not [pid for pid in tree if lives(pid)]
    assert "killed after 0.1 s" in (await driver.observe(made.workspace_id)).detail


async def test_a_workspace_ends_with_its_agent(yard: Yard) -> None:
    """When the agent ends by itself the workspace is seen stopped, and what it left behind is ended."""
    script = (
        "setsid sh -c 'echo > orphan; exec sleep 1000' & while [ ! -e orphan ]; do :; done; exit 3"
    )
    driver, made = yard.driver(("/bin/sh", "-c", script)), spec()
    await driver.ensure(made, quiet)
    tree = descendants(pid_of(yard, made.workspace_id, "init"))
    agent = pid_of(yard, made.workspace_id, "agent")
    await until(lambda: not lives(agent))
    seen = await driver.observe(made.workspace_id)
    assert (seen.state, seen.detail) == (PlaceState.STOPPED, "the agent ended with exit code 3")
    assert not [pid for pid in tree if lives(pid)]
    assert not processes_of(made.workspace_id)


async def test_an_agent_that_cannot_start_is_an_error(yard: Yard) -> None:
    """A missing program ends ensure with its name and leaves no process."""
    driver, made = yard.driver(("/usr/bin/no-such-agent",)), spec()
    with pytest.raises(DriverError, match="/usr/bin/no-such-agent: no such program"):
        await driver.ensure(made, quiet)
    assert not processes_of(made.workspace_id)
    seen = await driver.observe(made.workspace_id)
    assert (seen.state, seen.generation) == (PlaceState.STOPPED, 1)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"hostname": "a\n127.0.0.1 evil"}, "host name"),
        ({"env": {"A=B": "x"}}, "A=B"),
        ({"env": {"A": "x\0--bind\0/\0/"}}, "'A'"),
        ({"env": {"A": "x" * 131072}}, "'A'"),
    ],
)
async def test_a_spec_that_cannot_be_is_refused(
    yard: Yard, changes: dict[str, Any], named: str
) -> None:
    """Host names and environment entries that the walls cannot carry are named; nothing is made."""
    with pytest.raises(DriverError, match=named):
        await yard.driver().ensure(spec(**changes), quiet)
    assert not yard.kept()


async def test_many_verbs_at_once_take_turns(yard: Yard) -> None:
    """Rising generations, stops and looks on one workspace at once end in one state, whole."""
    first, second, made = yard.driver(), yard.driver(), spec()
    await first.probe()
    await second.probe()

    async def ensure(generation: int) -> None:
        driver = first if generation % 2 else second
        # Whoever comes after a higher generation is refused.
        with suppress(DriverError):
            await driver.ensure(spec(made.workspace_id, generation), quiet)

    async with asyncio.TaskGroup() as group:
        for generation in range(1, 7):
            group.create_task(ensure(generation))
            group.create_task(second.observe(made.workspace_id))
        group.create_task(first.stop(made.workspace_id, grace_s=0))
    await first.ensure(spec(made.workspace_id, 7), quiet)
    assert (await second.observe(made.workspace_id)).generation == 7
    monitor, agent = (pid_of(yard, made.workspace_id, role) for role in ("monitor", "agent"))
    # What launched the tree is done, but may not have left yet.
    await until(lambda: processes_of(made.workspace_id) == descendants(monitor) - {agent})


async def test_ten_workspaces_at_once(yard: Yard) -> None:
    """Ten start, are listed and go together."""
    driver, specs = yard.driver(), [spec() for _ in range(10)]
    await driver.probe()
    async with asyncio.TaskGroup() as group:
        for made in specs:
            group.create_task(driver.ensure(made, quiet))
    assert {s.workspace_id for s in await driver.list() if s.state is PlaceState.RUNNING} == {
        made.workspace_id for made in specs
    }
    async with asyncio.TaskGroup() as group:
        for made in specs:
            group.create_task(driver.destroy(made.workspace_id))
    assert not yard.kept()


async def test_a_cancelled_ensure_leaves_a_whole_workspace(yard: Yard) -> None:
    """Cancelling comes through once the step is done; the next verb finds no lock and no riddle."""
    driver, made = yard.driver(), spec()
    await driver.probe()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.005):
            await driver.ensure(made, quiet)
    assert (await driver.observe(made.workspace_id)).state in (
        PlaceState.RUNNING,
        PlaceState.ABSENT,
    )
    await driver.destroy(made.workspace_id)
    assert not processes_of(made.workspace_id)


async def test_the_log_keeps_its_end_only(yard: Yard) -> None:
    """What an agent floods its output with is cut when it is looked at, and it goes on writing."""
    flood = (
        "head -c 5000000 /dev/zero | tr '\\0' x; echo; echo > flooded; "
        "while [ ! -e go ]; do sleep 0.01; done; echo later; echo > done; exec sleep 1000"
    )
    driver, made = yard.driver(("/bin/sh", "-c", flood)), spec()
    await driver.ensure(made, quiet)
    home = yard.home(made.workspace_id)
    await until((home / "flooded").exists)
    log = yard.root / str(made.workspace_id) / "agent.log"
    await until(lambda: log.read_text().endswith("x\n"))  # it has come through the keeper
    assert (await driver.observe(made.workspace_id)).state is PlaceState.RUNNING
    (home / "go").touch()
    await until((home / "done").exists)
    await until(lambda: log.read_text().endswith("x\nlater\n"))
    assert log.stat().st_size < 300_000


async def test_start_times(yard: Yard) -> None:
    """Printed, not asserted: ensure to running agent, and stop."""
    driver = yard.driver((PYTHON, "-I", "-c", "import signal; signal.pause()"))
    await driver.probe()
    starts, stops = [], []
    made = spec()
    for generation in range(1, 21):
        start = time.perf_counter()
        await driver.ensure(spec(made.workspace_id, generation), quiet)
        starts.append(milliseconds(start))
        start = time.perf_counter()
        await driver.stop(made.workspace_id, grace_s=0)
        stops.append(milliseconds(start))
    for name, values in (("ensure", sorted(starts)), ("kill", sorted(stops))):
        print(
            f"{name}: median {statistics.median(values):.1f} ms, p95 {values[18]:.1f} ms (n=20, {driver.mode})",
            file=sys.stderr,
        )
