"""Tasks as the wire shows them: pure functions of rows and the time."""

from datetime import datetime

from msgspec import UNSET, UnsetType

from taskyard.control.actors import Actor
from taskyard.control.build_view import health_view
from taskyard.db.tasks import TaskRow
from taskyard.lifecycle.permissions import Verb, can
from taskyard.lifecycle.task import (
    CurrentState,
    derive_current_state,
    derive_status,
    derive_waiting,
    status_of_workspace,
)
from taskyard.lifecycle.workspace import AgentTimes, agent_health, agent_status
from taskyard.wire import tasks as wire
from taskyard.wire.base import NIL_UUID, ZERO_TIME, unless_empty
from taskyard.wire.link import Waiting
from taskyard.wire.phases import TaskFailure
from taskyard.wire.workspaces import WorkspaceAgentHealth


def listed_view(
    row: TaskRow,
    actor: Actor,
    now: datetime,
    *,
    queue: wire.TaskQueue | None = None,
    failure: TaskFailure | None = None,
) -> wire.Task:
    """A task in a list: empty of its workspace too where the template is hidden. Source: tasks-api 8.1."""
    shown = can(actor, Verb.TEMPLATE_READ, None, row.organization_id)
    return task_view(row, now, hidden=not shown, queue=queue, failure=failure)


def task_view(
    row: TaskRow,
    now: datetime,
    *,
    hidden: bool = False,
    queue: wire.TaskQueue | None = None,
    failure: TaskFailure | None = None,
) -> wire.Task:
    """A task; what is known of a workspace that was deleted, or is hidden, is left empty. Source: tasks-api 4.1."""
    facts, gone = row.facts, row.workspace_deleted or hidden
    status = derive_status(facts).status
    return wire.Task(
        id=row.id,
        organization_id=row.organization_id,
        owner_id=row.owner_id,
        owner_name=row.owner_name,
        owner_avatar_url=unless_empty(row.owner_avatar_url),
        name=row.name,
        display_name=row.display_name,
        template_id=NIL_UUID if gone else row.template_id,
        template_version_id=row.template_version_id,
        template_name="" if gone else row.template_name,
        template_display_name="" if gone else row.template_display_name,
        template_icon="" if gone else row.template_icon,
        workspace_id=row.workspace_id,
        workspace_name="" if gone else row.workspace_name,
        workspace_status=unless_empty(None if gone else status_of_workspace(facts)),
        workspace_build_number=unless_empty(None if gone else row.build_number),
        workspace_agent_id=row.agent_id,
        workspace_agent_lifecycle=row.agent_lifecycle,
        workspace_agent_health=_health(row, now),
        workspace_app_id=row.app_id,
        initial_prompt=row.input,
        status=status,
        current_state=_state(derive_current_state(facts, status)),
        waiting_for=_waiting(derive_waiting(facts, status)),
        queue=UNSET if queue is None else queue,
        failure=UNSET if failure is None else failure,
        created_at=row.created_at,
        updated_at=ZERO_TIME if gone else row.workspace_updated_at,
    )


def _health(row: TaskRow, now: datetime) -> WorkspaceAgentHealth | None:
    if row.agent_lifecycle is None or row.agent_created_at is None:
        return None
    times = AgentTimes(
        row.agent_created_at,
        row.agent_first_connected_at,
        row.agent_last_connected_at,
        row.agent_disconnected_at,
    )
    return health_view(agent_health(agent_status(times, now), row.agent_lifecycle))


def _state(state: CurrentState | None) -> wire.TaskStateEntry | None:
    if state is None:
        return None
    return wire.TaskStateEntry(
        timestamp=state.timestamp, state=state.state, message=state.message, uri=state.uri
    )


def _waiting(waiting: Waiting | None) -> wire.WaitingFor | UnsetType:
    if waiting is None:
        return UNSET
    return wire.WaitingFor(kind=waiting.kind, id=waiting.id, title=waiting.title)
