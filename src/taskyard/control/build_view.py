"""Rows of builds, jobs, agents and apps as the wire shows them: pure functions."""

import platform
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from taskyard.db.builds import AgentRow, AppRow, BuildRow, ResourceRow
from taskyard.db.jobs import JobLogRow, JobRow
from taskyard.db.workspaces import AgentLogRow, AppStatusRow, LogSourceRow
from taskyard.lifecycle.workspace import (
    CONNECTION_TIMEOUT_S,
    AgentHealth,
    AgentTimes,
    agent_health,
    agent_status,
)
from taskyard.wire import workspaces as wire
from taskyard.wire.base import NIL_UUID, unless_empty
from taskyard.wire.enums import JobType

LINK_VERSION = "1.0"
"""What is shown as an agent's API: the first of our own link; no client compares it."""

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armv7"}
"""The wire's words for processors, by the kernel's."""

NO_METADATA = wire.JobMetadata(
    template_version_name="",
    template_id=NIL_UUID,
    template_name="",
    template_display_name="",
    template_icon="",
)
"""What a job inside a build says of what it belongs to: the build says it already. Source: S3."""


@dataclass(frozen=True, slots=True)
class BuildParts:
    """What hangs below builds: resources by build, agents by resource, apps by agent, and so on."""

    resources: dict[UUID, list[ResourceRow]] = field(default_factory=dict)
    agents: dict[UUID, list[AgentRow]] = field(default_factory=dict)
    apps: dict[UUID, list[AppRow]] = field(default_factory=dict)
    statuses: dict[UUID, list[AppStatusRow]] = field(default_factory=dict)
    log_sources: dict[UUID, list[LogSourceRow]] = field(default_factory=dict)


def build_view(build: BuildRow, parts: BuildParts, now: datetime) -> wire.WorkspaceBuild:
    """A build with everything below it. Source: S2."""
    return wire.WorkspaceBuild(
        id=build.id,
        created_at=build.created_at,
        updated_at=build.updated_at,
        workspace_id=build.workspace_id,
        workspace_name=build.workspace_name,
        workspace_owner_id=build.workspace_owner_id,
        workspace_owner_name=build.workspace_owner_name,
        workspace_owner_avatar_url=unless_empty(build.workspace_owner_avatar_url),
        template_version_id=build.template_version_id,
        template_version_name=build.template_version_name,
        build_number=build.build_number,
        transition=build.transition,
        initiator_id=build.initiator_id,
        initiator_name=build.initiator_name,
        job=job_view(build.job, NO_METADATA),
        reason=build.reason,
        resources=resource_views(build.id, parts, now),
        deadline=build.deadline,
        max_deadline=build.max_deadline,
        status=build.status,
        daily_cost=0,
        matched_provisioners=wire.MatchedProvisioners(
            count=build.workers_count,
            available=build.workers_available,
            most_recently_seen=build.workers_seen_at,
        ),
        template_version_preset_id=build.template_version_preset_id,
        has_ai_task=unless_empty(build.has_ai_task),
    )


def job_view(job: JobRow, metadata: wire.JobMetadata) -> wire.ProvisionerJob:
    """A job. Source: S3."""
    return wire.ProvisionerJob(
        id=job.id,
        created_at=job.created_at,
        started_at=unless_empty(job.started_at),
        completed_at=unless_empty(job.completed_at),
        canceled_at=unless_empty(job.canceled_at),
        error=unless_empty(job.error),
        error_code=_error_code(job.error_code),
        status=job.status,
        worker_id=unless_empty(job.worker_id),
        worker_name=unless_empty(job.worker_name),
        file_id=job.file_id,
        tags=msgspec.json.decode(job.tags, type=dict[str, str]),
        queue_position=job.queue_position,
        queue_size=job.queue_size,
        organization_id=job.organization_id,
        initiator_id=job.initiator_id,
        input=wire.JobInput(
            template_version_id=unless_empty(job.template_version_id),
            workspace_build_id=unless_empty(job.workspace_build_id),
        ),
        type=JobType(job.type),
        metadata=metadata,
        logs_overflowed=False,
    )


def _error_code(word: str | None) -> wire.JobErrorCode | UnsetType:
    """The code where it is one that clients know."""
    return wire.JobErrorCode(word) if word and word in set(wire.JobErrorCode) else UNSET


def resource_views(
    build_id: UUID, parts: BuildParts, now: datetime
) -> list[wire.WorkspaceResource]:
    """What the job of a build made, by name. Source: S5."""
    return [
        wire.WorkspaceResource(
            id=row.id,
            created_at=row.created_at,
            job_id=row.job_id,
            workspace_transition=row.transition,
            type=row.type,
            name=row.name,
            hide=False,
            icon="",
            agents=unless_empty(
                [agent_view(agent, parts, now) for agent in parts.agents.get(row.id, [])]
            ),
            daily_cost=0,
        )
        for row in parts.resources.get(build_id, [])
    ]


