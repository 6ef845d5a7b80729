"""Workers: jobs are done once, survive their workers, and end as they should."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest

from taskyard.control import worker
from taskyard.control.job_run import JobRun
from taskyard.db import jobs, runs
from taskyard.db.jobs import Claim, JobKind, Lease
from taskyard.drivers.base import PlaceState
from taskyard.errors import JobFailed, LeaseLost
from taskyard.lifecycle.job import MAX_ATTEMPTS
from taskyard.wire.enums import JobStatus, LogLevel, Transition, WorkspaceStatus
from tests.control.world_kit import BRIDGED, World, background
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio


async def test_a_start_makes_a_workspace_with_agent_and_apps(world: World) -> None:
    """After a start the driver runs generation 1, and agent, apps and deadline are recorded."""
    place = await world.workspace({"ensure": [{"log": "unpacking"}]}, ttl_ms=3_600_000)
    async with world.working():
        build = await world.settled(place)
    assert build.status is WorkspaceStatus.RUNNING
    seen = await world.driver.observe(place.id)
    assert (seen.state, seen.generation) == (PlaceState.RUNNING, 1)
    assert build.deadline is not None
    assert (build.deadline - (build.job_completed_at or build.deadline)).total_seconds() == 3600
    row = await world.value(
        "select row(a.lifecycle, a.generation, p.slug, p.health, octet_length(a.token_hash))::text"
        " from workspace_agents a join workspace_apps p on p.agent_id = a.id"
        " where a.id = $1 and p.id = $2",
        build.agent_id,
        build.app_id,
    )
    assert row == "(created,1,agent,initializing,32)"
    healths = await world.value(
        "select array_agg(slug || ' ' || health order by ordinal) from workspace_apps"
    )
    assert healths == ["web disabled", "agent initializing"]


async def test_the_log_of_a_start_tells_its_stages(world: World) -> None:
    """The build's log has our stages in order, and the driver's own lines among them."""
    place = await world.workspace({"ensure": [{"log": "unpacking"}]})
    async with world.working():
        build = await world.settled(place)
    lines = await world.logs(build)
    assert [line.stage for line in lines] == [
        "Preparing workspace",
        "Starting workspace",
        "Starting workspace",
        "Recording result",
    ]
    assert ("provisioner", "unpacking") in [(line.source, line.output) for line in lines]


async def test_a_workspace_that_cannot_start_fails_with_the_drivers_sentence(world: World) -> None:
    """The job carries the driver's sentence, its log too, and nothing runs."""
    place = await world.workspace({"ensure": [{"fail": "The moon is in the way."}]})
    async with world.working():
        build = await world.settled(place)
    assert (build.job_status, build.job_error) == (JobStatus.FAILED, "The moon is in the way.")
    assert build.agent_id is None
    assert (await world.driver.observe(place.id)).state is PlaceState.STOPPED
    assert (await world.logs(build))[-1].output == "The moon is in the way."


async def test_a_missing_driver_is_named(world: World) -> None:
    """A template for a driver that this server has not fails with both names."""
    place = await world.workspace({})
    world.drivers = {}
    async with world.working():
        build = await world.settled(place)
    assert "no workspace driver named echo, it has: none" in str(build.job_error)


async def test_stop_keeps_the_place_and_ends_the_agent(world: World) -> None:
    """After a stop nothing runs, the agent is off, and the build names no agent."""
    place = await world.workspace({})
    async with world.working():
        await world.settled(place)
        await world.build(place, Transition.STOP)
        build = await world.settled(place)
    assert (build.status, build.agent_id) == (WorkspaceStatus.STOPPED, None)
    assert (await world.driver.observe(place.id)).state is PlaceState.STOPPED
    assert await world.value("select array_agg(lifecycle) from workspace_agents") == ["off"]


