"""What a task says that its coding agent does. Source: tasks-api 6."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from taskyard.lifecycle.task import TaskFacts, derive_current_state
from taskyard.wire.enums import AgentLifecycle, AppHealth, JobStatus, TaskStatus, Transition
from tests.api.seed import Api, Json
from tests.contract.states import STATES, newest_build, started

pytestmark = pytest.mark.anyio

ON_THE_WAY = {
    "building": STATES["building"].put,
    "no agent": STATES["without_agent"].put,
    "agent created": started("created", "initializing"),
    "agent starting": started("starting", "initializing"),
    "app initializing": started("ready", "initializing"),
    "other lifecycle": started("start_error", "initializing"),
}
"""The rows of step 2 that a client can see, and how a task comes to them."""

UNSEEN = {
    "waiting": (JobStatus.PENDING, None, None),
    "agent ready": (JobStatus.SUCCEEDED, AgentLifecycle.READY, AppHealth.HEALTHY),
}
"""The rows that no status `initializing` leads to: a start that waits is pending, a well app active."""


async def test_T80_each_row_has_its_message(api: Api) -> None:
    """While a task initializes it is at work since its build was made, with the sentence of its row and of no other."""
    messages = {}
    for number, (row, put) in enumerate(ON_THE_WAY.items()):
        task = await api.task(await api.template(f"t{number}"))
        await put(api, task)
        state = (await api.fresh(task))["current_state"]
        assert (state["state"], state["uri"]) == ("working", ""), row
        assert state["timestamp"] == (await newest_build(api, task))["created_at"], row
        messages[row] = state["message"]
    for row, (job, lifecycle, health) in UNSEEN.items():
        made = datetime(2026, 1, 1, tzinfo=UTC)
        facts = TaskFacts(True, Transition.START, job, lifecycle, health, made)
        found = derive_current_state(facts, TaskStatus.INITIALIZING)
        assert found is not None
        messages[row] = found.message
    assert all(messages.values())
    assert len(set(messages.values())) == len(messages) == 8, messages


async def test_T80_the_sentence_is_the_same_each_time(api: Api) -> None:
    """Two tasks on the same row say the same."""
    template = await api.template()
    said = set()
    for _ in range(2):
        task = await api.task(template)
        await STATES["starting"].put(api, task)
        said.add((await api.fresh(task))["current_state"]["message"])
    assert len(said) == 1


async def test_T81_failure_is_failed_in_a_task_only(api: Api) -> None:
    """A task says failed, workspace and app say failure; the other words are the same everywhere."""
    task = await api.task(await api.template())
    await api.start(task["workspace_id"], "ready", "healthy")
    for word in ("working", "idle", "complete", "failure"):
        await api.report(task, word, "no luck", "https://example.com")
        shown = (await api.fresh(task))["current_state"]
        assert shown["state"] == ("failed" if word == "failure" else word)
        assert (shown["message"], shown["uri"]) == ("no luck", "https://example.com")
        workspace = (await api.get(f"/api/v2/workspaces/{task['workspace_id']}")).json()
        latest = workspace["latest_app_status"]
        assert latest["state"] == word
        assert latest["created_at"] == shown["timestamp"]
        [resource] = workspace["latest_build"]["resources"]
        assert resource["agents"][0]["apps"][0]["statuses"][0] == latest


async def test_T82_T83_reports_after_pause_and_resume(api: Api) -> None:
    """The last report stays while a task is paused; a start hides it until there is a new one."""
    task = await api.task(await api.template())
    await api.start(task["workspace_id"], "ready", "healthy")
    await api.report(task, "complete", "all done")
    await api.post(f"/api/v2/tasks/me/{task['id']}/pause")
    assert await said(api, task) == "all done"
    await api.succeed(task["workspace_id"])
    assert await said(api, task) == "all done"
    await api.post(f"/api/v2/tasks/me/{task['id']}/resume")
    assert await said(api, task) is None
    await api.start(task["workspace_id"], "ready", "healthy")
    assert await said(api, task) is None
    await api.report(task, "idle", "again")
    assert await said(api, task) == "again"


async def said(api: Api, task: Json) -> str | None:
    """The message of a task's state, None where it has no state."""
    state = (await api.fresh(task))["current_state"]
    return None if state is None else str(state["message"])


async def test_T84_states_that_nobody_knows(api: Api) -> None:
    """Pending tasks and active ones that never reported have no state."""
    task = await api.task(await api.template())
    assert task["current_state"] is None
    assert (await api.fresh(task))["current_state"] is None
    await api.start(task["workspace_id"], "ready", "healthy")
    fresh = await api.fresh(task)
    assert (fresh["status"], fresh["current_state"]) == ("active", None)


async def test_a_failed_start_has_no_state(api: Api) -> None:
    """Nor has a task in error whose newest start brought no report. Source: tasks-api 6."""
    task = await api.task(await api.template())
    await STATES["failed"].put(api, task)
    assert (await api.fresh(task))["current_state"] is None


async def test_T85_the_newest_report_of_any_app(api: Api) -> None:
    """Whichever app reports last is heard, be it the task's own or another."""
    task = await api.task(await api.template())
    await api.start(task["workspace_id"], "ready", "healthy")
    await api.execute(
        "insert into workspace_apps select gen_random_uuid(), agent_id, 1, 'other', '', '', '', '', 'owner', '',"
        " 0, 0, 'disabled', now() from workspace_apps"
    )
    own, other = [
        await api.value("select id from workspace_apps where slug = $1", slug)
        for slug in ("shell", "other")
    ]
    for app_id, message in ((own, "first"), (other, "second"), (own, "third")):
        await api.execute(_REPORT, UUID(task["workspace_id"]), app_id, message, api.now)
        assert await said(api, task) == message


_REPORT = """
insert into workspace_app_statuses (id, workspace_id, agent_id, app_id, state, message, uri, created_at)
select gen_random_uuid(), $1, agent_id, id, 'idle', $3, '', $4 from workspace_apps where id = $2
"""
