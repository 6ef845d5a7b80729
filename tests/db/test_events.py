"""Events of tasks: one for each change that a client sees, in the order of commits, and none for anything else."""

import asyncio
import random
from contextlib import suppress
from itertools import product
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from taskyard.control.services import Services
from taskyard.control.task_news import standing_view
from taskyard.control.tasks_view import task_view
from taskyard.db import events as db
from taskyard.db import tasks as tasks_db
from taskyard.db.viewer import Viewer
from taskyard.wire.base import NIL_UUID
from taskyard.wire.enums import AgentLifecycle, AppHealth, AppStatusState, Transition
from tests.control.agent_kit import Seat, item, seat
from tests.control.world_kit import World

pytestmark = pytest.mark.anyio

EVERYBODY = Viewer(NIL_UUID, sees_all=True, admin_of=frozenset())

MOST_EVENTS = 500
"""Events of one task that are kept, as the migration has it."""

PAIRS = "(select a.workspace_id, a.id, p.id from workspace_agents a join workspace_apps p on p.agent_id = a.id)"

BUILT = "update workspace_builds b set transition = '{}', agent_id = x.agent, app_id = x.app"

REPORTED = (
    "insert into workspace_app_statuses (id, workspace_id, agent_id, app_id, state, message, uri, created_at)"
    " select gen_random_uuid(), x.place, x.agent, x.app, '{0}', '{0}', '', now() + interval '{1}'"
    f" from {PAIRS} x (place, agent, app)"
)

MOVES = [
    *(
        f"update provisioner_jobs set {how} where workspace_build_id is not null"
        for how in (
            "started_at = now(), completed_at = now(), canceled_at = null, error = null",
            "started_at = now(), completed_at = null, canceled_at = null, error = null",
            "started_at = now(), completed_at = null, canceled_at = now(), error = null",
            "started_at = now(), completed_at = now(), canceled_at = null, error = 'broken'",
        )
    ),
    f"{BUILT.format(Transition.START)} from {PAIRS} x (place, agent, app)",
    f"{BUILT.format(Transition.STOP)} from (select null::uuid, null::uuid) x (agent, app)",
    *(f"update workspace_agents set lifecycle = '{word}'" for word in AgentLifecycle),
    *(f"update workspace_apps set health = '{word}'" for word in AppHealth if word != "disabled"),
    "update task_observed set state = 'waiting', waiting_kind = 'dialog', waiting_id = '', waiting_title = 'Sure?'",
    "update task_observed set state = 'idle', waiting_kind = null, waiting_id = null, waiting_title = null",
    "update workspaces set generation = generation + 1",
    *(REPORTED.format(word, when) for word, when in product(AppStatusState, ("-1 day", "1 day"))),
]
"""What may become of a task, each by itself."""


@pytest.fixture
async def world(services: Services, tmp_path: Path) -> World:
    """A small world."""
    world = World(services, tmp_path)
    await world.found()
    return world


async def events(world: World, task_id: UUID) -> list[db.EventRow]:
    """All events of a task."""
    async with world.services.db.connection() as conn:
        return await db.list_task_events_as_system(
            conn, task_id, after=0, until=db.NO_END, limit=1000
        )


async def said_and_shown(place: Seat) -> tuple[object, object]:
    """What the newest event says, and what the task itself shows, but for when it was said: again is no change."""
    world = place.world
    async with world.services.db.connection() as conn:
        row = await tasks_db.get_task(conn, EVERYBODY, place.place.task_id)
    assert row is not None
    told = standing_view((await events(world, place.place.task_id))[-1])
    task = task_view(row, world.now)
    state = told.current_state
    if state is not None and task.current_state is not None:
        state = msgspec.structs.replace(state, timestamp=task.current_state.timestamp)
    return (told.status, state, told.waiting_for), (
        task.status,
        task.current_state,
        task.waiting_for,
    )


