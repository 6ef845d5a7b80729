"""Admission: never more than there is room for, whoever claims at once; who waits knows for what, and where."""

import asyncio
from uuid import UUID, uuid4

import pytest

from taskyard.control.admission import limits
from taskyard.control.reconciler import Reconciler
from taskyard.db import jobs
from taskyard.db.jobs import Claim, JobKind, JobRow, Lease, Limits, WaitingRow
from taskyard.db.runs import raise_generation
from taskyard.lifecycle.plan import Halt
from taskyard.wire.enums import QueueReason, Transition
from tests.control.tricky_driver import FOR_EVER, TrickyDriver
from tests.control.world_kit import Place, World, background

pytestmark = pytest.mark.anyio


async def claim(world: World, most: int, some: Limits | None = None) -> JobRow | None:
    """The next job for a worker of its own."""
    now = world.now
    wanted = Claim(uuid4(), "w", [JobKind.BUILD], now.replace(year=2100), most, some or Limits())
    async with world.services.db.transaction() as conn:
        return await jobs.claim_job(conn, wanted, now)


async def finish(world: World, job: JobRow, error: str | None = None) -> None:
    """The job is done, as a start is: with a driver that holds its workspace."""
    assert job.worker_id is not None
    assert job.workspace_id is not None
    async with world.services.db.transaction() as conn:
        await raise_generation(
            conn,
            job.workspace_id,
            seen=0,
            driver="echo",
            host_id=world.services.host_id,
            now=world.now,
        )
        lease = Lease(job.id, job.attempt, job.worker_id)
        await jobs.finish_job(conn, lease, world.now, error=error)


async def somebody(world: World, name: str) -> UUID:
    """One more user of the world's organization."""
    user_id = uuid4()
    await world.execute(
        "insert into users (id, username, email, name, avatar_url, login_type, status, roles,"
        " created_at, updated_at, last_seen_at)"
        " values ($1, $2, $2 || '@example.com', '', '', 'none', 'active', '{}', $3, $3, $3)",
        user_id,
        name,
        world.now,
    )
    return user_id


async def own(world: World, place: Place, user_id: UUID) -> None:
    """The workspace, its task and its start are somebody else's."""
    await world.execute("update workspaces set owner_id = $2 where id = $1", place.id, user_id)
    await world.execute("update tasks set owner_id = $2 where workspace_id = $1", place.id, user_id)
    await world.execute(
        "update provisioner_jobs set initiator_id = $2 where workspace_id = $1", place.id, user_id
    )


async def waiting(
    world: World, *places: Place, some: Limits | None = None
) -> list[WaitingRow | None]:
    """What each workspace's start waits for; null for what does not wait."""
    async with world.services.db.connection() as conn:
        rows = await jobs.list_waiting_starts(conn, [p.id for p in places], some or Limits())
    found = {row.workspace_id: row for row in rows}
    return [found.get(place.id) for place in places]


async def most_at_once(world: World, most: int, some: Limits) -> list[UUID]:
    """The owners of what three workers that claim all at once, without a pause, got to run."""
    got: list[UUID] = []

    async def greedy() -> None:
        while (job := await claim(world, most, some)) is not None:
            assert job.workspace_id is not None
            owner = await world.value(
                "select owner_id from workspaces where id = $1", job.workspace_id
            )
            assert isinstance(owner, UUID)
            got.append(owner)
            await finish(world, job)

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(greedy())
    return got


async def test_three_workers_at_once_never_exceed_any_limit(world: World) -> None:
    """Of thirty starts of three users: the server's, each user's own, and the organization's limit hold exactly."""
    eve, bob = await somebody(world, "eve"), await somebody(world, "bob")
    for number in range(30):
        place = await world.workspace({})
        await own(world, place, (world.user_id, eve, bob)[number % 3])
    await world.execute("update users set max_running = 4 where id = $1", eve)
    got = await most_at_once(world, 100, Limits(per_user=2))
    assert {who: got.count(who) for who in set(got)} == {world.user_id: 2, eve: 4, bob: 2}
    await world.execute("update organizations set max_running = 11")
    more = await most_at_once(world, 100, Limits(per_user=9))
    assert len(got) + len(more) == 11, "the organization's own limit"
    last = await most_at_once(world, 100, Limits(per_user=9, per_organization=1))
    assert last == [], "its own limit goes before that of the settings"
    await world.execute("update organizations set max_running = null")
    assert len(await most_at_once(world, 14, Limits())) == 3, "the server's limit"


async def test_what_is_being_stopped_keeps_its_place_until_it_is_gone(world: World) -> None:
    """A stop that is on its way, or that failed, frees nothing: the processes may be there still."""
    world.tuned(max_running=1)
    world.driver = driver = TrickyDriver(world.folder)
    world.drivers = {"echo": driver}
    first, second = await world.workspace({}), await world.workspace({})
    async with world.working():
        await world.settled(first)
    driver.failing["stop"] = FOR_EVER
    await world.build(first, Transition.STOP)
    assert await claim_start(world) is None
    async with world.working(), background(world.hurry()):
        await world.settled(first)
    assert await claim_start(world) is None
    driver.failing.clear()
    await world.build(first, Transition.STOP)
    async with world.working():
        assert (await world.settled(second)).job_error is None


