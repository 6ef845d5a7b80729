"""What workspaces, agents and apps are, from facts and the time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID

import pytest

from taskyard.lifecycle.workspace import (
    AgentHealth,
    AgentTimes,
    AgentVerdict,
    agent_health,
    agent_status,
    deadline_after_start,
    first_app_health,
    workspace_health,
    workspace_status,
)
from taskyard.wire.enums import (
    AgentLifecycle,
    AgentStatus,
    AppHealth,
    JobStatus,
    Transition,
    WorkspaceStatus,
)

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
NEVER = AgentTimes(NOW - 60 * SECOND, None, None, None)
ALIVE = AgentTimes(NOW - 60 * SECOND, NOW - 50 * SECOND, NOW - 5 * SECOND, None)


def test_every_build_has_one_word() -> None:
    """S2: pending, three words a transition for running and succeeded, and the job's own words."""
    words = {
        (job, transition): workspace_status(job, transition)
        for job, transition in product(JobStatus, Transition)
    }
    assert [words[JobStatus.RUNNING, transition] for transition in Transition] == [
        WorkspaceStatus.STARTING,
        WorkspaceStatus.STOPPING,
        WorkspaceStatus.DELETING,
    ]
    assert [words[JobStatus.SUCCEEDED, transition] for transition in Transition] == [
        WorkspaceStatus.RUNNING,
        WorkspaceStatus.STOPPED,
        WorkspaceStatus.DELETED,
    ]
    same = (JobStatus.PENDING, JobStatus.CANCELING, JobStatus.CANCELED, JobStatus.FAILED)
    for job, transition in product(same, Transition):
        assert words[job, transition] == str(job)
    for transition in Transition:
        assert words[JobStatus.UNKNOWN, transition] is WorkspaceStatus.FAILED


def test_an_agent_that_never_called_is_connecting_until_its_time_is_up() -> None:
    """S6: timeout once the connection timeout passed since it was made; 0 means never."""
    assert agent_status(NEVER, NOW, connection_timeout_s=61) is AgentStatus.CONNECTING
    assert agent_status(NEVER, NOW, connection_timeout_s=60) is AgentStatus.TIMEOUT
    assert agent_status(NEVER, NOW, connection_timeout_s=0) is AgentStatus.CONNECTING


def test_an_agent_is_connected_while_its_heartbeats_come() -> None:
    """S6: silence beyond the limit, or a link closed after the last heartbeat, is disconnected."""
    assert agent_status(ALIVE, NOW, inactive_s=5) is AgentStatus.CONNECTED
    assert agent_status(ALIVE, NOW, inactive_s=4) is AgentStatus.DISCONNECTED
    left = replace(ALIVE, disconnected_at=NOW - SECOND)
    assert agent_status(left, NOW) is AgentStatus.DISCONNECTED


def test_an_agent_that_came_back_is_connected_again() -> None:
    """S6: only a disconnection after the last heartbeat counts."""
    back = replace(ALIVE, disconnected_at=NOW - 20 * SECOND)
    assert agent_status(back, NOW) is AgentStatus.CONNECTED


ENDING = [
    AgentLifecycle.SHUTTING_DOWN,
    AgentLifecycle.SHUTDOWN_TIMEOUT,
    AgentLifecycle.SHUTDOWN_ERROR,
    AgentLifecycle.OFF,
]


@pytest.mark.parametrize("status", AgentStatus)
@pytest.mark.parametrize("lifecycle", AgentLifecycle)
def test_an_agent_is_well_only_when_connected_and_not_ending(
    status: AgentStatus, lifecycle: AgentLifecycle
) -> None:
    """S6: a reason is there exactly when it is not well."""
    health = agent_health(status, lifecycle)
    well = status is AgentStatus.CONNECTED and lifecycle not in [
        *ENDING,
        AgentLifecycle.START_ERROR,
    ]
    assert health.healthy is well
    assert (health.reason is None) is well


def test_the_first_row_that_applies_gives_the_reason() -> None:
    """S6: six reasons; an ended agent comes before its connection, the connection before scripts."""
    ready, failed = AgentLifecycle.READY, AgentLifecycle.START_ERROR
    rows = [
        agent_health(AgentStatus.DISCONNECTED, AgentLifecycle.OFF),
        agent_health(AgentStatus.CONNECTING, failed),
        agent_health(AgentStatus.TIMEOUT, failed),
        agent_health(AgentStatus.DISCONNECTED, failed),
        agent_health(AgentStatus.CONNECTED, failed),
        agent_health(AgentStatus.CONNECTED, AgentLifecycle.SHUTTING_DOWN),
    ]
    assert len({row.reason for row in rows}) == 6
    assert agent_health(AgentStatus.CONNECTING, ready) == rows[1]


def test_a_workspace_is_as_well_as_its_agents_without_a_parent() -> None:
    """S9: failing agents are listed; those made by another agent do not count."""
    ids = [UUID(int=number) for number in range(3)]
    sick = AgentHealth(healthy=False, reason="it fell over")
    well = AgentHealth(healthy=True, reason=None)
    agents = [
        AgentVerdict(ids[0], None, well),
        AgentVerdict(ids[1], ids[0], sick),
        AgentVerdict(ids[2], None, sick),
    ]
    assert workspace_health(agents).failing_agents == (ids[2],)
    assert not workspace_health(agents).healthy
    assert workspace_health(agents[:2]).healthy
    assert workspace_health([]).healthy


def test_an_app_without_a_check_is_disabled() -> None:
    """S7: with one it begins as initializing."""
    assert first_app_health(has_healthcheck=False) is AppHealth.DISABLED
    assert first_app_health(has_healthcheck=True) is AppHealth.INITIALIZING


def test_a_deadline_is_the_time_to_live_after_the_start() -> None:
    """Section 10: none without a time to live."""
    assert deadline_after_start(NOW, 60) == NOW + 60 * SECOND
    assert deadline_after_start(NOW, None) is None
    assert deadline_after_start(NOW, 0) is None
