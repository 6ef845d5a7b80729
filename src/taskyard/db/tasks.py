"""Tasks with the facts that decide over them: row types and one function a statement of sql/tasks.sql."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.db.askers import AskerRow
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
from taskyard.wire.link import Waiting

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


class TaskRow(msgspec.Struct, frozen=True, kw_only=True):
    """A live task with its workspace, the newest build of that, and the agent and app this build chose.

    What begins with `build_`, transition and job_status is of the newest build and null together;
    agent_* and app_* are null where it chose none, report_* where nothing was ever reported, waiting_* where the
    coding agent that runs now waits for nobody. status
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
    waiting_kind: str | None
    waiting_id: str | None
    waiting_title: str | None

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
            waiting=self._waiting,
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

    @property
    def _waiting(self) -> Waiting | None:
        if self.waiting_kind is None:
            return None
        return Waiting(self.waiting_kind, self.waiting_id or "", self.waiting_title or "")


class TaskPath(msgspec.Struct, frozen=True, kw_only=True):
    """How a path names a user and a task; the ids are null where the words are no UUIDs."""

    owner: str
    owner_id: UUID | None
    task: str
    task_id: UUID | None


class AskerWithTaskRow(AskerRow, frozen=True, kw_only=True):
    """An API key with its user, and what a path names.

    owner_id and the organizations are of the path's user, null when there is none, whoever asks. task is the
    JSON of a TaskRow, null when there is none that the asker sees.
    """

    owner_id: UUID | None
    owner_member_of: list[UUID] | None
    task: bytes | None

    def read_task(self) -> TaskRow | None:
        """The task that the asker sees."""
        return None if self.task is None else _TASK.decode(self.task)


class TaskFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of tasks is narrowed to; null means any. before_* are of the last task seen."""

    owner_id: UUID | None = None
    organization_id: UUID | None = None
    status: TaskStatus | None = None
    before_at: datetime | None = None
    before_id: UUID | None = None


_TASK = msgspec.json.Decoder(TaskRow)
_GET = statement("tasks", "get_task", TaskRow)
_GET_ASKER_WITH_TASK = statement("tasks", "get_asker_with_task", AskerWithTaskRow)
_LIST = statement("tasks", "list_tasks", TaskRow)
_INSERT = statement("tasks", "insert_task", NoRow)
_UPDATE_INPUT = statement("tasks", "update_task_input", NoRow)
_UPDATE_DISPLAY_NAME = statement("tasks", "update_display_name", NoRow)
_DELETE = statement("tasks", "delete_task", NoRow)
_DELETE_SNAPSHOT = statement("tasks", "delete_snapshot", NoRow)


async def get_task(conn: "Connection", viewer: Viewer, task_id: UUID) -> TaskRow | None:
    """A live task that the viewer may see; None when it is absent or not theirs."""
    return await _GET.one(conn, task_id=task_id, **viewer.values())


async def get_asker_with_task(
    conn: "Connection", key_id: str, path: TaskPath
) -> AskerWithTaskRow | None:
    """Whom the key of this id lets in, with the user and the task of a path; None without such a key."""
    return await _GET_ASKER_WITH_TASK.one(conn, key_id=key_id, **msgspec.structs.asdict(path))


async def list_tasks(
    conn: "Connection", viewer: Viewer, only: TaskFilter, *, limit: int
) -> list[TaskRow]:
    """Live tasks that the viewer may see, newest first; conn is in a transaction for reading."""
    values = msgspec.structs.asdict(narrowed(viewer, only))
    return await _LIST.many(conn, **viewer.values(), **values, limit=limit)


def narrowed(viewer: Viewer, only: TaskFilter) -> TaskFilter:
    """The same tasks by a filter that an index answers: whoever sees only their own asks for those of one owner."""
    if only.owner_id is None and viewer.sees_own_only:
        return msgspec.structs.replace(only, owner_id=viewer.user_id)
    return only


async def insert_task(conn: "Connection", **values: object) -> None:
    """Adds a task of a workspace that is there. Raises UniqueViolationError for a name in use."""
    await _INSERT.execute(conn, **values)


async def update_task_input(conn: "Connection", task_id: UUID, text: str) -> None:
    """Replaces the text that the next start delivers."""
    await _UPDATE_INPUT.execute(conn, task_id=task_id, input=text)


async def update_display_name(conn: "Connection", task_id: UUID, display_name: str) -> None:
    """Replaces what people call the task."""
    await _UPDATE_DISPLAY_NAME.execute(conn, task_id=task_id, display_name=display_name)


async def delete_task(conn: "Connection", task_id: UUID, now: datetime) -> bool:
    """Takes a task out of sight, with its snapshot; False when it was deleted already."""
    await _DELETE_SNAPSHOT.execute(conn, task_id=task_id)
    return await _DELETE.execute(conn, task_id=task_id, now=now) > 0
