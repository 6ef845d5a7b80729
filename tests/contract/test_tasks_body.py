"""The keys of a task and of a list of them; the types of all keys are held by shapes.toml."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from tests.api.seed import Api, Json
from tests.contract.shapes import shapes
from tests.contract.states import STATES

pytestmark = pytest.mark.anyio

ALWAYS = {key.name for key in shapes()["Task"].values() if not key.optional}
"""The keys that a task always has."""


async def everywhere(api: Api, task: Json) -> Json:
    """The task as get and list show it, which is the same."""
    [listed] = [
        each
        for each in (await api.get("/api/v2/tasks")).json()["tasks"]
        if each["id"] == task["id"]
    ]
    fresh = await api.fresh(task)
    assert listed == fresh
    return fresh


async def test_T10_keys_of_a_task(api: Api) -> None:
    """A task has all its fixed keys after create, in get and in list, whatever its state."""
    template = await api.template()
    assert len(ALWAYS) == 22
    for name, state in STATES.items():
        created = await api.task(template)
        assert created.keys() >= ALWAYS, name
        assert await everywhere(api, created) == created
        await state.put(api, created)
        assert (await everywhere(api, created)).keys() >= ALWAYS, name


async def test_T11_nullable_ids_are_plain(api: Api) -> None:
    """The workspace's id is a string, those of agent and app a string or null, never an object."""
    created = await api.task(await api.template())
    assert (created["workspace_agent_id"], created["workspace_app_id"]) == (None, None)
    await api.start(created["workspace_id"], "ready", "healthy")
    for name in ("workspace_id", "workspace_agent_id", "workspace_app_id"):
        value = (await everywhere(api, created))[name]
        assert str(UUID(value)) == value


async def test_T12_what_is_empty_is_left_out(api: Api) -> None:
    """Avatar, workspace status and build number come with a value or not at all."""
    optional = {"owner_avatar_url", "workspace_status", "workspace_build_number"}
    task = await api.task(await api.template())
    shown = await everywhere(api, task)
    assert optional & shown.keys() == optional - {"owner_avatar_url"}
    await api.execute("update users set avatar_url = 'https://example.com/a.png'")
    shown = await everywhere(api, task)
    assert shown["owner_avatar_url"] == "https://example.com/a.png"
    await api.execute("delete from workspace_builds")
    assert optional & (await everywhere(api, task)).keys() == {"owner_avatar_url"}


async def test_a_task_whose_workspace_is_gone(api: Api) -> None:
    """It is still listed, with nothing known of the workspace. Source: tasks-api 8.1."""
    task = await api.task(await api.template())
    await api.execute("update workspaces set deleted = true")
    shown = await everywhere(api, task)
    assert shown["template_id"] == "00000000-0000-0000-0000-000000000000"
    assert shown["updated_at"] == "0001-01-01T00:00:00Z"
    assert {shown[name] for name in ("workspace_name", "template_name", "template_icon")} == {""}
    assert "workspace_status" not in shown


async def test_a_task_whose_template_is_hidden(api: Api) -> None:
    """Its owner left the organization: a list says nothing of the workspace, the task itself all. Source: tasks-api 8.1."""
    ada = await api.person("ada")
    task = await api.task(await api.template(), by=ada)
    await api.execute("delete from organization_members where user_id = $1", ada.id)
    [listed] = (await api.get("/api/v2/tasks?q=owner:me", by=ada)).json()["tasks"]
    assert listed["template_id"] == "00000000-0000-0000-0000-000000000000"
    assert listed["updated_at"] == "0001-01-01T00:00:00Z"
    assert "workspace_status" not in listed
    one = (await api.get(f"/api/v2/tasks/me/{task['id']}", by=ada)).json()
    assert one["template_id"] == task["template_id"]


async def test_T13_count_and_empty_list(api: Api) -> None:
    """Nobody's tasks are an empty array, and the count is the length of what is there."""
    response = await api.get("/api/v2/tasks")
    assert response.json() == {"tasks": [], "count": 0}
    template, ada = await api.template(), await api.person("ada")
    for number in (1, 2, 3):
        await api.task(template)
        body = (await api.get("/api/v2/tasks")).json()
        assert body["count"] == len(body["tasks"]) == number
    assert (await api.get("/api/v2/tasks", by=ada)).json() == {"tasks": [], "count": 0}


async def test_T14_updated_at_is_the_workspaces(api: Api) -> None:
    """The task shows when its workspace changed, and the version it was made of for ever."""
    template = await api.template()
    task = await api.task(template)
    at = datetime(2030, 1, 1, tzinfo=UTC)
    await api.execute("update workspaces set updated_at = $1", at)
    newer = await api.version(template)
    await api.execute("update templates set active_version_id = $1", newer)
    fresh = await everywhere(api, task)
    assert fresh["updated_at"] == "2030-01-01T00:00:00Z"
    assert fresh["created_at"] == task["created_at"]
    workspace = (await api.get(f"/api/v2/workspaces/{task['workspace_id']}")).json()
    assert workspace["updated_at"] == fresh["updated_at"]
    await api.succeed(task["workspace_id"])
    body = {"transition": "start", "template_version_id": str(newer)}
    path = f"/api/v2/workspaces/{task['workspace_id']}/builds"
    assert (await api.post(path, body)).json()["template_version_id"] == str(newer)
    assert (await everywhere(api, task))["template_version_id"] == str(template.version_id)


async def test_bodies_are_written_compactly(api: Api) -> None:
    """What comes back is the JSON that our own writer makes, so that a kept body stays comparable."""
    await api.task(await api.template())
    content = (await api.get("/api/v2/tasks")).content
    assert json.loads(content)["count"] == 1
    assert b": " not in content
