"""Workspaces, their builds and agents, and following logs, beyond what the statements say."""

import json

import pytest
from websockets.exceptions import InvalidStatus

from tests.api.build_kit import PARAMETERS, build, following, log, newest
from tests.api.seed import UNKNOWN, Api, Json, Person, fields, reason

pytestmark = pytest.mark.anyio


async def test_workspace_by_name(api: Api) -> None:
    """A workspace is found by its owner and its name, by who may see it."""
    task = await api.task(await api.template(), name="One")
    found = (await api.get("/api/v2/users/boss/workspace/one")).json()
    assert found["id"] == task["workspace_id"]
    assert found["organization_name"] == "default"
    ada = await api.person("ada")
    assert (await api.get("/api/v2/users/boss/workspace/one", by=ada)).status_code == 404


async def test_list_of_workspaces(api: Api) -> None:
    """Running ones first, then by name; queries narrow the list; count is the total before paging."""
    template, ada = await api.template(), await api.person("ada")
    tasks = {name: await api.task(template, name=name) for name in ("a", "b", "c")}
    await api.task(template, name="d", by=ada)
    await api.start(tasks["c"]["workspace_id"], "ready", "healthy")

    async def names(query: str, by: Person | None = None) -> tuple[list[str], int]:
        body = (await api.get(f"/api/v2/workspaces?{query}", by=by)).json()
        return [workspace["name"] for workspace in body["workspaces"]], body["count"]

    assert await names("") == (["c", "d", "a", "b"], 4)
    assert await names("", by=ada) == (["d"], 1)
    assert await names("limit=1&offset=1") == (["d"], 4)
    assert await names("limit=1&offset=9") == ([], 4)
    assert await names("q=owner:me") == (["c", "a", "b"], 3)
    assert await names("q=ada/d") == (["d"], 1)
    assert await names("q=b") == (["b"], 1)
    assert await names("q=status:running") == (["c"], 1)
    assert await names("q=template:shell has-ai-task:true&limit=2") == (["c", "d"], 4)
    assert await names("q=dormant:true") == ([], 0)
    assert await names("q=has-agent:connecting") == (["c"], 1)
    assert await names("q=healthy:false") == (["c"], 1)
    assert await names("q=healthy:true&limit=1&offset=1") == (["a"], 3)
    assert await names('q=last_used_after:"2020-01-01T00:00:00Z"') == (["c", "d", "a", "b"], 4)
    response = await api.get("/api/v2/workspaces?q=status:x healthy:y foo:z owner:nobody")
    assert reason(response) == (400, "invalid_query")
    response = await api.get("/api/v2/workspaces?q=status:x healthy:y owner:nobody has-agent:q")
    assert fields(response) == {"status", "healthy", "owner", "has-agent"}
    response = await api.get("/api/v2/workspaces?limit=-1&offset=x")
    assert (response.status_code, fields(response)) == (400, {"limit", "offset"})


async def test_template_admins_read_workspaces(api: Api) -> None:
    """A template admin reads everybody's workspaces, and may not build them."""
    task = await api.task(await api.template())
    admin = await api.person("tea", "template-admin")
    path = f"/api/v2/workspaces/{task['workspace_id']}"
    assert (await api.get(path, by=admin)).status_code == 200
    await api.succeed(task["workspace_id"])
    assert reason(await build(api, task, transition="stop", by=admin)) == (403, "forbidden")


async def test_builds_of_deleted_workspaces(api: Api) -> None:
    """Nothing of a deleted workspace can be built."""
    task = await api.task(await api.template())
    await api.succeed(task["workspace_id"])
    await api.execute("update workspaces set deleted = true")
    assert reason(await build(api, task, transition="start")) == (409, "workspace_deleted")


async def test_versions_for_a_build(api: Api) -> None:
    """Another version of the template is taken; one of another template, unfinished or broken is not."""
    template = await api.template()
    task = await api.task(template)
    await api.succeed(task["workspace_id"])
    foreign = await api.template("other")

    async def refused(version_id: object) -> tuple[int, str]:
        return reason(
            await build(api, task, transition="start", template_version_id=str(version_id))
        )

    assert await refused(foreign.version_id) == (400, "template_version_foreign")
    assert await refused(UNKNOWN) == (400, "template_version_not_found")
    newer = await api.version(template)
    change = (
        "update provisioner_jobs set completed_at = $2, error = $3 where template_version_id = $1"
    )
    await api.execute(change, newer, None, None)
    assert await refused(newer) == (406, "template_version_importing")
    await api.execute(change, newer, api.now, "broken")
    assert await refused(newer) == (400, "template_version_broken")
    await api.execute(change, newer, api.now, None)
    made = await build(api, task, transition="start", template_version_id=str(newer))
    assert (made.status_code, made.json()["template_version_id"]) == (201, str(newer))


async def test_parameters_of_a_build(api: Api) -> None:
    """Values stay from build to build, may be changed where the template allows it, and are checked."""
    task = await api.task(await api.template(toml=PARAMETERS))
    await api.succeed(task["workspace_id"])

    async def start(**values: str) -> Json:
        given = [{"name": name, "value": value} for name, value in values.items()]
        return await build(api, task, transition="start", rich_parameter_values=given)

    for values, field in (
        ({"size": "x"}, "size"),
        ({"size": "2"}, "size"),
        ({"nope": "1"}, "nope"),
    ):
        refused = await start(**values)
        assert reason(refused) == (400, "invalid_parameters")
        assert fields(refused) == {field}
    made = await start(mood="wild")
    assert made.status_code == 201
    await api.succeed(task["workspace_id"])
    stopped = (await build(api, task, transition="stop")).json()
    for found in (made.json(), stopped):
        values = (await api.get(f"/api/v2/workspacebuilds/{found['id']}/parameters")).json()
        assert values == [{"name": "mood", "value": "wild"}, {"name": "size", "value": "1"}]


