"""What takes room and what waits for it beside what else goes on: no lock of ours is waited for in a ring."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from taskyard.control.reconciler import Reconciler
from taskyard.control.waiting import MANY, Waiting
from taskyard.db import jobs, runs
from taskyard.db import transcript as transcript_db
from taskyard.db.jobs import Claim, JobKind, Lease, Limits
from taskyard.lifecycle.plan import Remove
from taskyard.wire.enums import Transition
from tests.control.agent_kit import seat
from tests.control.tricky_driver import TrickyDriver
from tests.control.world_kit import Place, World, eventually
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

WAITING = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"


async def test_the_end_of_a_stop_and_items_do_not_wait_for_each_other(world: World) -> None:
    """Both lock the workspace before its task: the items are stored, and the stop is done after them."""
    place = (await seat(world)).place
    world.driver = driver = TrickyDriver(world.folder)
    world.drivers = {"echo": driver}
    held = driver.hold("stop")
    await world.execute("update workspaces set driver = 'echo' where id = $1", place.id)
    await world.build(place, Transition.STOP)
    async with world.working():
        await held.reached.wait()
        async with world.services.db.transaction() as conn:
            await transcript_db.lock_workspace_as_system(conn, place.id)
            held.let_go.set()
            await eventually(lambda: some_wait(world))
            assert await transcript_db.take_numbers_as_system(conn, place.id, 1) is not None
        assert (await world.settled(place)).job_error is None
    tries = await world.value(
        "select attempt from provisioner_jobs where workspace_id = $1 order by place desc limit 1",
        place.id,
    )
    assert tries == 1


async def some_wait(world: World) -> bool | None:
    """True once somebody waits for a lock."""
    return bool(await world.value(WAITING)) or None


async def test_a_new_build_does_not_wait_for_a_repair_that_is_being_ended(world: World) -> None:
    """The one holds the workspace, the other its job, which has lapsed: the build is made, the repair finds it."""
    place = (await seat(world)).place
    await world.execute("update workspaces set driver = 'echo' where id = $1", place.id)
    assert await Reconciler(world.services, world.drivers).reconcile() != []
    now = world.now
    claim = Claim(uuid4(), "w", [JobKind.REPAIR], now + timedelta(seconds=1), 9, Limits())
    async with world.services.db.transaction() as conn:
        repair = await jobs.claim_job(conn, claim, now)
    assert repair is not None
    lease = Lease(repair.id, repair.attempt, claim.worker_id)
    await world.execute(
        "update provisioner_jobs set run_at = run_at - interval '1 hour',"
        " lease_expires_at = lease_expires_at - interval '59 minutes' where id = $1",
        repair.id,
    )
    async with world.services.db.transaction() as conn:
        await jobs.hold_job(conn, lease)
        build = await world.build(place, Transition.STOP)
        await runs.hold_workspace(conn, place.id)
        await jobs.free_room(conn, place.id, build.id)


@pytest.mark.parametrize("ended", ["failed", "canceled"])
async def test_a_delete_that_did_not_come_about_is_made_again(world: World, ended: str) -> None:
    """Its task is gone, so nobody would see what is left: whether it failed or somebody canceled it."""
    place = await world.workspace({})
    async with world.working():
        await world.settled(place)
    build = await world.build(place, Transition.DELETE)
    await world.execute("update tasks set deleted_at = now() where id = $1", place.task_id)
    async with world.services.db.transaction() as conn:
        await jobs.cancel_job(conn, build.job_id, world.now)
    reconciler = Reconciler(world.services, world.drivers)
    if ended == "failed":
        await world.execute(
            "update provisioner_jobs set canceled_at = null, error = 'no' where id = $1",
            build.job_id,
        )
    assert await reconciler.reconcile() == [], "not at once"
    await world.execute(
        "update provisioner_jobs set completed_at = completed_at - interval '1 minute' where id = $1",
        build.job_id,
    )
    assert await reconciler.reconcile() == [Remove(place.id)]


async def test_only_workspaces_that_may_need_something_are_read(world: World) -> None:
    """One that is paused or deleted is passed over; one that runs or is seen to run is not, nor what is strange."""
    running, paused = await world.workspace({}), await world.workspace({})
    async with world.working():
        for place in (running, paused):
            await world.settled(place)
        await world.build(paused, Transition.STOP)
        await world.settled(paused)
    host, strange = world.services.host_id, uuid4()

    async def read(*seen: Place, active: bool = False) -> set[object]:
        async with world.services.db.connection() as conn:
            rows = await runs.list_world_as_system(
                conn, host, [place.id for place in seen], active=active, now=world.now
            )
        return {row.workspace_id for row in rows}

    assert await read() == {running.id}
    assert await read(paused) == {running.id, paused.id}
    async with world.services.db.connection() as conn:
        seen = [running.id, paused.id, strange]
        strangers = await runs.list_strangers_as_system(conn, host, seen, looked_at=world.now)
        assert strangers == {strange}
    await world.build(paused, Transition.DELETE)
    assert await read(active=True) == {running.id, paused.id}


async def test_places_of_many_are_read_once_for_all_who_ask(world: World) -> None:
    """Within a second, and those who come while it is read; a start that is new is found at once."""
    waiting = Waiting(fresh_s=DEADLINE_S)  # for who is slow to ask again
    first = await many_waiting(world)
    assert await sizes(world, waiting, first) == [MANY + 1]
    await world.execute("delete from workspace_room where workspace_id <> $1", first.id)
    assert await sizes(world, waiting, first) == [MANY + 1], "as it was a moment ago"
    second = await world.workspace({})
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(sizes(world, waiting, first, second)) for _ in range(5)]
    assert [task.result() for task in asked] == [[2, 2]] * 5


async def test_nobody_waits_while_places_of_many_are_read_anew(world: World) -> None:
    """Who asks a little later is told the old ones, and those after that what was read meanwhile."""
    waiting = Waiting(fresh_s=0)
    first = await many_waiting(world)
    assert await sizes(world, waiting, first) == [MANY + 1]
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        running = group.create_task(waiting.run(world.services.db, Limits()))
        async with world.services.db.transaction() as conn:
            await conn.execute("delete from workspace_room where workspace_id <> $1", first.id)
            await conn.execute("lock table workspace_room in access exclusive mode")
            while not await some_wait(world):  # for the lock, as whoever reads them does
                assert await sizes(world, waiting, first) == [MANY + 1]
        while await sizes(world, waiting, first) != [1]:
            pass
        running.cancel()


async def test_places_are_read_anew_after_a_read_that_failed(world: World) -> None:
    """Whatever Postgres says: the server goes on, and tells the old ones meanwhile."""
    waiting = Waiting(fresh_s=0)
    first = await many_waiting(world)
    assert await sizes(world, waiting, first) == [MANY + 1]
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        running = group.create_task(waiting.run(world.services.db, Limits()))
        await world.execute("alter table workspace_room rename to room_elsewhere")
        with capture_logs() as said:
            while not said:
                assert await sizes(world, waiting, first) == [MANY + 1]
        await world.execute("alter table room_elsewhere rename to workspace_room")
        await world.execute("delete from workspace_room where workspace_id <> $1", first.id)
        while await sizes(world, waiting, first) != [1]:
            pass
        running.cancel()
    assert {line["event"] for line in said} == {"waiting.not_read"}


async def many_waiting(world: World) -> Place:
    """A start that waits, before many others."""
    first = await world.workspace({})
    await world.execute(
        "insert into workspace_room (workspace_id, owner_id, organization_id, waits, initiator_id)"
        " select gen_random_uuid(), r.owner_id, r.organization_id, r.waits + 1, r.initiator_id"
        " from workspace_room r, generate_series(1, $1::integer)",
        MANY,
    )
    return first


async def sizes(world: World, waiting: Waiting, *places: Place) -> list[int]:
    """How many wait for the same as each of these."""
    async with world.services.db.connection() as conn:
        rows = await waiting.places(conn, [place.id for place in places], Limits())
    return [row.size for row in rows]
