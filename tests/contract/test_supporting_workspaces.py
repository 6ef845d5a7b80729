"""Workspaces, builds and their logs: U14 to U24."""

import json
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosedOK

from taskyard.db import agents
from taskyard.db.jobs import WORKSPACES
from taskyard.db.pool import ring
from taskyard.wire.enums import LogLevel
from tests.api.build_kit import build, following, log, newest
from tests.api.seed import UNKNOWN, Api, fields, reason

pytestmark = pytest.mark.anyio


async def test_U14_deleted_workspaces(api: Api) -> None:
    """A deleted workspace is gone unless one asks for deleted ones; unknown ones are absent."""
    task = await api.task(await api.template())
    path = f"/api/v2/workspaces/{task['workspace_id']}"
    assert (await api.get(path)).json()["id"] == task["workspace_id"]
    await api.execute("update workspaces set deleted = true")
    assert reason(await api.get(path)) == (410, "workspace_gone")
    assert (await api.get(f"{path}?include_deleted=true")).status_code == 200
    assert reason(await api.get(f"{path}?include_deleted=x")) == (400, "invalid_query")
    by_name = f"/api/v2/users/me/workspace/{task['name']}"
    assert reason(await api.get(by_name)) == (404, "not_found")
    assert (await api.get(f"{by_name}?include_deleted=1")).status_code == 200


async def test_U15_builds_are_newest_first(api: Api) -> None:
    """Build numbers rise by one, and the list may begin behind a build or at a time."""
    task = await api.task(await api.template())
    await api.succeed(task["workspace_id"])
    for transition in ("stop", "start"):
        assert (await build(api, task, transition=transition)).status_code == 201
        await api.succeed(task["workspace_id"])
    path = f"/api/v2/workspaces/{task['workspace_id']}/builds"

    async def numbers(query: str) -> list[int]:
        return [found["build_number"] for found in (await api.get(f"{path}?{query}")).json()]

    listed = (await api.get(path)).json()
    assert [found["build_number"] for found in listed] == [3, 2, 1]
    assert await numbers("limit=1&offset=1") == [2]
    assert await numbers(f"after_id={listed[0]['id']}") == [2, 1]
    since = listed[1]["created_at"]
    assert await numbers(f"since={since}") == [3, 2]
    assert reason(await api.get(f"{path}?after_id={UNKNOWN}")) == (400, "after_id_unknown")
    assert reason(await api.get(f"{path}?since=yesterday")) == (400, "invalid_query")
    assert fields(await api.get(f"{path}?after_id=x")) == {"after_id"}


async def test_U16_one_build_at_a_time(api: Api) -> None:
    """A second build while one is not over is a conflict."""
    task = await api.task(await api.template())
    assert reason(await build(api, task, transition="stop")) == (409, "build_active")


async def test_U21_reasons_and_transitions(api: Api) -> None:
    """A person may give some reasons only; what is not right is named by its field."""
    task = await api.task(await api.template())
    await api.succeed(task["workspace_id"])
    refused = await build(api, task, transition="stop", reason="task_resume")
    assert (refused.status_code, fields(refused)) == (400, {"reason"})
    refused = await build(api, task)
    assert (refused.status_code, fields(refused)) == (400, {"transition"})
    made = await build(api, task, transition="stop", reason="task_manual_pause")
    assert (made.status_code, made.json()["reason"]) == (201, "task_manual_pause")
    await api.succeed(task["workspace_id"])
    assert (await api.fresh(task))["status"] == "paused"
    assert (await build(api, task, transition="start")).json()["reason"] == "initiator"


async def test_U19_cancel(api: Api) -> None:
    """A waiting build is canceled at once, a running one when its worker lets go; twice is an error."""
    task = await api.task(await api.template())
    path = f"/api/v2/workspacebuilds/{(await newest(api, task))['id']}/cancel"
    assert (await api.call("PATCH", path)).status_code == 200
    assert (await newest(api, task))["status"] == "canceled"
    assert reason(await api.call("PATCH", path)) == (400, "job_completed")
    await build(api, task, transition="start")
    held = await api.claim(task["workspace_id"])
    path = f"/api/v2/workspacebuilds/{held.build.id}/cancel"
    assert (await api.call("PATCH", path)).status_code == 200
    assert (await newest(api, task))["status"] == "canceling"
    assert reason(await api.call("PATCH", path)) == (400, "job_cancel_requested")
    await api.finish(held)
    assert (await newest(api, task))["status"] == "canceled"


