"""Several data directories on one database: work is done where the files are, links are found wherever they are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest

from taskyard.control.agents import welcome
from taskyard.control.links import Links, forwardable
from taskyard.control.reconciler import Reconciler
from taskyard.control.servers import AWAY, Absences, Presence, Whereabouts
from taskyard.control.services import Services
from taskyard.daemon.datadir import DataDir
from taskyard.daemon.place import claim_place
from taskyard.db import jobs, runs
from taskyard.db.deployment import claim_deployment_as_system
from taskyard.db.jobs import Claim, JobKind, JobRow
from taskyard.db.servers import Server, join_host_as_system
from taskyard.errors import AgentUnreachable, HeldElsewhere, StartupError
from taskyard.wire.enums import Transition
from taskyard.wire.link import ItemKind
from taskyard_agent.mux import Handlers, Mux
from tests.control.agent_kit import Seat, item, seat
from tests.control.world_kit import Place, World, eventually
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

HERE, THERE = uuid4(), uuid4()
"""Two data directories."""


@pytest.fixture
async def here(world: World) -> World:
    """The world by a server of the first of them."""
    async with world.services.db.connection() as conn:
        for host_id in (HERE, THERE):
            await join_host_as_system(conn, host_id, f"machine-{str(host_id == HERE).lower()}")
    world.services = replace(world.services, host_id=HERE)
    return world


async def claim(world: World, host_id: UUID, *, max_running: int = 100) -> JobRow | None:
    """What a worker of a data directory gets to do."""
    now = world.now
    wanted = Claim(
        uuid4(), "test", [JobKind.BUILD], now + timedelta(minutes=1), max_running, host_id=host_id
    )
    async with world.services.db.transaction() as conn:
        return await jobs.claim_job(conn, wanted, now)


async def started(world: World) -> Place:
    """A workspace that runs in the world's data directory."""
    place = await world.workspace({})
    async with world.working():
        await world.settled(place)
    return place


def server(services: Services, url: str = "unix:///nowhere") -> Server:
    """What a server says of itself."""
    return Server(
        id=services.server_id,
        host_id=services.host_id,
        name="machine",
        url=url,
        roles=["api", "worker"],
        version="1",
    )


async def test_work_is_done_where_the_files_are(here: World) -> None:
    """A first start is anybody's, all that follows is for workers of that data directory."""
    place = await started(here)
    assert await here.value("select host_id from workspaces") == HERE
    await here.build(place, Transition.STOP)
    assert await claim(here, THERE) is None
    assert await claim(here, HERE) is not None


async def test_a_start_that_was_taken_there_is_not_made_here(here: World) -> None:
    """A generation is given to the data directory that has the workspace, and to no other."""
    place = await started(here)
    async with here.services.db.transaction() as conn:
        given = await runs.raise_generation(
            conn, place.id, seen=5, driver="echo", host_id=THERE, now=here.now
        )
    assert given is None


async def test_each_data_directory_has_room_of_its_own(here: World) -> None:
    """What runs there leaves its place here to others."""
    await started(here)
    await here.workspace({})
    assert await claim(here, HERE, max_running=1) is None
    assert await claim(here, THERE, max_running=1) is not None


async def test_a_delete_by_force_needs_nobody_who_is_gone(here: World) -> None:
    """Others give the record up once no server of the data directory lives; its own does it while one does."""
    place = await started(here)
    await Presence(here.services, server(here.services)).arrive()
    await here.build(place, Transition.DELETE)
    await here.execute("update workspace_builds set force = true where transition = 'delete'")
    assert await claim(here, THERE) is None
    await here.execute("update servers set seen_at = now() - interval '1 minute'")
    assert await claim(here, THERE) is not None


async def test_a_reconciler_leaves_the_others_alone(here: World) -> None:
    """It neither repairs nor removes what is another data directory's, even where it finds files of it."""
    place = await started(here)
    there = replace(here.services, host_id=THERE)
    for drivers in ({}, here.drivers):
        await Reconciler(there, drivers).reconcile()
    assert (
        await here.value("select count(*) from provisioner_jobs where type = 'workspace_repair'")
        == 0
    )
    assert (await here.driver.observe(place.id)).generation == 1


async def test_who_waits_for_a_server_that_is_gone_is_told_once(here: World) -> None:
    """By whichever of three other servers looks first: in the log of the build, and as what the coding agent does."""
    place = await started(here)
    others = [Absences(replace(here.services, host_id=THERE), watched_s=0.0) for _ in range(3)]
    assert await others[0].look(here.now) == 0
    await gone(here)
    async with asyncio.TaskGroup() as group:
        for other in others:
            group.create_task(other.look(here.now))
    lines = [line for line in await here.logs(await here.newest(place)) if line.stage == AWAY]
    assert len(lines) == 1
    assert "machine-true" in lines[0].output
    assert "--force" in lines[0].output
    assert await others[0].look(here.now) == 0


