"""Workspaces without a task, how long they run, who likes them, and where the time of a build went."""

from datetime import datetime, timedelta

import pytest

from tests.api.build_kit import PARAMETERS, build, newest
from tests.api.seed import UNKNOWN, Api, Json, Person, fields, reason

pytestmark = pytest.mark.anyio

PLAIN = """
[template]
display_name = "Plain"
"""
"""A template that runs no tasks."""


async def create(api: Api, body: Json, *, by: Person | None = None, user: str = "me") -> Json:
    """The answer to a request for a workspace."""
    return await api.post(f"/api/v2/users/{user}/workspaces", body, by=by)


async def make(api: Api, name: str = "one", **body: object) -> Json:
    """A new workspace of the owner, seen as one of a task is by the helpers."""
    made = await create(api, {"name": name, **body})
    assert made.status_code == 201, made.text
    return {**made.json(), "workspace_id": made.json()["id"]}


async def show(api: Api, workspace: Json, *, by: Person | None = None) -> Json:
    return (await api.get(f"/api/v2/workspaces/{workspace['id']}", by=by)).json()


async def audit(api: Api) -> list[tuple[str, str]]:
    """What was done to workspaces, by action and name, oldest first."""
    async with api.services.db.connection() as conn:
        rows = await conn.fetch(
            "select action, resource_name from audit_logs where resource_type = 'workspace' order by at"
        )
    return [(row["action"], row["resource_name"]) for row in rows]


async def test_a_workspace_without_a_task(api: Api) -> None:
    """It is made of a template's active version, starts at once, and belongs to no task."""
    template = await api.template("plain", PLAIN)
    made = await make(
        api, template_id=str(template.id), ttl_ms=3_600_000, autostart_schedule="30 9 * * 1-5"
    )
    assert made["latest_build"]["transition"] == "start"
    assert made["latest_build"]["template_version_id"] == str(template.version_id)
    assert (made["task_id"], made["ttl_ms"]) == (None, 3_600_000)
    assert made["autostart_schedule"] == "30 9 * * 1-5"
    assert (await show(api, made))["id"] == made["id"]
    assert await audit(api) == [("create", "one")]


async def test_a_workspace_of_a_version_with_values(api: Api) -> None:
    """One version, values and automatic updates are taken; a preset of another version is not."""
    template = await api.template(toml=PARAMETERS)
    made = await make(
        api,
        template_version_id=str(template.version_id),
        rich_parameter_values=[{"name": "mood", "value": "wild"}],
        automatic_updates="always",
    )
    path = f"/api/v2/workspacebuilds/{made['latest_build']['id']}/parameters"
    assert {"name": "mood", "value": "wild"} in (await api.get(path)).json()
    assert made["automatic_updates"] == "always"
    body = {"name": "two", "template_version_id": str(template.version_id)}
    wrong = await create(api, {**body, "template_version_preset_id": UNKNOWN})
    assert reason(wrong) == (400, "preset_not_found")
    wrong = await create(api, {**body, "rich_parameter_values": [{"name": "x", "value": "y"}]})
    assert reason(wrong) == (400, "invalid_parameters")


async def test_fields_of_a_new_workspace(api: Api) -> None:
    """Everything that is wrong is named by its field."""
    version = str((await api.template()).version_id)
    for body, wanted in (
        ({"template_version_id": version}, {"name"}),
        ({"template_version_id": version, "name": "new"}, {"name"}),
        ({"name": "x"}, {"template_id", "template_version_id"}),
        (
            {"name": "x", "template_version_id": version, "template_id": version},
            {"template_id", "template_version_id"},
        ),
        ({"name": "x", "template_version_id": version, "ttl_ms": 1000}, {"ttl_ms"}),
        (
            {
                "name": "x",
                "template_version_id": version,
                "automatic_updates": "x",
                "autostart_schedule": "x",
            },
            {"automatic_updates", "autostart_schedule"},
        ),
    ):
        refused = await create(api, body)
        assert (refused.status_code, fields(refused)) == (400, wanted)


