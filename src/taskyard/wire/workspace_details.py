"""What is told of workspaces beside themselves: times of a build, open ports, the events of a watch."""

from enum import StrEnum
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from taskyard.wire.base import Time
from taskyard.wire.workspaces import ScriptStatus, Workspace


class TimingStage(StrEnum):
    """What took the time: the driver's work, the agent's first call, or its start script."""

    APPLY = "apply"
    CONNECT = "connect"
    START = "start"


class ProvisionerTiming(msgspec.Struct, frozen=True, kw_only=True):
    """How long the job of a build worked on a resource."""

    job_id: UUID
    started_at: Time
    ended_at: Time
    stage: TimingStage
    source: str
    action: str
    resource: str


class AgentScriptTiming(msgspec.Struct, frozen=True, kw_only=True):
    """How long a script of an agent ran."""

    started_at: Time
    ended_at: Time
    exit_code: int
    stage: TimingStage
    status: ScriptStatus
    display_name: str
    workspace_agent_id: UUID
    workspace_agent_name: str


class AgentConnectionTiming(msgspec.Struct, frozen=True, kw_only=True):
    """How long it took until an agent called."""

    started_at: Time
    ended_at: Time
    stage: TimingStage
    workspace_agent_id: UUID
    workspace_agent_name: str


class WorkspaceBuildTimings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the time of a build went, as far as it has come; what is not over is missing."""

    provisioner_timings: list[ProvisionerTiming]
    agent_script_timings: list[AgentScriptTiming]
    agent_connection_timings: list[AgentConnectionTiming]


class ListeningPort(msgspec.Struct, frozen=True, kw_only=True):
    """A port that a program in a workspace listens on."""

    process_name: str
    network: str
    port: int


class ListeningPorts(msgspec.Struct, frozen=True, kw_only=True):
    """The open ports of a workspace; none are told yet."""

    ports: list[ListeningPort]


class WatchEventType(StrEnum):
    """What an event of a watch is: a sign of life, or the workspace as it is now."""

    PING = "ping"
    DATA = "data"


class WatchEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a watch; data is there exactly when the type says so. Source: U23."""

    type: WatchEventType
    data: Workspace | UnsetType = UNSET
