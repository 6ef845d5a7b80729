"""Templates and versions over the real edge, once they are there: changed, archived, deprecated, deleted."""

import asyncio
from uuid import uuid4

import pytest

from tests.api.seed import Api, Json, Person, fields, reason
from tests.api.template_kit import ASKING, TASK, imported, importing, push, template_of, version_of

pytestmark = pytest.mark.anyio

TEMPLATES = "/api/v2/organizations/default/templates"
VERSIONS = "/api/v2/organizations/default/templateversions"

STARTERS = ["aider", "claude", "codex", "copilot", "custom", "gemini", "opencode", "shell"]
"""The templates that come with the server."""


async def patch(api: Api, template: Json, *, by: Person | None = None, **body: Json) -> Json:
    """The template after a change that must work."""
    response = await api.call("PATCH", f"/api/v2/templates/{template['id']}", body, by=by)
    assert response.status_code == 200, response.text
    return response.json()


async def test_what_a_change_leaves_out_stays(api: Api) -> None:
    """Each field alone, null like absent, and an empty change changes nothing, its time included."""
    made = await template_of(api, await push(api), description="kept", default_ttl_ms=7)
    assert await patch(api, made) == made
    assert await patch(api, made, description=None, default_ttl_ms=None) == made
    changes: Json = {
        "name": "other",
        "display_name": "Other",
        "description": "",
        "icon": "/x.png",
        "default_ttl_ms": 0,
        "activity_bump_ms": 1,
        "allow_user_autostart": False,
        "allow_user_autostop": False,
        "allow_user_cancel_workspace_jobs": True,
        "failure_ttl_ms": 2,
        "time_til_dormant_ms": 3,
        "time_til_dormant_autodelete_ms": 4,
        "require_active_version": True,
        "max_port_share_level": "authenticated",
        "cors_behavior": "passthru",
        "use_classic_parameter_flow": True,
        "disable_module_cache": True,
        "autostop_requirement": {"days_of_week": ["monday"], "weeks": 3},
        "autostart_requirement": {"days_of_week": []},
    }
    now = made
    for key, value in changes.items():
        before, now = now, await patch(api, made, **{key: value})
        assert now[key] == value
        assert now["updated_at"] > before["updated_at"]
        assert {**now, "updated_at": "", key: ""} == {**before, "updated_at": "", key: ""}
    ignored: Json = {"disable_everyone_group_access": True, "update_workspace_dormant_at": True}
    assert await patch(api, made, **ignored) == now


async def test_a_change_that_is_not_right_is_refused_as_a_whole(api: Api) -> None:
    """Every field is named, as the request names it; a name in use is 409."""
    await template_of(api, await push(api), "taken")
    made = await template_of(api, await push(api), "shell")
    path = f"/api/v2/templates/{made['id']}"
    body = {
        "name": "-x-",
        "display_name": "d" * 65,
        "description": "d" * 128,
        "deprecation_message": "d" * 1025,
        "default_ttl_ms": -1,
        "time_til_dormant_ms": -1,
        "time_til_dormant_autodelete_ms": -1,
        "max_port_share_level": "friends",
    }
    response = await api.call("PATCH", path, body)
    assert (reason(response), fields(response)) == ((400, "invalid"), set(body))
    taken = await api.call("PATCH", path, {"name": "TAKEN", "description": "x"})
    assert (reason(taken), fields(taken)) == ((409, "template_name_taken"), {"name"})
    assert (await api.get(path)).json() == made
    assert (await patch(api, made, name="SHELL"))["name"] == "SHELL"


async def test_a_deprecated_template_makes_nothing_new(api: Api) -> None:
    """Said when a task is made of it, left out of lists, and taken back by an empty message."""
    template = await api.template("old")
    body = {"template_version_id": str(template.version_id), "input": "x"}
    now = await patch(api, {"id": template.id}, deprecation_message="Use fresh.")
    assert (now["deprecated"], now["deprecation_message"]) == (True, "Use fresh.")
    assert (await api.get("/api/v2/templates")).json() == []
    assert reason(await api.post("/api/v2/tasks/me", body)) == (400, "template_deprecated")
    assert (await patch(api, {"id": template.id}, deprecation_message=""))["deprecated"] is False
    assert (await api.post("/api/v2/tasks/me", body)).status_code == 201


