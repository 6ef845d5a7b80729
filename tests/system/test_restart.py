"""The next server on a data directory finds everything, however the last one ended."""

from pathlib import Path
from typing import Any

import pytest

from taskyard.wire.base import encode
from taskyard.wire.enums import JobStatus, TaskStatus
from taskyard.wire.tasks import CreateTaskRequest
from tests.system.kit import World, agents_of, pushed, serving
from tests.waiting import until

SLOW_START = {
    "taskyard.toml": "[task]\napp = 'agent'\n[agent]\ntype = 'shell'\n[workspace]\ndriver = 'echo'\n",
    "echo.json": '{"ensure": [{"log": "slowly", "sleep_s": 2}]}',
}
"""A template whose workspaces take a while to start: long enough to be killed in it, on any machine."""

LEASE_S = "3600"
"""The lease of a build: far more than the test has time for."""


def picture(world: World) -> dict[str, Any]:
    """All that people can see, as the server tells it; times of last use apart."""
    owner = world.owner
    tasks = sorted(owner.list_tasks().tasks, key=lambda task: task.name)
    return {
        "me": owner.get_user("me").id,
        "templates": [(t.id, t.name, t.active_version_id) for t in owner.list_templates()],
        "tasks": [(t.id, t.name, t.status, t.initial_prompt, t.workspace_id) for t in tasks],
        "logs": [encode(owner.get_task_logs("me", t.id).logs) for t in tasks],
        "workspaces": sorted(w.id for w in owner.list_workspaces().workspaces),
    }


@pytest.mark.parametrize("how", [pytest.param("term", marks=pytest.mark.all_tier), "kill"])
def test_it_finds_everything(world: World, how: str) -> None:
    """Users, keys, templates, tasks that run, tasks that are paused, and what was said: all as it was."""
    for name in ("paused", "running"):
        task = world.create(f"echo said by {name}", name=name)
        world.says(task.id, f"said by {name}")
        if name == "paused":
            world.owner.pause_task("me", task.id)
            until("a paused task", lambda: world.status(task.id, TaskStatus.PAUSED))  # noqa: B023 asked in the loop
    before = picture(world)
    agents = agents_of(world.server.data_dir, "-m taskyard_agent run")
    if how == "kill":
        world.server.kill()
    else:
        assert world.server.stop(by_hand=False) == 0
    world.restart()
    world.says(task.id, "said by running")
    assert picture(world) == before
    assert agents_of(world.server.data_dir, "-m taskyard_agent run") == agents


def test_a_build_goes_on_at_once(data_dir: Path, tmp_path: Path) -> None:
    """kill -9 of the server in a build: the next one goes on with it without waiting for the lease."""
    with serving(data_dir, tmp_path / "server.log", {"TASKYARD_JOB_LEASE_S": LEASE_S}) as world:
        killed_in_a_build(world)


def killed_in_a_build(world: World) -> None:
    """Kills the server in a build, and sees the build end."""
    version = pushed(world, "slow", SLOW_START)
    request = CreateTaskRequest(template_version_id=version.id, input="hello")
    task = world.owner.create_task("me", request)
    assert task.workspace_id is not None
    workspace_id = task.workspace_id

    def job() -> JobStatus:
        return world.owner.get_workspace(workspace_id).latest_build.job.status

    until("the build to begin", lambda: job() is JobStatus.RUNNING or None)
    world.server.kill()
    world.restart()
    until("the build to end", lambda: job() is JobStatus.SUCCEEDED or None)
    world.owner.delete_task("me", task.id)
