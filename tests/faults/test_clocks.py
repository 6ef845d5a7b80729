"""Clocks that are wrong: a workspace's by hours, a server's that is set, and zones with half an hour in them."""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from taskyard.control import agents
from taskyard.control.actors import AgentActor
from taskyard.control.job_run import JobRun
from taskyard.control.phases_view import task_phases
from taskyard.control.reconciler import Reconciler
from taskyard.control.services import Services
from taskyard.control.tasks_view import task_view
from taskyard.db import tasks as tasks_db
from taskyard.db import transcript
from taskyard.db.jobs import JobKind
from taskyard.db.tasks import TaskRow
from taskyard.db.viewer import Viewer
from taskyard.lifecycle.plan import AutoPause, Repair
from taskyard.wire import link
from taskyard.wire.enums import BuildReason, JobStatus, TaskState, Transition
from taskyard.wire.link import AgentState, ItemKind
from taskyard.wire.phases import PhaseState
from tests.control.agent_kit import Seat, item, said, turn_end, user
from tests.control.world_kit import BRIDGED, EXECUTORS, Place, World, eventually
from tests.system.kit import open_folder, serving, signed_in
from tests.waiting import until

pytestmark = pytest.mark.anyio

HOURS = timedelta(hours=5, minutes=30)
LONGER = timedelta(seconds=130)
"""More than the lease of an agent."""


class Clock:
    """The server's clock, which somebody may set."""

    def __init__(self) -> None:
        self.wrong_by = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.wrong_by


@pytest.fixture
def clock() -> Clock:
    """A clock that is right until it is set."""
    return Clock()


@pytest.fixture
async def world(services: Services, clock: Clock, tmp_path: Path) -> World:
    """One user and the echo driver, on a server with that clock."""
    world = World(replace(services, now=clock), tmp_path / "echo")
    await world.found()
    return world


async def running(world: World) -> tuple[Place, AgentActor]:
    """A workspace that runs, and its agent, which was heard of."""
    place = await world.workspace({}, template=BRIDGED)
    async with world.working():
        await world.settled(place)
    async with world.services.db.connection() as conn:
        row = await conn.fetchrow(
            "select id, workspace_build_id, generation from workspace_agents where workspace_id = $1",
            place.id,
        )
    assert row is not None
    actor = AgentActor(row[0], place.id, row[1], row[2], place.task_id)
    await agents.welcome(world.services, actor, "1", world.now)
    report = link.LifecycleReport("ready", world.now)
    await agents.report_lifecycle(world.services, actor, report, world.now)
    await agents.report_app_health(world.services, actor, link.AppHealthReport("agent", "healthy"))
    return place, actor


async def task_of(world: World, place: Place) -> TaskRow:
    """The task as a handler has it."""
    async with world.services.db.connection() as conn:
        viewer = Viewer(world.user_id, True, frozenset())
        task = await tasks_db.get_task(conn, viewer, place.task_id)
    assert task is not None
    return task


def seat_of(world: World, place: Place, actor: AgentActor) -> Seat:
    """The same as kits of items have it."""
    return Seat(world, place, actor, actor.agent_id, actor.agent_id)


def shifted(sent: link.SentItem, by: timedelta) -> link.SentItem:
    """An item as a workspace sends it whose clock is wrong by so much."""
    return link.SentItem(sent.seq, sent.time + by, sent.turn, sent.kind, sent.data)


def state(seq: int, what: AgentState, reason: str | None = None) -> link.SentItem:
    """What the bridge sees its coding agent do."""
    session = "idle" if what is AgentState.IDLE else "running"
    return item(seq, ItemKind.STATE, state=what, session=session, waiting=None, reason=reason)


async def test_a_workspace_whose_clock_jumps(world: World) -> None:
    """Hours ahead, then hours behind, in one turn: items keep their order, and everything that decides is by the
    server's clock: phases, the state that clients see, deadline, leases."""
    place, actor = await running(world)
    await world.execute("update templates set activity_bump_ms = 3600000")
    await world.execute("update workspace_builds set deadline = now() + interval '1 minute'")
    seat = seat_of(world, place, actor)
    ahead, behind = HOURS, -2 * HOURS
    lines = [link.LogLine(world.now + behind, "info", "from the past")]
    await agents.append_logs(world.services, actor, link.LogLines("agent", lines), world.now)
    report = link.LifecycleReport("ready", world.now + ahead)
    await agents.report_lifecycle(world.services, actor, report, world.now)
    await seat.store(shifted(state(1, AgentState.IDLE), ahead), shifted(user(2, "go"), ahead))
    await seat.store(
        shifted(state(3, AgentState.WORKING), behind), shifted(said(4, "Hello."), behind)
    )
    await seat.store(
        shifted(turn_end(5), ahead), shifted(state(6, AgentState.IDLE, "end_turn"), behind)
    )
    task = await task_of(world, place)
    shown = task_view(task, world.now)
    assert shown.current_state is not None
    assert shown.current_state.state is TaskState.IDLE
    assert abs(shown.current_state.timestamp - world.now) < timedelta(minutes=1)
    found = await task_phases(world.services, task, None, world.now)
    assert {phase.state for phase in found.phases} <= {PhaseState.DONE, PhaseState.SKIPPED}
    assert all(phase.ms is not None and 0 <= phase.ms < 60_000 for phase in found.phases)
    async with world.services.db.connection() as conn:
        rows = await transcript.list_items_as_system(
            conn, place.task_id, after=0, limit=100, kinds=None
        )
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    kinds = [row.kind for row in rows if row.kind not in ("phase", "state")]
    assert kinds == ["user_message", "agent_message", "turn_end"]
    left = await world.value("select deadline - now() from workspace_builds")
    assert timedelta(minutes=55) < left <= timedelta(minutes=61)  # type: ignore[operator]
    assert await Reconciler(world.services, world.drivers).reconcile() == []


