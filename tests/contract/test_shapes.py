"""The shared schemas, S1 to S16 (S12: test_supporting_templates.py): what shapes.toml cannot say of a body, read from a server in many states.

Keys, types and presence of every answer are held by the client itself (shapes.py), here as everywhere.
"""

import json
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from tests.api.agent_seat import started as seated
from tests.api.build_kit import following
from tests.api.seed import NIL, Api, Json
from tests.api.template_kit import ASKING, imported, importing, push
from tests.contract.shapes import check
from tests.contract.states import STATES, newest_build

pytestmark = pytest.mark.anyio

LARGE = b'{ size = 9, region = "s" }'
"""The values of a preset of the kit's, which here has none."""

ZERO = "0001-01-01T00:00:00Z"


async def workspace_of(api: Api, task: Json) -> Json:
    """The workspace of a task."""
    return (await api.get(f"/api/v2/workspaces/{task['workspace_id']}")).json()


async def test_S1_errors_and_confirmations(api: Api) -> None:
    """A sentence always; a detail where there is more to say; validations where fields are wrong."""
    plain = (await api.get("/api/v2/tasks/me/nothing")).json()
    assert plain.keys() == {"message"}
    more = (await api.client.get("/api/v2/tasks")).json()
    assert more.keys() == {"message", "detail"}
    fields = (await api.get("/api/v2/tasks?q=a:b:c foo:bar")).json()
    assert fields.keys() - {"detail"} == {"message", "validations"}
    assert [each.keys() for each in fields["validations"]] == [{"field", "detail"}] * 2
    assert all(each["detail"] for each in fields["validations"])
    for path in ("/api/v2", "/api/v2/users/first"):
        assert (await api.get(path)).json().keys() == {"message"}


WORDS = {
    "pending": dict.fromkeys(("start", "stop", "delete"), "pending"),
    "running": {"start": "starting", "stop": "stopping", "delete": "deleting"},
    "succeeded": {"start": "running", "stop": "stopped", "delete": "deleted"},
    "canceling": dict.fromkeys(("start", "stop", "delete"), "canceling"),
    "canceled": dict.fromkeys(("start", "stop", "delete"), "canceled"),
    "failed": dict.fromkeys(("start", "stop", "delete"), "failed"),
}
"""The status of a build by that of its job and by its transition."""


async def test_S2_a_build_in_every_state(api: Api) -> None:
    """One build is the same everywhere; its status is its job's and its transition's; nothing is made before it is over."""
    template = await api.template()
    for name, state in STATES.items():
        task = await api.task(template)
        await state.put(api, task)
        build = await newest_build(api, task)
        assert (await api.get(f"/api/v2/workspacebuilds/{build['id']}")).json() == build, name
        assert (await workspace_of(api, task))["latest_build"] == build, name
        assert build["status"] == WORDS[build["job"]["status"]][build["transition"]], name
        assert build["resources"] == [] or build["job"]["status"] == "succeeded", name
        assert build["workspace_owner_name"] == "boss"
        assert build["job"]["input"] == {"workspace_build_id": build["id"]}


async def test_S2_optional_keys_and_order(api: Api) -> None:
    """The avatar comes with a value only, times may be null, and resources are in order of name."""
    task = await api.task(await api.template())
    await STATES["app_healthy"].put(api, task)
    build = await newest_build(api, task)
    assert "workspace_owner_avatar_url" not in build
    assert (build["deadline"], build["max_deadline"]) == (None, None)
    await api.execute("update users set avatar_url = 'https://example.com/a.png'")
    await api.execute("update workspace_builds set deadline = $1, max_deadline = $1", api.now)
    for name in ("zoo", "ant"):
        await api.execute(
            "insert into workspace_resources select (jsonb_populate_record(r, jsonb_build_object('id',"
            " gen_random_uuid(), 'name', $1::text))).* from workspace_resources r where name = 'main'",
            name,
        )
    build = await newest_build(api, task)
    assert build["workspace_owner_avatar_url"] == "https://example.com/a.png"
    assert build["deadline"] == build["max_deadline"] is not None
    assert [resource["name"] for resource in build["resources"]] == ["ant", "main", "zoo"]
    bare = [r for r in build["resources"] if r["name"] != "main"]
    assert all("agents" not in resource for resource in bare)


