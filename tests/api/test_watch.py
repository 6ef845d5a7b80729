"""Watching a workspace: events and messages, as it changes, until somebody leaves."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.exceptions import InvalidStatus

from taskyard.control.actors import Actor
from taskyard.control.workspace_watch import watch_workspace
from tests.api.build_kit import build, following
from tests.api.seed import UNKNOWN, Api, Json, reason
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio


class Events:
    """Server-sent events as they come."""

    def __init__(self, chunks: AsyncIterator[str]) -> None:
        self._lines = chunks

    async def next(self) -> tuple[str, Json]:
        """The kind of the next event, and its data, null for none."""
        kind, data = "", None
        async for line in self._lines:
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                data = json.loads(line.removeprefix("data: "))
            elif not line:
                return kind, data
        return "end", None


@asynccontextmanager
async def watching(api: Api, workspace_id: str) -> AsyncIterator[Events]:
    headers = {"Coder-Session-Token": api.owner.token}
    path = f"/api/v2/workspaces/{workspace_id}/watch"
    async with (
        asyncio.timeout(DEADLINE_S),
        api.client.stream("GET", path, headers=headers) as response,
    ):
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("text/event-stream")
        yield Events(response.aiter_lines())


async def test_events_of_a_workspace(api: Api) -> None:
    """A ping, the workspace at once, then one event for each change, and the end when it is deleted."""
    task = await api.task(await api.template())
    async with watching(api, task["workspace_id"]) as events:
        assert await events.next() == ("ping", None)
        kind, seen = await events.next()
        assert (kind, seen["latest_build"]["status"]) == ("data", "pending")
        assert seen["id"] == task["workspace_id"]
        await api.succeed(task["workspace_id"])
        _, seen = await events.next()
        while seen["latest_build"]["status"] != "running":
            _, seen = await events.next()
        await build(api, task, transition="delete")
        _, seen = await events.next()
        assert seen["latest_build"]["status"] == "pending"
        await api.succeed(task["workspace_id"])
        while seen["latest_build"]["status"] != "deleted":
            _, seen = await events.next()
        assert (await events.next())[0] == "end"


async def test_a_watcher_holds_no_connection(api: Api) -> None:
    """More people watch than there are connections to the database, and everything goes on."""
    task = await api.task(await api.template())
    async with asyncio.TaskGroup() as group:
        left = asyncio.Event()

        async def watch() -> None:
            async with watching(api, task["workspace_id"]) as events:
                assert (await events.next())[0] == "ping"
                assert (await events.next())[0] == "data"
                await left.wait()

        for _ in range(12):
            group.create_task(watch())
        assert (await api.fresh(task))["status"] == "pending"
        left.set()


async def test_signs_of_life(api: Api) -> None:
    """Pings come while nothing changes; what moves all the time is no change."""
    task = await api.task(await api.template())
    boss = Actor(api.owner.id, "boss", frozenset({"owner"}), frozenset(), frozenset(), "k")
    workspace_id = await api.value("select id from workspaces")

    async def who() -> Actor:
        return boss

    seen = watch_workspace(api.services, who, workspace_id, ping_s=0.02)
    assert await anext(seen) is None
    assert (await anext(seen)) is not None
    await api.execute("update workspaces set last_used_at = now()")
    for _ in range(3):
        assert await anext(seen) is None
    await seen.aclose()
    assert task["workspace_id"] == str(workspace_id)


async def test_who_may_not_watch(api: Api) -> None:
    """What cannot be watched is refused as everything else."""
    task = await api.task(await api.template())
    ada = await api.person("ada")
    path = f"/api/v2/workspaces/{task['workspace_id']}/watch"
    assert reason(await api.get(path, by=ada)) == (404, "not_found")
    assert reason(await api.get(f"/api/v2/workspaces/{UNKNOWN}/watch")) == (404, "not_found")
    with pytest.raises(InvalidStatus) as refused:
        async with following(api, f"/api/v2/workspaces/{UNKNOWN}/watch-ws"):
            pass
    assert refused.value.response.status_code == 404
    await api.execute("update workspaces set deleted = true")
    assert reason(await api.get(path)) == (410, "workspace_gone")


async def test_messages_end_with_the_workspace(api: Api) -> None:
    """The socket closes normally once the workspace is deleted."""
    task = await api.task(await api.template())
    await api.succeed(task["workspace_id"])
    await build(api, task, transition="delete")
    async with following(api, f"/api/v2/workspaces/{task['workspace_id']}/watch-ws") as socket:
        await socket.recv()
        await socket.recv()
        await api.succeed(task["workspace_id"])
        rest = [json.loads(message) async for message in socket]
        assert rest[-1]["data"]["latest_build"]["status"] == "deleted"
        assert socket.close_code == 1000


async def test_a_key_that_is_removed_ends_the_watch(api: Api) -> None:
    """Who may no longer come in is told nothing more, within seconds."""
    ada = await api.person("ada")
    task = await api.task(await api.template(), by=ada)
    headers = {"Coder-Session-Token": ada.token}
    path = f"/api/v2/workspaces/{task['workspace_id']}/watch"
    async with (
        asyncio.timeout(DEADLINE_S),
        api.client.stream("GET", path, headers=headers) as response,
    ):
        events = Events(response.aiter_lines())
        assert (await events.next())[0] == "ping"
        assert (await events.next())[0] == "data"
        await api.execute("delete from api_keys where user_id = $1", ada.id)
        assert (await events.next())[0] == "end"
