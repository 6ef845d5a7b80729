"""What belongs to somebody else is not there: every session route, asked by a second member."""

import re
from collections.abc import Mapping
from uuid import UUID, uuid4

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from taskyard.server.handlers import HANDLERS, SOCKETS
from taskyard.wire.routes import BY_OPERATION, ROUTES, Auth, Route
from tests.api.agent_seat import started
from tests.api.seed import Api, Json, Person

pytestmark = pytest.mark.anyio

OWN = frozenset(
    {
        *("list_experiments", "list_tasks", "list_users", "list_organizations", "list_templates"),
        *("list_workspaces", "create_user", "create_organization", "upload_file", "logout"),
        *("follow_tasks", "list_audit_logs", "export_audit_logs", "get_health"),
    }
)
"""Session routes that name nothing of anybody's. What the lists hold is checked apart."""

MADE_BY_NAME = frozenset({"get_token", "set_user_secret"})
"""Routes on which `me` and a name are one's own thing, whatever else has that name."""

BODIES: Mapping[str, Json] = {
    "create_task": {"template_version_id": "VERSION", "input": "x"},
    "update_task": {"display_name": "stolen"},
    "update_task_input": {"input": "x"},
    "set_user_secret": {"value": "stolen"},
    "set_organization_secret": {"value": "stolen"},
    "set_template_secret": {"value": "stolen"},
    "send_task_input": {"input": "x"},
    "answer_task_permission": {"option_id": "once"},
    "update_task_prompt": {"position": 1},
    "create_app_ticket": {"path": "/"},
    "create_token": {"token_name": "stolen"},
    "update_organization": {"max_running": 1},
    "update_user": {"name": "stolen"},
    "update_user_profile": {"username": "stolen"},
    "update_user_password": {"password": "a stolen horse"},
    "update_user_roles": {"roles": ["owner"]},
    "update_member_roles": {"roles": ["organization-admin"]},
    "create_template": {"name": "mine", "template_version_id": "VERSION"},
    "promote_template_version": {"id": "VERSION"},
    "update_template": {"name": "stolen"},
    "archive_template_versions": {"all": True},
    "update_template_version": {"name": "stolen"},
    "create_template_version": {"file_id": "FILE", "storage_method": "file", "provisioner": "echo"},
    "create_workspace_build": {"transition": "delete"},
    "create_workspace": {"name": "mine", "template_version_id": "VERSION"},
    "create_member_workspace": {"name": "mine", "template_version_id": "VERSION"},
    "set_workspace_ttl": {"ttl_ms": 3600000},
    "extend_workspace": {"deadline": "2100-01-01T00:00:00Z"},
}
"""Good bodies, so that nothing but the caller is wrong."""


class World:
    """A task with everything below it in an organization that the caller is not in."""

    api: Api
    victim: Person
    ids: dict[str, str]

    @classmethod
    async def seeded(cls, api: Api) -> "World":
        """The task runs; its owner has a token of their own."""
        world = cls()
        world.api = api
        organization = await api.organization("elsewhere")
        world.victim = await api.person("victim", organization=organization)
        template = await api.template("private", organization=organization)
        task = await api.task(template, by=world.victim)
        seat = await started(api, task=task)
        queued = await api.post(
            f"/api/v2/tasks/me/{task['id']}/send", {"input": "x", "when": "queue"}, by=world.victim
        )
        build = await api.value("select id from workspace_builds limit 1")
        file_id = await api.value(
            "select file_id from provisioner_jobs where file_id is not null limit 1"
        )
        key = await api.value("select id from api_keys where user_id = $1", world.victim.id)
        version = await api.value(
            "select name from template_versions where id = $1", template.version_id
        )
        world.ids = {
            "user": "victim",
            "task": task["id"],
            "workspace": task["workspace_id"],
            "permission": "p-1",
            "app": "shell",
            "prompt": queued.json()["id"],
            "agent": str(seat.agent_id),
            "build": str(build),
            "template": str(template.id),
            "organization": str(organization),
            "organizationname": "elsewhere",
            "file": str(file_id),
            "keyid": key,
            "keyname": "t",
            "secret": "A_SECRET",
            "VERSION": str(template.version_id),
            "FILE": str(file_id),
            "version_name": version,
            "workspace_name": task["name"],
            "buildnumber": "1",
        }
        return world

    def target(self, route: Route, ids: Mapping[str, str], **other: str) -> str:
        """The route's path with these ids; a name stands for what its own route names."""

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name in other:
                return other[name]
            if name == "name":
                kind = "workspace_name" if "workspace" in route.operation else "version_name"
                is_template = "{organization}/templates/" in route.path
                return "private" if is_template else ids[kind]
            if name == "version":
                by_name = "{name}/versions/{version}" in route.path
                return ids["version_name" if by_name else "VERSION"]
            return ids[name]

        return re.sub(r"\{(\w+)\}", value, route.path)

    def nothing(self) -> dict[str, str]:
        """Ids of the same kinds that name nothing."""
        return {
            name: str(uuid4()) if re.fullmatch(r"[0-9a-f-]{36}", text) else "no-such-thing"
            for name, text in self.ids.items()
        }

    def body(self, route: Route) -> Json:
        """A good body for the route."""
        body = BODIES.get(route.operation)
        return body and {key: self.ids.get(str(value), value) for key, value in body.items()}


@pytest.fixture
async def world(api: Api) -> World:
    """A running task of a person whom the caller shares nothing with."""
    return await World.seeded(api)


SWEPT = [route for route in ROUTES if route.auth is Auth.SESSION and route.operation not in OWN]