def word_of(job: Json) -> str:
    """The status of a job that follows from its times and its error."""
    if "completed_at" in job:
        if "error" in job:
            return "failed"
        return "canceled" if "canceled_at" in job else "succeeded"
    if "error" in job:
        return "failed"
    if "canceled_at" in job:
        return "canceling"
    return "running" if "started_at" in job else "pending"


async def test_S3_a_job_in_every_state(api: Api) -> None:
    """Times, worker and error are there once they are known, and the status follows from them."""
    template, seen = await api.template(), set()
    for name, state in STATES.items():
        task = await api.task(template)
        await state.put(api, task)
        job = (await newest_build(api, task))["job"]
        assert job["status"] == word_of(job), name
        assert job["type"] == "workspace_build"
        assert ("worker_id" in job) == ("started_at" in job), name
        assert (job["queue_position"] > 0) == (job["status"] == "pending"), name
        assert job["queue_size"] >= job["queue_position"]
        texts = ("template_version_name", "template_name", "template_display_name", "template_icon")
        assert {job["metadata"][text] for text in texts} == {""}
        assert job["metadata"]["template_id"] == NIL
        seen.add(job["status"])
    assert seen == set(WORDS)


async def test_S3_the_job_of_an_import(api: Api) -> None:
    """It names the version that it makes, and the template where it has one."""
    template = await api.template()
    job = (await api.get(f"/api/v2/templateversions/{template.version_id}")).json()["job"]
    assert (job["type"], job["status"]) == ("template_version_import", "succeeded")
    assert job["input"] == {"template_version_id": str(template.version_id)}
    assert job["metadata"]["template_id"] == str(template.id)
    assert job["metadata"]["template_name"] == "shell"


async def test_S4_lines_of_a_job(api: Api) -> None:
    """Ids rise from line to line, and each line says who wrote it, how grave it is and in which stage."""
    task = await api.task(await api.template())
    held = await api.claim(task["workspace_id"])
    for source, level in (("provisioner_daemon", "info"), ("provisioner", "error")):
        await api.execute(_LINE, held.build.job_id, api.now, source, level)
    lines = (await api.get(f"/api/v2/workspacebuilds/{held.build.id}/logs")).json()
    assert [(line["log_source"], line["log_level"]) for line in lines] == [
        ("provisioner_daemon", "info"),
        ("provisioner", "error"),
    ]
    assert lines[0]["id"] < lines[1]["id"]
    assert {line["stage"] for line in lines} == {"Building"}
    await api.finish(held)
    async with following(api, f"/api/v2/workspacebuilds/{held.build.id}/logs?follow") as socket:
        assert [json.loads(message) async for message in socket] == lines


_LINE = """
insert into provisioner_job_logs (job_id, created_at, source, level, stage, output)
values ($1, $2, $3, $4, 'Building', 'a line')
"""


async def test_S5_what_a_build_made(api: Api) -> None:
    """A resource names its job and its transition, and holds its agents."""
    task = await api.task(await api.template())
    agent_id = await api.start(task["workspace_id"], "ready", "healthy")
    build = await newest_build(api, task)
    [resource] = (await api.get(f"/api/v2/workspacebuilds/{build['id']}/resources")).json()
    assert build["resources"] == [resource]
    assert resource["job_id"] == build["job"]["id"]
    assert (resource["workspace_transition"], resource["name"]) == ("start", "main")
    [agent] = resource["agents"]
    assert (agent["id"], agent["resource_id"]) == (str(agent_id), resource["id"])


