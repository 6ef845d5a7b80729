"""What time alone does to workspaces: failed starts are stopped, unused ones set aside and then deleted."""

import pytest

from taskyard.control.job_run import JobRun
from taskyard.control.reconciler import Reconciler
from taskyard.db.jobs import JobKind
from taskyard.drivers.base import PlaceState
from taskyard.errors import JobFailed
from taskyard.lifecycle.plan import AutoPause, Discard, Rest
from taskyard.wire.enums import BuildReason, JobStatus, Transition, WorkspaceStatus
from tests.control.world_kit import Place, World, eventually

pytestmark = pytest.mark.anyio


async def started(world: World) -> Place:
    """A workspace that runs."""
    place = await world.workspace({})
    async with world.working():
        await world.settled(place)
    return place


async def failed(world: World) -> Place:
    """A workspace whose start failed."""

    async def undone() -> bool:
        return True

    async def refuse(run: JobRun) -> None:
        run.undo = undone
        raise JobFailed("no")

    place = await world.workspace({})
    async with world.working(world.worker({JobKind.BUILD: refuse})):
        await world.settled(place)
    return place


def reconciler(world: World) -> Reconciler:
    return Reconciler(world.services, world.drivers)


async def test_a_failed_start_is_stopped_when_its_time_is_over(world: World) -> None:
    """Source: tasks-api 10. The reason is that of an automatic pause; without a time it stays as it is."""
    place = await failed(world)
    assert await reconciler(world).reconcile() == []
    await world.execute("update templates set failure_ttl_ms = 60000")
    assert await reconciler(world).reconcile() == []
    await world.execute("update provisioner_jobs set completed_at = now() - interval '1 minute'")
    wanted = [AutoPause(place.id, BuildReason.TASK_AUTO_PAUSE)]
    assert await reconciler(world).reconcile() == wanted
    build = await world.newest(place)
    assert (build.transition, build.reason) == (Transition.STOP, BuildReason.TASK_AUTO_PAUSE)
    who = await world.value(
        "select row(action, resource_type, user_id is null)::text from audit_logs"
    )
    assert who == "(stop,workspace,t)"
    assert await reconciler(world).reconcile() == []


async def test_an_unused_workspace_is_set_aside_and_then_deleted(world: World) -> None:
    """It is stopped and marked first, and deleted when it is still so at its time."""
    place = await started(world)
    await world.execute("update templates set dormant_ttl_ms = 60000, delete_ttl_ms = 3600000")
    assert await reconciler(world).reconcile() == []
    await world.execute("update workspaces set last_used_at = now() - interval '2 minutes'")
    assert await reconciler(world).reconcile() == [Rest(place.id)]
    build = await world.newest(place)
    assert (build.transition, build.reason) == (Transition.STOP, BuildReason.DORMANCY)
    times = "select extract(epoch from deleting_at - dormant_at)::int from workspaces"
    assert await world.value(times) == 3600
    async with world.working():
        await world.settled(place)
    assert (await world.driver.observe(place.id)).state is PlaceState.STOPPED
    assert await reconciler(world).reconcile() == []
    await world.execute("update workspaces set deleting_at = now() - interval '1 second'")
    assert await reconciler(world).reconcile() == [Discard(place.id)]
    async with world.working():
        assert (await world.settled(place)).status is WorkspaceStatus.DELETED
    assert await world.value("select deleted from workspaces") is True


async def test_a_start_wakes_a_dormant_workspace(world: World) -> None:
    """Who starts it uses it: it is dormant no more, and is not deleted."""
    place = await started(world)
    await world.build(place, Transition.STOP)
    async with world.working():
        await world.settled(place)
    await world.execute("update workspaces set dormant_at = now(), deleting_at = now()")
    await world.build(place, Transition.START)
    assert await world.value("select dormant_at is null and deleting_at is null from workspaces")
    assert await reconciler(world).reconcile() == []


async def test_a_delete_that_failed_is_left_to_people(world: World) -> None:
    """What could not be deleted is not tried again and again."""
    place = await failed(world)
    await world.execute("update workspaces set dormant_at = now(), deleting_at = now()")
    assert await reconciler(world).reconcile() == [Discard(place.id)]
    await world.execute(
        "update provisioner_jobs set completed_at = now(), error = 'no' where completed_at is null"
    )
    await world.execute("update workspace_builds set settled = true")
    assert (await world.newest(place)).job_status is JobStatus.FAILED
    assert await reconciler(world).reconcile() == []


async def test_an_orphan_leaves_its_driver_alone(world: World) -> None:
    """The workspace is deleted although its driver is out of order; what is left goes when it is found."""
    place = await started(world)
    build = await world.build(place, Transition.DELETE)
    await world.execute("update workspace_builds set orphan = true where id = $1", build.id)
    async with world.working():
        assert (await world.settled(place)).status is WorkspaceStatus.DELETED
    assert (await world.driver.observe(place.id)).state is PlaceState.RUNNING
    said = [line.output for line in await world.logs(build)]
    assert any("driver is not asked" in line for line in said)


async def test_workers_are_counted_while_they_live(world: World) -> None:
    """A worker stands in the list from its first look on, and not after its end."""
    place = await world.workspace({})
    assert (await world.newest(place)).workers_count == 0

    async def counted() -> bool | None:
        return (await world.newest(place)).workers_count == 1 or None

    async with world.working():
        await eventually(counted)
    assert (await world.newest(place)).workers_count == 0
    assert await world.value("select count(*) from workers") == 0