async def test_refusals_of_a_new_workspace(api: Api) -> None:
    """The same refusals as for tasks: version, rights, template, name, import."""
    template, ada = await api.template(), await api.person("ada")
    body = {"name": "one", "template_version_id": str(template.version_id)}
    unknown = await create(api, {**body, "template_version_id": UNKNOWN})
    assert reason(unknown) == (400, "template_version_not_found")
    unknown = await create(api, {"name": "one", "template_id": UNKNOWN})
    assert reason(unknown) == (400, "template_version_not_found")
    assert (await create(api, body, by=ada, user="boss")).status_code == 404
    admin = await api.person("uma", "user-admin")
    assert reason(await create(api, body, by=admin, user="ada")) == (403, "forbidden")
    assert (await create(api, body, user="ada")).status_code == 201
    assert (await create(api, body)).status_code == 201
    taken = await create(api, {**body, "name": "ONE"})
    assert (*reason(taken), fields(taken)) == (409, "workspace_name_taken", {"name"})
    version = str(await api.version(template))
    await api.execute(
        "update provisioner_jobs set completed_at = null where template_version_id::text = $1",
        version,
    )
    importing = await create(api, {"name": "two", "template_version_id": version})
    assert reason(importing) == (406, "template_version_importing")
    await api.execute("update templates set deprecation_message = 'old'")
    assert reason(await create(api, {**body, "name": "two"})) == (400, "template_deprecated")
    await api.execute("update templates set deleted = true")
    assert reason(await create(api, {**body, "name": "two"})) == (404, "template_deleted")


async def test_a_workspace_for_a_member(api: Api) -> None:
    """The path by organization does the same, for templates of that organization only."""
    template = await api.template()
    body = {"name": "one", "template_id": str(template.id)}
    made = await api.post("/api/v2/organizations/default/members/me/workspaces", body)
    assert (made.status_code, made.json()["name"]) == (201, "one")
    await api.organization("elsewhere")
    wrong = await api.post("/api/v2/organizations/elsewhere/members/me/workspaces", body)
    assert reason(wrong) == (400, "template_elsewhere")


async def test_templates_rule_over_time(api: Api) -> None:
    """Where a template leaves no choice, neither a new workspace nor a change of one has it."""
    template = await api.template()
    made = await make(api, template_id=str(template.id))
    await api.execute(
        "update templates set allow_user_autostop = false, allow_user_autostart = false"
    )
    body = {"name": "two", "template_id": str(template.id)}
    refused = await create(api, {**body, "ttl_ms": 3_600_000, "autostart_schedule": "0 9 * * *"})
    assert fields(refused) == {"ttl_ms", "autostart_schedule"}
    path = f"/api/v2/workspaces/{made['id']}/ttl"
    refused = await api.call("PUT", path, {"ttl_ms": 3_600_000})
    assert reason(refused) == (400, "autostop_fixed")


async def test_ttl(api: Api) -> None:
    """A time to live counts from the next start on; none takes the deadline of the start that runs."""
    made = await make(api, template_id=str((await api.template()).id))
    await api.succeed(made["id"])
    await api.execute("update workspace_builds set deadline = $1", api.now + timedelta(hours=2))
    path = f"/api/v2/workspaces/{made['id']}/ttl"
    assert (await api.call("PUT", path, {"ttl_ms": 7_200_000})).status_code == 204
    shown = await show(api, made)
    assert shown["ttl_ms"] == 7_200_000
    assert shown["latest_build"]["deadline"] is not None
    for ttl_ms in (1, -1, 10**12, 59_999):
        refused = await api.call("PUT", path, {"ttl_ms": ttl_ms})
        assert (refused.status_code, fields(refused)) == (400, {"ttl_ms"})
    assert (await api.call("PUT", path, {"ttl_ms": None})).status_code == 204
    shown = await show(api, made)
    assert "ttl_ms" not in shown
    assert shown["latest_build"]["deadline"] is None
    assert [action for action, _ in await audit(api)] == ["create", "write", "write"]
    tea = await api.person("tea", "template-admin")
    assert reason(await api.call("PUT", path, {"ttl_ms": 0}, by=tea)) == (403, "forbidden")


async def test_extend(api: Api) -> None:
    """Only a workspace that runs and has a deadline is extended, to a time that is far enough off."""
    made = await make(api, template_id=str((await api.template()).id))
    path = f"/api/v2/workspaces/{made['id']}/extend"
    later = api.now + timedelta(hours=5)

    async def extend(deadline: datetime) -> Json:
        return await api.call("PUT", path, {"deadline": deadline.isoformat()})

    assert reason(await extend(later)) == (409, "workspace_not_running")
    await api.succeed(made["id"])
    assert reason(await extend(later)) == (409, "workspace_without_deadline")
    await api.execute("update workspace_builds set deadline = $1", api.now + timedelta(hours=1))
    assert (await extend(later)).status_code == 200
    shown = datetime.fromisoformat((await newest(api, made))["deadline"])
    assert abs(shown - later) < timedelta(milliseconds=1)
    for wrong in (api.now + timedelta(minutes=20), api.now + timedelta(days=40)):
        assert fields(await extend(wrong)) == {"deadline"}
    await api.execute("update workspace_builds set max_deadline = $1", later)
    assert fields(await extend(later + timedelta(hours=1))) == {"deadline"}
    assert fields(await api.call("PUT", path, {})) == {"deadline"}


