"""Builds of workspaces with their jobs, parameters, resources, agents and apps."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.db.jobs import IdRow, JobKind, JobRow
from taskyard.db.statements import NoRow, statement
from taskyard.db.viewer import Viewer
from taskyard.lifecycle.job import job_status
from taskyard.lifecycle.workspace import workspace_status
from taskyard.wire.enums import (
    AgentLifecycle,
    AppHealth,
    BuildReason,
    JobStatus,
    Transition,
    WorkspaceStatus,
)

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


class LockedWorkspaceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A live workspace whose row is locked. driver is null before its first start."""

    id: UUID
    organization_id: UUID
    owner_id: UUID
    template_id: UUID
    ttl_ms: int | None
    generation: int
    driver: str | None


class BuildRow(msgspec.Struct, frozen=True, kw_only=True):
    """A build with its job, whose columns begin with `job_`. Source: S2.

    agent_id and app_id are who takes the task's input, filled when a start succeeded. workers_*: who
    could take the job now, how many of them have a hand free, and when one was last heard of, null for never.
    """

    id: UUID
    workspace_id: UUID
    workspace_name: str
    workspace_owner_id: UUID
    workspace_owner_name: str
    workspace_owner_avatar_url: str
    organization_id: UUID
    template_id: UUID
    template_version_id: UUID
    template_version_name: str
    has_ai_task: bool | None
    template_version_preset_id: UUID | None
    build_number: int
    transition: Transition
    reason: BuildReason
    initiator_id: UUID
    initiator_name: str
    deadline: datetime | None
    max_deadline: datetime | None
    agent_id: UUID | None
    app_id: UUID | None
    created_at: datetime
    updated_at: datetime
    job_id: UUID
    job_type: JobKind
    job_organization_id: UUID
    job_initiator_id: UUID
    job_file_id: UUID
    job_template_version_id: UUID | None
    job_workspace_id: UUID | None
    job_workspace_build_id: UUID | None
    job_tags: bytes
    job_attempt: int
    job_run_at: datetime
    job_worker_id: UUID | None
    job_worker_name: str | None
    job_lease_expires_at: datetime | None
    job_created_at: datetime
    job_updated_at: datetime
    job_started_at: datetime | None
    job_canceled_at: datetime | None
    job_completed_at: datetime | None
    job_error: str | None
    job_error_code: str | None
    job_queue_position: int
    job_queue_size: int
    workers_count: int
    workers_available: int
    workers_seen_at: datetime | None

    @property
    def job(self) -> JobRow:
        """The build's job."""
        return JobRow(**{name: getattr(self, f"job_{name}") for name in JobRow.__struct_fields__})

    @property
    def job_status(self) -> JobStatus:
        """Where the build's job is."""
        return job_status(
            self.job_started_at, self.job_completed_at, self.job_canceled_at, self.job_error
        )

    @property
    def status(self) -> WorkspaceStatus:
        """The one word for this build. Source: S2."""
        return workspace_status(self.job_status, self.transition)


class ParameterRow(msgspec.Struct, frozen=True):
    """A template parameter's value in one build."""

    name: str
    value: str


