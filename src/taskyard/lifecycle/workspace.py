"""What a workspace, its agent and its apps are, from stored facts and the time."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never
from uuid import UUID

from taskyard.wire.enums import (
    AgentLifecycle,
    AgentStatus,
    AppHealth,
    JobStatus,
    Transition,
    WorkspaceStatus,
)

AGENT_INACTIVE_S = 30
"""Seconds of silence until an agent shows as disconnected: three missed heartbeats."""

CONNECTION_TIMEOUT_S = 120
"""Seconds an agent has for its first connection before it shows as timed out: the agent lease."""

MIN_TTL_S = 60
"""Shortest time to live of a workspace: below a minute its start would hardly be over."""

MAX_TTL_S = 30 * 86_400
"""Longest time to live of a workspace: who wants more leaves it out."""

LEAST_EXTENSION_S = 30 * 60
"""How far off a new deadline must be: one that comes nearer is what stopping is for."""

EXTENSION_LEEWAY_S = 60
"""How much a client's clock may lag behind when it asks for just that."""

_SCHEDULE = re.compile(
    r"(?:CRON_TZ=[\w/+-]{1,64} )?(?:[\d*/,A-Za-z-]{1,64} ){4}[\d*/,A-Za-z-]{1,64}"
)


def workspace_status(job: JobStatus, transition: Transition) -> WorkspaceStatus:
    """The one word for a build and, when it is the newest, for its workspace.

    A job whose status is unknown counts as failed: nothing can be promised of it. Source: S2.
    """
    match job:
        case JobStatus.PENDING:
            return WorkspaceStatus.PENDING
        case JobStatus.RUNNING:
            return _RUNNING[transition]
        case JobStatus.SUCCEEDED:
            return _SUCCEEDED[transition]
        case JobStatus.CANCELING:
            return WorkspaceStatus.CANCELING
        case JobStatus.CANCELED:
            return WorkspaceStatus.CANCELED
        case JobStatus.FAILED | JobStatus.UNKNOWN:
            return WorkspaceStatus.FAILED
    assert_never(job)


_RUNNING = {
    Transition.START: WorkspaceStatus.STARTING,
    Transition.STOP: WorkspaceStatus.STOPPING,
    Transition.DELETE: WorkspaceStatus.DELETING,
}
_SUCCEEDED = {
    Transition.START: WorkspaceStatus.RUNNING,
    Transition.STOP: WorkspaceStatus.STOPPED,
    Transition.DELETE: WorkspaceStatus.DELETED,
}


@dataclass(frozen=True, slots=True)
class AgentTimes:
    """When an agent was made and heard of; None means never.

    last_connected_at moves with every heartbeat; disconnected_at is when its link last closed.
    """

    created_at: datetime
    first_connected_at: datetime | None
    last_connected_at: datetime | None
    disconnected_at: datetime | None


def agent_status(
    times: AgentTimes,
    now: datetime,
    *,
    connection_timeout_s: int = CONNECTION_TIMEOUT_S,
    inactive_s: int = AGENT_INACTIVE_S,
) -> AgentStatus:
    """The connection of an agent; a connection timeout of 0 means that it never times out.

    Source: S6.
    """
    last = times.last_connected_at
    if times.first_connected_at is None or last is None:
        late = now - times.created_at >= timedelta(seconds=connection_timeout_s)
        return AgentStatus.TIMEOUT if connection_timeout_s > 0 and late else AgentStatus.CONNECTING
    if times.disconnected_at is not None and times.disconnected_at > last:
        return AgentStatus.DISCONNECTED
    if now - last > timedelta(seconds=inactive_s):
        return AgentStatus.DISCONNECTED
    return AgentStatus.CONNECTED


@dataclass(frozen=True, slots=True)
class AgentHealth:
    """Whether an agent is well; reason is a sentence for people, null exactly when it is."""

    healthy: bool
    reason: str | None


_ENDING = frozenset(
    {
        AgentLifecycle.SHUTTING_DOWN,
        AgentLifecycle.SHUTDOWN_TIMEOUT,
        AgentLifecycle.SHUTDOWN_ERROR,
        AgentLifecycle.OFF,
    }
)


