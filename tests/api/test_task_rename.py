"""Other display names for tasks: who may give them, which are taken, and who hears of it."""

import json

import pytest

from tests.api.agent_seat import started
from tests.api.seed import Api, Json, Person, reason
from tests.api.stream_kit import streaming
from tests.control.world_kit import background

pytestmark = pytest.mark.anyio


async def rename(api: Api, task: Json, title: object, *, by: Person | None = None) -> Json:
    """The answer to a request for another display name."""
    path = f"/api/v2/tasks/{task['owner_name']}/{task['id']}"
    return await api.call("PATCH", path, {"display_name": title}, by=by)


async def test_another_display_name(api: Api) -> None:
    """It is kept without blanks around it; the name in addresses stays, whatever the task does; the audit has both."""
    task = await api.task(await api.template(), name="one", input="fix the login")
    renamed = await rename(api, task, "  Login <b>\u202eagain ")
    assert renamed.status_code == 200
    assert renamed.json() == {**task, "display_name": "Login <b>\u202eagain"}
    assert (await api.fresh(task))["display_name"] == "Login <b>\u202eagain"
    changes = await api.value(
        "select changes from audit_logs where resource_type = 'task' and action = 'write'"
    )
    new = "Login <b>\u202eagain"
    assert json.loads(changes) == {"display_name": {"old": "Fix the login", "new": new}}


async def test_an_empty_one_is_made_from_the_input_again(api: Api) -> None:
    """As at first; without the key nothing changes."""
    task = await api.task(await api.template(), input="fix the login", display_name="Mine")
    for body in ({}, {"display_name": None}):
        kept = await api.call("PATCH", f"/api/v2/tasks/me/{task['id']}", body)
        assert (kept.status_code, kept.json()["display_name"]) == (200, "Mine")
    assert (await rename(api, task, " \n")).json()["display_name"] == "Fix the login"


async def test_display_names_that_are_not_taken(api: Api) -> None:
    """The rules are those of a new task, and a task that is gone has no name."""
    task = await api.task(await api.template())
    assert (await rename(api, task, "ü" * 32)).status_code == 200
    assert reason(await rename(api, task, "ü" * 33)) == (400, "display_name_too_long")
    assert reason(await rename(api, task, 7)) == (400, "invalid_json")
    experimental = f"/api/experimental/tasks/me/{task['id']}"
    assert (await api.call("PATCH", experimental, {"display_name": "x"})).status_code == 405
    await api.succeed(task["workspace_id"])
    await api.call("DELETE", f"/api/v2/tasks/me/{task['id']}")
    assert (await rename(api, task, "late")).status_code == 404


async def test_those_who_follow_are_told(api: Api) -> None:
    """Once, on the stream of all tasks and on the task's own; giving the same name again is no news."""
    async with background(api.services.doorbell.run()):
        seat = await started(api)
        own = f"/api/v2/tasks/me/{seat.task['id']}/events"
        async with streaming(api, "/api/v2/events") as all_, streaming(api, own) as one:
            await all_.take(1)
            await one.take(1)
            for title in ("Other", "Other", "Third"):
                assert (await rename(api, seat.task, title)).status_code == 200
            told = [event.data for event in await all_.take(2)]
            assert [event["task"]["display_name"] for event in told] == ["Other", "Third"]
            assert {event["task"]["name"] for event in told} == {seat.task["name"]}
            own_told = [event.data for event in await one.take(2)]
            assert [event["display_name"] for event in own_told] == ["Other", "Third"]
            assert {event["status"] for event in own_told} == {told[0]["status"]}