async def test_a_stop_without_upload_keeps_the_stored_conversation(world: World) -> None:
    """When no snapshot came since the stop was made, it is written from the items; one that came stays."""
    place = await world.workspace({}, template=BRIDGED)
    async with world.working():
        await world.settled(place)
        await world.say(place, "Hello there.")
        await world.build(place, Transition.STOP)
        await world.settled(place)
        kept = await world.value("select data::text from task_snapshots")
        assert "Hello there." in str(kept)
        await world.build(place, Transition.START)
        await world.settled(place)
        await world.execute(
            "update task_snapshots set data = '{}', created_at = now() + interval '1 hour'"
        )
        await world.build(place, Transition.STOP)
        await world.settled(place)
    assert await world.value("select data::text from task_snapshots") == "{}"


async def test_delete_leaves_nothing(world: World) -> None:
    """After a delete the driver holds nothing, workspace and task are deleted."""
    place = await world.workspace({})
    async with world.working():
        await world.settled(place)
        await world.build(place, Transition.DELETE)
        build = await world.settled(place)
    assert build.status is WorkspaceStatus.DELETED
    assert await world.driver.list() == []
    gone = await world.value(
        "select w.deleted and t.deleted_at is not null from workspaces w join tasks t on t.workspace_id = w.id"
    )
    assert gone is True


async def test_parameters_follow_the_workspace(world: World) -> None:
    """A build without parameters of its own has those of the build before."""
    place = await world.workspace({})
    async with world.working():
        first = await world.settled(place)
    second = await world.build(place, Transition.STOP)
    values = await world.value(
        "select array_agg(name || '=' || value) from workspace_build_parameters where workspace_build_id = $1",
        second.id,
    )
    assert (values, second.build_number) == (["colour=red"], first.build_number + 1)


