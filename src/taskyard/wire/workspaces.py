"""Workspaces, their builds and jobs, and what runs in them: agents, apps, logs. Source: S2-S9."""

from enum import StrEnum
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from taskyard.wire.base import ZERO_TIME, Request, Time
from taskyard.wire.enums import (
    AgentLifecycle,
    AgentStatus,
    AppHealth,
    AppStatusState,
    BuildReason,
    JobStatus,
    JobType,
    LogLevel,
    LogSource,
    Transition,
    WorkspaceStatus,
)


class JobErrorCode(StrEnum):
    """Why a job failed, where a client may act on it."""

    REQUIRED_TEMPLATE_VARIABLES = "REQUIRED_TEMPLATE_VARIABLES"
    INSUFFICIENT_QUOTA = "INSUFFICIENT_QUOTA"


class SharingLevel(StrEnum):
    """Who may open an app."""

    OWNER = "owner"
    AUTHENTICATED = "authenticated"
    ORGANIZATION = "organization"
    PUBLIC = "public"


class OpenIn(StrEnum):
    """Where a browser opens an app."""

    SLIM_WINDOW = "slim-window"
    TAB = "tab"


class StartupScriptBehavior(StrEnum):
    """Whether a login waits for the start script."""

    BLOCKING = "blocking"
    NON_BLOCKING = "non-blocking"


class ScriptStatus(StrEnum):
    """How the last run of a script ended."""

    OK = "ok"
    EXIT_FAILURE = "exit_failure"
    TIMED_OUT = "timed_out"
    PIPES_LEFT_OPEN = "pipes_left_open"


class AutomaticUpdates(StrEnum):
    """Whether a start takes the template's newest version by itself."""

    ALWAYS = "always"
    NEVER = "never"


class JobInput(msgspec.Struct, frozen=True, kw_only=True):
    """What a job works on: a template version or a workspace build."""

    template_version_id: UUID | UnsetType = UNSET
    workspace_build_id: UUID | UnsetType = UNSET
    error: str | UnsetType = UNSET


class JobMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """What a job belongs to, in words; inside a build the texts are empty and template_id is nil."""

    template_version_name: str
    template_id: UUID
    template_name: str
    template_display_name: str
    template_icon: str
    workspace_id: UUID | UnsetType = UNSET
    workspace_name: str | UnsetType = UNSET
    workspace_build_transition: Transition | UnsetType = UNSET


