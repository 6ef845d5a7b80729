"""Ways out of what failed, over HTTP: retry and force; limits of users and organizations; the place of who waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from taskyard.control.actors import Actor
from taskyard.control.tasks import pause_task
from taskyard.control.worker import Worker
from taskyard.db.tasks import TaskRow, get_task
from taskyard.errors import RefusedNow
from taskyard.lifecycle.template_model import DriverName
from tests.api.seed import Api, Json, SeededTemplate, reason
from tests.contract.states import canceling, failed, newest_build, pausing, stop_failed
from tests.control.tricky_driver import CAUSE, FOR_EVER, TrickyDriver
from tests.control.world_kit import (
    EXECUTORS,
    TEMPLATE,
    background,
    eventually,
    hurried,
    template_tar,
)
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio


def path(task: Json, rest: str = "") -> str:
    return f"/api/v2/tasks/me/{task['id']}{rest}"


async def echo_template(api: Api) -> SeededTemplate:
    """A template whose workspaces are scripts."""
    template = await api.template()
    data = template_tar({})
    await api.execute(
        "update template_versions set definition = $1 where id = $2",
        msgspec.json.encode(TEMPLATE),
        template.version_id,
    )
    await api.execute(
        "update files set data = $1 where id = (select j.file_id from provisioner_jobs j"
        " join template_versions v on v.job_id = j.id where v.id = $2)",
        data,
        template.version_id,
    )
    return template


@asynccontextmanager
async def working(api: Api, driver: TrickyDriver) -> AsyncIterator[None]:
    """A worker of this server, whose jobs' next tries come at once."""
    worker = Worker(api.services, {DriverName.ECHO: driver}, EXECUTORS, "test")
    doorbell = api.services.doorbell
    async with background(doorbell.run(), worker.run(), hurried(api.services)):
        yield


async def settled(api: Api, task: Json) -> Json:
    """The newest build, once its job is over."""

    async def over() -> Json | None:
        build = await newest_build(api, task)
        return build if "completed_at" in build["job"] else None

    return await eventually(over, DEADLINE_S)


async def test_a_task_whose_pause_fails_for_ever_is_never_stuck(api: Api, tmp_path: Path) -> None:
    """It shows the cause, and each verb that the state allows works: pause again, retry, resume, and force.

    What no answer may be, after however many tries, is 409 for ever.
    """
    driver = TrickyDriver(tmp_path / "echo")
    task = await api.task(await echo_template(api))
    async with working(api, driver):
        assert (await settled(api, task))["status"] == "running"
        driver.failing["stop"] = FOR_EVER
        for verb in ("/pause", "/pause", "/retry", "/pause?force=true"):
            response = await api.post(path(task, verb))
            assert response.status_code == 202, response.text
            build = await settled(api, task)
            assert (build["status"], build["job"]["error"]) == ("failed", CAUSE)
            assert (await api.fresh(task))["status"] == "error"
        assert (await api.post(path(task, "/resume"))).status_code == 202
        assert (await settled(api, task))["status"] == "running"
        assert (await api.post(path(task, "/pause"))).status_code == 202
        assert (await settled(api, task))["status"] == "failed"
        driver.failing["destroy"] = FOR_EVER
        response = await api.call("DELETE", path(task) + "?force=true")
        assert response.status_code == 202
        assert (await api.get(path(task))).status_code == 404

        async def gone() -> bool | None:
            return await api.value("select deleted from workspaces") or None

        assert await eventually(gone, DEADLINE_S)