_SEEN = """
update workspace_agents
set first_connected_at = $2, last_connected_at = $3, disconnected_at = $4, created_at = $5
where id = $1
"""


async def test_S6_connection_and_health_of_an_agent(api: Api) -> None:
    """Each way to be unwell has its own reason, the first that fits; the task shows the same."""
    task = await api.task(await api.template())
    agent_id, now = await api.start(task["workspace_id"], "ready", "healthy"), api.now
    old = now - timedelta(hours=1)
    never, there = (None, None, None), (old, now, None)
    lost, left = (old, old, None), (old, old, now)
    table = [
        ("off", never, now, "connecting", "not running"),
        ("off", left, now, "disconnected", "not running"),
        ("ready", never, now, "connecting", "not yet"),
        ("ready", never, old, "timeout", "too long"),
        ("ready", lost, old, "disconnected", "lost"),
        ("ready", left, old, "disconnected", "lost"),
        ("start_error", there, old, "connected", "script"),
        ("shutting_down", there, old, "connected", "ends"),
        ("shutdown_timeout", there, old, "connected", "ends"),
        ("shutdown_error", there, old, "connected", "ends"),
        ("off", there, old, "connected", "ends"),
        ("ready", there, old, "connected", None),
        ("start_timeout", there, old, "connected", None),
        ("starting", there, old, "connected", None),
    ]
    reasons: dict[str | None, set[str | None]] = {}
    for lifecycle, times, created_at, status, why in table:
        await api.lifecycle(agent_id, lifecycle)
        await api.execute(_SEEN, agent_id, *times, created_at)
        agent = (await api.get(f"/api/v2/workspaceagents/{agent_id}")).json()
        assert (agent["status"], agent["lifecycle_state"]) == (status, lifecycle)
        assert agent["health"]["healthy"] == (why is None), lifecycle
        reasons.setdefault(why, set()).add(agent["health"].get("reason"))
        assert (await api.fresh(task))["workspace_agent_health"] == agent["health"]
        health = (await workspace_of(api, task))["health"]
        failing = [] if why is None else [str(agent_id)]
        assert health == {"healthy": why is None, "failing_agents": failing}
    assert reasons[None] == {None}
    assert all(len(found) == 1 for found in reasons.values()), reasons
    assert len(set.union(*reasons.values())) == len(reasons)


async def test_S6_writers_and_lines_of_an_agents_log(api: Api) -> None:
    """A writer is listed with the agent, its lines name it, and their ids rise."""
    seat = await seated(api)
    source = str(uuid4())
    await seat.call("POST", "log-source", {"id": source, "display_name": "Setup", "icon": "/i"})
    lines = [{"created_at": "2026-01-02T03:04:05Z", "output": o, "level": "warn"} for o in "ab"]
    await seat.call("PATCH", "logs", {"log_source_id": source, "logs": [*lines, {"output": "c"}]})
    log = (await api.get(f"/api/v2/workspaceagents/{seat.agent_id}/logs")).json()
    assert [line["output"] for line in log] == ["a", "b", "c"]
    assert log[0]["id"] < log[1]["id"] < log[2]["id"]
    assert {line["source_id"] for line in log} == {source}
    assert [line["created_at"] for line in log][1:] == ["2026-01-02T03:04:05Z", ZERO]
    agent = (await api.get(f"/api/v2/workspaceagents/{seat.agent_id}")).json()
    assert [each["id"] for each in agent["log_sources"]] == [source]
    assert agent["logs_length"] > 0
    async with following(api, f"/api/v2/workspaceagents/{seat.agent_id}/logs?follow") as socket:
        assert json.loads(await socket.recv()) == log


