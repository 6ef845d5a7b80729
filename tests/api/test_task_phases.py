"""The phases of a task's start over HTTP: who sees them, of which start, and the failure that a task in error shows."""

import pytest

from tests.api.seed import Api

pytestmark = pytest.mark.anyio


async def test_phases_are_for_those_who_see_the_task(api: Api) -> None:
    """Its owner and whoever runs the organization; for others there is no such task."""
    member, stranger = await api.person("ann"), await api.person("bob")
    task = await api.task(await api.template(), by=member)
    path = f"/api/v2/tasks/{member.username}/{task['name']}/phases"
    for person in (member, api.owner):
        found = await api.get(path, by=person)
        assert found.status_code == 200, found.text
        shown = found.json()
        assert (shown["build_number"], shown["round"], shown["failure"]) == (1, 1, None)
        states = [phase["state"] for phase in shown["phases"]]
        assert states == ["running", *["waiting"] * 7]
    assert (await api.get(path, by=stranger)).status_code == 404
    assert (await api.client.get(path)).status_code == 401


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        ("?build=1", 200, None),
        ("?build=7", 404, "start_unknown"),
        ("?build=0", 400, "invalid_query"),
        ("?build=x", 400, "invalid_query"),
    ],
)
async def test_an_older_start(api: Api, query: str, status: int, reason: str | None) -> None:
    """By its number; a build that is no start is named."""
    task = await api.task(await api.template())
    found = await api.get(f"/api/v2/tasks/me/{task['id']}/phases{query}")
    assert (found.status_code, found.headers.get("X-Taskyard-Reason")) == (status, reason)


async def test_a_canceled_start_tells_why(api: Api) -> None:
    """The task is in error: it names phase, reason and what to do, alone and in lists."""
    task = await api.task(await api.template())
    workspace = (await api.get(f"/api/v2/workspaces/{task['workspace_id']}")).json()
    build = workspace["latest_build"]["id"]
    canceled = await api.call("PATCH", f"/api/v2/workspacebuilds/{build}/cancel")
    assert canceled.status_code == 200, canceled.text
    shown = await api.fresh(task)
    assert shown["status"] == "error"
    assert (shown["failure"]["phase"], shown["failure"]["cause"]) == ("queued", "canceled")
    assert "taskyard task retry" in shown["failure"]["advice"]
    listed = (await api.get("/api/v2/tasks")).json()["tasks"]
    assert [each.get("failure") for each in listed] == [shown["failure"]]
    phases = (await api.get(f"/api/v2/tasks/me/{task['id']}/phases")).json()
    assert phases["failure"]["reason"] == shown["failure"]["reason"]
    assert phases["phases"][0]["state"] == "failed"


async def test_a_stop_that_failed_is_in_no_phase(api: Api) -> None:
    """A task that could not be paused says why too, and names both ways out."""
    task = await api.task(await api.template())
    await api.start(task["workspace_id"], "ready", "healthy")
    assert "failure" not in await api.fresh(task)
    assert (await api.post(f"/api/v2/tasks/me/{task['id']}/pause")).status_code == 202
    held = await api.claim(task["workspace_id"])
    await api.finish(held, error="The driver lost its power.")
    shown = await api.fresh(task)
    assert shown["failure"]["phase"] is None
    assert shown["failure"]["reason"] == "The driver lost its power."
    assert "taskyard task retry" in shown["failure"]["advice"]
    assert "--force" in shown["failure"]["advice"]
