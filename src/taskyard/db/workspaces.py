"""Workspaces, and what is read beside their builds: row types and one function a statement of sql/workspaces.sql."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.db.builds import BuildRow
from taskyard.db.jobs import IdRow
from taskyard.db.statements import NoRow, statement
from taskyard.db.viewer import Viewer
from taskyard.errors import NotFound
from taskyard.wire.enums import AppStatusState, JobStatus, LogLevel, WorkspaceStatus
from taskyard.wire.workspaces import AutomaticUpdates

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

MAX_APP_STATUSES = 50
"""Reports shown with one app: enough for a page, while an app may report for weeks."""


class WorkspaceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace with its newest build; has_ai_task and template_version_id are of that build.

    task_id is of the task it was made with, live or deleted, null for a plain one. favorite: one of the
    viewer's own.
    """

    id: UUID
    owner_id: UUID
    owner_name: str
    owner_avatar_url: str
    organization_id: UUID
    organization_name: str
    template_id: UUID
    template_name: str
    template_display_name: str
    template_icon: str
    allow_user_cancel_workspace_jobs: bool
    allow_user_autostop: bool
    active_version_id: UUID
    require_active_version: bool
    use_classic_parameter_flow: bool
    name: str
    ttl_ms: int | None
    deleted: bool
    created_at: datetime
    updated_at: datetime
    last_used_at: datetime
    build_id: UUID
    build_number: int
    template_version_id: UUID
    has_ai_task: bool | None
    status: WorkspaceStatus
    task_id: UUID | None
    autostart_schedule: str
    automatic_updates: AutomaticUpdates
    favorite: bool
    dormant_at: datetime | None
    deleting_at: datetime | None


class ListedWorkspaceRow(WorkspaceRow, frozen=True, kw_only=True):
    """A workspace in a list; total is how many there are before paging."""

    total: int


class WorkspaceFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of workspaces is narrowed to; null means any.

    template is a name in lower case or an id, name a part of a name in lower case.
    """

    owner_id: UUID | None = None
    organization_id: UUID | None = None
    template: str | None = None
    name: str | None = None
    status: WorkspaceStatus | None = None
    has_ai_task: bool | None = None
    dormant: bool | None = None
    used_after: datetime | None = None
    used_before: datetime | None = None


class FoundRow(msgspec.Struct, frozen=True):
    """Whether something is so."""

    found: bool


class AgentOfBuildRow(msgspec.Struct, frozen=True, kw_only=True):
    """An agent with its build, and the newest build of its workspace."""

    id: UUID
    build_id: UUID
    newest_build_id: UUID
    newest_settled: bool


class AppStatusRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a coding agent reported of itself through an app."""

    id: UUID
    created_at: datetime
    workspace_id: UUID
    agent_id: UUID
    app_id: UUID
    state: AppStatusState
    message: str
    uri: str