async def test_a_template_is_deleted_when_nothing_is_of_it(api: Api) -> None:
    """400 while a workspace lives; then it is gone everywhere, and its name is free."""
    template = await api.template("shell")
    await api.task(template)
    path = f"/api/v2/templates/{template.id}"
    assert reason(await api.call("DELETE", path)) == (400, "template_in_use")
    await api.execute("update workspaces set deleted = true")
    response = await api.call("DELETE", path)
    assert response.status_code == 200
    assert response.json()["message"]
    for method, part in (("GET", ""), ("DELETE", ""), ("PATCH", ""), ("GET", "/versions")):
        assert reason(await api.call(method, path + part, {})) == (404, "not_found")
    assert (await api.get(TEMPLATES)).json() == []
    deleted = (await api.get("/api/v2/templates?q=deleted:true")).json()
    assert [(row["name"], row["deleted"]) for row in deleted] == [("shell", True)]
    await template_of(api, await push(api), "shell")
    body = {"template_version_id": str(template.version_id), "input": "x"}
    assert reason(await api.post("/api/v2/tasks/me", body)) == (404, "template_deleted")


async def test_a_template_is_not_deleted_while_a_task_is_made_of_it(api: Api) -> None:
    """However the two meet, no live workspace is left of a deleted template."""
    for turn in range(5):
        template = await api.template(f"t{turn}")
        body = {"template_version_id": str(template.version_id), "input": "x"}
        answers: list[int] = []

        async def ask(method: str, path: str, body: Json, answers: list[int] = answers) -> None:
            answers.append((await api.call(method, path, body)).status_code)

        async with asyncio.TaskGroup() as group:
            for _ in range(2):
                group.create_task(ask("POST", "/api/v2/tasks/me", body))
            group.create_task(ask("DELETE", f"/api/v2/templates/{template.id}", None))
        assert set(answers) <= {200, 201, 400, 404}
        assert (200 in answers) != (201 in answers)


async def test_the_version_before(api: Api) -> None:
    """The one made before it, archived or not; 204 for the first, 404 for unknown ones."""
    template = await template_of(api, await push(api, name="v1"))
    for name in ("v2", "v3"):
        await push(api, name=name, template_id=template["id"])
    await api.execute("update template_versions set archived = true where name = 'v2'")
    path = f"{TEMPLATES}/shell/versions"
    assert (await api.get(f"{path}/v3/previous")).json()["name"] == "v2"
    assert (await api.get(f"{path}/v2/previous")).json()["name"] == "v1"
    first = await api.get(f"{path}/v1/previous")
    assert (first.status_code, first.content) == (204, b"")
    assert "Content-Type" not in first.headers
    assert reason(await api.get(f"{path}/v4/previous")) == (404, "template_version_not_found")
    assert reason(await api.get(f"{TEMPLATES}/x/versions/v1/previous")) == (404, "not_found")


async def test_a_version_is_renamed(api: Api) -> None:
    """Name and message, each by itself; a name in use is 400 here."""
    first = await push(api, name="v1", message="old")
    template = await template_of(api, first)
    await push(api, name="v2", template_id=template["id"])
    path = f"/api/v2/templateversions/{first['id']}"

    async def change(**body: object) -> Json:
        response = await api.call("PATCH", path, body)
        assert response.status_code == 200, response.text
        return response.json()

    assert (await change(name="v1.1"))["message"] == "old"
    assert (await change(message=""))["name"] == "v1.1"
    assert (await change(name=""))["name"] == "v1.1"
    assert (await change(name="V1.1"))["name"] == "V1.1"
    taken = await api.call("PATCH", path, {"name": "V2"})
    assert reason(taken) == (400, "template_version_name_taken")
    assert fields(taken) == {"name"}
    bad = await api.call("PATCH", path, {"name": "a b", "message": "x" * 1_048_577})
    assert (reason(bad), fields(bad)) == ((400, "invalid"), {"name", "message"})


async def test_an_import_is_canceled_in_the_status_that_is_expected(api: Api) -> None:
    """Another status 412, another word 400, an empty one is nothing."""
    version = await push(api)
    path = f"/api/v2/templateversions/{version['id']}/cancel"
    running = await api.call("PATCH", f"{path}?expect_status=running")
    assert reason(running) == (412, "job_status")
    odd = await api.call("PATCH", f"{path}?expect_status=failed")
    assert reason(odd) == (400, "invalid_expect_status")
    assert (await api.call("PATCH", f"{path}?expect_status=")).status_code == 200
    assert (await version_of(api, version["id"]))["job"]["status"] == "canceled"