async def test_S7_apps_in_their_order(api: Api) -> None:
    """Apps come as configured, then by display name and slug; without a check, health is `disabled` for good."""
    seat = await seated(api)
    for ordinal, name, slug in ((2, "A", "a"), (1, "B", "y"), (1, "B", "x"), (1, "A", "z")):
        await api.execute(_APP, ordinal, name, slug)
    agent = (await api.get(f"/api/v2/workspaceagents/{seat.agent_id}")).json()
    assert [app["slug"] for app in agent["apps"]] == ["shell", "z", "x", "y", "a"]
    checked, *bare = agent["apps"]
    assert checked["healthcheck"]["interval"] == 5
    assert checked["url"] == "http://127.0.0.1:3284"
    for app in bare:
        assert (app["health"], app["healthcheck"]["url"]) == ("disabled", "")
        assert "url" not in app
        assert app["statuses"] == []


_APP = """
insert into workspace_apps
select (jsonb_populate_record(app, jsonb_build_object(
    'id', gen_random_uuid(), 'ordinal', $1::integer, 'display_name', $2::text, 'slug', $3::text, 'url', '',
    'healthcheck_url', '', 'healthcheck_interval_s', 0, 'healthcheck_threshold', 0, 'health', 'disabled'
))).*
from workspace_apps app where slug = 'shell'
"""


async def test_S8_reports_of_an_app(api: Api) -> None:
    """Newest first, with neither icon nor a call for attention, whatever was sent."""
    seat = await seated(api)
    for state in ("working", "idle", "complete", "failure"):
        sent = {"state": state, "message": state, "icon": "/i", "needs_user_attention": True}
        assert (await seat.report(**sent)).status_code == 200
    workspace = await workspace_of(api, seat.task)
    agent = (await api.get(f"/api/v2/workspaceagents/{seat.agent_id}")).json()
    [app] = agent["apps"]
    assert [s["state"] for s in app["statuses"]] == ["failure", "complete", "idle", "working"]
    assert workspace["latest_app_status"] == app["statuses"][0]
    for status in app["statuses"]:
        assert (status["icon"], status["needs_user_attention"]) == ("", False)
        assert (status["app_id"], status["agent_id"]) == (app["id"], agent["id"])
        assert status["workspace_id"] == workspace["id"]


async def test_S9_a_workspace_in_every_state(api: Api) -> None:
    """Alone, by name and in the list it is the same; it names its task, its newest build and its newest report."""
    template = await api.template()
    for name, state in STATES.items():
        task = await api.task(template)
        await state.put(api, task)
        workspace = await workspace_of(api, task)
        by_name = f"/api/v2/users/me/workspace/{workspace['name']}"
        assert (await api.get(by_name)).json() == workspace, name
        page = (await api.get(f"/api/v2/workspaces?q=name:{workspace['name']}")).json()
        assert workspace in page["workspaces"], name
        assert workspace["task_id"] == task["id"]
        assert workspace["latest_app_status"] is None
        assert workspace["latest_build"]["workspace_id"] == workspace["id"]
        assert workspace["template_active_version_id"] == str(template.version_id)
        assert workspace["outdated"] is False


async def test_S9_optional_and_null(api: Api) -> None:
    """Times to live, schedules and dormancy come with a value; a plain workspace has no task."""
    template = await api.template()
    task = await api.task(template)
    await api.succeed(task["workspace_id"])
    workspace = await workspace_of(api, task)
    assert not workspace.keys() & {"ttl_ms", "autostart_schedule", "shared_with"}
    assert (workspace["deleting_at"], workspace["dormant_at"]) == (None, None)
    assert workspace["health"] == {"healthy": True, "failing_agents": []}
    newer = await api.version(template)
    await api.execute("update templates set active_version_id = $1", newer)
    await api.execute("update workspaces set ttl_ms = 60000")
    await api.execute("delete from tasks")
    workspace = await workspace_of(api, task)
    assert (workspace["outdated"], workspace["ttl_ms"]) == (True, 60000)
    assert workspace["task_id"] is None