class LogSourceRow(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes lines to an agent's log."""

    id: UUID
    agent_id: UUID
    display_name: str
    icon: str
    created_at: datetime


class AgentLogRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an agent's log; ids rise."""

    id: int
    created_at: datetime
    output: str
    level: LogLevel
    source_id: UUID


class VersionRow(msgspec.Struct, frozen=True, kw_only=True):
    """What decides whether workspaces can be made of a template version.

    definition and has_ai_task are null until its import succeeded, template_* and all from default_ttl_ms on
    while it belongs to no template. deprecation_message not empty: the template is deprecated.
    """

    id: UUID
    organization_id: UUID
    template_id: UUID | None
    definition: bytes | None
    has_ai_task: bool | None
    archived: bool
    import_status: JobStatus
    template_name: str | None
    template_deleted: bool | None
    deprecation_message: str | None
    default_ttl_ms: int | None
    active_version_id: UUID | None
    require_active_version: bool | None
    allow_user_autostart: bool | None
    allow_user_autostop: bool | None


class PresetRow(msgspec.Struct, frozen=True):
    """A preset; parameters is a JSON array of objects with name and value."""

    id: UUID
    parameters: bytes


_INSERT = statement("workspaces", "insert_workspace", NoRow)
_ACTIVE_VERSION = statement("workspaces", "get_active_version_id", IdRow)
_SET_TTL = statement("workspaces", "set_ttl", NoRow)
_SET_FAVORITE = statement("workspaces", "set_favorite", NoRow)
_NAME_IN_USE = statement("workspaces", "name_in_use", FoundRow)
_GET = statement("workspaces", "get_workspace", WorkspaceRow)
_GET_BY_NAME = statement("workspaces", "get_workspace_by_name", WorkspaceRow)
_LIST = statement("workspaces", "list_workspaces", ListedWorkspaceRow)
_LIST_BUILDS = statement("workspaces", "list_builds_by_id", BuildRow)
_GET_AGENT = statement("workspaces", "get_agent", AgentOfBuildRow)
_APP_STATUSES = statement("workspaces", "list_app_statuses", AppStatusRow)
_NEWEST_STATUSES = statement("workspaces", "list_newest_app_statuses", AppStatusRow)
_LOG_SOURCES = statement("workspaces", "list_log_sources", LogSourceRow)
_AGENT_LOGS = statement("workspaces", "list_agent_logs", AgentLogRow)
_JOB_OVER = statement("workspaces", "is_job_over_as_system", FoundRow)
_GET_VERSION = statement("workspaces", "get_version", VersionRow)
_GET_PRESET = statement("workspaces", "get_preset", PresetRow)


async def insert_workspace(
    conn: "Connection",
    *,
    autostart_schedule: str = "",
    automatic_updates: AutomaticUpdates = AutomaticUpdates.NEVER,
    **values: object,
) -> None:
    """Adds a workspace without a build. Raises UniqueViolationError for a name in use, NotFound for an owner who was deleted."""
    count = await _INSERT.execute(
        conn,
        autostart_schedule=autostart_schedule,
        automatic_updates=automatic_updates,
        **values,
    )
    if not count:
        raise NotFound("the owner was deleted meanwhile")


async def get_active_version_id(conn: "Connection", template_id: UUID) -> UUID | None:
    """The id of a template's active version, for whoever may see that; None when there is no such template."""
    row = await _ACTIVE_VERSION.one(conn, template_id=template_id)
    return None if row is None else row.id


async def set_ttl(
    conn: "Connection", workspace_id: UUID, ttl_ms: int | None, now: datetime
) -> None:
    """How long the workspace runs after each start from now on; null means for ever."""
    await _SET_TTL.execute(conn, workspace_id=workspace_id, ttl_ms=ttl_ms, now=now)


async def set_favorite(conn: "Connection", workspace_id: UUID, *, favorite: bool) -> None:
    """Whether its owner likes to see the workspace first."""
    await _SET_FAVORITE.execute(conn, workspace_id=workspace_id, favorite=favorite)


async def name_in_use(conn: "Connection", owner_id: UUID, name: str) -> bool:
    """Whether a live workspace of the owner has this name, whatever its case."""
    row = await _NAME_IN_USE.one(conn, owner_id=owner_id, name=name)
    return row is not None and row.found


async def get_workspace(
    conn: "Connection", viewer: Viewer, workspace_id: UUID
) -> WorkspaceRow | None:
    """A workspace that the viewer may see, deleted or not."""
    return await _GET.one(conn, workspace_id=workspace_id, **viewer.values())


async def get_workspace_by_name(
    conn: "Connection", viewer: Viewer, owner_id: UUID, name: str, *, deleted: bool
) -> WorkspaceRow | None:
    """A workspace of an owner by name, whatever its case; deleted: also one that was deleted."""
    return await _GET_BY_NAME.one(
        conn, owner_id=owner_id, name=name, deleted=deleted, **viewer.values()
    )


async def list_workspaces(
    conn: "Connection", viewer: Viewer, only: WorkspaceFilter, *, limit: int | None, offset: int
) -> list[ListedWorkspaceRow]:
    """Live workspaces that the viewer may see, their favorites first, then running ones; limit null means all."""
    values = msgspec.structs.asdict(only)
    return await _LIST.many(conn, **viewer.values(), **values, limit=limit, offset=offset)


async def list_builds_by_id(conn: "Connection", build_ids: Sequence[UUID]) -> list[BuildRow]:
    """Builds that were found to be visible already, in no order."""
    return await _LIST_BUILDS.many(conn, build_ids=list(build_ids))


async def get_agent(conn: "Connection", viewer: Viewer, agent_id: UUID) -> AgentOfBuildRow | None:
    """A workspace agent that the viewer may see."""
    return await _GET_AGENT.one(conn, agent_id=agent_id, **viewer.values())


async def list_app_statuses(conn: "Connection", app_ids: Sequence[UUID]) -> list[AppStatusRow]:
    """The newest MAX_APP_STATUSES reports through each of these apps, newest first."""
    return await _APP_STATUSES.many(conn, app_ids=list(app_ids), most=MAX_APP_STATUSES)


async def list_newest_app_statuses(
    conn: "Connection", workspace_ids: Sequence[UUID]
) -> list[AppStatusRow]:
    """The newest report from each of these workspaces; none for one that never reported."""
    return await _NEWEST_STATUSES.many(conn, workspace_ids=list(workspace_ids))


async def list_log_sources(conn: "Connection", agent_ids: Sequence[UUID]) -> list[LogSourceRow]:
    """Who writes to the logs of these agents, oldest first."""
    return await _LOG_SOURCES.many(conn, agent_ids=list(agent_ids))


async def list_agent_logs(
    conn: "Connection", agent_id: UUID, *, after: int, before: int | None
) -> list[AgentLogRow]:
    """Lines of an agent's log with ids between the two, oldest first; before null means to the end."""
    return await _AGENT_LOGS.many(conn, agent_id=agent_id, after=after, before=before)


async def is_job_over_as_system(conn: "Connection", job_id: UUID) -> bool:
    """Whether nothing will be added to the job's log any more; True also when there is no such job."""
    row = await _JOB_OVER.one(conn, job_id=job_id)
    return row is None or row.found


async def get_version(conn: "Connection", viewer: Viewer, version_id: UUID) -> VersionRow | None:
    """A template version that the viewer may see, with what decides about its use."""
    return await _GET_VERSION.one(conn, version_id=version_id, **viewer.values())


async def get_preset(conn: "Connection", version_id: UUID, preset_id: UUID) -> PresetRow | None:
    """A preset of a template version; None when the version has no such one."""
    return await _GET_PRESET.one(conn, version_id=version_id, preset_id=preset_id)
