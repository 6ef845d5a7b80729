"""What the reconciler sets right in the records, and what it tells of: once, by however many servers look."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from taskyard.control.reconciler import Reconciler
from taskyard.control.records import WAITING
from taskyard.drivers.base import PlaceState
from taskyard.lifecycle.plan import Remove
from taskyard.wire.enums import JobStatus, Transition, WorkspaceStatus
from tests.control.tricky_driver import FOR_EVER, TrickyDriver
from tests.control.world_kit import Place, World, background

pytestmark = pytest.mark.anyio


@pytest.fixture
def three(world: World) -> list[Reconciler]:
    """The reconcilers of three servers on one database."""
    return [Reconciler(world.services, world.drivers) for _ in range(3)]


async def looked(reconcilers: list[Reconciler]) -> list[str]:
    """What was logged while all of them looked at once, twice."""
    with capture_logs() as lines:
        for _ in range(2):
            async with asyncio.TaskGroup() as group:
                for each in reconcilers:
                    group.create_task(each.reconcile())
    return [str(line["event"]) for line in lines]


async def started(world: World) -> Place:
    place = await world.workspace({})
    async with world.working():
        await world.settled(place)
    return place


async def test_a_build_whose_job_is_over_keeps_nobody_out(
    world: World, three: list[Reconciler]
) -> None:
    """Were a build left unsettled, its workspace could never be built again: it is settled, and told of once."""
    place = await started(world)
    await world.execute("update workspace_builds set settled = false")
    assert (await looked(three)).count("build.settled_late") == 1
    await world.build(place, Transition.STOP)


async def test_a_job_whose_build_is_settled_ends(world: World, three: list[Reconciler]) -> None:
    """Nobody claims it any more; it has failed with that reason."""
    place = await world.workspace({})
    await world.execute("update workspace_builds set settled = true")
    assert (await looked(three)).count("job.without_build") == 1
    build = await world.newest(place)
    assert build.job_status is JobStatus.FAILED
    assert "settled without it" in str(build.job_error)


async def test_an_agent_of_a_server_that_was_killed_is_disconnected_within_half_a_minute(
    world: World, three: list[Reconciler]
) -> None:
    """Long before its lease of two minutes; one that was heard since, or whose server lives, stays."""
    await started(world)
    heard = "update workspace_agents set server_id = $1, first_connected_at = $2, last_connected_at = $2"
    alive = "update workspace_agents set lease_expires_at = $1, disconnected_at = null"
    await world.execute(alive, world.now + timedelta(minutes=2))
    await world.execute(heard, uuid4(), world.now - timedelta(seconds=30))
    assert (await looked(three)).count("agent.server_gone") == 0
    await world.execute(heard, uuid4(), world.now - timedelta(seconds=45))
    assert (await looked(three)).count("agent.server_gone") == 1
    row = "select server_id is null and disconnected_at is not null from workspace_agents"
    assert await world.value(row) is True
    server_id = await living_server(world)
    await world.execute(alive, world.now + timedelta(minutes=2))
    await world.execute(heard, server_id, world.now - timedelta(seconds=45))
    assert (await looked(three)).count("agent.server_gone") == 0


async def living_server(world: World) -> UUID:
    """A server that gave a sign of life just now."""
    host_id, server_id = uuid4(), uuid4()
    await world.execute(
        "insert into hosts (id, name, joined_at, seen_at) values ($1, 'h', now(), now())", host_id
    )
    await world.execute(
        "insert into servers (id, host_id, name, url, roles, version, place, started_at, seen_at)"
        " values ($1, $2, 'h', '', '{api}', 'v', '', now(), now())",
        server_id,
        host_id,
    )
    return server_id


async def test_what_an_earlier_start_asked_is_closed(world: World, three: list[Reconciler]) -> None:
    """Once this start has told a state, nobody waits for the answer; what this start asks stays open."""
    place = await started(world)
    for number, generation in ((1, 0), (2, 1)):
        await world.execute(
            "insert into task_permissions (task_id, number, id, generation, title, options, asked_at)"
            " values ($1, $2, $3, $4, 'May I?', '[]', now())",
            place.task_id,
            number,
            str(number),
            generation,
        )
    assert (await looked(three)).count("permission.closed_late") == 0  # it may have been frozen
    await world.execute(
        "insert into task_observed (task_id, number, generation, state, session, since)"
        " values ($1, 3, 1, 'idle', 's', now())",
        place.task_id,
    )
    assert (await looked(three)).count("permission.closed_late") == 1
    asked = "select array_agg(id) from task_permissions where answered_at is null"
    assert await world.value(asked) == ["2"]


async def test_an_agent_that_never_calls_is_told_of_once(
    world: World, three: list[Reconciler]
) -> None:
    """The owner reads it in the build's log within half a minute; the workspace has its lease to call still."""
    place = await started(world)
    assert "agent.silent" not in await looked(three)
    past = world.now - timedelta(seconds=26)
    await world.execute("update provisioner_jobs set completed_at = $1", past)
    await world.execute("update workspace_agents set updated_at = $1", past)
    assert (await looked(three)).count("agent.silent") == 1
    lines = await world.logs(await world.newest(place))
    assert [line.stage for line in lines].count(WAITING) == 1


