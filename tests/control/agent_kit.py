"""Workspace agents for tests: a start that succeeded, its agent, and items as the agent sends them."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import msgspec

from taskyard.control.actors import AgentActor
from taskyard.control.keys import hash_agent_token
from taskyard.control.transcript import store_items
from taskyard.db import builds, jobs
from taskyard.db.builds import BuildRow
from taskyard.lifecycle.template_model import Template
from taskyard.wire.enums import Transition
from taskyard.wire.link import ItemKind, SentItem
from tests.control.world_kit import BRIDGED, Place, World


@dataclass(frozen=True)
class Seat:
    """A workspace whose newest start succeeded, as its agent sees it."""

    world: World
    place: Place
    actor: AgentActor
    app_id: UUID
    token: UUID

    async def store(self, *items: SentItem) -> int:
        """What the server says to these items."""
        return await store_items(self.world.services, self.actor, list(items), self.world.now)

    async def items(self) -> list[tuple[int, int | None, str, bytes]]:
        """What is stored: number, seq, kind and data."""
        async with self.world.services.db.connection() as conn:
            rows = await conn.fetch(
                "select number, seq, kind, data from task_items where task_id = $1 order by number",
                self.place.task_id,
            )
        return [tuple(row.values()) for row in rows]

    async def states(self) -> list[tuple[str, str]]:
        """State and message of each report, oldest first."""
        async with self.world.services.db.connection() as conn:
            rows = await conn.fetch(
                "select state, message from workspace_app_statuses where workspace_id = $1 order by place",
                self.place.id,
            )
        return [tuple(row.values()) for row in rows]

    async def prompts(self) -> list[tuple[str, str]]:
        """Content and state of each delivery of an input, oldest first."""
        async with self.world.services.db.connection() as conn:
            rows = await conn.fetch(
                "select content, state from task_prompts where task_id = $1 order by place",
                self.place.task_id,
            )
        return [tuple(row.values()) for row in rows]

    async def change_input(self, text: str) -> None:
        """The task's input is another one."""
        await self.world.execute(
            "update tasks set input = $2 where id = $1", self.place.task_id, text
        )

    async def restarted(self) -> "Seat":
        """The same workspace after a pause and a resume."""
        await finish(self.world, await self.world.build(self.place, Transition.STOP))
        build = await self.world.build(self.place, Transition.START)
        return await start(self.world, self.place, build)


def item(seq: int, kind: ItemKind = ItemKind.LOG, /, *, turn: int = 1, **data: object) -> SentItem:
    """An item with that data, sent just now."""
    return raw(seq, json.dumps(data).encode(), kind=kind, turn=turn)


def raw(
    seq: int,
    data: bytes,
    *,
    kind: ItemKind = ItemKind.LOG,
    turn: int = 1,
    time: datetime | None = None,
) -> SentItem:
    """An item with just these bytes."""
    at = time or datetime.fromisoformat("2026-01-31T12:00:00.123456Z") + timedelta(seconds=seq)
    return SentItem(seq, at, turn, kind, data)


def user(seq: int, text: str, prompt_id: UUID | None = None) -> SentItem:
    """What somebody said to the coding agent."""
    given = None if prompt_id is None else str(prompt_id)
    return item(seq, ItemKind.USER_MESSAGE, prompt_id=given, text=text)


def says(seq: int, text: str, message_id: int = 1) -> SentItem:
    """A piece of what the coding agent says."""
    return item(seq, ItemKind.AGENT_TEXT, message_id=message_id, text=text)


def said(seq: int, text: str, message_id: int = 1) -> SentItem:
    """All of what the coding agent said."""
    return item(seq, ItemKind.AGENT_MESSAGE, message_id=message_id, text=text)


def turn_end(seq: int, reason: str = "end_turn", error: str | None = None) -> SentItem:
    """The coding agent is done."""
    return item(seq, ItemKind.TURN_END, reason=reason, error=error)


async def seat(world: World, template: Template = BRIDGED, *, text: str = "go") -> Seat:
    """A started workspace with a task of that input, ready and healthy, that nobody has linked."""
    place = await world.workspace({}, template=template)
    await world.execute("update tasks set input = $2 where id = $1", place.task_id, text)
    return await start(world, place, await world.newest(place))


async def start(world: World, place: Place, build: BuildRow) -> Seat:
    """Ends a start well: a new agent of the next generation, ready and healthy."""
    agent_id, app_id, token, now = uuid4(), uuid4(), uuid4(), world.now
    generation = await _raise_generation(world, place)
    async with world.services.db.transaction() as conn:
        resource_id = uuid4()
        await builds.insert_resource(
            conn,
            id=resource_id,
            job_id=build.job_id,
            transition="start",
            type="echo",
            name="main",
            now=now,
        )
        await builds.insert_agent(
            conn,
            id=agent_id,
            workspace_id=place.id,
            build_id=build.id,
            resource_id=resource_id,
            name="main",
            token_hash=hash_agent_token(str(token)),
            generation=generation,
            directory="",
            now=now,
        )
        await builds.insert_app(
            conn,
            id=app_id,
            agent_id=agent_id,
            ordinal=0,
            slug="agent",
            display_name="Agent",
            icon="",
            url="http://127.0.0.1:3284",
            command="",
            sharing_level="owner",
            healthcheck_url="http://127.0.0.1:3284/status",
            healthcheck_interval_s=1,
            healthcheck_threshold=30,
            health="healthy",
            now=now,
        )
        await builds.choose_agent(
            conn, build_id=build.id, agent_id=agent_id, app_id=app_id, deadline=None, now=now
        )
        await conn.execute(
            "update workspace_agents set lifecycle = 'ready' where id = $1", agent_id
        )
    await finish(world, build)
    actor = AgentActor(agent_id, place.id, build.id, generation, place.task_id)
    return Seat(world, place, actor, app_id, token)


async def finish(world: World, build: BuildRow) -> None:
    """Ends the job of a build well."""
    lease = jobs.Lease(build.job_id, 1, uuid4())
    async with world.services.db.transaction() as conn:
        await conn.execute(
            "update provisioner_jobs set worker_id = $2, worker_name = 'test', attempt = 1,"
            " started_at = $3, lease_expires_at = $4 where id = $1",
            build.job_id,
            lease.worker_id,
            world.now,
            world.now + timedelta(minutes=5),
        )
        await jobs.finish_job(conn, lease, world.now)


async def _raise_generation(world: World, place: Place) -> int:
    value = await world.value(
        "update workspaces set generation = generation + 1 where id = $1 returning generation",
        place.id,
    )
    assert isinstance(value, int)
    return value


def foreign(template: Template = BRIDGED) -> Template:
    """The template with somebody else's server in place of our bridge."""
    return msgspec.structs.replace(template, agent=None)
