"""The status of a task, row by row of the table in section 5, read over the wire, and in the filter of the list.

GET derives in Python, the filter of the list in SQL; rows that no client can bring about are asked of both directly.
"""

from itertools import product

import asyncpg
import pytest

from taskyard.lifecycle.task import TaskFacts, derive_status
from taskyard.wire.enums import AgentLifecycle, AppHealth, JobStatus, TaskStatus, Transition
from tests.api.seed import Api, Json
from tests.contract.states import STATES, cancel, started

pytestmark = pytest.mark.anyio

UP = ("ready", "start_timeout", "start_error")
"""What an agent is once its start is over, however that went."""


async def shown(api: Api, task: Json) -> str:
    """The status of a task; fails unless the list's filter finds it by exactly that one."""
    status = str((await api.fresh(task))["status"])
    for word in TaskStatus:
        found = (await api.get(f"/api/v2/tasks?q=status:{word}")).json()["tasks"]
        assert (task["id"] in {each["id"] for each in found}) == (word == status), word
    return status


async def check(api: Api, *names: str) -> set[str]:
    """The status that new tasks in these states show, after a look at that of their workspaces."""
    template = await api.template()
    seen = set()
    for name in names:
        task = await api.task(template)
        await STATES[name].put(api, task)
        seen.add(await shown(api, task))
        assert seen == {STATES[name].status}, name
        fresh = await api.fresh(task)
        assert fresh["workspace_status"] == STATES[name].workspace_status, name
    return seen


async def put(api: Api, lifecycle: str, health: str) -> Json:
    """A new task whose start succeeded, with an agent and an app in these states."""
    task = await api.task(await api.template(f"{lifecycle}-{health}".replace("_", "-")))
    await started(lifecycle, health)(api, task)
    return task


async def in_sql(
    api: Api, transition: str | None, job: str | None, lifecycle: str | None, health: str | None
) -> str:
    """What the database derives from these facts."""
    sql = "select task_status($1, $2, $3, $4)"
    return str(await api.value(sql, transition, job, lifecycle, health))


async def test_T60_without_a_workspace(api: Api) -> None:
    """Row 1: pending whatever else is known; the database keeps no task without a workspace."""
    for agent, health in product((None, *AgentLifecycle), (None, *AppHealth)):
        facts = TaskFacts(False, None, None, agent, health)
        assert derive_status(facts).status is TaskStatus.PENDING
        assert await in_sql(api, None, None, agent, health) == "pending"
    await api.task(await api.template())
    with pytest.raises(asyncpg.NotNullViolationError):
        await api.execute("update tasks set workspace_id = null")


async def test_T61_workspace_without_build(api: Api) -> None:
    """Row 2: a workspace that has no build yet is pending, and says nothing of a build."""
    task = await api.task(await api.template())
    await api.execute("delete from workspace_builds")
    assert await shown(api, task) == "pending"
    fresh = await api.fresh(task)
    assert not fresh.keys() & {"workspace_status", "workspace_build_number"}


async def test_T62_a_job_that_went_wrong(api: Api) -> None:
    """Row 3: failed, canceling and canceled are errors, whatever the build was to do."""
    names = ("failed", "canceling", "canceled", "stop_failed", "delete_failed")
    assert await check(api, *names) == {"error"}


async def test_T63_stopped(api: Api) -> None:
    """Row 4: a stop that succeeded is a pause, and so is a delete until the task goes with it."""
    assert await check(api, "paused", "delete_done") == {"paused"}


async def test_T64_a_start_that_waits(api: Api) -> None:
    """Row 5: nobody has begun the start, be it the first or one after a pause."""
    assert await check(api, "queued", "resuming") == {"pending"}


async def test_T65_an_end_on_its_way(api: Api) -> None:
    """Row 6: a stop or a delete that waits or runs, though agent and app still run."""
    names = ("pausing", "stopping", "delete_queued", "deleting")
    assert await check(api, *names) == {"unknown"}


async def test_T66_a_job_that_nobody_understands(api: Api) -> None:
    """Row 7: no stored job is unknown, and if one were, so would be the task."""
    for transition in Transition:
        for agent, health in product((None, *AgentLifecycle), (None, *AppHealth)):
            facts = TaskFacts(True, transition, JobStatus.UNKNOWN, agent, health)
            assert derive_status(facts).status is TaskStatus.UNKNOWN
            assert await in_sql(api, transition, "unknown", agent, health) == "unknown"


async def test_T67_an_agent_that_is_not_there_yet(api: Api) -> None:
    """Row 8: while the build runs, and afterwards without an agent, or with one that starts."""
    names = ("building", "without_agent", "created", "starting")
    assert await check(api, *names) == {"initializing"}
    for lifecycle, health in product(("created", "starting"), ("healthy", "unhealthy")):
        assert await shown(api, await put(api, lifecycle, health)) == "initializing"