async def test_U20_expected_status(api: Api) -> None:
    """Nothing is canceled unless the job is in the expected status; an empty one expects nothing."""
    task = await api.task(await api.template())
    path = f"/api/v2/workspacebuilds/{(await newest(api, task))['id']}/cancel?expect_status="
    assert reason(await api.call("PATCH", f"{path}running")) == (412, "job_status")
    assert reason(await api.call("PATCH", f"{path}x")) == (400, "invalid_expect_status")
    assert (await newest(api, task))["status"] == "pending"
    assert (await api.call("PATCH", path)).status_code == 200
    assert reason(await api.call("PATCH", f"{path}running")) == (400, "job_completed")
    unknown = f"/api/v2/workspacebuilds/{uuid4()}/cancel?expect_status=x"
    assert reason(await api.call("PATCH", unknown)) == (404, "not_found")


@pytest.mark.parametrize(
    "path",
    [
        "workspaces/{}",
        "workspaces/{}/builds",
        "workspacebuilds/{}",
        "workspacebuilds/{}/logs",
        "workspacebuilds/{}/parameters",
        "workspacebuilds/{}/resources",
        "workspaceagents/{}",
        "workspaceagents/{}/logs",
        "workspaces/{}/watch",
        "workspacebuilds/{}/timings",
        "workspacebuilds/{}/state",
        "workspaceagents/{}/listening-ports",
    ],
)
async def test_U22_ids(api: Api, path: str) -> None:
    """What is no UUID is a bad request; what names nothing, or nothing the caller sees, is absent."""
    assert reason(await api.get(f"/api/v2/{path.format('x')}")) == (400, "invalid_uuid")
    assert reason(await api.get(f"/api/v2/{path.format(uuid4())}")) == (404, "not_found")


@pytest.mark.parametrize("follow", ["follow", "follow=true", "follow=0&after=0"])
async def test_U17_U18_follow_a_build(api: Api, follow: str) -> None:
    """History, then lines as they come, one object a message; a normal close once the job is over."""
    task = await api.task(await api.template())
    held = await api.claim(task["workspace_id"])
    await log(api, held.build.job_id, "one")
    path = f"/api/v2/workspacebuilds/{held.build.id}/logs?{follow}"
    async with following(api, path) as socket:
        assert json.loads(await socket.recv())["output"] == "one"
        await log(api, held.build.job_id, "two", "three")
        assert json.loads(await socket.recv())["output"] == "two"
        assert json.loads(await socket.recv())["output"] == "three"
        await log(api, held.build.job_id, "last")
        await api.finish(held)
        assert json.loads(await socket.recv())["output"] == "last"
        with pytest.raises(ConnectionClosedOK):
            await socket.recv()
        assert socket.close_code == 1000
    assert (await newest(api, task))["job"]["status"] == "succeeded"


async def test_U24_follow_an_agent(api: Api) -> None:
    """Messages are arrays of lines; the socket closes once a later build has taken over."""
    task = await api.task(await api.template())
    agent_id = await api.start(task["workspace_id"], "ready", "healthy")
    source = uuid4()

    async def say(text: str) -> None:
        async with api.services.db.transaction() as conn:
            await agents.upsert_log_source_as_system(
                conn, agent_id, source, "start", icon="", now=api.now
            )
            lines = [agents.AgentLogLine(api.now, LogLevel.INFO, text)]
            await agents.append_agent_logs_as_system(conn, agent_id, source, lines, limit=1000)

    await say("one")
    path = f"/api/v2/workspaceagents/{agent_id}/logs"
    [line] = (await api.get(path)).json()
    assert (line["output"], line["source_id"]) == ("one", str(source))
    assert (await api.get(f"{path}?before={line['id']}")).json() == []
    async with following(api, f"{path}?follow&after=0") as socket:
        assert [found["output"] for found in json.loads(await socket.recv())] == ["one"]
        await say("two")
        assert [found["output"] for found in json.loads(await socket.recv())] == ["two"]
        await build(api, task, transition="stop")
        await api.succeed(task["workspace_id"])
        with pytest.raises(ConnectionClosedOK):
            await socket.recv()
    [written] = (await api.get(f"/api/v2/workspaceagents/{agent_id}")).json()["log_sources"]
    assert written["display_name"] == "start"


async def test_U23_watch_over_a_websocket(api: Api) -> None:
    """A ping comes first, the workspace second, and again when it has changed."""
    task = await api.task(await api.template())
    async with following(api, f"/api/v2/workspaces/{task['workspace_id']}/watch-ws") as socket:
        assert json.loads(await socket.recv()) == {"type": "ping"}
        first = json.loads(await socket.recv())
        assert set(first) == {"type", "data"}
        assert first["type"] == "data"
        assert first["data"] == (await api.get(f"/api/v2/workspaces/{task['workspace_id']}")).json()
        await api.claim(task["workspace_id"])
        async with api.services.db.connection() as conn:
            await ring(conn, WORKSPACES, task["workspace_id"])
        changed = json.loads(await socket.recv())
        assert changed["data"]["latest_build"]["status"] == "starting"
