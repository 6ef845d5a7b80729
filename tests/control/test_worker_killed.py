"""Workers killed with -9: another one takes over within the lease, and nothing is done twice."""

import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from taskyard.drivers.base import PlaceState
from taskyard.wire.enums import JobStatus, Transition
from tests.control.world_kit import Place, World, background
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

PROGRAM = Path(__file__).with_name("dying_worker.py")
ROOT = Path(__file__).parents[2]
LEASE_S = 240


async def die(world: World, verb: str, when: str, left_s: float = 0.3) -> UUID:
    """Lets a worker process take the pending job and die at that moment; the worker's id.

    Its lease is long, for it may be slow, and then cut so that this much is left of it.
    """
    worker_id = uuid4()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PROGRAM),
        world.services.db.url,
        str(world.folder),
        verb,
        when,
        str(LEASE_S),
        str(worker_id),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    async with asyncio.timeout(DEADLINE_S):
        assert await process.wait() == -signal.SIGKILL
    rest = (
        "update provisioner_jobs set lease_expires_at = now() + $1::interval where worker_id = $2"
    )
    await world.execute(rest, timedelta(seconds=left_s), worker_id)
    return worker_id


async def begun(world: World, place: Place) -> None:
    """The job that the dead worker had is still running, under its lease."""
    build = await world.newest(place)
    assert (build.job_status, build.job_attempt) == (JobStatus.RUNNING, 1)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_start_is_taken_over(world: World, when: str) -> None:
    """Killed around the driver's ensure: one generation runs, one agent is recorded, in the second try."""
    place = await world.workspace({})
    await die(world, "ensure", when)
    await begun(world, place)
    async with world.working():
        build = await world.settled(place)
    assert (build.job_status, build.job_attempt) == (JobStatus.SUCCEEDED, 2)
    seen = await world.driver.list()
    assert [(s.workspace_id, s.state, s.generation) for s in seen] == [
        (place.id, PlaceState.RUNNING, 2)
    ]
    assert await world.value("select array_agg(generation) from workspace_agents") == [2]
    assert await world.value("select generation from workspaces") == 2


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_stop_is_taken_over(world: World, when: str) -> None:
    """Killed around the driver's stop: the workspace ends stopped."""
    place = await world.workspace({})
    async with world.working():
        await world.settled(place)
    await world.build(place, Transition.STOP)
    await die(world, "stop", when)
    await begun(world, place)
    async with world.working():
        build = await world.settled(place)
    assert build.job_status is JobStatus.SUCCEEDED
    assert (await world.driver.observe(place.id)).state is PlaceState.STOPPED


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_delete_is_taken_over(world: World, when: str) -> None:
    """Killed around the driver's destroy: nothing of the workspace is left."""
    place = await world.workspace({})
    async with world.working():
        await world.settled(place)
    await world.build(place, Transition.DELETE)
    await die(world, "destroy", when)
    await begun(world, place)
    async with world.working():
        build = await world.settled(place)
    assert build.job_status is JobStatus.SUCCEEDED
    assert await world.driver.list() == []


async def test_two_workers_that_race_for_a_dead_ones_job_do_it_once(world: World) -> None:
    """Several workers wait for the same lease to lapse: one of them gets the job."""
    place = await world.workspace({})
    await die(world, "ensure", "after")
    others = [world.worker() for _ in range(4)]
    async with background(world.services.doorbell.run(), *(w.run() for w in others)):
        build = await world.settled(place)
    assert (build.job_status, build.job_attempt) == (JobStatus.SUCCEEDED, 2)


async def test_a_server_that_starts_again_waits_for_no_lease_of_its_own(world: World) -> None:
    """The same worker in its next life goes on with its job at once, long before the lease lapses."""
    place = await world.workspace({})
    worker_id = await die(world, "ensure", "after", left_s=LEASE_S)
    await begun(world, place)
    async with world.working(world.worker(worker_id=worker_id)):
        build = await world.settled(place)
    assert (build.job_status, build.job_attempt) == (JobStatus.SUCCEEDED, 2)


async def test_a_worker_leaves_the_leases_of_others_alone(world: World) -> None:
    """Another worker that starts does not touch what a killed one held under a long lease."""
    place = await world.workspace({})
    await die(world, "ensure", "after", left_s=LEASE_S)
    other = await world.workspace({})
    async with world.working():
        await world.settled(other)
    await begun(world, place)
