"""Where the time of a build went: a pure function of its rows."""

from taskyard.control.build_view import BuildParts
from taskyard.db.builds import AgentRow, BuildRow, ResourceRow
from taskyard.wire.enums import AgentLifecycle, Transition
from taskyard.wire.workspace_details import (
    AgentConnectionTiming,
    AgentScriptTiming,
    ProvisionerTiming,
    TimingStage,
    WorkspaceBuildTimings,
)
from taskyard.wire.workspaces import ScriptStatus

SCRIPT = "Start script"
"""Agents of ours run one script at the start."""

WORK = {Transition.START: "create", Transition.STOP: "stop", Transition.DELETE: "delete"}
"""What the driver did to the resource, in the words of the wire's timings."""

NOWHERE = "none"
"""The resource of a build that made none, as every stop and delete."""


def timings_view(build: BuildRow, parts: BuildParts) -> WorkspaceBuildTimings:
    """The driver's work, the first call of each agent, its start script; what is not over is missing."""
    resources = parts.resources.get(build.id, [])
    agents = [agent for resource in resources for agent in parts.agents.get(resource.id, [])]
    return WorkspaceBuildTimings(
        provisioner_timings=_work(build, resources),
        agent_script_timings=[timing for agent in agents for timing in _script(agent)],
        agent_connection_timings=[timing for agent in agents for timing in _connection(agent)],
    )


def _work(build: BuildRow, resources: list[ResourceRow]) -> list[ProvisionerTiming]:
    if build.job_started_at is None or build.job_completed_at is None:
        return []
    return [
        ProvisionerTiming(
            job_id=build.job_id,
            started_at=build.job_started_at,
            ended_at=build.job_completed_at,
            stage=TimingStage.APPLY,
            source=resources[0].type if resources else NOWHERE,
            action=WORK[build.transition],
            resource=resources[0].name if resources else NOWHERE,
        )
    ]


def _script(agent: AgentRow) -> list[AgentScriptTiming]:
    if agent.started_at is None or agent.ready_at is None:
        return []
    failed = agent.lifecycle is AgentLifecycle.START_ERROR
    return [
        AgentScriptTiming(
            started_at=agent.started_at,
            ended_at=agent.ready_at,
            exit_code=1 if failed else 0,
            stage=TimingStage.START,
            status=ScriptStatus.EXIT_FAILURE if failed else ScriptStatus.OK,
            display_name=SCRIPT,
            workspace_agent_id=agent.id,
            workspace_agent_name=agent.name,
        )
    ]


def _connection(agent: AgentRow) -> list[AgentConnectionTiming]:
    if agent.first_connected_at is None:
        return []
    return [
        AgentConnectionTiming(
            started_at=agent.created_at,
            ended_at=agent.first_connected_at,
            stage=TimingStage.CONNECT,
            workspace_agent_id=agent.id,
            workspace_agent_name=agent.name,
        )
    ]