async def test_a_server_clock_that_is_set_forward_restarts_nothing(
    world: World, clock: Clock
) -> None:
    """No workspace is taken for lost, no agent for gone: each has its whole lease anew. Then silence counts again."""
    place, actor = await running(world)
    reconciler = Reconciler(world.services, world.drivers)
    assert await reconciler.reconcile() == []
    held = "select row(server_id, disconnected_at, lease_expires_at)::text from workspace_agents"
    before = await world.value(held)
    clock.wrong_by += HOURS
    assert await reconciler.reconcile() == []
    assert await world.value(held) == before
    await agents.heard(world.services, actor, world.now)
    assert await reconciler.reconcile() == []
    silent = Reconciler(world.services, world.drivers)
    await world.execute(
        "update workspace_agents set last_connected_at = last_connected_at - $1::interval,"
        " lease_expires_at = lease_expires_at - $1::interval",
        LONGER,
    )
    silent._since = world.now - LONGER  # as if it had listened for so long
    await world.execute(
        "update provisioner_jobs set completed_at = completed_at - $1::interval, updated_at = updated_at - $1::interval",
        HOURS,
    )
    [repair] = await silent.reconcile()
    assert isinstance(repair, Repair)
    assert repair.workspace_id == place.id


async def test_a_deadline_is_a_time_of_day(world: World, clock: Clock) -> None:
    """What is due by the clock is due when that says so: there is no other way to tell. Set back, it is not yet."""
    place, _ = await running(world)
    await world.execute("update workspace_builds set deadline = now() + interval '1 hour'")
    reconciler = Reconciler(world.services, world.drivers)
    clock.wrong_by = -HOURS
    assert await reconciler.reconcile() == []
    clock.wrong_by = HOURS
    assert await reconciler.reconcile() == [AutoPause(place.id, BuildReason.TASK_AUTO_PAUSE)]
    async with world.working():
        assert (await world.settled(place)).job_status is JobStatus.SUCCEEDED


@pytest.mark.parametrize("jump", [HOURS, -HOURS], ids=["forward", "back"])
async def test_a_job_in_hand_is_not_begun_twice(
    world: World, clock: Clock, jump: timedelta
) -> None:
    """Its worker goes on with it, whatever its lease looks like for a moment; others in the queue are taken at once."""
    world.tuned(job_lease_s=3)
    tries: list[int] = []
    go_on = asyncio.Event()

    async def hold(run: JobRun) -> None:
        tries.append(run.job.attempt)
        if len(tries) == 1:
            await go_on.wait()
        await EXECUTORS[JobKind.BUILD](run)

    first = await world.workspace({})
    async with world.working(world.worker({JobKind.BUILD: hold})):

        async def begun() -> bool | None:
            return bool(tries) or None

        await eventually(begun)
        clock.wrong_by += jump
        second = await world.workspace({})
        await world.settled(second)

        async def renewed() -> bool | None:
            """Whether the lease is one by the new clock."""
            lease = await world.value(
                "select lease_expires_at from provisioner_jobs where completed_at is null"
            )
            assert isinstance(lease, datetime)
            return abs(lease - world.now) < timedelta(minutes=1) or None

        await eventually(renewed)
        go_on.set()
        build = await world.settled(first)
    assert build.job_status is JobStatus.SUCCEEDED
    assert tries == [1, 1]