async def test_the_newest_event_is_what_the_task_shows(world: World) -> None:
    """Whatever becomes of build, job, agent, app, report and question: event, task, and what finds it say the same."""
    place = await seat(world)
    await world.execute(
        "insert into task_observed (task_id, number, generation, state, session, since)"
        " select $1, 1, generation, 'working', '', now() from workspaces where id = $2",
        place.place.task_id,
        place.place.id,
    )
    chance = random.Random(3)
    for _ in range(60):
        async with world.services.db.transaction() as conn:
            for move in chance.sample(MOVES, 3):
                await conn.execute(move)
        said, shown = await said_and_shown(place)
        assert said == shown
        other = "select count(*) from task_facts where status is distinct from noted_status"
        assert await world.value(other) == 0


async def test_nothing_seen_is_no_event(world: World) -> None:
    """Items, heartbeats, leases and a report that says the same again add none; a rollback neither."""
    place = await seat(world)
    await world.execute(REPORTED.format("working", "1 day"))
    before = await events(world, place.place.task_id)
    await place.store(item(1), item(2))
    for change in (
        "update workspace_agents set last_connected_at = now(), lease_expires_at = now(), updated_at = now()",
        "update provisioner_jobs set lease_expires_at = now(), updated_at = now() where worker_id is not null",
        "update workspaces set last_used_at = now(), updated_at = now()",
        "update tasks set input = 'other'",
        REPORTED.format("working", "2 days"),
    ):
        await world.execute(change)
    with suppress(ZeroDivisionError):
        async with world.services.db.transaction() as conn:
            await conn.execute("update workspace_agents set lifecycle = 'off'")
            raise ZeroDivisionError
    assert await events(world, place.place.task_id) == before


async def test_a_task_keeps_its_newest_events(world: World) -> None:
    """A workspace that reports without end fills nothing: its newest events are kept, those of others untouched."""
    place, other = await seat(world), await seat(world)
    theirs = await events(world, other.place.task_id)
    report = (
        "insert into workspace_app_statuses (id, workspace_id, agent_id, app_id, state, message, uri, created_at)"
        f" select gen_random_uuid(), x.place, x.agent, x.app, 'working', $2, '', now() + interval '1 day'"
        f" from {PAIRS} x (place, agent, app) where x.place = $1"
    )
    async with world.services.db.connection() as conn:
        for n in range(MOST_EVENTS + 20):
            await conn.execute(report, place.place.id, f"step {n}")
    kept = await events(world, place.place.task_id)
    assert [row.report_message for row in kept] == [f"step {n + 20}" for n in range(MOST_EVENTS)]
    assert await events(world, other.place.task_id) == theirs


async def test_ids_follow_commits(world: World) -> None:
    """Whoever has read up to an id misses none before it, however many write at once."""
    places = [await seat(world) for _ in range(4)]
    over = asyncio.Event()
    read: list[int] = []

    async def reader() -> None:
        while True:
            last = over.is_set()
            async with world.services.db.connection() as conn:
                rows = await db.list_events(
                    conn, EVERYBODY, after=read[-1] if read else 0, until=db.NO_END, limit=1000
                )
            read.extend(row.id for row in rows)
            if last:
                return

    async def writer(place: Seat) -> None:
        for n in range(15):
            word = ("ready", "starting")[n % 2]
            async with world.services.db.transaction() as conn:
                await conn.execute(
                    "update workspace_agents set lifecycle = $2 where id = $1",
                    place.actor.agent_id,
                    word,
                )
                await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        group.create_task(reader())
        async with asyncio.TaskGroup() as writers:
            for place in places:
                writers.create_task(writer(place))
        over.set()
    stored = await world.value("select array_agg(id order by id) from task_events")
    assert read == stored


async def test_a_deleted_task_has_one_last_event(world: World) -> None:
    """What happens to the workspace of a deleted task is told to nobody."""
    place = await seat(world)
    await world.execute("update tasks set deleted_at = now()")
    await world.execute("update workspace_agents set lifecycle = 'off'")
    told = await events(world, place.place.task_id)
    assert [row.deleted for row in told] == [False] * (len(told) - 1) + [True]
    assert told[-1].status == told[-2].status
    assert await world.value("select count(*) from task_statuses") == 0