def test_every_route_is_swept_or_named() -> None:
    """A new session route is swept unless somebody says that it names nothing of anybody's."""
    assert set(BY_OPERATION) >= OWN
    for route in SWEPT:
        assert "{" in route.path, f"{route.operation} names nothing: add it to OWN and to a test"


@pytest.mark.attack(
    "Every route is asked for what belongs to another person",
    wall="what one may not see is answered like what is not there, and is not changed",
)
async def test_others_things_are_as_if_absent(world: World) -> None:
    """Each route answers for what is another's exactly as for what does not exist, and changes nothing."""
    mallory = await world.api.person("mallory")
    before = await _everything(world.api)
    for route in (route for route in SWEPT if route.operation in HANDLERS):
        is_mine = route.path.count("{") > 1 and route.operation not in MADE_BY_NAME
        users = [{}, {"user": "me"}] if is_mine else [{}]
        for other in users:
            answers = []
            for ids in (world.ids, world.nothing()):
                target = world.target(route, ids, **other)
                answer = await world.api.call(route.method, target, world.body(route), by=mallory)
                said = answer.text
                for text in filter(_is_telling, ids.values()):
                    said = said.replace(text, "…")
                answers.append((answer.status_code, answer.headers.get("X-Taskyard-Reason"), said))
            assert answers[0] == answers[1], (route.operation, answers)
            assert answers[0][0] in (403, 404), (route.operation, answers)
    assert await _everything(world.api) == before


@pytest.mark.attack(
    "A task is made of a template of another organization",
    wall="a template that one may not see is not there",
)
async def test_others_versions_make_no_task(world: World) -> None:
    """A task of one's own is not made of a template that one does not see, which is like one that is not there."""
    mallory = await world.api.person("mallory")
    codes = set()
    for version in (world.ids["VERSION"], str(uuid4())):
        body = {"template_version_id": version, "input": "x"}
        answer = await world.api.post("/api/v2/tasks/me", body, by=mallory)
        codes.add((answer.status_code, answer.text))
    [(status, _)] = codes
    assert status == 400


@pytest.mark.attack(
    "The WebSockets of another's logs are opened",
    wall="refused like those of nothing",
)
async def test_others_logs_are_not_followed(world: World) -> None:
    """The WebSockets of another's logs are refused like those of nothing."""
    mallory = await world.api.person("mallory")
    for route in (route for route in SWEPT if route.operation in SOCKETS):
        target = world.target(route, world.ids)
        url = f"ws{world.api.url.removeprefix('http')}{target}?follow"
        with pytest.raises(InvalidStatus) as refused:
            await connect(
                url, additional_headers={"Coder-Session-Token": mallory.token}, proxy=None
            )
        assert refused.value.response.status_code == 404


@pytest.mark.attack(
    "Lists and searches are asked for things of another organization",
    wall="rights are part of each statement",
)
async def test_lists_hold_nothing_of_others(world: World) -> None:
    """No list, and no search in one, gives away anything of another organization."""
    mallory = await world.api.person("mallory")
    questions = (
        "",
        "owner:victim",
        "organization:elsewhere",
        "template:private",
        "victim",
        "author:victim",
    )
    for path in ("tasks", "workspaces", "templates", "users", "organizations"):
        for question in questions:
            answer = await world.api.call("GET", f"/api/v2/{path}?q={question}&limit=0", by=mallory)
            # An error may repeat what it was asked, and no more.
            shown = answer.text.replace(question.rpartition(":")[2] or "\n", "")
            found = [text for text in filter(_is_telling, world.ids.values()) if text in shown]
            assert found == [], (path, question, shown)
    tokens = await world.api.get("/api/v2/users/me/keys/tokens?include_all=true", by=mallory)
    assert {token["username"] for token in tokens.json()} == {"mallory"}


@pytest.mark.attack(
    "A member of the same organization changes what others made",
    wall="one table of roles",
)
async def test_a_member_of_the_organization_may_use_but_not_change(world: World) -> None:
    """Sharing an organization shows its templates, but nobody's tasks, files, keys or builds."""
    colleague = await world.api.person("colleague", organization=_uuid(world.ids["organization"]))
    before = await _everything(world.api)
    readable = {"get_organization", "list_members", "list_paginated_members"}
    for route in (route for route in SWEPT if route.operation in HANDLERS):
        if route.method == "GET" and ("templat" in route.path or route.operation in readable):
            continue
        answer = await world.api.call(
            route.method, world.target(route, world.ids), world.body(route), by=colleague
        )
        assert answer.status_code in (403, 404), (route.operation, answer.text)
    assert await _everything(world.api) == before
    members = await world.api.get(
        f"/api/v2/organizations/{world.ids['organization']}/members", by=colleague
    )
    assert [member["username"] for member in members.json()] == ["colleague"]


async def _everything(api: Api) -> list[int]:
    """How many rows there are of whatever a request could add or take away, and what it could change."""
    counts = ("tasks", "workspace_builds", "templates", "template_versions", "files", "users")
    return [
        *[await api.value(f"select count(*) from {table}") for table in counts],
        await api.value("select count(*) from tasks where deleted_at is null and input = 'do it'"),
        await api.value("select count(*) from api_keys where token_name = 't'")
        - await api.value("select count(*) from users where username in ('mallory', 'colleague')"),
        await api.value("select count(*) from provisioner_jobs where canceled_at is null"),
        await api.value("select count(distinct active_version_id) from templates"),
    ]


def _uuid(text: str) -> UUID:
    return UUID(text)


def _is_telling(text: str) -> bool:
    """Whether a text is found in an answer for no other reason than that the answer is about it."""
    return len(text) > 4
