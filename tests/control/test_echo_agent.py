"""A scripted agent against the real link: every fact of a task can be brought about by a script."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from taskyard.control.appclient import AppAddress, app_request
from taskyard.daemon.listen import Listener, listen_unix
from taskyard.drivers.base import PlaceState
from taskyard.drivers.echo.driver import EchoDriver
from taskyard.server.app import build_app
from taskyard.server.link import SOCKETS
from taskyard.wire.enums import Transition
from taskyard.wire.routes import ROUTES
from tests.control.world_kit import Place, World, background, eventually

pytestmark = pytest.mark.anyio

APP_URL = "http://127.0.0.1:3284"


@asynccontextmanager
async def linked(world: World, folder: Path) -> AsyncIterator[None]:
    """Workers at work and the agents' socket open; the world's driver plays agents."""
    routes = [route for route in ROUTES if route.operation in SOCKETS]
    listener = Listener(build_app(world.services, routes, {}, SOCKETS))
    sock = listen_unix(folder / "agent.sock")
    world.driver = EchoDriver(world.folder, f"unix:{folder}/agent.sock")
    world.drivers = {"echo": world.driver}
    async with asyncio.TaskGroup() as group:
        group.create_task(listener.serve([sock]))
        try:
            await listener.ready.wait()
            async with background(world.driver.run()), world.working():
                yield
        finally:
            listener.should_exit = True


async def facts(world: World, place: Place) -> object:
    """Lifecycle of the agent and health of the task's app."""
    return await world.value(
        "select a.lifecycle || ' ' || p.health from workspace_builds b"
        " join workspace_agents a on a.id = b.agent_id join workspace_apps p on p.id = b.app_id"
        " where b.workspace_id = $1 order by b.build_number desc limit 1",
        place.id,
    )


async def until(world: World, place: Place, wanted: str) -> None:
    async def reached() -> bool | None:
        return await facts(world, place) == wanted or None

    await eventually(reached)


async def test_a_script_brings_its_facts_about(world: World, tmp_path: Path) -> None:
    """Lifecycle, app health and log lines arrive as the script has them, step by step."""
    gate = tmp_path / "gate"
    script = {
        "agent": {
            "lifecycle": ["starting", "ready"],
            "steps": [
                {"log": "hello", "wait_for": str(gate), "apps": {"agent": "healthy"}},
                {"lifecycle": "shutting_down", "wait_for": f"{gate}2"},
            ],
        }
    }
    async with linked(world, tmp_path):
        place = await world.workspace(script)
        await until(world, place, "ready initializing")
        gate.touch()
        await until(world, place, "ready healthy")
        (tmp_path / "gate2").touch()
        await until(world, place, "shutting_down healthy")
    assert await world.value("select array_agg(output) from workspace_agent_logs") == ["hello"]


async def test_its_task_app_talks(world: World, tmp_path: Path) -> None:
    """The scripted app answers over the link, and its conversation outlives a stop."""
    script = {
        "agent": {
            "lifecycle": ["ready"],
            "apps": {"agent": "healthy"},
            "agentapi": {"replies": ["Well?"], "fail": {"events": 418}},
        }
    }
    async with linked(world, tmp_path):
        place = await world.workspace(script)
        for _ in range(2):
            await until(world, place, "ready healthy")
            await settled_input(world, place)
            await world.build(place, Transition.STOP)
            await world.settled(place)
            await world.execute("update tasks set input = input || '!'")
            await world.build(place, Transition.START)
        await until(world, place, "ready healthy")
        await settled_input(world, place)
        build = await world.newest(place)
        assert build.agent_id is not None
        address = AppAddress(build.agent_id, APP_URL)
        answer = await app_request(world.services.links, address, "GET", "messages")
        refused = await app_request(world.services.links, address, "GET", "events")
    found = msgspec.json.decode(answer.body)["messages"]
    assert [(m["role"], m["content"]) for m in found] == [
        ("user", "go"),
        ("agent", "Well?"),
        ("user", "go!"),
        ("agent", "Well?"),
        ("user", "go!!"),
        ("agent", "Well?"),
    ]
    assert (answer.status, answer.content_type, refused.status) == (200, "application/json", 418)


async def settled_input(world: World, place: Place) -> None:
    """Returns once the input of the newest start was delivered."""

    async def delivered() -> bool | None:
        build = await world.newest(place)
        state = await world.value(
            "select state from task_prompts where workspace_build_id = $1", build.id
        )
        return state == "delivered" or None

    await eventually(delivered)


async def test_an_agent_may_die(world: World, tmp_path: Path) -> None:
    """`exit` ends the workspace as a crash would: the driver sees it stopped."""
    script = {"agent": {"lifecycle": ["ready"], "steps": [{"exit": True}]}}
    async with linked(world, tmp_path):
        place = await world.workspace(script)

        async def dead() -> bool | None:
            observed = await world.driver.observe(place.id)
            return (observed.generation, observed.state) == (1, PlaceState.STOPPED) or None

        await world.settled(place)
        await eventually(dead)