def agent_view(agent: AgentRow, parts: BuildParts, now: datetime) -> wire.WorkspaceAgent:
    """A workspace agent with its apps. Source: S6."""
    status = agent_status(times_of(agent), now)
    return wire.WorkspaceAgent(
        id=agent.id,
        parent_id=None,
        created_at=agent.created_at,
        updated_at=agent.updated_at,
        first_connected_at=unless_empty(agent.first_connected_at),
        last_connected_at=unless_empty(agent.last_connected_at),
        disconnected_at=unless_empty(agent.disconnected_at),
        started_at=unless_empty(agent.started_at),
        ready_at=unless_empty(agent.ready_at),
        status=status,
        lifecycle_state=agent.lifecycle,
        name=agent.name,
        resource_id=agent.resource_id,
        architecture=ARCHITECTURES.get(platform.machine(), platform.machine()),
        environment_variables={},
        operating_system="linux",
        logs_length=agent.logs_length,
        logs_overflowed=agent.logs_overflowed,
        directory=unless_empty(agent.directory),
        expanded_directory=unless_empty(agent.directory),
        version=agent.version,
        api_version=LINK_VERSION,
        apps=[app_view(app, parts) for app in parts.apps.get(agent.id, [])],
        connection_timeout_seconds=CONNECTION_TIMEOUT_S,
        troubleshooting_url="",
        subsystems=[],
        health=health_view(agent_health(status, agent.lifecycle)),
        display_apps=[],
        log_sources=[_log_source(row) for row in parts.log_sources.get(agent.id, [])],
        scripts=[],
        startup_script_behavior=wire.StartupScriptBehavior.NON_BLOCKING,
    )


def times_of(agent: AgentRow) -> AgentTimes:
    """When an agent was heard of."""
    return AgentTimes(
        agent.created_at,
        agent.first_connected_at,
        agent.last_connected_at,
        agent.disconnected_at,
    )


def health_view(health: AgentHealth) -> wire.WorkspaceAgentHealth:
    """An agent's health; the reason is there exactly when it is not well."""
    return wire.WorkspaceAgentHealth(healthy=health.healthy, reason=unless_empty(health.reason))


def app_view(app: AppRow, parts: BuildParts) -> wire.WorkspaceApp:
    """An app; its command stays away, as clients would open it in a terminal. Source: S7."""
    return wire.WorkspaceApp(
        id=app.id,
        url=unless_empty(app.url),
        external=False,
        slug=app.slug,
        display_name=unless_empty(app.display_name),
        icon=unless_empty(app.icon),
        subdomain=False,
        sharing_level=wire.SharingLevel(app.sharing_level),
        healthcheck=wire.AppHealthcheck(
            url=app.healthcheck_url,
            interval=app.healthcheck_interval_s,
            threshold=app.healthcheck_threshold,
        ),
        health=app.health,
        hidden=False,
        open_in=wire.OpenIn.SLIM_WINDOW,
        statuses=[app_status_view(row) for row in parts.statuses.get(app.id, [])],
    )


def app_status_view(row: AppStatusRow) -> wire.WorkspaceAppStatus:
    """A report of a coding agent in the words it was made in. Source: S8, T81."""
    return wire.WorkspaceAppStatus(
        id=row.id,
        created_at=row.created_at,
        workspace_id=row.workspace_id,
        agent_id=row.agent_id,
        app_id=row.app_id,
        state=row.state,
        message=row.message,
        uri=row.uri,
        icon="",
        needs_user_attention=False,
    )


def job_log_views(rows: Iterable[JobLogRow]) -> list[wire.ProvisionerJobLog]:
    """Lines of a job's log. Source: S4."""
    return [
        wire.ProvisionerJobLog(
            id=row.id,
            created_at=row.created_at,
            log_source=row.source,
            log_level=row.level,
            stage=row.stage,
            output=row.output,
        )
        for row in rows
    ]


def agent_log_views(rows: Iterable[AgentLogRow]) -> list[wire.WorkspaceAgentLog]:
    """Lines of an agent's log. Source: S6."""
    return [
        wire.WorkspaceAgentLog(
            id=row.id,
            created_at=row.created_at,
            output=row.output,
            level=row.level,
            source_id=row.source_id,
        )
        for row in rows
    ]


def _log_source(row: LogSourceRow) -> wire.WorkspaceAgentLogSource:
    return wire.WorkspaceAgentLogSource(
        workspace_agent_id=row.agent_id,
        id=row.id,
        created_at=row.created_at,
        display_name=row.display_name,
        icon=row.icon,
    )