async def test_favorites_come_first(api: Api) -> None:
    """A favorite is its owner's, who sees it first; nobody else chooses it."""
    template = str((await api.template()).id)
    await make(api, "aa", template_id=template)
    zz = await make(api, "zz", template_id=template)
    path = f"/api/v2/workspaces/{zz['id']}/favorite"
    assert (await api.call("PUT", path)).status_code == 204

    async def names(by: Person | None = None) -> list[tuple[str, bool]]:
        listed = (await api.get("/api/v2/workspaces", by=by)).json()["workspaces"]
        return [(each["name"], each["favorite"]) for each in listed]

    assert await names() == [("zz", True), ("aa", False)]
    other = await api.person("olga", "owner")
    assert await names(other) == [("aa", False), ("zz", False)]
    assert reason(await api.call("PUT", path, by=other)) == (403, "forbidden")
    assert (await api.call("DELETE", path)).status_code == 204
    assert await names() == [("aa", False), ("zz", False)]


async def test_build_by_number(api: Api) -> None:
    """A build is found by the name of its workspace and its number."""
    task = await api.task(await api.template(), name="one")
    path = "/api/v2/users/me/workspace/one/builds"
    assert (await api.get(f"{path}/1")).json() == await newest(api, task)
    assert (await api.get(f"{path}/2")).status_code == 404
    assert (await api.get(f"{path}/99999999999999999999")).status_code == 404
    assert reason(await api.get(f"{path}/x")) == (400, "invalid_build_number")
    assert (await api.get("/api/v2/users/me/workspace/two/builds/1")).status_code == 404


async def test_a_dry_run_keeps_nothing(api: Api) -> None:
    """Everything is checked and answered as if it were done, and nothing is."""
    task = await api.task(await api.template())
    assert reason(await build(api, task, transition="stop", dry_run=True)) == (409, "build_active")
    await api.succeed(task["workspace_id"])
    tried = await build(api, task, transition="stop", dry_run=True)
    assert (tried.status_code, tried.json()["build_number"]) == (201, 2)
    assert (await newest(api, task))["build_number"] == 1
    assert (await api.get(f"/api/v2/workspacebuilds/{tried.json()['id']}")).status_code == 404
    assert (await build(api, task, transition="stop")).json()["build_number"] == 2


async def test_who_may_orphan(api: Api) -> None:
    """Only a delete leaves the driver alone, and only where an administrator wishes it."""
    ada = await api.person("ada")
    task = await api.task(await api.template(), by=ada)
    await api.succeed(task["workspace_id"])
    refused = await build(api, task, transition="stop", orphan=True)
    assert (refused.status_code, fields(refused)) == (400, {"orphan"})
    refused = await build(api, task, transition="delete", orphan=True, by=ada)
    assert reason(refused) == (403, "forbidden")
    made = await build(api, task, transition="delete", orphan=True, log_level="debug", state="e30=")
    assert made.status_code == 201
    assert await api.value("select orphan from workspace_builds where build_number = 2") is True


async def test_starts_of_newer_versions(api: Api) -> None:
    """A workspace that follows, or must, starts the active version; another one is for template admins."""
    template = await api.template()
    ada = await api.person("ada")
    task = await api.task(template, by=ada)
    await api.succeed(task["workspace_id"])
    newer = await api.version(template)
    await api.execute("update templates set active_version_id = $1", newer)
    await api.execute("update template_versions set archived = true where id <> $1", newer)
    old = await build(api, task, transition="start", by=ada)
    assert old.json()["template_version_id"] == str(template.version_id)
    await api.succeed(task["workspace_id"])
    await api.execute("update templates set require_active_version = true")
    refused = await build(
        api, task, transition="start", by=ada, template_version_id=str(template.version_id)
    )
    assert reason(refused) == (403, "forbidden")
    new = await build(api, task, transition="start", by=ada)
    assert new.json()["template_version_id"] == str(newer)
    await api.succeed(task["workspace_id"])
    await api.execute(
        "update templates set require_active_version = false, active_version_id = $1",
        template.version_id,
    )
    await api.execute("update workspaces set automatic_updates = 'always'")
    back = await build(api, task, transition="start", by=ada)
    assert reason(back) == (500, "template_version_archived")


