"""What a task is, read over the wire in every state that the database can hold."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from tests.api.seed import Api, Json, reason

pytestmark = pytest.mark.anyio

State = Callable[[Api, Json], Awaitable[object]]


async def queued(_api: Api, _task: Json) -> None:
    """A start that nobody has begun."""


async def building(api: Api, task: Json) -> None:
    """A start that a worker has."""
    await api.claim(task["workspace_id"])


async def failed(api: Api, task: Json) -> None:
    """A start that failed."""
    await api.finish(await api.claim(task["workspace_id"]), "broken")


async def canceled(api: Api, task: Json) -> None:
    """A start that was canceled while it waited."""
    assert (await cancel(api, task)).status_code == 200


async def canceling(api: Api, task: Json) -> None:
    """A start whose worker is asked to stop."""
    await api.claim(task["workspace_id"])
    assert (await cancel(api, task)).status_code == 200


async def cancel(api: Api, task: Json) -> Json:
    """The answer to canceling the newest build."""
    [build, *_] = (await api.get(f"/api/v2/workspaces/{task['workspace_id']}/builds")).json()
    return await api.call("PATCH", f"/api/v2/workspacebuilds/{build['id']}/cancel")


def started(lifecycle: str, health: str) -> State:
    """A start that succeeded, with an agent and an app in these states."""

    async def put(api: Api, task: Json) -> None:
        await api.start(task["workspace_id"], lifecycle, health)

    return put


async def without_app(api: Api, task: Json) -> None:
    """A start that succeeded with an agent, but chose no app."""
    await api.start(task["workspace_id"], "ready", "healthy")
    await api.execute("update workspace_builds set app_id = null")


async def without_agent(api: Api, task: Json) -> None:
    """A start that succeeded and chose no agent."""
    await api.succeed(task["workspace_id"])


async def pausing(api: Api, task: Json) -> None:
    """A stop that nobody has begun."""
    await api.start(task["workspace_id"], "ready", "healthy")
    assert (await api.post(f"/api/v2/tasks/me/{task['id']}/pause")).status_code == 202


async def stopping(api: Api, task: Json) -> None:
    """A stop that a worker has."""
    await pausing(api, task)
    await api.claim(task["workspace_id"])


async def paused(api: Api, task: Json) -> None:
    """A stop that succeeded."""
    await pausing(api, task)
    await api.succeed(task["workspace_id"])


async def stop_failed(api: Api, task: Json) -> None:
    """A stop that failed."""
    await pausing(api, task)
    await api.finish(await api.claim(task["workspace_id"]), "broken")


async def resuming(api: Api, task: Json) -> None:
    """A start after a pause that nobody has begun."""
    await paused(api, task)
    assert (await api.post(f"/api/v2/tasks/me/{task['id']}/resume")).status_code == 202


STATES: dict[str, tuple[State, str, str]] = {
    "T60_T64_queued": (queued, "pending", "pending"),
    "T62_failed": (failed, "error", "failed"),
    "T62_canceled": (canceled, "error", "canceled"),
    "T62_T73_canceling": (canceling, "error", "canceling"),
    "T62_stop_failed": (stop_failed, "error", "failed"),
    "T63_T74_paused": (paused, "paused", "stopped"),
    "T65_T74_pausing": (pausing, "unknown", "pending"),
    "T65_T74_stopping": (stopping, "unknown", "stopping"),
    "T67_building": (building, "initializing", "starting"),
    "T67_without_agent": (without_agent, "initializing", "running"),
    "T67_created": (started("created", "initializing"), "initializing", "running"),
    "T67_starting": (started("starting", "initializing"), "initializing", "running"),
    "T68_T76_shutting_down": (started("shutting_down", "healthy"), "unknown", "running"),
    "T68_shutdown_timeout": (started("shutdown_timeout", "healthy"), "unknown", "running"),
    "T68_shutdown_error": (started("shutdown_error", "healthy"), "unknown", "running"),
    "T68_off": (started("off", "healthy"), "unknown", "running"),
    "T69_app_initializing": (started("ready", "initializing"), "initializing", "running"),
    "T70_app_unhealthy": (started("ready", "unhealthy"), "error", "running"),
    "T71_app_healthy": (started("ready", "healthy"), "active", "running"),
    "T71_T77_app_disabled": (started("ready", "disabled"), "active", "running"),
    "T71_T75_start_error": (started("start_error", "healthy"), "active", "running"),
    "T71_start_timeout": (started("start_timeout", "healthy"), "active", "running"),
    "T72_without_app": (without_app, "unknown", "running"),
    "T83_resuming": (resuming, "pending", "pending"),
}


@pytest.mark.parametrize("name", STATES)
async def test_T60_to_T77_status(api: Api, name: str) -> None:
    """Each state of build, agent and app shows as its status, alone and in the list."""
    put, status, workspace_status = STATES[name]
    task = await api.task(await api.template())
    await put(api, task)
    fresh = await api.fresh(task)
    assert (fresh["status"], fresh["workspace_status"]) == (status, workspace_status)
    [listed] = (await api.get(f"/api/v2/tasks?q=status:{status}")).json()["tasks"]
    assert listed["id"] == task["id"]


async def test_T61_workspace_without_build(api: Api) -> None:
    """A workspace that has no build yet is pending."""
    task = await api.task(await api.template())
    await api.execute("delete from workspace_builds")
    fresh = await api.fresh(task)
    assert fresh["status"] == "pending"
    assert not fresh.keys() & {"workspace_status", "workspace_build_number"}


async def test_T78_health_of_the_app(api: Api) -> None:
    """A task is in error while its app is unhealthy, and active again afterwards."""
    task = await api.task(await api.template())
    agent = await api.start(task["workspace_id"], "ready", "healthy")
    await api.health(agent, "unhealthy")
    assert (await api.fresh(task))["status"] == "error"
    await api.health(agent, "healthy")
    assert (await api.fresh(task))["status"] == "active"


async def test_T79_agent_and_app_are_of_the_newest_build(api: Api) -> None:
    """They are null while a build runs and after a stop, there after a start."""
    task = await api.task(await api.template())
    held = await api.claim(task["workspace_id"])
    assert (await api.fresh(task))["workspace_agent_id"] is None
    agent_id, app_id = await api.agent(held, "ready", "healthy")
    await api.finish(held)
    fresh = await api.fresh(task)
    assert (fresh["workspace_agent_id"], fresh["workspace_app_id"]) == (str(agent_id), str(app_id))
    await api.post(f"/api/v2/tasks/me/{task['id']}/pause")
    for _ in range(2):
        fresh = await api.fresh(task)
        assert (fresh["workspace_agent_id"], fresh["workspace_app_id"]) == (None, None)
        assert fresh["workspace_agent_lifecycle"] is None
        if fresh["status"] == "unknown":
            await api.succeed(task["workspace_id"])


@pytest.mark.parametrize(
    "name",
    [
        "T67_building",
        "T67_created",
        "T67_starting",
        "T69_app_initializing",
        "T67_without_agent",
    ],
)
async def test_T80_progress_of_a_start(api: Api, name: str) -> None:
    """While a task initializes, its state is working since the build was made, with a sentence."""
    task = await api.task(await api.template())
    await STATES[name][0](api, task)
    state = (await api.fresh(task))["current_state"]
    [build] = (await api.get(f"/api/v2/workspaces/{task['workspace_id']}/builds")).json()
    assert (state["state"], state["uri"]) == ("working", "")
    assert state["timestamp"] == build["created_at"]
    assert state["message"]


async def test_T80_each_step_has_a_sentence_of_its_own(api: Api) -> None:
    """Who watches a start sees it move on."""
    task = await api.task(await api.template())
    messages = []
    held = await api.claim(task["workspace_id"])
    messages.append((await api.fresh(task))["current_state"]["message"])
    agent_id, _ = await api.agent(held, "created", "initializing")
    await api.finish(held)
    for lifecycle in ("created", "starting", "ready"):
        await api.lifecycle(agent_id, lifecycle)
        messages.append((await api.fresh(task))["current_state"]["message"])
    assert len(set(messages)) == 4


async def test_T81_failure_is_failed_in_a_task_only(api: Api) -> None:
    """A task says failed, workspace and app say failure."""
    task = await api.task(await api.template())
    await api.start(task["workspace_id"], "ready", "healthy")
    await api.report(task, "failure", "no luck", "https://example.com")
    state = (await api.fresh(task))["current_state"]
    assert (state["state"], state["message"], state["uri"]) == (
        "failed",
        "no luck",
        "https://example.com",
    )
    workspace = (await api.get(f"/api/v2/workspaces/{task['workspace_id']}")).json()
    assert workspace["latest_app_status"]["state"] == "failure"
    [resource] = workspace["latest_build"]["resources"]
    [report] = resource["agents"][0]["apps"][0]["statuses"]
    assert report["state"] == "failure"


async def test_T82_T83_reports_after_pause_and_resume(api: Api) -> None:
    """The last report stays while a task is paused; a start hides it until there is a new one."""
    task = await api.task(await api.template())
    await api.start(task["workspace_id"], "ready", "healthy")
    await api.report(task, "complete", "all done")
    for verb, expected in (("pause", "all done"), ("resume", None)):
        await api.post(f"/api/v2/tasks/me/{task['id']}/{verb}")
        state = (await api.fresh(task))["current_state"]
        assert (state and state["message"]) == expected
        if verb == "pause":
            await api.succeed(task["workspace_id"])
            assert (await api.fresh(task))["current_state"]["message"] == "all done"
    await api.start(task["workspace_id"], "ready", "healthy")
    assert (await api.fresh(task))["current_state"] is None
    await api.report(task, "idle", "again")
    assert (await api.fresh(task))["current_state"]["message"] == "again"


async def test_T84_states_that_nobody_knows(api: Api) -> None:
    """Pending tasks and active ones that never reported have no state."""
    task = await api.task(await api.template())
    assert task["current_state"] is None
    await api.start(task["workspace_id"], "ready", "healthy")
    assert (await api.fresh(task))["current_state"] is None


async def test_T85_the_newest_report_of_any_app(api: Api) -> None:
    """Whichever app reports last is heard."""
    task = await api.task(await api.template())
    await api.start(task["workspace_id"], "ready", "healthy")
    await api.execute(
        "insert into workspace_apps select gen_random_uuid(), agent_id, 1, 'other', '', '', '', '', 'owner', '',"
        " 0, 0, 'disabled', now() from workspace_apps"
    )
    await api.report(task, "working", "first")
    await api.execute(
        "insert into workspace_app_statuses (id, workspace_id, agent_id, app_id, state, message, uri, created_at)"
        " select gen_random_uuid(), $1, agent_id, id, 'idle', 'second', '', now() from workspace_apps"
        " where slug = 'other'",
        UUID(task["workspace_id"]),
    )
    assert (await api.fresh(task))["current_state"]["message"] == "second"


MATRIX: dict[str, dict[str, tuple[int, str]]] = {
    "input": {
        "T63_T74_paused": (204, ""),
        "T60_T64_queued": (409, "task_not_paused"),
        "T67_building": (409, "task_not_paused"),
        "T71_app_healthy": (409, "task_not_paused"),
        "T65_T74_stopping": (409, "task_not_paused"),
        "T62_failed": (409, "task_not_paused"),
        "T70_app_unhealthy": (409, "task_not_paused"),
        "T68_T76_shutting_down": (409, "task_not_paused"),
    },
    "send": {
        "T60_T64_queued": (409, "task_pending"),
        "T67_building": (409, "task_initializing"),
        "T69_app_initializing": (409, "task_initializing"),
        "T63_T74_paused": (409, "task_paused"),
        "T65_T74_stopping": (400, "task_not_active"),
        "T62_failed": (400, "task_not_active"),
        "T62_T73_canceling": (400, "task_not_active"),
        "T70_app_unhealthy": (400, "task_not_active"),
        "T68_T76_shutting_down": (400, "task_not_active"),
        "T71_app_healthy": (502, "agent_unreachable"),
    },
    "logs": {
        "T60_T64_queued": (200, ""),
        "T67_building": (200, ""),
        "T69_app_initializing": (200, ""),
        "T63_T74_paused": (200, ""),
        "T83_resuming": (200, ""),
        "T65_T74_stopping": (409, "logs_unavailable"),
        "T62_failed": (409, "logs_unavailable"),
        "T62_T73_canceling": (409, "logs_unavailable"),
        "T70_app_unhealthy": (409, "logs_unavailable"),
        "T68_T76_shutting_down": (409, "logs_unavailable"),
        "T71_app_healthy": (502, "agent_unreachable"),
    },
    "pause": {
        "T60_T64_queued": (409, "build_active"),
        "T67_building": (409, "build_active"),
        "T69_app_initializing": (202, ""),
        "T71_app_healthy": (202, ""),
        "T65_T74_pausing": (409, "build_active"),
        "T65_T74_stopping": (409, "build_active"),
        "T63_T74_paused": (202, ""),
        "T62_failed": (202, ""),
        "T62_canceled": (202, ""),
        "T62_T73_canceling": (409, "build_active"),
        "T70_app_unhealthy": (202, ""),
        "T68_T76_shutting_down": (202, ""),
    },
    "resume": {
        "T60_T64_queued": (409, "build_active"),
        "T67_building": (409, "build_active"),
        "T69_app_initializing": (409, "workspace_running"),
        "T71_app_healthy": (409, "workspace_running"),
        "T65_T74_stopping": (409, "build_active"),
        "T63_T74_paused": (202, ""),
        "T62_failed": (202, ""),
        "T62_canceled": (202, ""),
        "T62_stop_failed": (202, ""),
        "T62_T73_canceling": (409, "build_active"),
        "T70_app_unhealthy": (409, "workspace_running"),
        "T68_T76_shutting_down": (409, "workspace_running"),
    },
    "delete": {
        "T60_T64_queued": (409, "build_active"),
        "T67_building": (409, "build_active"),
        "T69_app_initializing": (202, ""),
        "T71_app_healthy": (202, ""),
        "T65_T74_stopping": (409, "build_active"),
        "T63_T74_paused": (202, ""),
        "T62_failed": (202, ""),
        "T62_T73_canceling": (409, "build_active"),
        "T70_app_unhealthy": (202, ""),
        "T68_T76_shutting_down": (202, ""),
    },
}
"""What each verb answers in each state; an empty word where it succeeds."""

REQUESTS = {
    "input": ("PATCH", "/input", {"input": "x"}),
    "send": ("POST", "/send", {"input": "x"}),
    "logs": ("GET", "/logs", None),
    "pause": ("POST", "/pause", None),
    "resume": ("POST", "/resume", None),
    "delete": ("DELETE", "", None),
}


@pytest.mark.parametrize("state", STATES)
async def test_T92_to_T131_what_is_legal_when(api: Api, state: str) -> None:
    """Every verb answers in every state as the contract's table of errors says."""
    template = await api.template()
    for verb, expected in MATRIX.items():
        if state not in expected:
            continue
        task = await api.task(template)
        await STATES[state][0](api, task)
        method, rest, body = REQUESTS[verb]
        response = await api.call(method, f"/api/v2/tasks/me/{task['id']}{rest}", body)
        status, word = expected[state]
        assert response.status_code == status, (verb, response.text)
        if word:
            assert reason(response) == (status, word)
