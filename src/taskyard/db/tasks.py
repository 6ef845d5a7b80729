"""Tasks with the facts that decide over them: row types and one function a statement of sql/tasks.sql."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.db.statements import NoRow, statement
from taskyard.db.viewer import Viewer
from taskyard.lifecycle.task import AppReport, TaskFacts
from taskyard.wire.enums import (
    AgentLifecycle,
    AppHealth,
    AppStatusState,
    JobStatus,
    TaskStatus,
    Transition,
)

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


class TaskRow(msgspec.Struct, frozen=True, kw_only=True):
    """A live task with its workspace, the newest build of that, and the agent and app this build chose.

    What begins with `build_`, transition and job_status is of the newest build and null together;
    agent_* and app_* are null where it chose none, report_* where nothing was ever reported. status
    is derived by the database, for filters; facts derives it again.
    """

    id: UUID
    organization_id: UUID
    owner_id: UUID
    owner_name: str
    owner_avatar_url: str
    name: str
    display_name: str
    template_version_id: UUID
    input: str
    created_at: datetime
    workspace_id: UUID
    workspace_name: str
    workspace_deleted: bool
    workspace_updated_at: datetime
    template_id: UUID
    template_name: str
    template_display_name: str
    template_icon: str
    build_id: UUID | None
    build_number: int | None
    transition: Transition | None
    build_created_at: datetime | None
    build_template_version_id: UUID | None
    job_status: JobStatus | None
    agent_id: UUID | None
    agent_lifecycle: AgentLifecycle | None
    agent_created_at: datetime | None
    agent_first_connected_at: datetime | None
    agent_last_connected_at: datetime | None
    agent_disconnected_at: datetime | None
    app_id: UUID | None
    app_health: AppHealth | None
    app_url: str | None
    report_state: AppStatusState | None
    report_message: str | None
    report_uri: str | None
    report_created_at: datetime | None
    status: TaskStatus

    @property
    def facts(self) -> TaskFacts:
        """What decides over the task."""
        return TaskFacts(
            has_workspace=True,
            transition=self.transition,
            job=self.job_status,
            agent_lifecycle=self.agent_lifecycle,
            app_health=self.app_health,
            build_created_at=self.build_created_at,
            report=self._report,
        )

    @property
    def _report(self) -> AppReport | None:
        if self.report_state is None or self.report_created_at is None:
            return None
        return AppReport(
            self.report_state,
            self.report_message or "",
            self.report_uri or "",
            self.report_created_at,
        )


class TaskFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of tasks is narrowed to; null means any. before_* are of the last task seen."""

    owner_id: UUID | None = None
    organization_id: UUID | None = None
    status: TaskStatus | None = None
    before_at: datetime | None = None
    before_id: UUID | None = None


_GET = statement("tasks", "get_task", TaskRow)
_GET_BY_NAME = statement("tasks", "get_task_by_name", TaskRow)
_GET_BY_WORKSPACE = statement("tasks", "get_task_by_workspace", TaskRow)
_LIST = statement("tasks", "list_tasks", TaskRow)
_INSERT = statement("tasks", "insert_task", NoRow)
_UPDATE_INPUT = statement("tasks", "update_task_input", NoRow)
_DELETE = statement("tasks", "delete_task", NoRow)
_DELETE_SNAPSHOT = statement("tasks", "delete_snapshot", NoRow)


async def get_task(conn: "Connection", viewer: Viewer, task_id: UUID) -> TaskRow | None:
    """A live task that the viewer may see; None when it is absent or not theirs."""
    return await _GET.one(conn, task_id=task_id, **viewer.values())


async def get_task_by_name(
    conn: "Connection", viewer: Viewer, owner_id: UUID, name: str
) -> TaskRow | None:
    """A live task of an owner by name, whatever its case."""
    return await _GET_BY_NAME.one(conn, owner_id=owner_id, name=name, **viewer.values())


async def get_task_by_workspace(
    conn: "Connection", viewer: Viewer, workspace_id: UUID
) -> TaskRow | None:
    """The live task of a workspace."""
    return await _GET_BY_WORKSPACE.one(conn, workspace_id=workspace_id, **viewer.values())


async def list_tasks(
    conn: "Connection", viewer: Viewer, only: TaskFilter, *, limit: int | None
) -> list[TaskRow]:
    """Live tasks that the viewer may see, newest first; limit null means all."""
    values = msgspec.structs.asdict(only)
    return await _LIST.many(conn, **viewer.values(), **values, limit=limit)


async def insert_task(conn: "Connection", **values: object) -> None:
    """Adds a task of a workspace that is there. Raises UniqueViolationError for a name in use."""
    await _INSERT.execute(conn, **values)


async def update_task_input(conn: "Connection", task_id: UUID, text: str) -> None:
    """Replaces the text that the next start delivers."""
    await _UPDATE_INPUT.execute(conn, task_id=task_id, input=text)


async def delete_task(conn: "Connection", task_id: UUID, now: datetime) -> bool:
    """Takes a task out of sight, with its snapshot; False when it was deleted already."""
    await _DELETE_SNAPSHOT.execute(conn, task_id=task_id)
    return await _DELETE.execute(conn, task_id=task_id, now=now) > 0