async def test_a_version_is_archived_and_taken_back(api: Api) -> None:
    """Not the active one, not one that a workspace runs on, not one without a template; twice is no error."""
    template = await api.template()
    used = await api.version(template)
    idle = await api.version(template)
    await api.task(template, template_version_id=str(used))
    stray = await push(api)

    async def do(version_id: object, verb: str = "archive") -> tuple[int, str]:
        response = await api.post(f"/api/v2/templateversions/{version_id}/{verb}")
        return (200, "") if response.status_code == 200 else reason(response)

    assert await do(template.version_id) == (400, "template_version_in_use")
    assert await do(used) == (400, "template_version_in_use")
    assert await do(stray["id"]) == (400, "template_version_unattached")
    assert [await do(idle), await do(idle)] == [(200, ""), (200, "")]
    assert (await version_of(api, idle))["archived"] is True
    body = {"template_version_id": str(idle), "input": "x"}
    assert reason(await api.post("/api/v2/tasks/me", body))[1] == "template_version_archived"
    listed = (await api.get(f"/api/v2/templates/{template.id}/versions")).json()
    assert str(idle) not in {row["id"] for row in listed}
    assert [await do(idle, "unarchive"), await do(idle, "unarchive")] == [(200, ""), (200, "")]
    assert (await api.post("/api/v2/tasks/me", body)).status_code == 201


async def test_unused_versions_are_archived_together(api: Api) -> None:
    """Failed imports by themselves, all unused ones when asked; active, used and unfinished ones stay."""
    async with importing(api.services):
        template = await template_of(api, await imported(api, await push(api, name="v1")))
        failed = await imported(
            api, await push(api, b"[x]\n", name="bad", template_id=template["id"])
        )
        unused = await imported(api, await push(api, name="v2", template_id=template["id"]))
    pending = await push(api, name="v3", template_id=template["id"])
    path = f"/api/v2/templates/{template['id']}/versions/archive"

    async def archive(**body: object) -> Json:
        response = await api.post(path, body)
        assert response.status_code == 200, response.text
        assert response.json()["template_id"] == template["id"]
        return response.json()["archived_ids"]

    assert await archive() == [failed["id"]]
    assert await archive() == []
    assert await archive(all=True) == [unused["id"]]
    assert (await version_of(api, pending["id"]))["archived"] is False


async def test_examples_are_templates_to_start_from(api: Api) -> None:
    """Each is listed with what it is, and becomes a version by its id."""
    found = (await api.get(f"{TEMPLATES}/examples")).json()
    assert [row["id"] for row in found] == STARTERS
    assert all(row["name"] and row["description"] and row["markdown"] for row in found)
    request = {"example_id": "shell", "storage_method": "file", "provisioner": "terraform"}
    async with importing(api.services):
        response = await api.post(VERSIONS, request)
        assert response.status_code == 201, response.text
        version = await imported(api, response.json())
    assert version["job"]["status"] == "succeeded"
    assert reason(await api.get("/api/v2/organizations/x/templates/examples")) == (404, "not_found")


async def test_changes_are_for_those_who_make_templates(api: Api) -> None:
    """A member may do none of it, a template admin and the organization's admin all of it."""
    member = await api.person("ann")
    made = await template_of(api, await push(api))
    version = await push(api, template_id=made["id"])
    template, path = f"/api/v2/templates/{made['id']}", f"/api/v2/templateversions/{version['id']}"
    doors = (
        ("PATCH", template),
        ("DELETE", template),
        ("POST", f"{template}/versions/archive"),
        ("PATCH", f"{template}/versions"),
        ("PATCH", path),
        ("PATCH", f"{path}/cancel"),
        ("POST", f"{path}/archive"),
        ("POST", f"{path}/unarchive"),
    )
    for method, door in doors:
        assert reason(await api.call(method, door, {}, by=member)) == (403, "forbidden"), door
    site = await api.person("tom", "template-admin")
    local = await api.person("tim", organization_roles=("organization-admin",))
    for who in (site, local):
        assert (await patch(api, made, by=who, description=who.username))["description"]
        assert (await api.call("PATCH", path, {"message": "x"}, by=who)).status_code == 200