async def test_S10_a_template(api: Api) -> None:
    """A template is the same alone, by name and in lists, and says when it is deprecated."""
    version = await api.version(None)
    body = {"name": "plain", "template_version_id": str(version)}
    made = await api.post("/api/v2/organizations/default/templates", body)
    assert made.status_code == 201
    template = (await api.get(f"/api/v2/templates/{made.json()['id']}")).json()
    for path in ("/api/v2/templates", "/api/v2/organizations/default/templates"):
        [listed] = (await api.get(path)).json()
        assert listed == template
    named = await api.get("/api/v2/organizations/default/templates/plain")
    assert named.json() == template
    await api.execute("update templates set deprecation_message = 'use the other'")
    template = (await api.get(f"/api/v2/templates/{made.json()['id']}")).json()
    assert (template["deprecated"], template["deprecation_message"]) == (True, "use the other")


async def test_S11_a_version(api: Api) -> None:
    """It names who made it and its template, the nil UUID while there is none, and says nothing of tasks."""
    template = await api.template()
    loose = await api.version(None)
    versions = {}
    for name, version_id in (("attached", template.version_id), ("loose", loose)):
        versions[name] = (await api.get(f"/api/v2/templateversions/{version_id}")).json()
        assert "has_ai_task" not in versions[name]
        assert versions[name]["created_by"]["username"] == "boss"
        assert versions[name]["archived"] is False
    assert versions["attached"]["template_id"] == str(template.id)
    assert versions["loose"]["template_id"] == NIL
    [listed] = (await api.get(f"/api/v2/templates/{template.id}/versions")).json()
    assert listed == versions["attached"]


async def asking(api: Api) -> str:
    """The id of a version with parameters and presets, imported."""
    version = await push(api, ASKING.replace(b"Large", b"Nothing").replace(LARGE, b"{}"))
    async with importing(api.services):
        return str((await imported(api, version))["id"])


async def test_S13_presets(api: Api) -> None:
    """Keys begin with capitals, parameters are an array also where there are none, and the order is the template's."""
    path = f"/api/v2/templateversions/{await asking(api)}/presets"
    small, nothing = (await api.get(path)).json()
    assert small.keys() == {
        "ID",
        "Name",
        "Parameters",
        "Default",
        "DesiredPrebuildInstances",
        "Description",
        "Icon",
    }
    assert (small["Name"], small["Default"]) == ("Small", True)
    found = {each["Name"]: each["Value"] for each in small["Parameters"]}
    assert found == {"size": "1", "region": "n"}
    assert (nothing["Parameters"], nothing["Default"]) == ([], False)
    assert small["DesiredPrebuildInstances"] is None


async def test_S14_users(api: Api) -> None:
    """Alone, as `me` and in the list a user is the same; one who was never seen was so at the zero time."""
    body = {"username": "bot", "email": "bot@example.com", "login_type": "none"}
    made = await api.post("/api/v2/users", body)
    assert made.status_code == 201
    bot = (await api.get("/api/v2/users/bot")).json()
    assert (bot["login_type"], bot["last_seen_at"]) == ("none", ZERO)
    assert bot["organization_ids"] == [str(api.organization_id)]
    users = {u["id"]: u for u in (await api.get("/api/v2/users")).json()["users"]}
    boss = (await api.get("/api/v2/users/me")).json()
    assert users[bot["id"]] == bot
    assert users[boss["id"]].keys() == boss.keys()
    assert [(r["name"], "organization_id" in r) for r in boss["roles"]] == [("owner", False)]
    assert not bot.keys() & {"name", "avatar_url", "theme_preference"}
    await api.execute("update users set name = 'Bo Ta', avatar_url = 'https://example.com/a.png'")
    bot = (await api.get("/api/v2/users/bot")).json()
    assert (bot["name"], bot["avatar_url"]) == ("Bo Ta", "https://example.com/a.png")


