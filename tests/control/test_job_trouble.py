"""Builds whose driver fails, workers that were overtaken, cancellation at any phase: there is always a way on."""

import asyncio
from uuid import uuid4

import pytest

from taskyard.control.build_run import run_build
from taskyard.control.job_run import JobRun
from taskyard.control.reconciler import Reconciler
from taskyard.db import jobs, runs
from taskyard.db.builds import BuildRow
from taskyard.db.jobs import Claim, JobKind, Lease
from taskyard.drivers.base import PlaceState
from taskyard.errors import JobCompleted, JobFailed, LeaseLost
from taskyard.lifecycle.job import MAX_ATTEMPTS
from taskyard.wire.enums import JobStatus, LogLevel, Transition, WorkspaceStatus
from tests.control.tricky_driver import CAUSE, FOR_EVER, TrickyDriver
from tests.control.world_kit import Place, World, background, eventually
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio


@pytest.fixture
def driver(world: World) -> TrickyDriver:
    """The driver of the world, in which anything may go wrong."""
    world.driver = driver = TrickyDriver(world.folder)
    world.drivers = {"echo": driver}
    return driver


@pytest.fixture
async def place(world: World, driver: TrickyDriver) -> Place:
    """A workspace that runs."""
    place = await world.workspace({})
    async with world.working():
        await world.settled(place)
    driver.calls.clear()
    return place


async def done(world: World, place: Place, transition: Transition, **wishes: bool) -> BuildRow:
    """The build after it was made and is over, whose tries come at once."""
    await world.build(place, transition, **wishes)
    async with world.working(), background(world.hurry()):
        return await world.settled(place)


async def cancel(world: World, build: BuildRow) -> JobStatus:
    async with world.services.db.transaction() as conn:
        return await jobs.cancel_job(conn, build.job_id, world.now)


async def tidied(world: World) -> None:
    """A reconciler's pass, and whatever it asked for."""
    await Reconciler(world.services, world.drivers).reconcile()

    async def idle() -> bool | None:
        count = "select count(*) from provisioner_jobs where completed_at is null"
        return await world.value(count) == 0 or None

    async with world.working():
        await eventually(idle)


@pytest.mark.parametrize(("transition", "verb"), [("stop", "stop"), ("delete", "destroy")])
async def test_a_stop_or_delete_is_tried_again_until_it_works(
    world: World, driver: TrickyDriver, place: Place, transition: str, verb: str
) -> None:
    """A driver that fails twice costs two more tries, which the log tells of, and no error."""
    driver.failing[verb] = 2
    build = await done(world, place, Transition(transition))
    assert (build.job_status, build.job_attempt, build.job_error) == (JobStatus.SUCCEEDED, 3, None)
    assert driver.calls[verb] == 3
    told = [line.output for line in await world.logs(build) if line.level is LogLevel.WARN]
    assert told == [f"{CAUSE} It is tried again."] * 2


@pytest.mark.parametrize(("transition", "verb"), [("stop", "stop"), ("delete", "destroy")])
async def test_what_fails_for_ever_fails_with_its_reason_and_can_be_tried_again(
    world: World, driver: TrickyDriver, place: Place, transition: str, verb: str
) -> None:
    """After the last try the build carries the driver's sentence; the next build is made as ever, and works."""
    driver.failing[verb] = FOR_EVER
    build = await done(world, place, Transition(transition))
    assert (build.job_status, build.job_attempt) == (JobStatus.FAILED, MAX_ATTEMPTS)
    assert build.job_error == CAUSE
    driver.failing.clear()
    assert (await done(world, place, Transition(transition))).job_status is JobStatus.SUCCEEDED


async def test_a_task_whose_pause_failed_can_be_resumed(
    world: World, driver: TrickyDriver, place: Place
) -> None:
    """The start replaces what the stop left running, though stops fail still."""
    driver.failing["stop"] = FOR_EVER
    await done(world, place, Transition.STOP)
    build = await done(world, place, Transition.START)
    assert build.status is WorkspaceStatus.RUNNING
    assert (await driver.observe(place.id)).generation == 2