async def test_nobody_tells_of_what_was_only_not_seen(here: World) -> None:
    """Neither of one's own host, nor before another one had the time for a sign of life: the clock may have been set."""
    await started(here)
    await gone(here)
    assert await Absences(here.services, watched_s=0.0).look(here.now) == 0
    other = Absences(replace(here.services, host_id=THERE), watched_s=0.2)
    assert await other.look(here.now) == 0
    clock = asyncio.get_running_loop().time
    await gone(here, ago="50 minutes")  # a sign of life, by a clock that is wrong
    lived = clock()
    await eventually(lambda: _told(other, here))
    assert clock() - lived >= 0.2


async def _told(absences: Absences, world: World) -> bool | None:
    """Whether it tells of somebody now."""
    return await absences.look(world.now) == 1 or None


async def test_what_was_told_of_a_host_is_taken_back_when_it_is_there(here: World) -> None:
    """The coding agent does what its bridge told last, once its link is held again; a second absence is told too."""
    place = await seat(here)
    await here.execute("update workspaces set host_id = $1", HERE)
    await place.store(item(1, ItemKind.STATE, state="idle", session="idle", reason="end_turn"))
    other, own = (
        Absences(replace(here.services, host_id=THERE), watched_s=0.0),
        Absences(here.services),
    )
    await Presence(here.services, server(here.services)).arrive()
    for _ in range(2):
        await gone(here)
        assert await other.look(here.now) == 1
        assert await here.value("select state from task_observed") == "failed"
        await own.look(here.now)
        assert await here.value("select state from task_observed") == "failed"
        await here.execute("update servers set seen_at = now()")
        await here.execute("update hosts set seen_at = now()")
        await welcome(here.services, place.actor, "1", here.now)
        await own.look(here.now)
        assert await here.value("select state from task_observed") == "idle"
        assert (await place.states())[-1][0] == "idle"
        before = len(await place.items())
        await own.look(here.now)
        assert len(await place.items()) == before
        await here.execute("update workspace_agents set server_id = null")
        await here.execute("update provisioner_job_logs set created_at = now() - interval '1 day'")


async def gone(world: World, *, ago: str = "1 hour") -> None:
    """All hosts have given their last sign of life so long ago."""
    await world.execute(f"update servers set seen_at = now() - interval '{ago}'")
    await world.execute(f"update hosts set seen_at = now() - interval '{ago}'")


async def test_one_server_of_a_data_directory_at_a_time(here: World) -> None:
    """The next one takes the place of what a killed one left; one that ends leaves nothing."""
    for _ in range(2):
        services = replace(here.services, server_id=uuid4())
        presence = Presence(services, server(services))
        await presence.arrive()
    assert await here.value("select array_agg(id) from servers") == [services.server_id]
    await presence.leave()
    assert await here.value("select count(*) from servers") == 0


async def test_a_server_that_was_killed_on_another_machine_is_waited_for(
    here: World, tmp_path: Path
) -> None:
    """Its folder is served elsewhere from then on: at once after its silence, and not at all while it lives."""
    with DataDir(tmp_path / "data") as data:
        async with here.services.db.connection() as conn:
            await join_host_as_system(conn, data.host_id, "other")
        services = replace(here.services, host_id=data.host_id)
        said = msgspec.structs.replace(server(services), place="other 1:2")
        await Presence(services, said).arrive()
        async with asyncio.TaskGroup() as group:
            refused = group.create_task(_refused(here, data))
            await eventually(lambda: _beaten(here, said, refused))
        assert "a copy of the other" in refused.result()
        await here.execute("update servers set seen_at = now() - interval '19.9 seconds'")
        async with asyncio.timeout(15):  # less than a silence takes
            await claim_place(here.services.db, data)
        await here.execute("update servers set seen_at = now(), place = $1", data.place)
        await claim_place(here.services.db, data)


async def _refused(world: World, data: DataDir) -> str:
    with pytest.raises(StartupError) as refused:
        await claim_place(world.services.db, data)
    return str(refused.value)


async def _beaten(world: World, said: Server, over: "asyncio.Task[str]") -> bool | None:
    """Gives another sign of life, until that was noticed."""
    await Presence(world.services, said).arrive()
    return over.done() or None


async def test_what_an_older_release_started_is_the_first_data_directory_s(here: World) -> None:
    """It knew of no others: the first server of this release takes over what it left, and no other one does."""
    await started(here)
    await here.execute("update workspaces set host_id = null")
    async with here.services.db.transaction() as conn:
        await claim_deployment_as_system(conn, HERE, here.now)
    for host_id, expected in ((THERE, None), (HERE, HERE)):
        services = replace(here.services, server_id=uuid4(), host_id=host_id)
        await Presence(services, server(services)).arrive()
        assert await here.value("select host_id from workspaces") == expected