async def test_force_cancels_the_build_that_is_in_the_way(api: Api, tmp_path: Path) -> None:
    """A start that hangs answers 409 to a pause and a delete as ever; by force both get through."""
    driver = TrickyDriver(tmp_path / "echo")
    task = await api.task(await echo_template(api))
    held = driver.hold("ensure")
    async with working(api, driver):
        await held.reached.wait()
        for refused in (
            await api.post(path(task, "/pause")),
            await api.call("DELETE", path(task)),
            await api.post(path(task, "/retry")),
        ):
            assert reason(refused) == (409, "build_active")
        assert (await api.post(path(task, "/pause?force=true"))).status_code == 202
        assert (await settled(api, task))["status"] == "stopped"
        assert (await api.fresh(task))["status"] == "paused"
        driver.hold("ensure")
        assert (await api.post(path(task, "/resume"))).status_code == 202
        assert (await api.call("DELETE", path(task) + "?force=true")).status_code == 202


async def boss_and(api: Api, task: Json) -> tuple[Actor, TaskRow]:
    """The owner as who asks, and the task as they find it now."""
    boss = Actor(api.owner.id, "boss", frozenset({"owner"}), frozenset(), frozenset(), "k")
    async with api.services.db.connection() as conn:
        row = await get_task(conn, boss.viewer, UUID(task["id"]))
    assert row is not None
    return boss, row


async def test_force_cancels_what_began_since_the_task_was_read(api: Api, tmp_path: Path) -> None:
    """What is in the way is the build that works now, not the one that the request saw first."""
    driver = TrickyDriver(tmp_path / "echo")
    task = await api.task(await echo_template(api))
    async with working(api, driver):
        await settled(api, task)
        boss, before = await boss_and(api, task)
        held = driver.hold("stop")
        assert (await api.post(path(task, "/pause"))).status_code == 202
        await held.reached.wait()
        async with asyncio.timeout(DEADLINE_S):
            build = await pause_task(api.services, boss, before, api.services.now(), force=True)
        assert build.build_number == 3


@pytest.mark.all_tier
async def test_force_that_nothing_gives_way_to_says_so(api: Api) -> None:
    """A build whose worker is silent does not end; the answer says that it was told to, and to try again."""
    task = await api.task(await api.template())
    await api.claim(task["workspace_id"])
    boss, row = await boss_and(api, task)
    with pytest.raises(RefusedNow, match="sake of force") as refused:
        await pause_task(api.services, boss, row, api.services.now(), force=True)
    assert (refused.value.code, "again" in refused.value.detail) == ("build_active", True)
    assert (await newest_build(api, task))["job"]["status"] == "canceling"


async def test_retry_does_again_what_failed(api: Api) -> None:
    """A failed start is started, a failed stop stopped; of what did not fail there is nothing to retry."""
    template = await api.template()
    for put, transition in ((failed, "start"), (stop_failed, "stop")):
        task = await api.task(template)
        await put(api, task)
        response = await api.post(path(task, "/retry"))
        assert response.status_code == 202
        build = response.json()["workspace_build"]
        assert (build["transition"], build["status"]) == (transition, "pending")
    task = await api.task(template)
    await api.start(task["workspace_id"], "ready", "healthy")
    response = await api.post(path(task, "/retry"))
    assert reason(response) == (409, "nothing_to_retry")
    for put in (pausing, canceling):
        task = await api.task(template)
        await put(api, task)
        response = await api.post(path(task, "/retry"))
        assert reason(response) == (409, "build_active")


async def test_a_failed_delete_of_the_workspace_is_retried(api: Api) -> None:
    """Deleted by its own route, the task is still there; another try deletes it."""
    task = await api.task(await api.template())
    await api.start(task["workspace_id"], "ready", "healthy")
    builds = f"/api/v2/workspaces/{task['workspace_id']}/builds"
    assert (await api.post(builds, {"transition": "delete"})).status_code == 201
    await api.finish(await api.claim(task["workspace_id"]), "no")
    response = await api.post(path(task, "/retry"))
    assert (response.status_code, response.json()["workspace_build"]["transition"]) == (
        202,
        "delete",
    )