async def test_who_may_cancel(api: Api) -> None:
    """The owner of a workspace cancels its builds where the template allows it."""
    ada = await api.person("ada")
    task = await api.task(await api.template(), by=ada)
    path = f"/api/v2/workspacebuilds/{(await newest(api, task))['id']}/cancel"
    assert reason(await api.call("PATCH", path, by=ada)) == (403, "forbidden")
    await api.execute("update templates set allow_user_cancel_workspace_jobs = true")
    assert (await api.call("PATCH", path, by=ada)).status_code == 200


async def test_builds_of_strangers(api: Api) -> None:
    """Builds, agents and their logs are seen by those who see the workspace."""
    task = await api.task(await api.template())
    agent_id = await api.start(task["workspace_id"], "ready", "healthy")
    build_id = (await newest(api, task))["id"]
    ada = await api.person("ada")
    for path in (
        f"workspacebuilds/{build_id}",
        f"workspacebuilds/{build_id}/logs",
        f"workspaceagents/{agent_id}",
        f"workspaceagents/{agent_id}/logs",
    ):
        assert (await api.get(f"/api/v2/{path}")).status_code == 200
        assert (await api.get(f"/api/v2/{path}", by=ada)).status_code == 404


async def test_resources_and_agent(api: Api) -> None:
    """A start shows its agent and app, in the workspace, the build and by themselves."""
    task = await api.task(await api.template())
    build_id = (await newest(api, task))["id"]
    path = f"/api/v2/workspacebuilds/{build_id}/resources"
    assert reason(await api.get(path)) == (400, "job_not_finished")
    agent_id = await api.start(task["workspace_id"], "ready", "healthy")
    workspace = (await api.get(f"/api/v2/workspaces/{task['workspace_id']}")).json()
    [resource] = (await api.get(path)).json()
    [agent] = resource["agents"]
    assert workspace["latest_build"]["resources"] == [resource]
    assert (await api.get(f"/api/v2/workspaceagents/{agent_id}")).json() == agent
    assert (agent["id"], agent["status"]) == (str(agent_id), "connecting")
    assert (agent["lifecycle_state"], agent["parent_id"]) == ("ready", None)
    assert agent["health"]["healthy"] is False
    assert workspace["health"] == {"healthy": False, "failing_agents": [str(agent_id)]}
    [app] = agent["apps"]
    assert (app["slug"], app["health"]) == ("shell", "healthy")
    assert app["healthcheck"] == {
        "url": "http://127.0.0.1:3284/status",
        "interval": 5,
        "threshold": 3,
    }


async def test_log_of_a_build(api: Api) -> None:
    """Lines in order, from behind an id, as JSON or as text."""
    task = await api.task(await api.template())
    held = await api.claim(task["workspace_id"])
    await log(api, held.build.job_id, "one", "two")
    path = f"/api/v2/workspacebuilds/{held.build.id}/logs"
    lines = (await api.get(path)).json()
    assert [line["output"] for line in lines] == ["one", "two"]
    assert set(lines[0]) == {"id", "created_at", "log_source", "log_level", "stage", "output"}
    rest = (await api.get(f"{path}?after={lines[0]['id']}")).json()
    assert [line["output"] for line in rest] == ["two"]
    text = await api.get(f"{path}?format=text")
    assert text.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert [line.rpartition(" ")[2] for line in text.text.splitlines()] == ["one", "two"]
    for query, word in (
        ("after=x", "invalid_query"),
        ("format=xml", "invalid_format"),
        ("follow", "websocket_required"),
    ):
        assert reason(await api.get(f"{path}?{query}")) == (400, word)


async def test_follow_a_build_that_is_over(api: Api) -> None:
    """The history of a job that is over comes at once, and the socket closes."""
    task = await api.task(await api.template())
    held = await api.claim(task["workspace_id"])
    await log(api, held.build.job_id, "one")
    await api.finish(held)
    async with following(api, f"/api/v2/workspacebuilds/{held.build.id}/logs?follow") as socket:
        assert [json.loads(message)["output"] async for message in socket] == ["one"]
        assert socket.close_code == 1000


async def test_who_leaves_is_let_go(api: Api) -> None:
    """A client that goes away in the middle leaves nothing running, and the log is there for the next."""
    task = await api.task(await api.template())
    held = await api.claim(task["workspace_id"])
    await log(api, held.build.job_id, "one")
    path = f"/api/v2/workspacebuilds/{held.build.id}/logs?follow"
    for _ in range(2):
        async with following(api, path) as socket:
            assert json.loads(await socket.recv())["output"] == "one"


@pytest.mark.parametrize(
    ("build_id", "query", "status"),
    [("x", "follow", 400), (UNKNOWN, "follow", 404), (None, "follow&format=text", 400)],
)
async def test_follow_that_is_refused(
    api: Api, build_id: str | None, query: str, status: int
) -> None:
    """A socket that cannot be served is refused with the usual error."""
    task = await api.task(await api.template())
    found = build_id or (await newest(api, task))["id"]
    with pytest.raises(InvalidStatus) as refused:
        async with following(api, f"/api/v2/workspacebuilds/{found}/logs?{query}"):
            pass
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body)["message"]