async def test_nobody_else_takes_what_an_older_release_starts_meanwhile(here: World) -> None:
    """Its rows name no data directory: for others they are the first one's, until the server of that takes them over.

    Neither their jobs nor another generation are to be had elsewhere, even to give up by force while that lives.
    """
    place = await started(here)
    await here.execute("update workspaces set host_id = null")
    async with here.services.db.transaction() as conn:
        await claim_deployment_as_system(conn, HERE, here.now)
    await Reconciler(replace(here.services, host_id=THERE), {}).reconcile()
    await Reconciler(replace(here.services, host_id=THERE), here.drivers).reconcile()
    assert await here.value("select count(*) from provisioner_jobs where completed_at is null") == 0
    assert (await here.driver.observe(place.id)).generation == 1
    async with here.services.db.transaction() as conn:
        given = await runs.raise_generation(
            conn, place.id, seen=5, driver="echo", host_id=THERE, now=here.now
        )
    assert given is None
    await here.build(place, Transition.STOP)
    assert await claim(here, THERE) is None
    assert await claim(here, HERE) is not None


async def test_a_forced_delete_of_such_a_workspace_waits_for_the_first_one(here: World) -> None:
    """As long as a server of it lives."""
    place = await started(here)
    await here.execute("update workspaces set host_id = null")
    async with here.services.db.transaction() as conn:
        await claim_deployment_as_system(conn, HERE, here.now)
    await here.execute(
        "insert into servers (id, host_id, name, url, roles, version, place, started_at, seen_at)"
        " values ($1, $2, 'm', 'unix:///m', '{}', '1', '', now(), now())",
        uuid4(),
        HERE,
    )
    await here.build(place, Transition.DELETE)
    await here.execute("update workspace_builds set force = true where transition = 'delete'")
    assert await claim(here, THERE) is None
    await here.execute("update servers set seen_at = now() - interval '1 minute'")
    assert await claim(here, THERE) is not None


@asynccontextmanager
async def linked(links: Links, agent_id: UUID) -> AsyncIterator[asyncio.Event]:
    """A link that is held; set once it was hung up."""
    hung_up = asyncio.Event()

    async def send(_frame: bytes) -> None:
        raise AssertionError

    async with asyncio.TaskGroup() as group:
        mux = Mux(send, group, Handlers())
        await links.put(agent_id, mux, hung_up.set)
        try:
            yield hung_up
        finally:
            mux.end("the test is over")


def beside(place: Seat) -> Services:
    """Another server of the same database."""
    services = place.world.services
    server_id = uuid4()
    links = Links(elsewhere=Whereabouts(services.db, server_id))
    return replace(services, server_id=server_id, host_id=THERE, links=links)


async def test_a_link_is_found_wherever_it_is(here: World) -> None:
    """A request that can be sent on is told where; all others wait, and then nobody is connected."""
    place = await seat(here)
    await Presence(here.services, server(here.services, "unix:///here")).arrive()
    await welcome(here.services, place.actor, "1", here.now)
    there = beside(place)
    with pytest.raises(HeldElsewhere) as found, forwardable():
        await there.links.get(place.actor.agent_id)
    assert (found.value.server_id, found.value.url) == (here.services.server_id, "unix:///here")
    with pytest.raises(AgentUnreachable):
        await there.links.get(place.actor.agent_id)
    await here.execute("update servers set seen_at = now() - interval '1 minute'")
    await here.execute("update workspaces set host_id = $1", HERE)
    with pytest.raises(AgentUnreachable, match=r"machine.*not been heard of since"), forwardable():
        await there.links.get(place.actor.agent_id)


async def test_an_agent_that_went_to_another_server_is_let_go(here: World, tmp_path: Path) -> None:
    """The link that a server only thinks it holds is hung up as soon as the agent is welcomed elsewhere."""
    place = await seat(here)
    there = beside(place)
    await Presence(there, server(there)).arrive()
    presence = Presence(here.services, server(here.services))
    await presence.arrive()
    async with (
        asyncio.timeout(DEADLINE_S),
        linked(here.services.links, place.actor.agent_id) as hung_up,
        asyncio.TaskGroup() as group,
    ):
        running = [
            group.create_task(here.services.doorbell.run()),
            group.create_task(presence.run()),
        ]
        await welcome(here.services, place.actor, "1", here.now)
        await eventually(lambda: _listens(here))
        await welcome(there, place.actor, "1", here.now)
        await hung_up.wait()
        for task in running:
            task.cancel()


async def _listens(world: World) -> bool | None:
    """Whether somebody hears the bell."""
    count = await world.value(
        "select count(*) from pg_stat_activity where datname = current_database() and query like 'LISTEN%'"
    )
    return count == 1 or None
