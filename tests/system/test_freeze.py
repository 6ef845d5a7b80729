"""Pauses that freeze, with everything real: the same processes, the same conversation, another generation."""

import asyncio
import signal
import time
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from taskyard.drivers.sandbox.cgroups.groups import find_cgroups, written_groups
from taskyard.drivers.sandbox.cgroups.model import Can
from taskyard.wire.enums import JobStatus, TaskStatus, Transition
from taskyard.wire.tasks import (
    AnswerTaskPermissionRequest,
    CreateTaskRequest,
    Task,
    TaskSendRequest,
)
from taskyard.wire.workspaces import CreateWorkspaceBuildRequest
from tests.faults.holds import strike
from tests.system.kit import World, processes_of, pushed
from tests.waiting import until

pytestmark = pytest.mark.all_tier

TOML = """
[task]
app = "agent"
[agent]
type = "shell"
[workspace]
pause = "freeze"
"""

COUNTER = "(while sleep 0.02; do echo $((++n)) > ~/n; done) >/dev/null 2>&1 & echo begun"
"""A program that lives on beside the coding agent, and shows how far it is."""


@pytest.fixture(scope="module")
def freezing(lasting: World) -> UUID:
    """A version whose tasks are frozen when they are paused."""
    found = find_cgroups(lasting.server.data_dir / "workspaces")
    if Can.FREEZE not in found.controllers:
        pytest.skip(f"nothing can be frozen here: {found.why.get(Can.FREEZE)}")
    return pushed(lasting, "freezing", {"taskyard.toml": TOML}).id


def begun(world: World, version_id: UUID, text: str = COUNTER) -> Task:
    """A task of it that has done its first work."""
    request = CreateTaskRequest(template_version_id=version_id, input=text)
    task = world.owner.create_task("me", request)
    world.says(task.id, "begun")
    return task


def pause(world: World, task: Task) -> None:
    world.owner.pause_task("me", task.id)
    until("a paused task", lambda: world.status(task.id, TaskStatus.PAUSED))


def resume(world: World, task: Task) -> float:
    """Seconds from the request until the task is active again."""
    asked = time.perf_counter()
    world.owner.resume_task("me", task.id)
    world.active(task.id)
    return time.perf_counter() - asked


def home(world: World, task: Task) -> Path:
    return world.server.data_dir / "workspaces" / str(task.workspace_id) / "home"


def workspace(world: World, task: Task) -> Path:
    return home(world, task).parent


def is_frozen(world: World, task: Task) -> bool:
    return written_groups(workspace(world, task).parent).is_frozen(str(task.workspace_id))


def differs(file: Path, before: str) -> bool | None:
    return True if file.read_text() not in ("", before) else None


def build_log(world: World, task: Task) -> str:
    """All lines of the newest build."""
    assert task.workspace_id is not None
    build = world.owner.get_workspace(task.workspace_id).latest_build
    return "\n".join(line.output for line in world.owner.get_workspace_build_logs(build.id))


def test_a_frozen_task_goes_on_where_it_was(shared: World, freezing: UUID) -> None:
    """Its processes stand still while it is paused, show their conversation, and go on as another generation."""
    task = begun(shared, freezing)
    count = home(shared, task) / "n"
    until("the counter to run", lambda: count.exists() or None)
    pids = set(processes_of(workspace(shared, task)))
    for turn in range(3):
        pause(shared, task)
        assert is_frozen(shared, task)
        logs = shared.owner.get_task_logs("me", task.id)
        assert logs.snapshot
        assert "begun" in logs.logs[1].content
        seen = count.read_text()
        took_s = resume(shared, task)
        until("the counter to go on", partial(differs, count, seen))
        shared.owner.send_task_input("me", task.id, TaskSendRequest(input=f"echo after {turn}"))
        shared.says(task.id, f"\nafter {turn}")
        assert "goes on where it was" in build_log(shared, task)
        print(f"resumed in {took_s * 1000:.0f} ms")
        assert set(processes_of(workspace(shared, task))) >= pids


def stop_again(world: World, task: Task) -> None:
    """One more stop of a workspace that is paused."""
    assert task.workspace_id is not None
    request = CreateWorkspaceBuildRequest(transition=Transition.STOP)
    build = world.owner.create_workspace_build(task.workspace_id, request)

    def over() -> bool | None:
        found = world.owner.get_workspace_build(build.id)
        return True if found.job.status is JobStatus.SUCCEEDED else None

    until("the stop to be over", over)