async def test_what_nobody_sees_any_more_is_deleted(world: World) -> None:
    """A delete that failed and came with its task's is made again after a minute, then two, until it works."""
    world.driver = driver = TrickyDriver(world.folder)
    world.drivers = {"echo": driver}
    place = await started(world)
    reconciler = Reconciler(world.services, world.drivers)
    await world.execute("update tasks set deleted_at = now()")
    driver.failing["destroy"] = FOR_EVER
    await world.build(place, Transition.DELETE)
    for minutes in (1, 2):
        async with world.working(), background(world.hurry()):
            assert (await world.settled(place)).job_status is JobStatus.FAILED
        assert await reconciler.reconcile() == []
        ended = "update provisioner_jobs set completed_at = now() - $1::interval where error is not null"
        await world.execute(ended, timedelta(minutes=minutes, seconds=-30))
        assert await reconciler.reconcile() == []
        await world.execute(ended, timedelta(minutes=minutes))
        assert await reconciler.reconcile() == [Remove(place.id)]
    driver.failing.clear()
    async with world.working():
        assert (await world.settled(place)).status is WorkspaceStatus.DELETED
    assert await driver.list() == []


async def test_a_workspace_whose_owner_is_gone_goes(world: World, three: list[Reconciler]) -> None:
    """Nobody can delete it any more, so the reconciler does, once."""
    place = await started(world)
    await world.execute("update users set deleted = true")
    assert (await looked(three)).count("workspace.abandoned") == 1
    async with world.working():
        assert (await world.settled(place)).status is WorkspaceStatus.DELETED


async def test_a_failed_delete_of_a_task_that_is_there_is_left_to_people(world: World) -> None:
    """They see the error, and choose."""
    world.driver = driver = TrickyDriver(world.folder)
    world.drivers = {"echo": driver}
    place = await started(world)
    driver.failing["destroy"] = FOR_EVER
    await world.build(place, Transition.DELETE)
    async with world.working(), background(world.hurry()):
        await world.settled(place)
    await world.execute("update provisioner_jobs set completed_at = now() - interval '1 day'")
    assert await Reconciler(world.services, world.drivers).reconcile() == []
    assert (await driver.observe(place.id)).state is PlaceState.RUNNING


async def test_what_is_no_workspace_is_told_of_and_stays(world: World, tmp_path: Path) -> None:
    """A folder that somebody put among the workspaces is named once, however long it stays, and not touched."""
    await started(world)
    alien = tmp_path / "echo" / "photos"
    alien.mkdir()
    (alien / "cat.png").write_text("meow")
    now = world.now
    one = [Reconciler(replace(world.services, now=lambda: now), world.drivers)]
    events = await looked(one)
    now += timedelta(hours=1)
    events += await looked(one)
    assert events.count("driver.stray") == 1
    assert (alien / "cat.png").exists()
