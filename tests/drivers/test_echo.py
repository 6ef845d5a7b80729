"""The echo driver keeps the promises of every driver, by playing a script."""

import asyncio
import io
import json
import tarfile
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from taskyard.drivers.base import Limits, Observation, PlaceState, WorkspaceSpec
from taskyard.drivers.echo.driver import EchoDriver
from taskyard.errors import DriverError
from taskyard.wire.enums import LogLevel

pytestmark = pytest.mark.anyio

PLACE = UUID("5a8d3f6e-1111-4222-8333-444455556666")


def spec(script: object, generation: int = 1, name: str = "echo.json") -> WorkspaceSpec:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        text = json.dumps(script).encode()
        info = tarfile.TarInfo(f"./{name}")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    return WorkspaceSpec(PLACE, generation, "w", str(uuid4()), buffer.getvalue(), {}, Limits())


def quiet(_level: LogLevel, _text: str) -> None:
    pass


def seen(state: PlaceState, generation: int) -> Observation:
    return Observation(PLACE, state, generation, "")


@pytest.fixture
def driver(tmp_path: Path) -> EchoDriver:
    return EchoDriver(tmp_path / "echo")


async def test_life_of_a_workspace(driver: EchoDriver) -> None:
    """Absent, running, stopped, running under a higher generation, absent: as observed and as listed."""
    await driver.probe()
    assert await driver.observe(PLACE) == seen(PlaceState.ABSENT, 0)
    assert list(await driver.list()) == []
    await driver.ensure(spec({}), quiet)
    assert await driver.observe(PLACE) == seen(PlaceState.RUNNING, 1)
    await driver.stop(PLACE, grace_s=1)
    assert list(await driver.list()) == [seen(PlaceState.STOPPED, 1)]
    await driver.ensure(spec({}, 2), quiet)
    assert list(await driver.list()) == [seen(PlaceState.RUNNING, 2)]
    await driver.destroy(PLACE)
    assert await driver.observe(PLACE) == seen(PlaceState.ABSENT, 0)


async def test_verbs_may_be_repeated(driver: EchoDriver) -> None:
    """Each verb done twice, or on nothing, changes nothing the second time."""
    await driver.stop(PLACE, grace_s=1)
    await driver.destroy(PLACE)
    lines: list[str] = []
    wanted = spec({"ensure": [{"log": "once"}]})
    for _ in range(2):
        await driver.ensure(wanted, lambda _level, text: lines.append(text))
    assert lines == ["once"]
    for _ in range(2):
        await driver.stop(PLACE, grace_s=1)
    for _ in range(2):
        await driver.destroy(PLACE)


async def test_its_record_survives(driver: EchoDriver, tmp_path: Path) -> None:
    """Another driver on the same folder, as after a restart, sees and ends the same workspaces."""
    await driver.ensure(spec({}, 3), quiet)
    other = EchoDriver(tmp_path / "echo")
    assert list(await other.list()) == [seen(PlaceState.RUNNING, 3)]
    await other.destroy(PLACE)
    assert list(await driver.list()) == []


async def test_a_late_generation_is_refused(driver: EchoDriver) -> None:
    """A worker that was overtaken cannot replace the newer generation."""
    await driver.ensure(spec({}, 2), quiet)
    with pytest.raises(DriverError, match="Generation 2"):
        await driver.ensure(spec({}, 1), quiet)
    assert await driver.observe(PLACE) == seen(PlaceState.RUNNING, 2)


async def test_a_failing_script_leaves_nothing_running(driver: EchoDriver) -> None:
    """The script's sentence is the error; what ran before is replaced, nothing runs after."""
    await driver.ensure(spec({}), quiet)
    with pytest.raises(DriverError, match="Out of luck"):
        await driver.ensure(spec({"ensure": [{"fail": "Out of luck."}]}, 2), quiet)
    assert await driver.observe(PLACE) == seen(PlaceState.STOPPED, 2)


async def test_a_step_waits_for_a_file(driver: EchoDriver, tmp_path: Path) -> None:
    """`wait_for` holds the verb until a test lets it go."""
    gate = tmp_path / "gate"
    lines: list[str] = []
    wanted = spec({"ensure": [{"log": "before", "wait_for": str(gate)}, {"log": "after"}]})
    async with asyncio.TaskGroup() as group:
        ensuring = group.create_task(driver.ensure(wanted, lambda _level, text: lines.append(text)))
        while not lines:
            await asyncio.sleep(0)
        assert not ensuring.done()
        assert await driver.observe(PLACE) == seen(PlaceState.STOPPED, 1)
        gate.touch()
    assert lines == ["before", "after"]


async def test_a_stop_takes_its_grace_at_most(driver: EchoDriver, tmp_path: Path) -> None:
    """A script that does not come to an end is cut off when the grace is over."""
    await driver.ensure(spec({"stop": [{"wait_for": str(tmp_path / "never")}]}), quiet)
    await driver.stop(PLACE, grace_s=0.05)
    assert await driver.observe(PLACE) == seen(PlaceState.STOPPED, 1)


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (spec({}, name="other.json"), r"has no echo\.json"),
        (spec({"ensure": [{"nap": 1}]}), r"echo\.json is not right.*nap"),
        (spec({"ensure": 3}), r"echo\.json is not right.*\$\.ensure"),
    ],
)
async def test_a_bad_script_is_named(
    driver: EchoDriver, wanted: WorkspaceSpec, sentence: str
) -> None:
    """A template without a script, or with one that is not right, is refused with the place."""
    with pytest.raises(DriverError, match=sentence):
        await driver.ensure(wanted, quiet)