def takes_room(world: World, task: Task) -> bool:
    sql = "select from workspace_room where workspace_id = $1 and taken"
    return bool(asyncio.run(world.query(sql, task.workspace_id)))


def test_what_is_frozen_can_be_stopped_and_deleted(shared: World, freezing: UUID) -> None:
    """It keeps its room; one more stop ends its processes and frees it; a resume then starts anew; delete leaves nothing."""
    task = begun(shared, freezing, "touch ~/kept; echo begun")
    pause(shared, task)
    assert takes_room(shared, task)
    stop_again(shared, task)
    assert processes_of(workspace(shared, task)) == {}
    assert not takes_room(shared, task)
    resume(shared, task)
    shared.owner.send_task_input("me", task.id, TaskSendRequest(input="ls ~/kept"))
    assert "begun" in shared.says(task.id, "kept")
    pause(shared, task)
    assert is_frozen(shared, task)
    shared.owner.delete_task("me", task.id)
    folder = workspace(shared, task)
    until("the workspace to be gone", lambda: None if folder.exists() else True)
    assert processes_of(folder) == {}


def test_an_agent_that_dies_in_the_ice(shared: World, freezing: UUID) -> None:
    """What cannot go on is started anew by the resume: the conversation is there, and the log says so."""
    task = begun(shared, freezing, "echo begun")
    pause(shared, task)
    pids = set(processes_of(workspace(shared, task)))
    for pid in pids:
        strike(pid, signal.SIGKILL)  # whoever goes first takes others along
    assert shared.status(task.id, TaskStatus.PAUSED)
    resume(shared, task)
    shared.owner.send_task_input("me", task.id, TaskSendRequest(input="echo anew"))
    assert "begun" in shared.says(task.id, "\nanew")
    assert not pids & set(processes_of(workspace(shared, task)))


def test_a_server_that_is_killed_over_frozen_work(world: World) -> None:
    """It stays frozen and paused, whoever looks; the next server wakes it, the same processes."""
    found = find_cgroups(world.server.data_dir / "workspaces")
    if Can.FREEZE not in found.controllers:
        pytest.skip(f"nothing can be frozen here: {found.why.get(Can.FREEZE)}")
    task = begun(world, pushed(world, "freezing", {"taskyard.toml": TOML}).id)
    pids = set(processes_of(workspace(world, task)))
    pause(world, task)
    world.server.process.kill()
    world.server.wait()
    world.restart()
    until("the reconciler to look", lambda: world.status(task.id, TaskStatus.PAUSED))
    assert is_frozen(world, task)
    resume(world, task)
    world.owner.send_task_input("me", task.id, TaskSendRequest(input="echo after"))
    world.says(task.id, "\nafter")
    assert pids <= set(processes_of(workspace(world, task)))


def test_a_request_for_permission_that_was_frozen(shared: World, freezing: UUID) -> None:
    """It is open before and after, and its answer reaches the coding agent that asked; nobody closes it meanwhile."""
    text = TOML.replace('type = "shell"', 'type = "shell"\npermissions = "ask"')
    version = pushed(shared, "asking", {"taskyard.toml": text})
    request = CreateTaskRequest(template_version_id=version.id, input="!perm echo permitted")
    task = shared.owner.create_task("me", request)

    def asked() -> str | None:
        found = shared.owner.list_task_permissions("me", task.id).permissions
        return found[0].id if found else None

    def of_this_start() -> bool | None:
        sql = (
            "select from task_permissions p join tasks t on t.id = p.task_id"
            " join workspaces w on w.id = t.workspace_id"
            " where t.id = $1 and p.answered_at is null and p.generation = w.generation"
        )
        return bool(asyncio.run(shared.query(sql, task.id))) or None

    permission = until("a request for permission", asked)
    pause(shared, task)
    assert is_frozen(shared, task)
    resume(shared, task)
    until("the request to be of this start", of_this_start)
    assert asked() == permission
    answer = AnswerTaskPermissionRequest(option_id="run")
    shared.owner.answer_task_permission("me", task.id, permission, answer)
    shared.says(task.id, "permitted")