class ProvisionerJob(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of work in the queue. Source: S3."""

    id: UUID
    created_at: Time
    started_at: Time | UnsetType = UNSET
    completed_at: Time | UnsetType = UNSET
    canceled_at: Time | UnsetType = UNSET
    error: str | UnsetType = UNSET
    error_code: JobErrorCode | UnsetType = UNSET
    status: JobStatus
    worker_id: UUID | UnsetType = UNSET
    worker_name: str | UnsetType = UNSET
    file_id: UUID
    tags: dict[str, str]
    queue_position: int
    queue_size: int
    organization_id: UUID
    initiator_id: UUID
    input: JobInput
    type: JobType
    available_workers: list[UUID] | UnsetType = UNSET
    metadata: JobMetadata
    logs_overflowed: bool


class ProvisionerJobLog(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a job's log; ids rise. Source: S4."""

    id: int
    created_at: Time
    log_source: LogSource
    log_level: LogLevel
    stage: str
    output: str


class AppHealthcheck(msgspec.Struct, frozen=True, kw_only=True):
    """How an app is probed; interval is in seconds, and all is empty or 0 where it is not probed."""

    url: str
    interval: int
    threshold: int


class WorkspaceAppStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a coding agent said of itself. icon is always empty, needs_user_attention false. Source: S8."""

    id: UUID
    created_at: Time
    workspace_id: UUID
    agent_id: UUID
    app_id: UUID
    state: AppStatusState
    message: str
    uri: str
    icon: str
    needs_user_attention: bool


class WorkspaceApp(msgspec.Struct, frozen=True, kw_only=True):
    """A server in a workspace; statuses are newest first. Source: S7."""

    id: UUID
    url: str | UnsetType = UNSET
    external: bool
    slug: str
    display_name: str | UnsetType = UNSET
    command: str | UnsetType = UNSET
    icon: str | UnsetType = UNSET
    subdomain: bool
    subdomain_name: str | UnsetType = UNSET
    sharing_level: SharingLevel
    healthcheck: AppHealthcheck
    health: AppHealth
    group: str | UnsetType = UNSET
    hidden: bool
    open_in: OpenIn
    tooltip: str | UnsetType = UNSET
    statuses: list[WorkspaceAppStatus]


class AgentLatency(msgspec.Struct, frozen=True, kw_only=True):
    """How far an agent is from one region, in milliseconds."""

    preferred: bool
    latency_ms: float


class WorkspaceAgentHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an agent works; reason is there exactly when it does not. Source: S6."""

    healthy: bool
    reason: str | UnsetType = UNSET


class WorkspaceAgentLogSource(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes lines to an agent's log: a script or an app."""

    workspace_agent_id: UUID
    id: UUID
    created_at: Time
    display_name: str
    icon: str


class WorkspaceAgentScript(msgspec.Struct, frozen=True, kw_only=True):
    """A script that an agent runs; timeout is in nanoseconds, 0 for none."""

    id: UUID
    log_source_id: UUID
    log_path: str
    script: str
    cron: str
    run_on_start: bool
    run_on_stop: bool
    start_blocks_login: bool
    timeout: int
    display_name: str
    exit_code: int | UnsetType = UNSET
    status: ScriptStatus | UnsetType = UNSET


class WorkspaceAgent(msgspec.Struct, frozen=True, kw_only=True):
    """Our program inside a workspace, as the server sees it. Source: S6, T79."""

    id: UUID
    parent_id: UUID | None
    created_at: Time
    updated_at: Time
    first_connected_at: Time | UnsetType = UNSET
    last_connected_at: Time | UnsetType = UNSET
    disconnected_at: Time | UnsetType = UNSET
    started_at: Time | UnsetType = UNSET
    ready_at: Time | UnsetType = UNSET
    status: AgentStatus
    lifecycle_state: AgentLifecycle
    name: str
    resource_id: UUID
    instance_id: str | UnsetType = UNSET
    architecture: str
    environment_variables: dict[str, str] | None
    operating_system: str
    logs_length: int
    logs_overflowed: bool
    directory: str | UnsetType = UNSET
    expanded_directory: str | UnsetType = UNSET
    version: str
    api_version: str
    apps: list[WorkspaceApp]
    latency: dict[str, AgentLatency] | UnsetType = UNSET
    connection_timeout_seconds: int
    troubleshooting_url: str
    subsystems: list[str]
    health: WorkspaceAgentHealth
    display_apps: list[str]
    log_sources: list[WorkspaceAgentLogSource]
    scripts: list[WorkspaceAgentScript]
    startup_script_behavior: StartupScriptBehavior


class WorkspaceAgentLog(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an agent's log; ids rise. Source: S6, U24."""

    id: int
    created_at: Time
    output: str
    level: LogLevel
    source_id: UUID


class ResourceMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """One fact about a resource, for people."""

    key: str
    value: str
    sensitive: bool


class WorkspaceResource(msgspec.Struct, frozen=True, kw_only=True):
    """Something a job made. Source: S5."""

    id: UUID
    created_at: Time
    job_id: UUID
    workspace_transition: Transition
    type: str
    name: str
    hide: bool
    icon: str
    agents: list[WorkspaceAgent] | UnsetType = UNSET
    metadata: list[ResourceMetadata] | UnsetType = UNSET
    daily_cost: int


class MatchedProvisioners(msgspec.Struct, frozen=True, kw_only=True):
    """The workers that could take a job; most_recently_seen is null when there is none."""

    count: int
    available: int
    most_recently_seen: Time | None


class WorkspaceBuild(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a workspace; resources are empty until the job made some. Source: S2, U15."""

    id: UUID
    created_at: Time
    updated_at: Time
    workspace_id: UUID
    workspace_name: str
    workspace_owner_id: UUID
    workspace_owner_name: str
    workspace_owner_avatar_url: str | UnsetType = UNSET
    template_version_id: UUID
    template_version_name: str
    build_number: int
    transition: Transition
    initiator_id: UUID
    initiator_name: str
    job: ProvisionerJob
    reason: BuildReason
    resources: list[WorkspaceResource]
    deadline: Time | None
    max_deadline: Time | None
    status: WorkspaceStatus
    daily_cost: int
    matched_provisioners: MatchedProvisioners | UnsetType = UNSET
    template_version_preset_id: UUID | None
    has_ai_task: bool | UnsetType = UNSET
    has_external_agent: bool | UnsetType = UNSET


class WorkspaceBuildParameter(msgspec.Struct, frozen=True, kw_only=True):
    """A template parameter's value, as a build got it."""

    name: str
    value: str


class WorkspaceHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the agents of the newest build work; failing_agents lists those that do not."""

    healthy: bool
    failing_agents: list[UUID]


class Workspace(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace with its newest build. ttl_ms is in milliseconds. Source: S9, T22.

    The optional key `shared_with` is never there: workspaces are not shared.
    """

    id: UUID
    created_at: Time
    updated_at: Time
    owner_id: UUID
    owner_name: str
    owner_avatar_url: str
    organization_id: UUID
    organization_name: str
    template_id: UUID
    template_name: str
    template_display_name: str
    template_icon: str
    template_allow_user_cancel_workspace_jobs: bool
    template_active_version_id: UUID
    template_require_active_version: bool
    template_use_classic_parameter_flow: bool
    latest_build: WorkspaceBuild
    latest_app_status: WorkspaceAppStatus | None
    outdated: bool
    name: str
    autostart_schedule: str | UnsetType = UNSET
    ttl_ms: int | UnsetType = UNSET
    last_used_at: Time
    deleting_at: Time | None
    dormant_at: Time | None
    health: WorkspaceHealth
    automatic_updates: AutomaticUpdates
    allow_renames: bool
    favorite: bool
    next_start_at: Time | None
    is_prebuild: bool
    task_id: UUID | None


class WorkspacesResponse(msgspec.Struct, frozen=True, kw_only=True):
    """One page of workspaces; count is the total before paging."""

    workspaces: list[Workspace]
    count: int


class ParameterValue(Request, frozen=True, kw_only=True):
    """A template parameter's value, as a request gives it."""

    name: str = ""
    value: str = ""


class CreateWorkspaceBuildRequest(Request, frozen=True, kw_only=True):
    """What a new build shall do. Words are checked after reading, as fields. Source: U21.

    An empty transition is refused, an empty reason means `initiator`. orphan: a delete that leaves alone what
    the driver holds. dry_run: all is checked and answered, nothing is kept. log_level and state are taken
    and change nothing: all lines are kept always, and drivers of ours have no state to be given.
    """

    transition: str = ""
    reason: str = ""
    template_version_id: UUID | None = None
    template_version_preset_id: UUID | None = None
    rich_parameter_values: list[ParameterValue] = msgspec.field(default_factory=list)
    log_level: str = ""
    orphan: bool = False
    dry_run: bool = False
    state: bytes = b""


class CreateLogSourceRequest(Request, frozen=True, kw_only=True):
    """A new writer of an agent's log; without an id it gets one."""

    id: UUID | None = None
    display_name: str = ""
    icon: str = ""


class AgentLogLine(Request, frozen=True, kw_only=True):
    """One line that an agent sends."""

    created_at: Time = ZERO_TIME
    output: str = ""
    level: LogLevel = LogLevel.INFO


class AppendAgentLogsRequest(Request, frozen=True, kw_only=True):
    """Lines for an agent's log, oldest first; no source means the agent itself."""

    log_source_id: UUID | None = None
    logs: list[AgentLogLine] = msgspec.field(default_factory=list)


class PatchAppStatus(Request, frozen=True, kw_only=True):
    """What a coding agent reports of itself; state is checked after reading. Source: T147-T149.

    The keys `icon` and `needs_user_attention` that older programs send are ignored.
    """

    app_slug: str = ""
    state: str = ""
    message: str = ""
    uri: str = ""
