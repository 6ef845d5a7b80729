"""Pausing, resuming, deleting."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from tests.api.seed import Api, Json, reason

pytestmark = pytest.mark.anyio

BUILD_KEYS = {
    "id",
    "created_at",
    "updated_at",
    "workspace_id",
    "workspace_name",
    "workspace_owner_id",
    "workspace_owner_name",
    "template_version_id",
    "template_version_name",
    "build_number",
    "transition",
    "initiator_id",
    "initiator_name",
    "job",
    "reason",
    "resources",
    "deadline",
    "max_deadline",
    "status",
    "daily_cost",
    "matched_provisioners",
    "template_version_preset_id",
    "has_ai_task",
}


async def active(api: Api, **body: Any) -> Json:
    """An active task."""
    task = await api.task(await api.template(), **body)
    await api.start(task["workspace_id"], "ready", "healthy")
    return await api.fresh(task)


def path(task: Json, rest: str = "") -> str:
    """A route of a task."""
    return f"/api/v2/tasks/me/{task['id']}{rest}"


async def test_T110_T119_pause(api: Api) -> None:
    """A pause answers with the whole build that stops the workspace, readable at once."""
    task = await active(api)
    response = await api.post(path(task, "/pause"))
    assert response.status_code == 202
    assert set(response.json()) == {"workspace_build"}
    build = response.json()["workspace_build"]
    assert set(build) == BUILD_KEYS
    assert (build["transition"], build["reason"]) == ("stop", "task_manual_pause")
    assert (build["build_number"], build["status"]) == (2, "pending")
    assert (build["job"]["status"], build["job"]["queue_position"]) == ("pending", 0)
    assert (build["resources"], build["deadline"], build["max_deadline"]) == ([], None, None)
    assert build["template_version_name"] == ""
    assert build["initiator_id"] == str(api.owner.id)
    assert build["job"]["input"] == {"workspace_build_id": build["id"]}
    read = (await api.get(f"/api/v2/workspacebuilds/{build['id']}")).json()
    assert (read["id"], read["status"]) == (build["id"], "pending")
    assert read["job"]["queue_position"] == 1
    assert (await api.get(f"/api/v2/workspacebuilds/{build['id']}/logs")).json() == []


async def test_T111_pause_twice(api: Api) -> None:
    """While the stop runs, a second pause is a conflict, with a detail."""
    task = await active(api)
    await api.post(path(task, "/pause"))
    response = await api.post(path(task, "/pause"))
    assert reason(response) == (409, "build_active")
    assert response.json()["detail"]


async def test_T111_two_pauses_at_once(api: Api) -> None:
    """Of two pauses at the same moment one wins, the other is a conflict."""
    task = await active(api)
    async with asyncio.TaskGroup() as group:
        asks = [group.create_task(api.post(path(task, "/pause"))) for _ in range(4)]
    assert sorted(ask.result().status_code for ask in asks) == [202, 409, 409, 409]
    assert await api.value("select count(*) from workspace_builds") == 2


async def test_T112_pause_a_paused_task(api: Api) -> None:
    """A task that is paused already gets one more stop."""
    task = await active(api)
    for number in (2, 3):
        response = await api.post(path(task, "/pause"))
        assert response.json()["workspace_build"]["build_number"] == number
        await api.succeed(task["workspace_id"])
        assert (await api.fresh(task))["status"] == "paused"


async def test_T113_T117_resume_keeps_the_version(api: Api) -> None:
    """A resume starts the version that ran before, though another one was promoted."""
    template = await api.template()
    task = await api.task(template, name="one")
    await api.start(task["workspace_id"], "ready", "healthy")
    await api.post(path(task, "/pause"))
    await api.succeed(task["workspace_id"])
    newer = await api.version(template)
    await api.execute("update templates set active_version_id = $1", newer)
    response = await api.post("/api/v2/tasks/me/one/resume")
    assert response.status_code == 202
    build = response.json()["workspace_build"]
    assert (build["transition"], build["reason"]) == ("start", "task_resume")
    assert build["template_version_id"] == str(template.version_id)
    workspace = (await api.get(f"/api/v2/workspaces/{task['workspace_id']}")).json()
    assert workspace["outdated"] is True


async def test_T114_resume_a_running_task(api: Api) -> None:
    """What runs cannot be resumed, and the detail says what to do."""
    response = await api.post(path(await active(api), "/resume"))
    assert reason(response) == (409, "workspace_running")
    assert response.json()["detail"]


async def test_T118_by_name(api: Api) -> None:
    """Pause and resume take the name of a task too, in any case, behind any name of its owner."""
    task = await active(api, name="one")
    for user, name in (("boss", "ONE"), ("me", "one"), (str(api.owner.id), "One")):
        assert (await api.post(f"/api/v2/tasks/{user}/{name}/pause")).status_code == 202
        await api.succeed(task["workspace_id"])
        response = await api.post(f"/api/v2/tasks/{user}/{name}/resume")
        assert response.status_code == 202
        assert response.json()["workspace_build"]["workspace_id"] == task["workspace_id"]
        await api.start(task["workspace_id"], "ready", "healthy")


async def test_T120_who_may_pause_and_resume(api: Api) -> None:
    """Strangers do not see the task; administrators of the organization and owners of the site may."""
    ada, bob = await api.person("ada"), await api.person("bob")
    admin = await api.person("ann", organization_roles=("organization-admin",))
    task = await api.task(await api.template(), by=ada)
    await api.start(task["workspace_id"], "ready", "healthy")
    for verb in ("/pause", "/resume"):
        assert reason(await api.post(path(task, verb), by=bob)) == (404, "not_found")
    for person in (admin, api.owner, ada):
        for verb in ("/pause", "/resume"):
            response = await api.post(path(task, verb), by=person)
            assert response.status_code == 202, response.text
            build = response.json()["workspace_build"]
            assert (build["initiator_name"], build["workspace_owner_name"]) == (
                person.username,
                "ada",
            )
            await api.succeed(task["workspace_id"])


async def test_T130_T132_delete(api: Api) -> None:
    """A deleted task is gone at once, for good, with its snapshot; its workspace is being deleted."""
    task = await active(api)
    await api.snapshot(task, {"messages": []})
    response = await api.call("DELETE", path(task))
    assert (response.status_code, response.content) == (202, b"")
    assert reason(await api.get(path(task))) == (404, "not_found")
    assert (await api.get("/api/v2/tasks")).json()["count"] == 0
    assert reason(await api.call("DELETE", path(task))) == (404, "not_found")
    assert await api.value("select count(*) from task_snapshots") == 0
    workspace = (await api.get(f"/api/v2/workspaces/{task['workspace_id']}")).json()
    build = workspace["latest_build"]
    assert (build["transition"], build["reason"]) == ("delete", "initiator")
    assert workspace["task_id"] == task["id"]


async def test_T131_delete_during_a_build(api: Api) -> None:
    """While a build runs the task stays."""
    task = await api.task(await api.template())
    assert reason(await api.call("DELETE", path(task))) == (409, "build_active")
    assert (await api.fresh(task))["id"] == task["id"]


async def test_T134_names_of_deleted_tasks(api: Api) -> None:
    """A name is free again once the workspace is deleted, not before."""
    template = await api.template()
    task = await api.task(template, name="one")
    await api.start(task["workspace_id"], "ready", "healthy")
    await api.call("DELETE", path(task))
    body = {"template_version_id": str(template.version_id), "input": "x", "name": "one"}
    again = await api.post("/api/v2/tasks/me", body)
    assert reason(again) == (409, "workspace_name_taken")
    await api.succeed(task["workspace_id"])
    await api.execute("update workspaces set deleted = true")
    assert (await api.post("/api/v2/tasks/me", body)).status_code == 201


async def test_T136_delete_by_name(api: Api) -> None:
    """Delete takes the name of a task too."""
    task = await active(api, name="one")
    assert (await api.call("DELETE", "/api/v2/tasks/me/one")).status_code == 202
    assert (await api.get(path(task))).status_code == 404


async def test_delete_of_a_task_without_workspace(api: Api) -> None:
    """A task whose workspace is gone already is only marked deleted. Source: tasks-api 8.4."""
    task = await active(api)
    await api.execute("update workspaces set deleted = true")
    assert (await api.call("DELETE", path(task))).status_code == 202
    assert await api.value("select count(*) from workspace_builds") == 1
    assert await api.value(
        "select deleted_at is not null from tasks where id = $1", UUID(task["id"])
    )