async def test_only_who_may_write_a_task_retries_or_forces(api: Api) -> None:
    """Others do not know that it exists."""
    eve = await api.person("eve")
    task = await api.task(await api.template())
    await failed(api, task)
    theirs = f"/api/v2/tasks/{api.owner.username}/{task['id']}"
    assert (await api.post(f"{theirs}/retry", by=eve)).status_code == 404
    assert (await api.call("DELETE", f"{theirs}?force=true", by=eve)).status_code == 404
    assert (await api.post(f"{theirs}/pause?force=true", by=eve)).status_code == 404


async def test_force_leaves_alone_builds_that_are_not_ones_own_to_cancel(api: Api) -> None:
    """Where the template keeps users from canceling, force does not get around it."""
    template = await api.template()
    await api.execute("update templates set allow_user_cancel_workspace_jobs = false")
    eve = await api.person("eve")
    task = await api.task(template, by=eve)
    response = await api.call("DELETE", path(task) + "?force=true", by=eve)
    assert response.status_code == 403
    assert (await api.call("DELETE", path(task) + "?force=true", by=eve)).status_code == 403
    theirs = f"/api/v2/tasks/eve/{task['id']}?force=true"
    assert (await api.call("DELETE", theirs)).status_code == 202


async def queue_of(api: Api, task: Json) -> Any:
    """The place that a task shows by itself, and in the list: the same."""
    alone = (await api.fresh(task)).get("queue")
    listed = (await api.get("/api/v2/tasks?q=owner:me")).json()["tasks"]
    [same] = [other.get("queue") for other in listed if other["id"] == task["id"]]
    assert alone == same
    return alone


async def test_who_waits_sees_their_place_and_why(api: Api) -> None:
    """The key is there while the start waits, and only then."""
    template = await api.template()
    first, second, third = [await api.task(template) for _ in range(3)]
    assert await queue_of(api, first) == {"position": 1, "size": 3, "reason": "server"}
    await api.start(first["workspace_id"], "ready", "healthy")
    assert await queue_of(api, first) is None
    change = {"max_running": 1}
    assert (await api.call("PATCH", "/api/v2/users/me", change)).json()["max_running"] == 1
    assert await queue_of(api, third) == {"position": 2, "size": 2, "reason": "user", "limit": 1}
    assert (await api.call("PATCH", "/api/v2/users/me", {"max_running": 0})).status_code == 200
    assert await queue_of(api, third) == {"position": 2, "size": 2, "reason": "server"}
    organization = f"/api/v2/organizations/{api.organization_id}"
    changed = await api.call("PATCH", organization, {"max_running": 2})
    assert (changed.status_code, changed.json()["max_running"]) == (200, 2)
    assert await queue_of(api, second) == {"position": 1, "size": 1, "reason": "server"}
    assert await queue_of(api, third) == {
        "position": 1,
        "size": 1,
        "reason": "organization",
        "limit": 2,
    }


async def test_limits_are_set_by_those_above(api: Api) -> None:
    """Nobody raises their own; what is no limit is refused with its field; the audit says who did it."""
    eve = await api.person("eve")
    admin = await api.person("adam", organization_roles=("organization-admin",))
    own = await api.call("PATCH", "/api/v2/users/me", {"max_running": 9}, by=eve)
    assert own.status_code == 403
    organization = f"/api/v2/organizations/{api.organization_id}"
    assert (await api.call("PATCH", organization, {"max_running": 9}, by=admin)).status_code == 403
    for wrong in (-1, 1_000_001):
        for target in ("/api/v2/users/eve", organization):
            refused = await api.call("PATCH", target, {"max_running": wrong})
            assert refused.status_code == 400
            assert [v["field"] for v in refused.json()["validations"]] == ["max_running"]
    changed = await api.call("PATCH", organization, {"description": "Ours", "max_running": 7})
    assert (changed.json()["description"], changed.json()["max_running"]) == ("Ours", 7)
    assert (await api.get(organization)).json()["max_running"] == 7
    told = await api.value(
        "select changes -> 'max_running' ->> 'new' from audit_logs where resource_type = 'organization'"
    )
    assert told == "7"