async def test_force_gives_up_what_cannot_be_removed_and_removes_it_later(
    world: World, driver: TrickyDriver, place: Place
) -> None:
    """A forced delete is done at its first try; once its driver answers, the reconciler leaves nothing."""
    driver.failing["destroy"] = FOR_EVER
    build = await done(world, place, Transition.DELETE, force=True)
    assert (build.status, build.job_attempt) == (WorkspaceStatus.DELETED, 1)
    assert await world.value("select deleted from workspaces") is True
    await tidied(world)
    asked = driver.calls["destroy"]
    await tidied(world)
    assert (asked, driver.calls["destroy"]) == (2, 2), (
        "a driver in trouble is left alone for a while"
    )
    assert (await driver.observe(place.id)).state is PlaceState.RUNNING
    driver.failing.clear()
    await world.execute("update provisioner_jobs set completed_at = completed_at - interval '61 s'")
    await tidied(world)
    assert await driver.list() == []


async def test_a_forced_stop_has_no_grace(world: World, driver: TrickyDriver) -> None:
    """What would take its whole grace is killed at once."""
    world.tuned(stop_grace_s=600)
    never = str(world.folder / "never")
    place = await world.workspace({"stop": [{"wait_for": never}]})
    async with world.working():
        await world.settled(place)
    async with asyncio.timeout(DEADLINE_S):
        build = await done(world, place, Transition.STOP, force=True)
    assert build.status is WorkspaceStatus.STOPPED


async def test_a_start_that_can_neither_be_made_nor_taken_back_ends(
    world: World, driver: TrickyDriver
) -> None:
    """It fails with the cause of the start, says what is left, and the reconciler ends that."""
    driver.failing.update(ensure=1, stop=FOR_EVER)
    place = await world.workspace({})
    async with world.working():
        build = await world.settled(place)
    assert (build.job_error, build.job_attempt) == (CAUSE, 1)
    assert any("could not be ended" in line.output for line in await world.logs(build))


async def test_a_canceled_start_whose_processes_cannot_be_ended_is_canceled_all_the_same(
    world: World, driver: TrickyDriver
) -> None:
    """Nothing waits for ever: the build is over, and what still runs is stopped as soon as it can be."""
    held = driver.hold("ensure")
    place = await world.workspace({})
    async with world.working():
        await held.reached.wait()
        driver.failing["stop"] = FOR_EVER
        await cancel(world, await world.newest(place))
        build = await world.settled(place)
    assert (build.status, build.job_error) == (WorkspaceStatus.CANCELED, None)
    driver.failing.clear()
    spec_generation = await world.value("select generation from workspaces")
    assert spec_generation == 1
    await tidied(world)
    assert (await driver.observe(place.id)).state is not PlaceState.RUNNING


async def test_a_start_canceled_in_the_queue_never_begins(
    world: World, driver: TrickyDriver
) -> None:
    """It is over at once; the driver is not asked, and the next start is made as ever."""
    place = await world.workspace({})
    assert await cancel(world, await world.newest(place)) is JobStatus.CANCELED
    async with world.working():
        await world.idle()
    assert not driver.calls
    assert (await done(world, place, Transition.START)).status is WorkspaceStatus.RUNNING


async def test_a_start_canceled_right_after_its_claim_does_nothing(
    world: World, driver: TrickyDriver
) -> None:
    """A worker that claimed a job dies; who takes it over finds it canceled, and only cleans up."""
    place = await world.workspace({})
    now = world.now
    async with world.services.db.transaction() as conn:
        claim = Claim(uuid4(), "gone", [JobKind.BUILD], now, 9)
        assert await jobs.claim_job(conn, claim, now) is not None
    assert await cancel(world, await world.newest(place)) is JobStatus.CANCELING
    async with world.working():
        build = await world.settled(place)
    assert (build.status, driver.calls["ensure"]) == (WorkspaceStatus.CANCELED, 0)


async def test_what_is_done_cannot_be_canceled_but_paused(world: World, place: Place) -> None:
    """While the agent of a finished start comes up there is nothing to cancel; a stop ends it."""
    with pytest.raises(JobCompleted):
        await cancel(world, await world.newest(place))
    assert (await done(world, place, Transition.STOP)).status is WorkspaceStatus.STOPPED


@pytest.mark.parametrize(("transition", "verb"), [("stop", "stop"), ("delete", "destroy")])
async def test_a_stop_or_delete_that_hangs_can_be_canceled(
    world: World, driver: TrickyDriver, place: Place, transition: str, verb: str
) -> None:
    """The build ends canceled, the workspace is as it was, and every verb is legal again."""
    held = driver.hold(verb)
    await world.build(place, Transition(transition))
    async with world.working():
        await held.reached.wait()
        await cancel(world, await world.newest(place))
        build = await world.settled(place)
    assert (build.status, build.job_error) == (WorkspaceStatus.CANCELED, None)
    assert (await done(world, place, Transition.START)).status is WorkspaceStatus.RUNNING
    assert (await driver.observe(place.id)).generation == 2