async def test_a_start_of_what_runs_keeps_its_place_and_needs_no_other(world: World) -> None:
    """While it waits, nobody gets the place; it is claimed though the limit is reached, by what is its own."""
    first, second = await world.workspace({}), await world.workspace({})
    job = await claim(world, 1)
    assert job is not None
    await finish(world, job)
    await world.build(first, Transition.START)
    again = await claim(world, 1, Limits(per_user=1, per_organization=1))
    assert again is not None
    assert again.workspace_id == first.id
    await finish(world, again)
    assert await claim(world, 1) is None
    await world.build(first, Transition.STOP)
    stop = await claim(world, 1)
    assert stop is not None
    await finish(world, stop, error="the driver hangs")
    await world.build(first, Transition.START)
    resumed = await claim(world, 1)
    assert resumed is not None
    assert resumed.workspace_id == first.id, "a stop that failed has freed nothing"
    await finish(world, resumed)
    await world.build(first, Transition.STOP)
    ended = await claim(world, 1)
    assert ended is not None
    await finish(world, ended)
    freed = await claim(world, 1)
    assert freed is not None
    assert freed.workspace_id == second.id


async def test_a_start_that_could_not_be_taken_back_keeps_its_place(world: World) -> None:
    """It failed, and so did its clean-up: the place is free once the reconciler has ended what is left."""
    world.tuned(max_running=1)
    world.driver = driver = TrickyDriver(world.folder)
    world.drivers = {"echo": driver}
    driver.failing |= {"ensured": FOR_EVER, "stop": FOR_EVER}
    first = await world.workspace({})
    async with world.working():
        assert (await world.settled(first)).job_error is not None
    second = await world.workspace({})
    assert await claim_start(world) is None
    driver.failing.clear()
    reconciler = Reconciler(world.services, world.drivers)
    assert await reconciler.reconcile() == [Halt(first.id)]
    async with world.working():
        assert (await world.settled(second)).job_error is None


async def test_a_start_that_was_taken_back_frees_its_place(world: World) -> None:
    """It failed and nothing of it is left: another one may start."""
    world.tuned(max_running=1)
    world.driver = driver = TrickyDriver(world.folder)
    world.drivers = {"echo": driver}
    driver.failing["ensured"] = 1
    first, second = await world.workspace({}), await world.workspace({})
    async with world.working():
        assert (await world.settled(first)).job_error is not None
        assert (await world.settled(second)).job_error is None


async def test_a_start_that_is_given_up_frees_its_place_in_the_end(world: World) -> None:
    """Its workers were lost, so nobody has cleaned up: the reconciler does, though nothing is to be seen of it."""
    first, second = await world.workspace({}), await world.workspace({})
    job = await claim(world, 1)
    assert job is not None
    assert job.worker_id is not None
    async with world.services.db.transaction() as conn:
        lease = Lease(job.id, job.attempt, job.worker_id)
        await jobs.finish_job(conn, lease, world.now, error="given up")
    assert await claim(world, 1) is None
    assert await Reconciler(world.services, world.drivers).reconcile() == [Halt(first.id)]
    world.tuned(max_running=1)
    async with world.working():
        assert (await world.settled(second)).job_error is None


async def test_a_start_that_is_canceled_while_it_waits_leaves_all_as_it_was(world: World) -> None:
    """It is out of the queue; a place that it never had is not freed."""
    first, second = await world.workspace({}), await world.workspace({})
    job = await claim(world, 1)
    assert job is not None
    await finish(world, job)
    for place in (first, second):
        if place is first:
            await world.build(first, Transition.START)
        newest = await world.newest(place)
        async with world.services.db.transaction() as conn:
            await jobs.cancel_job(conn, newest.job_id, world.now)
    rows = await world.value("select array_agg(workspace_id || ' ' || taken) from workspace_room")
    assert rows == [f"{first.id} true"]


async def claim_start(world: World) -> JobRow | None:
    """The start that may begin now, put back at once; null when none may."""
    async with world.services.db.connection() as conn:
        transaction = conn.transaction()
        await transaction.start()
        try:
            now = world.now
            claim_ = Claim(uuid4(), "w", [JobKind.BUILD], now, 1, limits(world.services.settings))
            job = await jobs.claim_job(conn, claim_, now)
            if job is not None and job.workspace_build_id is not None:
                start = await conn.fetchval(
                    "select transition = 'start' from workspace_builds where id = $1",
                    job.workspace_build_id,
                )
                return job if start else None
            return None
        finally:
            await transaction.rollback()


async def test_who_waits_is_told_for_what_and_where(world: World) -> None:
    """The place counts among those that wait for the same: one's own limit, the organization's, or the server."""
    eve = await somebody(world, "eve")
    places = [await world.workspace({}) for _ in range(6)]
    for place in places[4:]:
        await own(world, place, eve)
    running = await claim(world, 100)
    assert running is not None
    await finish(world, running)
    seen = await waiting(world, *places, some=Limits(per_user=2))
    told = [row and (row.reason, row.most, row.position, row.size) for row in seen]
    user, server = QueueReason.USER, QueueReason.SERVER
    assert told == [
        None,
        (server, None, 1, 3),
        (user, 2, 1, 2),
        (user, 2, 2, 2),
        (server, None, 2, 3),
        (server, None, 3, 3),
    ]
    await world.execute("update organizations set max_running = 3")
    seen = await waiting(world, *places[1:], some=Limits(per_user=2))
    told = [row and (row.reason, row.most, row.position, row.size) for row in seen]
    assert told == [
        (server, None, 1, 2),
        (user, 2, 1, 2),
        (user, 2, 2, 2),
        (server, None, 2, 2),
        (QueueReason.ORGANIZATION, 3, 1, 1),
    ]


async def test_hundreds_of_starts_at_once_are_taken_in_their_order(world: World) -> None:
    """A burst is accepted as a whole; each gets its turn as there is room, the oldest first."""
    places = [await world.workspace({}) for _ in range(60)]
    order: list[UUID | None] = []
    while (job := await claim(world, 5)) is not None:
        order.append(job.workspace_id)
        await finish(world, job)
        if len(order) % 5 == 0:
            await world.execute("delete from workspace_room where taken")
    assert order == [place.id for place in places]
