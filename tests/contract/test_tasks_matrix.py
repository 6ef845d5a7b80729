"""What each verb answers in each state of a task: the table of section 11, and the statements that quote it."""

from typing import Any

import pytest

from tests.api.seed import Api, reason
from tests.contract.states import STATES

pytestmark = pytest.mark.anyio

Row = dict[str, tuple[int, str]]
"""Of each state, status and reason; an empty reason where the verb succeeds."""


async def check(api: Api, row: Row, method: str, rest: str, body: Any = None) -> None:
    """Fails unless the verb answers in each state as the row says; a refusal leaves the task as it was."""
    template = await api.template()
    for state, (status, word) in row.items():
        task = await api.task(template)
        await STATES[state].put(api, task)
        before = await api.fresh(task)
        response = await api.call(method, f"/api/v2/tasks/me/{task['id']}{rest}", body)
        assert response.status_code == status, (state, response.text)
        if word:
            assert reason(response) == (status, word), state
            assert status == 502 or response.json()["detail"], state
            assert await api.fresh(task) == before


async def test_T92_input(api: Api) -> None:
    """A new input is for paused tasks only, and every other status is told the same."""
    row: Row = dict.fromkeys(STATES, (409, "task_not_paused"))
    await check(
        api,
        row | dict.fromkeys(("paused", "delete_done"), (204, "")),
        "PATCH",
        "/input",
        {"input": "x"},
    )


async def test_T92_one_message(api: Api) -> None:
    """The refusal is one sentence, the same in whatever status."""
    template, said = await api.template(), set()
    for state in ("queued", "building", "app_healthy", "failed", "stopping"):
        task = await api.task(template)
        await STATES[state].put(api, task)
        path = f"/api/v2/tasks/me/{task['id']}/input"
        said.add((await api.call("PATCH", path, {"input": "x"})).json()["message"])
    assert len(said) == 1


async def test_T94_send(api: Api) -> None:
    """Later while it waits, starts or is paused; never in error or unknown; the app decides when it is active."""
    later, never = ["pending", "initializing", "paused"], ["error", "unknown"]
    row: Row = {name: (409, f"task_{s.status}") for name, s in STATES.items() if s.status in later}
    row |= {name: (400, "task_not_active") for name, s in STATES.items() if s.status in never}
    row["app_healthy"] = (502, "agent_unreachable")
    assert {STATES[name].status for name in row} == {*later, *never, "active"}
    await check(api, row, "POST", "/send", {"input": "x"})


async def test_T104_logs(api: Api) -> None:
    """Kept while a task waits, starts or is paused, live when it is active, else refused with the quoted status."""
    kept = ["pending", "initializing", "paused"]
    row: Row = {name: (200, "") for name, s in STATES.items() if s.status in kept}
    await check(api, row | {"app_healthy": (502, "agent_unreachable")}, "GET", "/logs")
    template = await api.template("t2")
    for name, state in STATES.items():
        if state.status in ("error", "unknown"):
            task = await api.task(template)
            await state.put(api, task)
            response = await api.get(f"/api/v2/tasks/me/{task['id']}/logs")
            assert reason(response) == (409, "logs_unavailable"), name
            assert f'"{state.status}"' in response.json()["detail"]


ACTIVE = (
    "queued",
    "resuming",
    "building",
    "canceling",
    "pausing",
    "stopping",
    "delete_queued",
    "deleting",
)
"""States with a build that is not over."""


async def test_T111_pause(api: Api) -> None:
    """A pause asks for no status: it is refused only while a build is not over."""
    row: Row = dict.fromkeys(STATES, (202, ""))
    row["delete_done"] = (409, "workspace_deleted")
    await check(api, row | dict.fromkeys(ACTIVE, (409, "build_active")), "POST", "/pause")


async def test_T114_resume_of_what_runs(api: Api) -> None:
    """A workspace that runs is not started again, however its task is."""
    running = [name for name, s in STATES.items() if s.workspace_status == "running"]
    await check(api, dict.fromkeys(running, (409, "workspace_running")), "POST", "/resume")


async def test_T115_resume_during_a_build(api: Api) -> None:
    """While it starts or stops, a resume is refused for the build that is not over."""
    await check(api, dict.fromkeys(ACTIVE, (409, "build_active")), "POST", "/resume")


async def test_T116_resume_after_a_build_that_went_wrong(api: Api) -> None:
    """A failed or canceled build is no obstacle, whatever it was to do; nor is a stop that went well."""
    names = ("failed", "canceled", "stop_failed", "delete_failed", "paused")
    await check(api, dict.fromkeys(names, (202, "")), "POST", "/resume")


async def test_T131_delete(api: Api) -> None:
    """A task can be deleted whenever no build is on its way."""
    row: Row = dict.fromkeys(STATES, (202, ""))
    await check(api, row | dict.fromkeys(ACTIVE, (409, "build_active")), "DELETE", "")
