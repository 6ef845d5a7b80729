"""Workspaces as the wire shows them: pure functions."""

from taskyard.db.workspaces import WorkspaceRow
from taskyard.lifecycle.workspace import AgentHealth, AgentVerdict, workspace_health
from taskyard.wire import workspaces as wire
from taskyard.wire.base import unless_empty


def workspace_view(
    row: WorkspaceRow, build: wire.WorkspaceBuild, report: wire.WorkspaceAppStatus | None
) -> wire.Workspace:
    """A workspace with its newest build and report. Source: S9."""
    return wire.Workspace(
        id=row.id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        owner_id=row.owner_id,
        owner_name=row.owner_name,
        owner_avatar_url=row.owner_avatar_url,
        organization_id=row.organization_id,
        organization_name=row.organization_name,
        template_id=row.template_id,
        template_name=row.template_name,
        template_display_name=row.template_display_name,
        template_icon=row.template_icon,
        template_allow_user_cancel_workspace_jobs=row.allow_user_cancel_workspace_jobs,
        template_active_version_id=row.active_version_id,
        template_require_active_version=row.require_active_version,
        template_use_classic_parameter_flow=row.use_classic_parameter_flow,
        latest_build=build,
        latest_app_status=report,
        outdated=row.template_version_id != row.active_version_id,
        name=row.name,
        autostart_schedule=unless_empty(row.autostart_schedule),
        ttl_ms=unless_empty(row.ttl_ms),
        last_used_at=row.last_used_at,
        deleting_at=row.deleting_at,
        dormant_at=row.dormant_at,
        health=_health(build),
        automatic_updates=row.automatic_updates,
        allow_renames=False,
        favorite=row.favorite,
        next_start_at=None,
        is_prebuild=False,
        task_id=row.task_id,
    )


def agents_of(build: wire.WorkspaceBuild) -> list[wire.WorkspaceAgent]:
    """The agents of a build."""
    return [agent for resource in build.resources for agent in (resource.agents or [])]


def _health(build: wire.WorkspaceBuild) -> wire.WorkspaceHealth:
    verdicts = [
        AgentVerdict(
            agent.id, agent.parent_id, AgentHealth(healthy=agent.health.healthy, reason=None)
        )
        for agent in agents_of(build)
    ]
    health = workspace_health(verdicts)
    return wire.WorkspaceHealth(healthy=health.healthy, failing_agents=list(health.failing_agents))
