"""Every request that changes something is in the audit: each route of the table, or it is said here why not."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from taskyard.wire import attached
from taskyard.wire.routes import ROUTES
from tests.api.attached_kit import attached_to, bridged
from tests.api.link_kit import until
from tests.api.seed import Api, Json
from tests.archives import tar_of

pytestmark = pytest.mark.anyio

WITHOUT = {
    "upload_task_log_snapshot": "a workspace's own end of its conversation, kept with the task",
    "update_app_status": "a workspace's own report, kept with its time",
    "create_log_source": "a workspace's own log",
    "append_agent_logs": "a workspace's own log",
    "favorite_workspace": "what a list shows its owner first; nothing is done to anything",
    "unfavorite_workspace": "the same",
}
"""Routes that change something and leave nothing in the audit, with the reason. Who adds one answers for it."""

OF_AGENTS = {
    "send_task_input",
    "interrupt_task",
    "answer_task_permission",
    "push_task",
    "create_app_ticket",
    "update_task_prompt",
    "delete_task_prompt",
}
"""Routes that need a coding agent: the tests below, test_task_work.py for the push, test_app_previews.py for tickets."""

Send = Callable[..., Awaitable[Json]]

PASSWORD = "correct horse battery staple"
TOML = '[template]\n[task]\napp = "agent"\n[agent]\ntype = "shell"\n'


async def test_each_route_leaves_a_deed(api: Api) -> None:
    """The audit has the id of each request, for every route of the table that changes something."""
    seen: dict[str, str] = {}
    operations = {f"{r.method} {r.path}": r.operation for r in ROUTES}

    async def send(method: str, path: str, body: object = None, **names: object) -> Json:
        target = f"/api/v2{path.format(**names)}"
        answer = await api.call(method, target, body)
        assert answer.status_code < 300, (path, answer.text)
        seen[operations[f"{method} /api/v2{path}"]] = answer.headers["X-Taskyard-Request-Id"]
        return answer.json() if answer.content else None

    await _people(api, send)
    await _templates(api, send, seen)
    await _workspaces(api, send)
    await _tasks(api, send)
    expected = {r.operation for r in ROUTES if r.method != "GET"} - WITHOUT.keys() - OF_AGENTS
    assert seen.keys() >= expected - {"create_first_user"}, expected - seen.keys()
    told = await api.value("select array_agg(distinct request_id) from audit_logs")
    silent = {name for name, request_id in seen.items() if request_id not in told}
    assert silent == set()


async def _people(api: Api, send: Send) -> None:
    organization = {"organization": "default"}
    user = {"email": "eve@example.com", "username": "eve", "password": PASSWORD}
    eve = {"user": (await send("POST", "/users", user))["id"]}
    await send("PATCH", "/users/{user}", {"name": "Eve"}, **eve)
    await send("PUT", "/users/{user}/profile", {"username": "eve", "name": "E"}, **eve)
    await send("PUT", "/users/{user}/roles", {"roles": ["auditor"]}, **eve)
    await send("PUT", "/users/{user}/status/suspend", **eve)
    await send("PUT", "/users/{user}/status/activate", **eve)
    await send("PUT", "/users/{user}/password", {"password": f"{PASSWORD} 2"}, **eve)
    await send("POST", "/users/login", {"email": user["email"], "password": f"{PASSWORD} 2"})
    api.client.cookies.clear()  # it would go before the token
    me = {"user": "me", "secret": "KEY", **organization}
    await send("PUT", "/users/{user}/gitsshkey", **me)
    for whose in ("/users/{user}", "/organizations/{organization}"):
        await send("PUT", whose + "/secrets/{secret}", {"value": "v"}, **me)
        await send("DELETE", whose + "/secrets/{secret}", **me)
    await send("POST", "/users/{user}/keys", **me)
    for word, last in (("a", "DELETE"), ("b", "PUT")):
        made = await send("POST", "/users/{user}/keys/tokens", {"token_name": word}, **me)
        path = "/users/{user}/keys/{keyid}" + ("/expire" if last == "PUT" else "")
        await send(last, path, keyid=made["key"].partition("-")[0], **me)
    made = await send("POST", "/organizations", {"name": "lab"})
    lab = {"organization": made["id"], **eve}
    await send("PATCH", "/organizations/{organization}", {"description": "Lab"}, **lab)
    await send("POST", "/organizations/{organization}/members/{user}", **lab)
    roles = {"roles": ["organization-admin"]}
    await send("PUT", "/organizations/{organization}/members/{user}/roles", roles, **lab)
    await send("DELETE", "/organizations/{organization}/members/{user}", **lab)
    await send("DELETE", "/users/{user}", **eve)
    other = await api.person("other")
    owner, api.owner = api.owner, other
    await send("POST", "/users/logout")
    api.owner = owner


async def _templates(api: Api, send: Send, seen: dict[str, str]) -> None:
    data = tar_of({"taskyard.toml": TOML})
    answer = await api.call(
        "POST", "/api/v2/files", content=data, headers={"Content-Type": "application/x-tar"}
    )
    seen["upload_file"] = answer.headers["X-Taskyard-Request-Id"]
    body = {"storage_method": "file", "file_id": answer.json()["hash"], "provisioner": "echo"}
    path = "/organizations/{organization}/templateversions"
    version = {"version": (await send("POST", path, body, organization="default"))["id"]}
    await send("PATCH", "/templateversions/{version}", {"name": "renamed"}, **version)
    await send("PATCH", "/templateversions/{version}/cancel", **version)
    made = {"name": "made", "template_version_id": str(await api.version(None))}
    path = "/organizations/{organization}/templates"
    template = {"template": (await send("POST", path, made, organization="default"))["id"]}
    await send("PATCH", "/templates/{template}", {"description": "d"}, **template)
    await send(
        "PUT", "/templates/{template}/secrets/{secret}", {"value": "v"}, secret="K", **template
    )
    await send("DELETE", "/templates/{template}/secrets/{secret}", secret="K", **template)
    seeded = await api.template("seeded")
    first, second = {"version": seeded.version_id}, {"version": await api.version(seeded)}
    promoted = {"id": str(second["version"])}
    await send("PATCH", "/templates/{template}/versions", promoted, template=seeded.id)
    await send("POST", "/templateversions/{version}/archive", **first)
    await send("POST", "/templateversions/{version}/unarchive", **first)
    path = "/templates/{template}/versions/archive"
    await send("POST", path, {"all": True}, template=seeded.id)
    await send("DELETE", "/templates/{template}", template=seeded.id)


async def _workspaces(api: Api, send: Send) -> None:
    template = await api.template("spaces")
    me = {"user": "me", "organization": "default"}
    body = {"name": "one", "template_id": str(template.id)}
    made = await send("POST", "/users/{user}/workspaces", body, **me)
    path = "/organizations/{organization}/members/{user}/workspaces"
    await send("POST", path, {**body, "name": "two"}, **me)
    one = {"workspace": made["id"]}
    build = {"build": made["latest_build"]["id"]}
    await send("PATCH", "/workspacebuilds/{build}/cancel", **build)
    await send("PUT", "/workspaces/{workspace}/ttl", {"ttl_ms": 3_600_000}, **one)
    await send("POST", "/workspaces/{workspace}/builds", {"transition": "start"}, **one)
    await api.start(made["id"], "ready", "healthy")
    await api.execute(
        "update workspace_builds set deadline = now() + interval '1 hour' where agent_id is not null"
    )
    await send(
        "PUT",
        "/workspaces/{workspace}/extend",
        {"deadline": f"{api.now + timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}"},
        **one,
    )


async def _tasks(api: Api, send: Send) -> None:
    template = await api.template("works")
    body = {"template_version_id": str(template.version_id), "input": "do it"}
    made = await send("POST", "/tasks/{user}", body, user="me")
    me = {"user": "me", "task": made["id"]}
    await send("PATCH", "/tasks/{user}/{task}", {"display_name": "Other"}, **me)
    held = await api.claim(made["workspace_id"])
    await api.finish(held, error="it broke")
    await send("POST", "/tasks/{user}/{task}/retry", **me)
    await api.start(made["workspace_id"], "ready", "healthy")
    await send("POST", "/tasks/{user}/{task}/pause", **me)
    await api.succeed(made["workspace_id"])
    await send("PATCH", "/tasks/{user}/{task}/input", {"input": "other"}, **me)
    await send("POST", "/tasks/{user}/{task}/resume", **me)
    await api.succeed(made["workspace_id"])
    await send("DELETE", "/tasks/{user}/{task}", **me)


async def test_what_is_said_to_a_coding_agent_is_told(api: Api, tmp_path: Path) -> None:
    """Messages now and in the queue, changed and taken back, interrupts and being attached; no text of any."""
    async with bridged(api, tmp_path) as place:
        requests: list[tuple[str, str]] = []

        async def told(action: str, method: str, path: str, body: object = None) -> Json:
            answer = await api.call(method, place.path + path, body)
            assert answer.status_code < 300, answer.text
            requests.append((answer.headers["X-Taskyard-Request-Id"], action))
            return answer.json() if answer.content else None

        await told("send", "POST", "/send", {"input": "wait secret-words"})
        queued = await told("send", "POST", "/send", {"input": "secret-words", "when": "queue"})
        path = f"/prompts/{queued['id']}"
        await told("write", "PATCH", path, {"input": "other secret-words"})
        await told("write", "DELETE", path)
        await told("interrupt", "POST", "/interrupt")
        await until(place.at_rest)
        async with attached_to(api, place.path) as session:
            await session.next()
            await session.send(attached.AttachPrompt(text="updates 1 secret-words"))
            await until(lambda: _count(api, "send", 3))
        rows = await _rows(api)
        assert {(row["request_id"], row["action"]) for row in rows} >= set(requests)
        assert "attach" in {row["action"] for row in rows}
        assert not any("secret-words" in row["changes"] for row in rows)


async def _rows(api: Api) -> list[Json]:
    async with api.services.db.connection() as conn:
        rows = await conn.fetch(
            "select request_id, action, changes::text as changes from audit_logs where resource_type = 'task'"
        )
    return [dict(row) for row in rows]


async def _count(api: Api, action: str, wanted: int) -> bool:
    return [row["action"] for row in await _rows(api)].count(action) >= wanted