async def test_nothing_waits_for_the_old_time_after_a_clock_was_set_back(
    world: World, clock: Clock
) -> None:
    """What was queued, or to be tried again, or held by a worker that died, is done now and not in hours."""
    world.tuned(job_lease_s=0.5)
    clock.wrong_by = HOURS
    queued, retried, held = [await world.workspace({}) for _ in range(3)]
    jobs = {place.id: (await world.newest(place)).job_id for place in (queued, retried, held)}
    dead = (
        "update provisioner_jobs set attempt = 1, worker_id = gen_random_uuid(), worker_name = 'dead', started_at = $2,"
        " lease_expires_at = $2::timestamptz + $3::interval, run_at = $2::timestamptz + $4::interval where id = $1"
    )
    second = timedelta(seconds=1)
    await world.execute(dead, jobs[retried.id], world.now, timedelta(), second)
    await world.execute(dead, jobs[held.id], world.now, second, timedelta())
    clock.wrong_by = timedelta()
    async with asyncio.timeout(60), world.working():
        for place in (queued, retried, held):
            assert (await world.settled(place)).job_status is JobStatus.SUCCEEDED


async def test_what_was_lost_comes_back_after_a_clock_was_set_back(
    world: World, clock: Clock
) -> None:
    """A repair does not wait until the clock has caught up with the time at which the workspace was started."""
    clock.wrong_by = HOURS
    place, _ = await running(world)
    reconciler = Reconciler(world.services, world.drivers)
    clock.wrong_by = timedelta()
    assert await reconciler.reconcile() == []
    await world.driver.stop(place.id, grace_s=0)
    [repair] = await reconciler.reconcile()
    assert isinstance(repair, Repair)
    async with world.working():

        async def restarted() -> bool | None:
            count = await world.value(
                "select count(*) from provisioner_jobs where completed_at is null"
            )
            return count == 0 or None

        await eventually(restarted)
    assert await Reconciler(world.services, world.drivers).reconcile() == []


async def test_a_report_counts_after_a_clock_was_set_back(world: World, clock: Clock) -> None:
    """Who waits for a task to be idle is told, although its start seems to lie in the future; phases never last less
    than nothing."""
    clock.wrong_by = HOURS
    place, actor = await running(world)
    clock.wrong_by = timedelta()
    seat = seat_of(world, place, actor)
    await seat.store(state(1, AgentState.IDLE), user(2, "go"), said(3, "Hello."))
    await seat.store(turn_end(4), state(5, AgentState.IDLE, "end_turn"))
    task = await task_of(world, place)
    shown = task_view(task, world.now)
    assert shown.current_state is not None
    assert shown.current_state.state is TaskState.IDLE
    found = await task_phases(world.services, task, None, world.now)
    assert all(phase.ms is None or phase.ms >= 0 for phase in found.phases)
    await world.build(place, Transition.STOP)
    async with world.working():
        assert (await world.settled(place)).job_status is JobStatus.SUCCEEDED


async def test_a_worker_says_that_it_lives_whatever_its_clock_does(
    world: World, clock: Clock
) -> None:
    """After the clock was set back it is still one that takes jobs."""
    async with world.working():

        async def seen() -> datetime | None:
            found = await world.value("select max(seen_at) from workers")
            return found if isinstance(found, datetime) else None

        before = await eventually(seen)
        clock.wrong_by = -HOURS
        place = await world.workspace({})
        await world.settled(place)

        async def moved() -> bool | None:
            return await seen() != before or None

        await eventually(moved)


async def test_half_an_hour_is_in_no_answer(tmp_path: Path) -> None:
    """A server in one odd zone and its client in others: the same text in UTC, a deadline after the time to live."""
    with (
        open_folder() as home,
        serving(home / "data", tmp_path / "log", {"TZ": "America/St_Johns"}) as yard,
    ):
        token = signed_in(yard.server.url, "ada@example.com")
        task = await asyncio.to_thread(yard.create, "date +%z")
        await asyncio.to_thread(yard.active, task.id)

        def through() -> bool | None:
            """Whether nothing of the phases changes any more."""
            found = yard.owner.get_task_phases("me", task.id).phases
            return found[-1].state is PhaseState.DONE or None

        await asyncio.to_thread(until, "the last phase", through)

        def said_in(zone: str, *words: str) -> str:
            environ = {
                **os.environ,
                "TZ": zone,
                "TASKYARD_URL": yard.server.url,
                "TASKYARD_SESSION_TOKEN": token,
            }
            command = [sys.executable, "-P", "-m", "taskyard.cli.main", *words]
            return subprocess.run(
                command, env=environ, check=True, capture_output=True, text=True, timeout=60
            ).stdout

        phases = ("task", "phases", str(task.id))
        assert await asyncio.to_thread(said_in, "Asia/Kolkata", *phases) == await asyncio.to_thread(
            said_in, "UTC", *phases
        )
        listed = json.loads(
            await asyncio.to_thread(said_in, "America/St_Johns", "task", "list", "-o", "json")
        )
        at = datetime.fromisoformat(listed[0]["created_at"])
        assert abs(at - datetime.now(UTC)) < timedelta(minutes=5)
        for row in await yard.query(
            "select extract(epoch from now() - created_at)::int from tasks"
        ):
            assert 0 <= row[0] < 300
        await asyncio.to_thread(yard.tidy)
