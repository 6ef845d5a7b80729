"""How tasks and their workspaces end, with a real worker and reconciler: deleted, past their deadline, in time."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from taskyard.sdk import ApiError
from taskyard.wire.enums import BuildReason, TaskStatus, Transition, WorkspaceStatus
from taskyard.wire.tasks import Task, TaskSendRequest
from taskyard.wire.workspaces import CreateWorkspaceBuildRequest
from taskyard_agent.settings import STOP_GRACE
from tests.system.kit import LASTING, World, agents_of, only_agent
from tests.waiting import DEADLINE_S, until

GRACE_S = float(LASTING["TASKYARD_STOP_GRACE_S"])


def status_of(world: World, workspace_id: UUID) -> int:
    """The HTTP status of asking for a workspace."""
    try:
        world.owner.get_workspace(workspace_id)
    except ApiError as error:
        return error.status
    return 200


def workspace_of(task: Task) -> UUID:
    assert task.workspace_id is not None
    return task.workspace_id


def test_T133_T134_T135_deleted(shared: World) -> None:
    """The workspace is deleted, then gone; its name is taken until then; a deleted workspace takes its task along."""
    task = shared.create(
        "trap '' TERM INT HUP; echo deaf; while :; do sleep 0.1; done", name="again"
    )
    until("the deaf one to speak", lambda: "\ndeaf" in shared.text(task.id) or None)
    workspace_id = workspace_of(shared.active(task.id))
    shared.owner.delete_task("me", task.id)
    refused: set[int] = set()

    def create() -> Task | None:
        try:
            return shared.create("echo two", name="again")
        except ApiError as error:
            refused.add(error.status)
            return None

    second = until("the name to be free", create)
    assert refused == {409}
    assert status_of(shared, workspace_id) == 410
    gone = shared.owner.get_workspace(workspace_id, include_deleted=True)
    assert gone.latest_build.transition is Transition.DELETE
    assert gone.latest_build.status is WorkspaceStatus.DELETED
    delete = CreateWorkspaceBuildRequest(transition="delete")
    build = shared.owner.create_workspace_build(workspace_of(shared.active(second.id)), delete)

    def task_gone() -> bool | None:
        try:
            shared.owner.get_task("me", second.id)
        except ApiError as error:
            return error.status == 404 or None
        return None

    until("the task to be gone", task_gone)
    done = shared.owner.get_workspace_build(build.id)
    assert done.job.completed_at is not None
    assert shared.owner.list_tasks().tasks == []


@pytest.mark.anyio
async def test_T160_T161_the_deadline(shared: World) -> None:
    """Work moves the deadline away; when it has passed the task is paused, its log is kept, and it resumes."""
    task = shared.create("echo ready to go")
    shared.says(task.id, "ready to go")
    mine = f"workspace_id = '{task.workspace_id}'"
    bump = timedelta(milliseconds=(await bump_ms(shared)))
    soon = datetime.now(UTC) + timedelta(minutes=1)
    await shared.query(f"update workspace_builds set deadline = $1 where {mine}", soon)
    shared.owner.send_task_input("me", task.id, TaskSendRequest(input="echo at work"))
    moved = soon
    async with asyncio.timeout(DEADLINE_S):  # the words come by another way than the report of work
        while moved == soon:
            found = await shared.query(f"select deadline from workspace_builds where {mine}")
            moved = found[0]["deadline"]
    assert abs(moved - datetime.now(UTC) - bump) < timedelta(minutes=1)
    shared.says(task.id, "at work")
    await shared.query(f"update workspace_builds set deadline = now() where {mine}")
    until("the pause", lambda: shared.status(task.id, TaskStatus.PAUSED))
    builds = shared.owner.list_workspace_builds(workspace_of(task))
    assert [build.transition for build in builds] == [Transition.STOP, Transition.START]
    assert builds[0].reason is BuildReason.TASK_AUTO_PAUSE
    assert "at work" in shared.text(task.id)
    shared.owner.resume_task("me", task.id)
    shared.active(task.id)
    assert "at work" in shared.says(task.id, "ready to go")


async def bump_ms(shared: World) -> int:
    """How far work moves the deadline of the shell template's workspaces."""
    rows = await shared.query("select activity_bump_ms as ms from templates where name = 'shell'")
    assert rows[0]["ms"] > 0
    return int(rows[0]["ms"])


def test_the_grace_is_what_was_set(shared: World) -> None:
    """A coding agent deaf to every polite word is ended within TASKYARD_STOP_GRACE_S, and its words are kept."""
    task = shared.create("trap '' TERM INT HUP; echo deaf; while :; do sleep 0.1; done")
    until("the deaf one to speak", lambda: "\ndeaf" in shared.text(task.id) or None)
    workspace_id = workspace_of(shared.owner.get_task("me", task.id))
    folder = shared.server.data_dir / "workspaces" / str(workspace_id)
    agent = only_agent(folder, "-m taskyard_agent run")
    environment = Path(f"/proc/{agent}/environ").read_bytes().split(b"\0")
    assert f"{STOP_GRACE}={GRACE_S:g}".encode() in environment
    build = shared.owner.pause_task("me", task.id).workspace_build
    until("the pause", lambda: shared.status(task.id, TaskStatus.PAUSED))
    log = shared.owner.get_workspace_build_logs(build.id)
    assert any(f" {GRACE_S:g} s " in line.output for line in log)
    assert agent not in agents_of(folder)
    assert "deaf" in shared.text(task.id)