async def test_builds_move_the_workspace(api: Api) -> None:
    """A workspace, and with it its task, was last changed when a build was made or ended. Source: T14."""
    task = await api.task(await api.template())

    async def moved() -> str:
        await api.execute("update workspaces set updated_at = updated_at - interval '1 hour'")
        return str((await api.fresh(task))["updated_at"])

    before = await moved()
    await api.succeed(task["workspace_id"])
    assert (await api.fresh(task))["updated_at"] > before
    before = await moved()
    await build(api, task, transition="stop")
    assert (await api.fresh(task))["updated_at"] > before


async def test_queue_and_workers(api: Api) -> None:
    """A build tells its place among those that wait, and who could take it."""
    template = await api.template()
    tasks = [await api.task(template) for _ in range(3)]
    builds = [await newest(api, task) for task in tasks]
    assert [each["job"]["queue_position"] for each in builds] == [1, 2, 3]
    assert {each["job"]["queue_size"] for each in builds} == {3}
    none = {"count": 0, "available": 0, "most_recently_seen": None}
    assert builds[0]["matched_provisioners"] == none
    await api.execute(
        "insert into workers (id, name, running, capacity, seen_at) values"
        " (gen_random_uuid(), 'a', 1, 8, now()), (gen_random_uuid(), 'b', 8, 8, now()),"
        " (gen_random_uuid(), 'gone', 0, 8, now() - interval '1 minute')"
    )
    await api.succeed(tasks[0]["workspace_id"])
    build_two = await newest(api, tasks[1])
    assert (build_two["job"]["queue_position"], build_two["job"]["queue_size"]) == (1, 2)
    matched = build_two["matched_provisioners"]
    assert (matched["count"], matched["available"]) == (2, 1)
    assert matched["most_recently_seen"]


async def test_timings_state_and_ports(api: Api) -> None:
    """What is over has its times, a state is empty, and no ports are told."""
    task = await api.task(await api.template())
    build_id = (await newest(api, task))["id"]
    path = f"/api/v2/workspacebuilds/{build_id}"
    empty: Json = {
        "provisioner_timings": [],
        "agent_script_timings": [],
        "agent_connection_timings": [],
    }
    assert (await api.get(f"{path}/timings")).json() == empty
    agent_id = await api.start(task["workspace_id"], "ready", "healthy")
    await api.execute(
        "update workspace_agents set first_connected_at = now(), started_at = now(), ready_at = now()"
    )
    found = (await api.get(f"{path}/timings")).json()
    [work] = found["provisioner_timings"]
    assert (work["stage"], work["action"], work["resource"]) == ("apply", "create", "main")
    [script] = found["agent_script_timings"]
    assert (script["exit_code"], script["status"]) == (0, "ok")
    [called] = found["agent_connection_timings"]
    assert called["workspace_agent_id"] == str(agent_id)
    state = await api.get(f"{path}/state")
    assert (state.status_code, state.content) == (200, b"")
    ports = await api.get(f"/api/v2/workspaceagents/{agent_id}/listening-ports")
    assert ports.json() == {"ports": []}


async def test_cancels_and_builds_are_kept_in_mind(api: Api) -> None:
    """Who builds or cancels leaves a line in the audit, in the transaction that did it."""
    task = await api.task(await api.template(), name="one")
    await api.succeed(task["workspace_id"])
    made = (await build(api, task, transition="stop")).json()
    await api.call("PATCH", f"/api/v2/workspacebuilds/{made['id']}/cancel")
    await build(api, task, transition="start")
    assert await audit(api) == [("stop", "one"), ("write", "one"), ("start", "one")]
    user = await api.value("select username from audit_logs where action = 'stop'")
    assert user == "boss"


async def test_deeds_with_tasks_are_kept_in_mind(api: Api) -> None:
    """Each verb of a task leaves a line in the audit, without what the task is about."""
    task = await api.task(await api.template(), name="one", input="a secret plan")
    path = f"/api/v2/tasks/me/{task['id']}"
    await api.succeed(task["workspace_id"])
    await api.post(f"{path}/pause")
    await api.succeed(task["workspace_id"])
    await api.call("PATCH", f"{path}/input", {"input": "another secret"})
    await api.post(f"{path}/resume")
    await api.succeed(task["workspace_id"])
    assert (await api.call("DELETE", path)).status_code == 202
    async with api.services.db.connection() as conn:
        rows = await conn.fetch(
            "select action, resource_name, changes::text from audit_logs"
            " where resource_type = 'task' order by at"
        )
    assert [row["action"] for row in rows] == ["create", "stop", "write", "start", "delete"]
    assert {row["resource_name"] for row in rows} == {"one"}
    assert not any("secret" in str(row) for row in rows)
