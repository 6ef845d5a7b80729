"""What every driver promises, whichever it is: verbs twice, in any order, cut short, and too late."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from taskyard.drivers.base import Driver, Limits, Observation, PlaceState, WorkspaceSpec
from taskyard.drivers.echo.driver import EchoDriver
from taskyard.errors import DriverError
from taskyard.lifecycle.walls import Backend
from tests.control.world_kit import template_tar
from tests.drivers.runc_kit import yard_for
from tests.drivers.sandbox_kit import new_yard, quiet

pytestmark = pytest.mark.anyio

VERBS = (
    "ensure same",
    "ensure next",
    "ensure late",
    "stop",
    "destroy",
    "stop late",
    "destroy late",
)
"""What a worker may ask for; late: it was overtaken by a higher generation since it looked."""


@dataclass(frozen=True)
class Model:
    """What a driver must show after the verbs so far."""

    state: PlaceState = PlaceState.ABSENT
    generation: int = 0

    def after(self, verb: str) -> "Model":
        """What it must show after one more."""
        match verb:
            case "ensure same":
                return Model(PlaceState.RUNNING, max(1, self.generation))
            case "ensure next":
                return Model(PlaceState.RUNNING, self.generation + 1)
            case "stop":
                return self if self.generation == 0 else replace(self, state=PlaceState.STOPPED)
            case "destroy":
                return Model()
        return self


class Subject:
    """One workspace of a driver, beside the model of it."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.id = uuid4()
        self.model = Model()

    async def do(self, verb: str, *, cut_after_s: float | None = None) -> None:
        """Does a verb, twice, the first time cut short when told; then the driver shows what the model says."""
        generation = self.model.generation
        if cut_after_s is not None:
            with suppress(TimeoutError):  # it was cut short
                async with asyncio.timeout(cut_after_s):
                    await self._call(verb, generation)
        for _ in range(2):
            await self._call(verb, generation)
        self.model = self.model.after(verb)
        await self.check()

    async def _call(self, verb: str, generation: int) -> None:
        match verb:
            case "ensure same":
                await self.driver.ensure(spec(self.id, max(1, generation)), quiet)
            case "ensure next":
                await self.driver.ensure(spec(self.id, generation + 1), quiet)
            case "ensure late" if generation > 1:
                with pytest.raises(DriverError):
                    await self.driver.ensure(spec(self.id, generation - 1), quiet)
            case "stop":
                await self.driver.stop(self.id, grace_s=1)
            case "stop late" if generation:
                await self.driver.stop(self.id, grace_s=1, up_to=generation - 1)
            case "destroy":
                await self.driver.destroy(self.id, up_to=generation)
            case "destroy late" if generation:
                await self.driver.destroy(self.id, up_to=generation - 1)

    async def check(self) -> None:
        """Alone and in the list, the workspace is as the model says."""
        seen = await self.driver.observe(self.id)
        assert (seen.state, seen.generation) == (self.model.state, self.model.generation)
        listed = [one for one in await self.driver.list() if one.workspace_id == self.id]
        known = [seen] if self.model.state is not PlaceState.ABSENT else []
        assert [(o.state, o.generation) for o in listed] == [(o.state, o.generation) for o in known]


def spec(workspace_id: UUID, generation: int) -> WorkspaceSpec:
    files = template_tar({})
    return WorkspaceSpec(workspace_id, generation, "ws", "secret", files, {}, Limits())


@pytest.fixture(
    params=["echo", "sandbox", "unconfined", pytest.param("runc", marks=pytest.mark.all_tier)]
)
async def driver(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Driver]:
    if request.param == "echo":
        yield EchoDriver(tmp_path)
        return
    kind = yard_for(Backend.RUNC if request.param == "runc" else Backend.BWRAP)
    async with new_yard(kind) as yard:
        yield yard.driver(walls=request.param != "unconfined")


async def test_a_random_life_goes_as_the_model_says(driver: Driver) -> None:
    """Verbs in random order, each twice, every third cut short: the workspace is always as it must be."""
    chance = random.Random(7)
    subject = Subject(driver)
    for step in range(60 if driver.name == "echo" else 18):
        cut_after_s = chance.choice([0.0, 0.002, 0.01]) if step % 3 == 0 else None
        await subject.do(chance.choice(VERBS), cut_after_s=cut_after_s)
    await subject.do("destroy")
    assert await driver.list() == []
    assert list(await driver.strays()) == []


async def test_verbs_in_every_order(tmp_path: Path) -> None:
    """Every pair after a start, for the driver that is quick enough."""
    driver = EchoDriver(tmp_path)
    for verbs in product(("ensure next",), VERBS, VERBS):
        subject = Subject(driver)
        for verb in verbs:
            await subject.do(verb)


async def test_verbs_at_once_take_turns(driver: Driver) -> None:
    """Two workers that do not know of each other: whatever the order, one generation runs, or none."""
    workspace_id = uuid4()
    for round_ in range(3):
        async with asyncio.TaskGroup() as group:
            for generation in (2 * round_ + 1, 2 * round_ + 2):
                group.create_task(ensured(driver, spec(workspace_id, generation)))
            group.create_task(driver.stop(workspace_id, grace_s=1))
        seen = await driver.observe(workspace_id)
        assert seen.generation == 2 * round_ + 2
        assert await running(driver, workspace_id) <= 1
    await driver.destroy(workspace_id)
    assert await driver.list() == []


async def ensured(driver: Driver, wanted: WorkspaceSpec) -> None:
    with suppress(DriverError):  # the other was faster
        await driver.ensure(wanted, quiet)


async def running(driver: Driver, workspace_id: UUID) -> int:
    seen: list[Observation] = [o for o in await driver.list() if o.workspace_id == workspace_id]
    return sum(o.state is PlaceState.RUNNING for o in seen)