def agent_health(status: AgentStatus, lifecycle: AgentLifecycle) -> AgentHealth:
    """Whether an agent is well, and the first reason why not. Source: S6."""
    reason = _connection_trouble(status, lifecycle)
    if reason is None and lifecycle is AgentLifecycle.START_ERROR:
        reason = "the start script failed; its output is in the agent logs"
    if reason is None and lifecycle in _ENDING:
        reason = "the workspace agent is ending"
    return AgentHealth(healthy=reason is None, reason=reason)


def _connection_trouble(status: AgentStatus, lifecycle: AgentLifecycle) -> str | None:
    if status is AgentStatus.CONNECTED:
        return None
    if lifecycle is AgentLifecycle.OFF:
        return "the workspace agent has ended"
    match status:
        case AgentStatus.CONNECTING:
            return "the workspace agent has not reported in so far"
        case AgentStatus.TIMEOUT:
            return "the workspace agent did not report in on time"
        case AgentStatus.DISCONNECTED:
            return "nothing is heard of the workspace agent any more"
    assert_never(status)


@dataclass(frozen=True, slots=True)
class AgentVerdict:
    """One agent of a workspace's newest build; parent_id is null unless another agent made it."""

    agent_id: UUID
    parent_id: UUID | None
    health: AgentHealth


@dataclass(frozen=True, slots=True)
class WorkspaceHealth:
    """Whether a workspace is well, and the agents that are not, in their given order."""

    healthy: bool
    failing_agents: tuple[UUID, ...]


def workspace_health(agents: Iterable[AgentVerdict]) -> WorkspaceHealth:
    """Whether every agent without a parent is well; a workspace without agents is. Source: S9."""
    failing = tuple(
        agent.agent_id for agent in agents if agent.parent_id is None and not agent.health.healthy
    )
    return WorkspaceHealth(healthy=not failing, failing_agents=failing)


def first_app_health(*, has_healthcheck: bool) -> AppHealth:
    """The health an app starts with; without a check it stays so for ever. Source: S7."""
    return AppHealth.INITIALIZING if has_healthcheck else AppHealth.DISABLED


def deadline_after_start(now: datetime, ttl_s: int | None) -> datetime | None:
    """When a workspace whose start succeeds now is stopped by itself; null means never.

    A time to live of null or 0 means never. Source: tasks-api 10.
    """
    return now + timedelta(seconds=ttl_s) if ttl_s else None


def first_deadline(deadline: datetime | None, latest: datetime | None) -> datetime | None:
    """When a workspace is stopped by itself that may not run longer than until latest; null means no such time."""
    return min((at for at in (deadline, latest) if at is not None), default=None)


def ttl_problem(ttl_ms: int | None) -> str | None:
    """What is wrong with a time to live in milliseconds; None for a good one, and for none at all."""
    if not ttl_ms or MIN_TTL_S * 1000 <= ttl_ms <= MAX_TTL_S * 1000:
        return None
    return f"give milliseconds from {MIN_TTL_S * 1000} to {MAX_TTL_S * 1000}, or 0 for ever"


def schedule_problem(schedule: str) -> str | None:
    """What is wrong with the form of a schedule; None for a good one, and for none at all.

    Five fields of minute, hour, day, month and weekday, behind a time zone if there is one.
    """
    if not schedule or _SCHEDULE.fullmatch(schedule):
        return None
    return 'write it like "CRON_TZ=Europe/Berlin 30 9 * * 1-5"'


def deadline_problem(deadline: datetime, latest: datetime | None, now: datetime) -> str | None:
    """Why a workspace that runs cannot be given this deadline; latest null means that there is no last one."""
    if deadline < now + timedelta(seconds=LEAST_EXTENSION_S - EXTENSION_LEEWAY_S):
        return f"give a time at least {LEAST_EXTENSION_S // 60} minutes from now"
    if latest is not None and deadline > latest:
        return f"the template lets this workspace run until {latest:%Y-%m-%d %H:%M} UTC at most"
    if deadline > now + timedelta(seconds=MAX_TTL_S):
        return f"give a time at most {MAX_TTL_S // 86_400} days from now"
    return None