async def test_who_did_what_is_kept(api: Api) -> None:
    """Each write has its row, with what changed; what changed nothing has none."""
    version = await push(api, name="v1")
    template = await template_of(api, version)
    async with importing(api.services):
        second = await imported(api, await push(api, name="v2", template_id=template["id"]))
    path = f"/api/v2/templates/{template['id']}"
    await patch(api, template)
    await patch(api, template, description="new", default_ttl_ms=5)
    await api.call("PATCH", f"{path}/versions", {"id": second["id"]})
    await api.call("PATCH", f"/api/v2/templateversions/{version['id']}", {"name": "v0"})
    await api.post(f"/api/v2/templateversions/{version['id']}/archive")
    await api.post(f"/api/v2/templateversions/{version['id']}/unarchive")
    await api.post(f"{path}/versions/archive", {"all": True})
    await api.call("DELETE", path)
    async with api.services.db.connection() as conn:
        rows = await conn.fetch(
            "select action, resource_type, resource_name, changes::text from audit_logs"
            " where username = 'boss' order by at, id"
        )
    kinds = [(row["action"], row["resource_type"]) for row in rows]
    assert kinds.count(("create", "file")) == 1
    assert kinds.count(("create", "template")) == 1
    assert kinds.count(("create", "template_version")) == 2
    assert kinds.count(("write", "template")) == 2
    assert kinds.count(("write", "template_version")) == 4
    assert kinds.count(("delete", "template")) == 1
    changes = " ".join(row["changes"] for row in rows)
    for word in ("description", "default_ttl_ms", "active_version_id", "archived", "v0"):
        assert word in changes


async def test_values_are_held_to_the_rules_of_the_template(api: Api) -> None:
    """By presets of a task and by values of a build: a value may grow, not shrink, and what is immutable stays."""
    async with importing(api.services):
        version = await imported(api, await push(api, ASKING))
    await template_of(api, version)
    presets = (await api.get(f"/api/v2/templateversions/{version['id']}/presets")).json()
    body = {"template_version_id": version["id"], "input": "x"}
    refused = await api.post("/api/v2/tasks/me", body)
    assert (reason(refused), fields(refused)) == ((400, "invalid_parameters"), {"region"})
    body["template_version_preset_id"] = presets[0]["ID"]
    task = (await api.post("/api/v2/tasks/me", body)).json()
    builds = f"/api/v2/workspaces/{task['workspace_id']}/builds"
    await api.succeed(task["workspace_id"])

    async def start(**values: str) -> tuple[int, set[str]]:
        sent = [{"name": name, "value": value} for name, value in values.items()]
        response = await api.post(builds, {"transition": "start", "rich_parameter_values": sent})
        if response.status_code == 201:
            await api.succeed(task["workspace_id"])
            return 201, set()
        return response.status_code, fields(response)

    assert await start(size="3") == (201, set())
    assert await start(size="2") == (400, {"size"})
    assert await start(size="10") == (400, {"size"})
    assert await start(region="s") == (400, {"region"})
    assert await start(region="n", size="4") == (201, set())
    assert await start(colour="red") == (400, {"colour"})


async def test_what_counts_once_starts_anew(api: Api) -> None:
    """An ephemeral value is of one build; the next one without values has the default again."""
    toml = TASK + b'[[parameter]]\nname = "dry"\ntype = "bool"\ndefault = false\nephemeral = true\n'
    async with importing(api.services):
        version = await imported(api, await push(api, toml))
    await template_of(api, version)
    body = {"template_version_id": version["id"], "input": "x"}
    task = (await api.post("/api/v2/tasks/me", body)).json()
    builds = f"/api/v2/workspaces/{task['workspace_id']}/builds"
    values = []
    dry = [{"name": "dry", "value": "true"}]
    for sent in (dry, []):
        await api.succeed(task["workspace_id"])
        response = await api.post(builds, {"transition": "start", "rich_parameter_values": sent})
        assert response.status_code == 201, response.text
        path = f"/api/v2/workspacebuilds/{response.json()['id']}/parameters"
        values += [row["value"] for row in (await api.get(path)).json()]
    assert values == ["true", "false"]


async def test_ids_that_lead_nowhere(api: Api) -> None:
    """Malformed 400, unknown 404, for each new door."""
    for kind, doors in {
        "templates": (("PATCH", ""), ("DELETE", ""), ("POST", "/versions/archive")),
        "templateversions": (("PATCH", ""), ("POST", "/archive"), ("POST", "/unarchive")),
    }.items():
        for method, part in doors:
            bad = await api.call(method, f"/api/v2/{kind}/x{part}", {})
            assert reason(bad) == (400, "invalid_uuid")
            unknown = await api.call(method, f"/api/v2/{kind}/{uuid4()}{part}", {})
            assert reason(unknown) == (404, "not_found")
