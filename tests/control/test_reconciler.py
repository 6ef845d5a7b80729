"""The reconciler: what was lost comes back, what nobody wants goes, and two of it do no harm."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from taskyard.control.reconciler import GIVING_UP, Reconciler
from taskyard.db import runs
from taskyard.db.jobs import JobKind
from taskyard.db.pool import ring
from taskyard.drivers.base import Limits, Observation, PlaceState, WorkspaceSpec
from taskyard.drivers.echo.driver import EchoDriver
from taskyard.lifecycle.plan import AutoPause, DestroyOrphan, Halt, Repair
from taskyard.wire.enums import BuildReason, JobStatus, Transition, WorkspaceStatus
from tests.control.world_kit import Place, World, background, eventually, template_tar

pytestmark = pytest.mark.anyio


async def started(world: World, ttl_ms: int | None = None) -> Place:
    """A workspace whose start succeeded."""
    place = await world.workspace({}, ttl_ms=ttl_ms)
    async with world.working():
        await world.settled(place)
    return place


async def drained(world: World) -> None:
    """Returns once no job is open."""

    async def none_left() -> bool | None:
        count = await world.value(
            "select count(*) from provisioner_jobs where completed_at is null"
        )
        return count == 0 or None

    async with world.working():
        await eventually(none_left)


def reconciler(world: World) -> Reconciler:
    return Reconciler(world.services, world.drivers)


async def test_a_world_in_order_is_left_alone(world: World) -> None:
    """Nothing is done about a workspace that runs as it should, nor about one whose start is pending."""
    await started(world)
    await world.workspace({})
    assert await reconciler(world).reconcile() == []


async def test_a_lost_workspace_comes_back_as_the_same_build(world: World) -> None:
    """Build number, agent and app stay; generation and token are new and nothing was heard yet."""
    place = await started(world)
    before = await world.newest(place)
    old_token = await world.value("select token_hash from workspace_agents")
    await world.execute(
        "update workspace_agents set lifecycle = 'ready', first_connected_at = now(), last_connected_at = now()"
    )
    await world.execute("update workspace_apps set health = 'healthy' where health <> 'disabled'")
    await world.driver.crash(place.id)
    actions = await reconciler(world).reconcile()
    assert [type(action) for action in actions] == [Repair]
    await drained(world)
    after = await world.newest(place)
    assert (after.id, after.agent_id, after.app_id) == (before.id, before.agent_id, before.app_id)
    seen = await world.driver.observe(place.id)
    assert (seen.state, seen.generation) == (PlaceState.RUNNING, 2)
    row = await world.value(
        "select row(a.generation, a.lifecycle, a.first_connected_at is null, p.health, w.restarts)::text"
        " from workspace_agents a join workspaces w on w.id = a.workspace_id"
        " join workspace_apps p on p.id = $1",
        after.app_id,
    )
    assert row == "(2,created,t,initializing,1)"
    assert await world.value("select token_hash from workspace_agents") != old_token
    assert "It is started again" in "".join(line.output for line in await world.logs(after))


async def test_two_reconcilers_repair_once(world: World) -> None:
    """However many reconcilers look at once, and however often, a lost workspace gets one repair."""
    place = await started(world)
    await world.driver.crash(place.id)
    several = [reconciler(world) for _ in range(4)]
    async with asyncio.TaskGroup() as group:
        for each in several:
            group.create_task(each.reconcile())
    await several[0].reconcile()
    repairs = "select count(*) from provisioner_jobs where type = $1"
    assert await world.value(repairs, JobKind.REPAIR) == 1
    await drained(world)
    assert await reconciler(world).reconcile() == []
    assert await world.value(repairs, JobKind.REPAIR) == 1


async def test_a_pause_overtakes_a_repair(world: World) -> None:
    """A stop that is made while a repair waits wins: the workspace ends stopped."""
    place = await started(world)
    await world.driver.crash(place.id)
    await reconciler(world).reconcile()
    await world.build(place, Transition.STOP)
    await drained(world)
    assert (await world.newest(place)).status is WorkspaceStatus.STOPPED
    assert (await world.driver.observe(place.id)).state is PlaceState.STOPPED


async def test_what_nobody_knows_is_destroyed(world: World) -> None:
    """A driver's record of a workspace that is in no database goes, the others stay."""
    place = await started(world)
    stray = WorkspaceSpec(uuid4(), 1, "stray", str(uuid4()), template_tar({}), {}, Limits())
    await world.driver.ensure(stray, lambda _level, _text: None)
    assert await reconciler(world).reconcile() == [DestroyOrphan(stray.workspace_id)]
    assert [seen.workspace_id for seen in await world.driver.list()] == [place.id]


async def test_what_is_left_of_a_deleted_workspace_is_destroyed(world: World) -> None:
    """A workspace that is deleted but still held by its driver is removed there."""
    place = await started(world)
    await world.execute("update workspaces set deleted = true where id = $1", place.id)
    assert await reconciler(world).reconcile() == [DestroyOrphan(place.id)]
    await drained(world)
    assert await world.driver.list() == []