async def test_enqueueing_wakes_a_worker_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker with nothing to do starts a new job without waiting for its next look at the queue."""
    monkeypatch.setattr(worker, "POLL_S", 3600.0)
    began = asyncio.Event()

    async def note(_run: JobRun) -> None:
        began.set()

    async with world.working(world.worker({JobKind.BUILD: note})):
        await world.idle()
        async with asyncio.timeout(DEADLINE_S):
            await world.workspace({})
            await began.wait()


async def test_a_canceled_start_ends_canceled_and_stops_what_it_made(
    world: World, tmp_path: Path
) -> None:
    """Canceling a start that hangs ends it at once; nothing of it runs."""
    place = await world.workspace({"ensure": [{"wait_for": str(tmp_path / "never")}]})
    async with world.working():
        await world.begun(place)
        build = await world.newest(place)
        async with world.services.db.transaction() as conn:
            assert await jobs.cancel_job(conn, build.job_id, world.now) is JobStatus.CANCELING
        build = await world.settled(place)
    assert (build.status, build.job_error) == (WorkspaceStatus.CANCELED, None)
    assert (await world.driver.observe(place.id)).state is PlaceState.STOPPED


async def test_a_start_canceled_while_its_worker_is_dead_is_cleaned_up(
    world: World, tmp_path: Path
) -> None:
    """A start whose worker died and that was canceled meanwhile ends canceled, with nothing running."""
    place = await world.workspace({"ensure": [{"wait_for": str(tmp_path / "never")}]})
    async with world.working():
        await world.begun(place)
    build = await world.newest(place)
    assert build.job_status is JobStatus.RUNNING
    async with world.services.db.transaction() as conn:
        await jobs.cancel_job(conn, build.job_id, world.now)
    async with world.working():
        assert (await world.settled(place)).status is WorkspaceStatus.CANCELED


async def test_a_stopping_worker_gives_its_jobs_back(world: World, tmp_path: Path) -> None:
    """When a worker is stopped, another one finishes its job at once, not after the lease of 30 s."""
    gate = tmp_path / "gate"
    place = await world.workspace({"ensure": [{"wait_for": str(gate)}]})
    async with world.working():
        await world.begun(place)
    assert (await world.newest(place)).job_status is JobStatus.RUNNING
    gate.touch()
    async with world.working():
        build = await world.settled(place)
    assert (build.status, build.job_attempt) == (WorkspaceStatus.RUNNING, 2)
    assert (await world.driver.observe(place.id)).generation == 2
    assert await world.value("select array_agg(generation) from workspace_agents") == [2]


async def test_trouble_is_tried_again_then_given_up(world: World) -> None:
    """An unexpected error is tried again until the last attempt, whose error the job then carries."""
    attempts: list[int] = []

    async def stumble(run: JobRun) -> None:
        attempts.append(run.job.attempt)
        raise RuntimeError("lightning")

    place = await world.workspace({})
    worker = world.worker({JobKind.BUILD: stumble})
    async with world.working(worker), background(world.hurry()):
        build = await world.settled(place)
    assert attempts == list(range(1, MAX_ATTEMPTS + 1))
    assert build.job_error == "internal: RuntimeError: lightning"


async def test_a_job_that_kills_its_workers_is_given_up(world: World) -> None:
    """A job claimed once too often fails without being run again."""
    place = await world.workspace({})
    await world.execute(
        "update provisioner_jobs set attempt = $1, worker_id = gen_random_uuid(), worker_name = 'gone',"
        " started_at = now(), lease_expires_at = now() where workspace_id = $2",
        MAX_ATTEMPTS,
        place.id,
    )
    async with world.working():
        build = await world.settled(place)
    assert build.job_status is JobStatus.FAILED
    await world.build(place, Transition.STOP)


async def test_a_zombies_writes_are_refused(world: World) -> None:
    """A try whose job was taken over while it slept can write nothing, not even a line of log."""
    place = await world.workspace({})
    now = world.now
    async with world.services.db.transaction() as conn:
        job = await jobs.claim_job(conn, Claim(uuid4(), "zombie", [JobKind.BUILD], now, 1), now)
    assert job is not None
    assert job.worker_id is not None
    zombie = JobRun(world.services, {}, job, Lease(job.id, job.attempt, job.worker_id))
    async with world.working():
        build = await world.settled(place)
    with pytest.raises(LeaseLost):
        async with zombie.fenced() as conn:
            await runs.delete_workspace(conn, place.id, world.now)
    zombie.log(LogLevel.INFO, "Haunting", "Boo.")
    with pytest.raises(LeaseLost):
        await zombie.flush()
    assert build.job_attempt == 2
    assert await world.value("select deleted from workspaces") is False


async def test_a_lost_lease_interrupts_the_executor(world: World) -> None:
    """A worker whose lease was taken ends its executor by itself, and the job is finished elsewhere."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def hang(run: JobRun) -> None:
        if run.job.attempt == 1:
            try:
                begun.set()
                await asyncio.Event().wait()
            finally:
                ended.set()

    world.tuned(job_lease_s=3)  # so long that it does not lapse by itself
    place = await world.workspace({})
    async with world.working(world.worker({JobKind.BUILD: hang})):
        await begun.wait()
        taken = "update provisioner_jobs set attempt = 2, lease_expires_at = now() where completed_at is null"
        await world.execute(taken)
        async with asyncio.timeout(DEADLINE_S):
            await ended.wait()
        assert (await world.settled(place)).job_attempt == 3


async def test_a_job_failed_by_its_executor_is_not_tried_again(world: World) -> None:
    """JobFailed ends the job with its sentence at the first attempt."""

    async def refuse(_run: JobRun) -> None:
        raise JobFailed("This cannot be done.")

    place = await world.workspace({})
    async with world.working(world.worker({JobKind.BUILD: refuse})):
        build = await world.settled(place)
    assert (build.job_error, build.job_attempt) == ("This cannot be done.", 1)


async def test_starts_wait_for_a_place(world: World) -> None:
    """With room for one workspace the second start stays pending in its place until the first stops."""
    world.tuned(max_running=1)
    first, second = await world.workspace({}), await world.workspace({})
    async with world.working():
        await world.settled(first)
        await world.idle()
        waiting = await world.newest(second)
        async with world.services.db.connection() as conn:
            job = await jobs.get_job(conn, waiting.job_id)
        assert job is not None
        assert (job.status, job.queue_position) == (JobStatus.PENDING, 1)
        await world.build(first, Transition.STOP)
        assert (await world.settled(second)).status is WorkspaceStatus.RUNNING