async def test_S15_organizations_and_members(api: Api) -> None:
    """An organization is the same in each list; a member is a user with roles in it and on the site."""
    await api.person("ann", "auditor", organization_roles=("organization-admin",))
    found = (await api.get("/api/v2/organizations/default")).json()
    assert found["is_default"] is True
    for path in ("/api/v2/organizations", "/api/v2/users/me/organizations"):
        assert (await api.get(path)).json() == [found]
    members = (await api.get("/api/v2/organizations/default/members")).json()
    ann = next(member for member in members if member["username"] == "ann")
    assert ann["organization_id"] == found["id"]
    assert [role["name"] for role in ann["roles"]] == ["organization-admin"]
    assert [role["name"] for role in ann["global_roles"]] == ["auditor"]


async def test_S16_keys(api: Api) -> None:
    """A key without its secret, by id and by name; in lists also the name of its user."""
    made = await api.post("/api/v2/users/me/keys/tokens", {"token_name": "ci"})
    key = made.json()["key"]
    by_name = (await api.get("/api/v2/users/me/keys/tokens/ci")).json()
    by_id = (await api.get(f"/api/v2/users/me/keys/{key[:10]}")).json()
    assert by_name == by_id
    assert (by_id["id"], by_id["token_name"], by_id["scope"]) == (key[:10], "ci", "all")
    assert by_id["user_id"] == str(api.owner.id)
    assert "username" not in by_id
    listed = (await api.get("/api/v2/users/me/keys/tokens")).json()
    assert by_id | {"username": "boss"} in listed
    for body in (by_id, listed):
        assert key.partition("-")[2] not in str(body)


async def test_empty_lists_are_lists(api: Api) -> None:
    """Nothing is `[]`, never null. Source: C3."""
    template, ada = await api.template(), await api.person("ada")
    paths = (
        "templates?q=name:none",
        "users/me/keys/tokens",
        f"templateversions/{template.version_id}/presets",
        f"templateversions/{template.version_id}/rich-parameters",
        f"templateversions/{template.version_id}/variables",
        f"templateversions/{template.version_id}/external-auth",
        f"templateversions/{template.version_id}/logs",
    )
    for path in paths:
        response = await api.get(f"/api/v2/{path}", by=ada if "tokens" not in path else api.owner)
        assert isinstance(response.json(), list), path
    page = (await api.get("/api/v2/workspaces", by=ada)).json()
    assert page == {"workspaces": [], "count": 0}


def test_the_checker_sees_what_is_wrong() -> None:
    """Each kind of mistake in a body is one that it finds."""
    good: Json = {"healthy": False, "reason": "no"}
    check(good, "WorkspaceAgentHealth")
    entry: Json = {"id": 1, "content": "", "type": "input", "time": ZERO}
    check([entry], "[TaskLogEntry]")
    for wrong, kind in (
        ({"healthy": False, "reason": ""}, "WorkspaceAgentHealth"),
        ({"healthy": False, "reason": None}, "WorkspaceAgentHealth"),
        ({"healthy": 0}, "WorkspaceAgentHealth"),
        ({"reason": "no"}, "WorkspaceAgentHealth"),
        (good | {"more": 1}, "WorkspaceAgentHealth"),
        (None, "WorkspaceAgentHealth"),
        ([good], "WorkspaceAgentHealth"),
        (good, "[WorkspaceAgentHealth]"),
        ([entry | {"id": True}], "[TaskLogEntry]"),
        ([entry | {"id": "1"}], "[TaskLogEntry]"),
        ([entry | {"type": "system"}], "[TaskLogEntry]"),
        ([entry | {"time": "2026-01-01T00:00:00"}], "[TaskLogEntry]"),
        ([entry | {"time": "2026-01-01T00:00:00+01:00"}], "[TaskLogEntry]"),
        ({"hash": str(UUID(int=1)).replace("-", "")}, "UploadResponse"),
        ({"hash": {"uuid": str(UUID(int=1)), "valid": True}}, "UploadResponse"),
        ({"P50": 1.5, "P95": None}, "TransitionStats"),
        ({"P50": 1}, "TransitionStats"),
    ):
        with pytest.raises(AssertionError):
            check(wrong, kind)