async def test_a_workspace_deleted_while_it_was_looked_at_is_left_alone(world: World) -> None:
    """What a driver was seen to hold before its delete was over is no leftover: nobody is asked to remove it again."""

    class Deleting(EchoDriver):
        async def list(self) -> Sequence[Observation]:
            seen = await super().list()
            async with world.services.db.transaction() as conn:
                await runs.delete_workspace(conn, place.id, world.now)
            return seen

    place = await started(world)
    looking = Reconciler(world.services, {"echo": Deleting(world.folder)})
    assert await looking.reconcile() == []
    # The next look is a later one: what is there by then was left behind.
    assert await reconciler(world).reconcile() == [DestroyOrphan(place.id)]


async def test_a_workspace_that_should_not_run_is_stopped(world: World) -> None:
    """Processes of a start that failed are ended; the files stay."""
    place = await started(world)
    await world.execute(
        "update provisioner_jobs set error = 'no luck' where type = 'workspace_build'"
    )
    assert await reconciler(world).reconcile() == [Halt(place.id)]
    await drained(world)
    assert (await world.driver.observe(place.id)).state is PlaceState.STOPPED


async def test_a_deadline_pauses_the_task_once(world: World) -> None:
    """A task whose time is up gets one stop build of reason task_auto_pause, whoever looks."""
    place = await started(world, ttl_ms=3_600_000)
    assert await reconciler(world).reconcile() == []
    await world.execute("update workspace_builds set deadline = now() - interval '1 second'")
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(reconciler(world).reconcile())
    build = await world.newest(place)
    assert (build.build_number, build.reason) == (2, BuildReason.TASK_AUTO_PAUSE)
    assert build.job_status is JobStatus.PENDING
    await drained(world)
    assert (await world.newest(place)).status is WorkspaceStatus.STOPPED


async def test_a_plain_workspace_is_stopped_not_paused(world: World) -> None:
    """The reason of a workspace without a task is autostop."""
    place = await started(world, ttl_ms=3_600_000)
    await world.execute("update workspace_builds set deadline = now() - interval '1 second'")
    await world.execute("update tasks set deleted_at = now()")
    assert await reconciler(world).reconcile() == [AutoPause(place.id, BuildReason.AUTOSTOP)]
    assert (await world.newest(place)).reason is BuildReason.AUTOSTOP


async def test_starting_again_without_end_is_given_up_and_said(world: World) -> None:
    """After five repairs of a workspace whose agent never calls, none follows, and the log says so once."""
    place = await started(world)
    build = await world.newest(place)
    for _ in range(5):
        await world.driver.crash(place.id)
        await world.execute(
            "update provisioner_jobs set completed_at = completed_at - interval '61 seconds'"
        )
        await reconciler(world).reconcile()
        await drained(world)
    await world.driver.crash(place.id)
    await world.execute(
        "update provisioner_jobs set completed_at = completed_at - interval '61 seconds'"
    )
    for _ in range(2):
        assert [type(a) for a in await reconciler(world).reconcile()] == [Repair]
    assert (
        await world.value("select count(*) from provisioner_jobs where type = $1", JobKind.REPAIR)
        == 5
    )
    said = [line for line in await world.logs(build) if line.stage == GIVING_UP]
    assert len(said) == 1


async def test_an_agent_whose_lease_lapsed_is_disconnected(world: World) -> None:
    """An agent that was not heard for its whole lease counts as disconnected from then on."""
    await started(world)
    past = world.now - timedelta(seconds=1)
    await world.execute(
        "update workspace_agents set server_id = gen_random_uuid(), first_connected_at = $1,"
        " last_connected_at = $1, lease_expires_at = $1",
        past,
    )
    await reconciler(world).reconcile()
    gone = await world.value(
        "select disconnected_at is not null and server_id is null from workspace_agents"
    )
    assert gone is True


@pytest.mark.parametrize(("lifecycle", "level"), [("ready", "warning"), ("off", "debug")])
async def test_only_an_agent_that_went_missing_is_warned_of(
    world: World, lifecycle: str, level: str
) -> None:
    """The lease of an agent that was stopped runs out too, which is nobody's business."""
    await started(world)
    past = world.now - timedelta(seconds=1)
    await world.execute(
        "update workspace_agents set lifecycle = $1, lease_expires_at = $2", lifecycle, past
    )
    with capture_logs() as lines:
        await reconciler(world).reconcile()
    said = [line["log_level"] for line in lines if line["event"] == "agent.lease_lapsed"]
    assert said == [level]


async def test_a_dropped_link_wakes_it_at_once(world: World) -> None:
    """A workspace that dies is brought back without waiting for the next regular look."""
    world.tuned(reconcile_s=3600)
    place = await started(world)

    async def came_back() -> bool | None:
        return (await world.driver.observe(place.id)).generation > 1 or None

    async with world.working(), background(reconciler(world).run()):
        await world.idle()
        await world.driver.crash(place.id)

        async def rung() -> bool | None:
            async with world.services.db.connection() as conn:
                await ring(conn, "agents", str(place.id))
            return await came_back()

        await eventually(rung, timeout_s=60)