async def zombie_in(world: World, driver: TrickyDriver, place: Place, verb: str) -> JobRun:
    """A run of the newest build whose lease has lapsed, held before it does the driver's verb."""
    now = world.now
    async with world.services.db.transaction() as conn:
        claim = Claim(uuid4(), "zombie", [JobKind.BUILD], now, 9)
        job = await jobs.claim_job(conn, claim, now)
    assert job is not None
    assert job.worker_id is not None
    return JobRun(world.services, world.drivers, job, Lease(job.id, job.attempt, job.worker_id))


@pytest.mark.parametrize(("transition", "verb"), [("stop", "stop"), ("delete", "destroy")])
async def test_a_worker_that_was_overtaken_touches_nothing_that_came_later(
    world: World, driver: TrickyDriver, place: Place, transition: str, verb: str
) -> None:
    """It froze before its stop or delete; that was canceled since, and the task resumed: what runs now stays.

    Its writes are refused too.
    """
    await world.build(place, Transition(transition))
    zombie = await zombie_in(world, driver, place, verb)
    held = driver.hold(verb)

    async def haunt() -> None:
        with pytest.raises(LeaseLost):
            await run_build(zombie)

    async with asyncio.TaskGroup() as group:
        haunting = group.create_task(haunt())
        await held.reached.wait()
        await cancel(world, await world.newest(place))
        async with world.working():
            assert (await world.settled(place)).status is WorkspaceStatus.CANCELED
        assert (await done(world, place, Transition.START)).status is WorkspaceStatus.RUNNING
        held.let_go.set()
        await haunting
    seen = await driver.observe(place.id)
    assert (seen.state, seen.generation) == (PlaceState.RUNNING, 2)
    assert await world.value("select deleted from workspaces") is False
    assert await world.value(
        "select array_agg(lifecycle) from workspace_agents where generation = 2"
    ) == ["created"]


async def test_a_start_that_was_overtaken_cannot_replace_the_later_one(
    world: World, driver: TrickyDriver
) -> None:
    """It froze before the driver made its workspace; the driver refuses its generation, and its undo is refused."""
    place = await world.workspace({})
    zombie = await zombie_in(world, driver, place, "ensure")
    held = driver.hold("ensure")

    async def haunt() -> None:
        with pytest.raises(JobFailed, match="comes too late"):
            await run_build(zombie)
        assert zombie.undo is not None
        with pytest.raises(LeaseLost):
            await zombie.undo()

    async with asyncio.TaskGroup() as group:
        haunting = group.create_task(haunt())
        await held.reached.wait()
        async with world.working():
            assert (await world.settled(place)).status is WorkspaceStatus.RUNNING
        held.let_go.set()
        await haunting
    seen = await driver.observe(place.id)
    assert (seen.state, seen.generation) == (PlaceState.RUNNING, 2)


async def test_every_write_of_a_worker_is_refused_once_its_job_was_taken_over(
    world: World, place: Place
) -> None:
    """Logs, generation, records of a start, the end of a job: each is within the fence, or names the lease."""
    await world.build(place, Transition.STOP)
    zombie = await zombie_in(world, TrickyDriver(world.folder), place, "stop")
    async with world.working():
        await world.settled(place)
    now = world.now
    zombie.log(LogLevel.INFO, "Haunting", "Boo.")
    with pytest.raises(LeaseLost):
        await zombie.flush()
    for although_canceled in (False, True):
        with pytest.raises(LeaseLost):
            async with zombie.fenced(although_canceled=although_canceled) as conn:
                await runs.delete_workspace(conn, place.id, now)
    async with world.services.db.connection() as conn:
        for write in (
            jobs.renew_lease(conn, zombie.lease, now),
            jobs.retry_job(conn, zombie.lease, now, now),
            jobs.finish_job(conn, zombie.lease, now, error="boo"),
            jobs.hold_job(conn, zombie.lease),
        ):
            with pytest.raises(LeaseLost):
                await write
    build = await world.newest(place)
    assert (build.status, build.job_error) == (WorkspaceStatus.STOPPED, None)
    assert not [line for line in await world.logs(build) if line.stage == "Haunting"]