class ResourceRow(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the job of a build made."""

    id: UUID
    job_id: UUID
    build_id: UUID
    transition: Transition
    type: str
    name: str
    created_at: datetime


class AgentRow(msgspec.Struct, frozen=True, kw_only=True):
    """The agent of a start. server_id: the server that holds its link, null when it has none."""

    id: UUID
    workspace_id: UUID
    workspace_build_id: UUID
    resource_id: UUID
    name: str
    generation: int
    lifecycle: AgentLifecycle
    version: str
    directory: str
    server_id: UUID | None
    first_connected_at: datetime | None
    last_connected_at: datetime | None
    disconnected_at: datetime | None
    lease_expires_at: datetime | None
    started_at: datetime | None
    ready_at: datetime | None
    logs_length: int
    logs_overflowed: bool
    created_at: datetime
    updated_at: datetime


class AppRow(msgspec.Struct, frozen=True, kw_only=True):
    """An app of an agent; its healthcheck fields are empty and 0 where it has none."""

    id: UUID
    agent_id: UUID
    ordinal: int
    slug: str
    display_name: str
    icon: str
    url: str
    command: str
    sharing_level: str
    healthcheck_url: str
    healthcheck_interval_s: int
    healthcheck_threshold: int
    health: AppHealth
    created_at: datetime


class CountRow(msgspec.Struct, frozen=True):
    """A number of rows."""

    count: int


_LOCK_WORKSPACE = statement("builds", "lock_workspace", LockedWorkspaceRow)
_FILE = statement("builds", "get_file_of_version_as_system", IdRow)
_INSERT = statement("builds", "insert_build", NoRow)
_COUNT_ACTIVE = statement("builds", "count_active_builds", CountRow)
_INSERT_PARAMETERS = statement("builds", "insert_build_parameters", NoRow)
_COPY_PARAMETERS = statement("builds", "copy_build_parameters", NoRow)
_LIST_PARAMETERS = statement("builds", "list_build_parameters", ParameterRow)
_GET = statement("builds", "get_build", BuildRow)
_GET_AS_SYSTEM = statement("builds", "get_build_as_system", BuildRow)
_GET_NEWEST = statement("builds", "get_newest_build", BuildRow)
_GET_BY_NUMBER = statement("builds", "get_build_by_number", BuildRow)
_LIST = statement("builds", "list_builds", BuildRow)
_TOUCH = statement("builds", "touch_workspace", NoRow)
_SET_DEADLINE = statement("builds", "set_deadline", NoRow)
_INSERT_RESOURCE = statement("builds", "insert_resource", NoRow)
_INSERT_AGENT = statement("builds", "insert_agent", NoRow)
_INSERT_APP = statement("builds", "insert_app", NoRow)
_CHOOSE_AGENT = statement("builds", "choose_agent", NoRow)
_LIST_RESOURCES = statement("builds", "list_resources", ResourceRow)
_LIST_AGENTS = statement("builds", "list_agents", AgentRow)
_LIST_APPS = statement("builds", "list_apps", AppRow)


async def lock_workspace(conn: "Connection", workspace_id: UUID) -> LockedWorkspaceRow | None:
    """A live workspace, locked until the transaction ends; None when it was deleted."""
    return await _LOCK_WORKSPACE.one(conn, workspace_id=workspace_id)


async def get_file_of_version_as_system(
    conn: "Connection", template_version_id: UUID
) -> UUID | None:
    """The id of the file that a template version was imported from."""
    row = await _FILE.one(conn, template_version_id=template_version_id)
    return None if row is None else row.id


async def insert_build(
    conn: "Connection", *, orphan: bool = False, force: bool = False, **values: object
) -> None:
    """Adds a build row with the workspace's next number; its job row is there already.

    orphan: a delete that does not ask the driver. force: no grace, and a delete whatever the driver says.
    """
    await _INSERT.execute(conn, orphan=orphan, force=force, **values)


async def has_active_build(conn: "Connection", workspace_id: UUID) -> bool:
    """Whether a build of the workspace is not over."""
    row = await _COUNT_ACTIVE.one(conn, workspace_id=workspace_id)
    return row is not None and row.count > 0


async def insert_build_parameters(
    conn: "Connection", build_id: UUID, parameters: Mapping[str, str]
) -> None:
    """Keeps the parameter values of a build."""
    names, values = list(parameters), list(parameters.values())
    await _INSERT_PARAMETERS.execute(conn, build_id=build_id, names=names, values=values)


async def copy_build_parameters(conn: "Connection", workspace_id: UUID, build_id: UUID) -> None:
    """Gives a build the parameter values of the one before it."""
    await _COPY_PARAMETERS.execute(conn, workspace_id=workspace_id, build_id=build_id)


async def list_build_parameters(conn: "Connection", build_id: UUID) -> list[ParameterRow]:
    """The parameter values of a build, by name."""
    return await _LIST_PARAMETERS.many(conn, build_id=build_id)


async def get_build(conn: "Connection", viewer: Viewer, build_id: UUID) -> BuildRow | None:
    """A build that the viewer may see; None when it is absent or not theirs."""
    return await _GET.one(conn, build_id=build_id, **viewer.values())


async def get_build_as_system(conn: "Connection", build_id: UUID) -> BuildRow | None:
    """A build; None when there is none."""
    return await _GET_AS_SYSTEM.one(conn, build_id=build_id)


async def get_newest_build(conn: "Connection", workspace_id: UUID) -> BuildRow | None:
    """The newest build of a workspace that was found already; None when it has none."""
    return await _GET_NEWEST.one(conn, workspace_id=workspace_id)


async def get_build_by_number(
    conn: "Connection", workspace_id: UUID, build_number: int
) -> BuildRow | None:
    """The build of that number of a workspace that was found already."""
    return await _GET_BY_NUMBER.one(conn, workspace_id=workspace_id, build_number=build_number)


async def list_builds(
    conn: "Connection",
    workspace_id: UUID,
    *,
    since: datetime | None = None,
    below: int | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[BuildRow]:
    """Builds of a workspace that was found already, newest first.

    since: made then or later. below: with a lower build number. limit null: all.
    """
    return await _LIST.many(
        conn, workspace_id=workspace_id, since=since, below=below, limit=limit, offset=offset
    )


async def touch_workspace(
    conn: "Connection", workspace_id: UUID, now: datetime, *, wanted: bool
) -> None:
    """Something changed in the workspace; wanted: by the wish of a person, who thereby wakes a dormant one."""
    await _TOUCH.execute(conn, workspace_id=workspace_id, now=now, wanted=wanted)


async def set_deadline(
    conn: "Connection", build_id: UUID, deadline: datetime | None, now: datetime
) -> None:
    """Moves when the workspace of a start ends by itself; null means never."""
    await _SET_DEADLINE.execute(conn, build_id=build_id, deadline=deadline, now=now)


async def insert_resource(conn: "Connection", **values: object) -> None:
    """Adds something that a job made."""
    await _INSERT_RESOURCE.execute(conn, **values)


async def insert_agent(conn: "Connection", **values: object) -> None:
    """Adds the agent of a start that succeeded."""
    await _INSERT_AGENT.execute(conn, **values)


async def insert_app(conn: "Connection", **values: object) -> None:
    """Adds an app of an agent."""
    await _INSERT_APP.execute(conn, **values)


async def choose_agent(conn: "Connection", **values: object) -> None:
    """Records who takes the task's input and when the workspace ends by itself."""
    await _CHOOSE_AGENT.execute(conn, **{"max_deadline": None, **values})


async def list_resources(conn: "Connection", build_ids: Sequence[UUID]) -> list[ResourceRow]:
    """What the jobs of these builds made, by name."""
    return await _LIST_RESOURCES.many(conn, build_ids=list(build_ids))


async def list_agents(conn: "Connection", build_ids: Sequence[UUID]) -> list[AgentRow]:
    """The agents of these builds, by name."""
    return await _LIST_AGENTS.many(conn, build_ids=list(build_ids))


async def list_apps(conn: "Connection", build_ids: Sequence[UUID]) -> list[AppRow]:
    """The apps of these builds' agents, in the template's order."""
    return await _LIST_APPS.many(conn, build_ids=list(build_ids))