async def test_T68_an_agent_that_ends(api: Api) -> None:
    """Row 9: shutting down, its ways to fail, and off; the app does not count then."""
    names = ("shutting_down", "shutdown_timeout", "shutdown_error", "off")
    assert await check(api, *names) == {"unknown"}
    assert await shown(api, await put(api, "off", "unhealthy")) == "unknown"


@pytest.mark.parametrize("lifecycle", UP)
async def test_T69_an_app_that_starts(api: Api, lifecycle: str) -> None:
    """Row 10: the agent is up, its app not yet."""
    assert await shown(api, await put(api, lifecycle, "initializing")) == "initializing"


@pytest.mark.parametrize("lifecycle", UP)
async def test_T70_an_app_that_is_unwell(api: Api, lifecycle: str) -> None:
    """Row 11: the agent is up, its app does not answer its check."""
    assert await shown(api, await put(api, lifecycle, "unhealthy")) == "error"


@pytest.mark.parametrize("lifecycle", UP)
async def test_T71_an_app_that_is_well(api: Api, lifecycle: str) -> None:
    """Row 12: the agent is up, its app answers its check or has none."""
    assert await shown(api, await put(api, lifecycle, "healthy")) == "active"
    assert await shown(api, await put(api, lifecycle, "disabled")) == "active"


async def test_T72_no_app(api: Api) -> None:
    """Row 13: the agent is up, and the build chose no app."""
    assert await check(api, "without_app") == {"unknown"}


async def test_T73_canceling_a_start(api: Api) -> None:
    """The task is in error from the request to cancel on, not only when the worker has let go."""
    task = await api.task(await api.template())
    held = await api.claim(task["workspace_id"])
    assert await shown(api, task) == "initializing"
    assert (await cancel(api, task)).status_code == 200
    assert await shown(api, task) == "error"
    assert (await api.fresh(task))["workspace_status"] == "canceling"
    await api.finish(held)
    assert await shown(api, task) == "error"
    assert (await api.fresh(task))["workspace_status"] == "canceled"


async def test_T74_from_pausing_to_paused(api: Api) -> None:
    """Unknown while the stop waits and while it runs, paused from its end on."""
    task = await put(api, "ready", "healthy")
    assert (await api.post(f"/api/v2/tasks/me/{task['id']}/pause")).status_code == 202
    assert await shown(api, task) == "unknown"
    held = await api.claim(task["workspace_id"])
    assert await shown(api, task) == "unknown"
    await api.finish(held)
    assert await shown(api, task) == "paused"


async def test_T75_a_start_script_that_failed(api: Api) -> None:
    """A task is active when its app is well, though the start script was not."""
    task = await put(api, "start_error", "healthy")
    assert await shown(api, task) == "active"
    fresh = await api.fresh(task)
    assert fresh["workspace_agent_lifecycle"] == "start_error"
    assert fresh["workspace_agent_health"]["healthy"] is False


async def test_T76_an_agent_that_shuts_down(api: Api) -> None:
    """An active task whose agent begins to end is unknown, its app well or not."""
    task = await api.task(await api.template())
    agent = await api.start(task["workspace_id"], "ready", "healthy")
    assert await shown(api, task) == "active"
    await api.lifecycle(agent, "shutting_down")
    assert await shown(api, task) == "unknown"


async def test_T77_an_app_without_a_check(api: Api) -> None:
    """Such an app has nothing to wait for: the task is active with its agent."""
    task = await api.task(await api.template())
    agent = await api.start(task["workspace_id"], "starting", "disabled")
    assert await shown(api, task) == "initializing"
    await api.lifecycle(agent, "ready")
    assert await shown(api, task) == "active"


async def test_T78_health_of_the_app(api: Api) -> None:
    """A task is in error while its app is unhealthy, and active again afterwards."""
    task = await api.task(await api.template())
    agent = await api.start(task["workspace_id"], "ready", "healthy")
    for health, status in (("unhealthy", "error"), ("healthy", "active")):
        await api.health(agent, health)
        assert await shown(api, task) == status


async def test_T79_agent_and_app_are_of_the_newest_build(api: Api) -> None:
    """They are null while a build runs and after a stop, there after a start."""
    task = await api.task(await api.template())
    held = await api.claim(task["workspace_id"])
    assert await of_build(api, task) == (None, None, None)
    agent_id, app_id = await api.agent(held, "ready", "healthy")
    await api.finish(held)
    assert await of_build(api, task) == (str(agent_id), str(app_id), "ready")
    await api.post(f"/api/v2/tasks/me/{task['id']}/pause")
    assert await of_build(api, task) == (None, None, None)
    await api.succeed(task["workspace_id"])
    assert await of_build(api, task) == (None, None, None)
    assert (await api.fresh(task))["workspace_agent_health"] is None


async def of_build(api: Api, task: Json) -> tuple[str | None, str | None, str | None]:
    """The ids of agent and app, and the agent's lifecycle, that a task shows."""
    fresh = await api.fresh(task)
    names = ("workspace_agent_id", "workspace_app_id", "workspace_agent_lifecycle")
    agent_id, app_id, lifecycle = (fresh[name] for name in names)
    return agent_id, app_id, lifecycle
