"""What programs in a workspace ask over HTTP: keep a snapshot, show a status, add log lines."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID, uuid4, uuid5

import msgspec

from taskyard.control.actors import AgentActor
from taskyard.control.agents import LOG_SOURCES, MAX_LOG_BYTES
from taskyard.control.services import Services
from taskyard.db import agents as db
from taskyard.db import transcript as transcript_db
from taskyard.db.jobs import WORKSPACES
from taskyard.db.pool import ring
from taskyard.errors import (
    Invalid,
    LogsOverflowed,
    NotFound,
    RequestRefused,
    StatusMessageTooLong,
    StatusStateInvalid,
)
from taskyard.lifecycle.sanitize import STATUS_MESSAGE_BYTES, sanitize_message
from taskyard.wire.enums import AppStatusState
from taskyard.wire.tasks import SnapshotMessage
from taskyard.wire.workspaces import (
    AppendAgentLogsRequest,
    CreateLogSourceRequest,
    PatchAppStatus,
    WorkspaceAgentLogSource,
)

MAX_TEXT_BYTES = 4096
"""Longest URI or name that a program in a workspace may give: pages show them for every workspace of a list."""


async def save_snapshot(
    services: Services, task_id: UUID, messages: list[SnapshotMessage], now: datetime
) -> None:
    """Replaces the task's snapshot. Source: T145."""
    data = msgspec.json.encode({"messages": messages})
    async with services.db.transaction() as conn:
        await transcript_db.upsert_snapshot_as_system(conn, task_id, data, now)


async def report_status(
    services: Services, agent: AgentActor, report: PatchAppStatus, now: datetime
) -> None:
    """Adds a status of an app; raises StatusStateInvalid, StatusMessageTooLong, Invalid, RequestRefused."""
    if report.state not in set(AppStatusState):
        raise StatusStateInvalid(report.state)
    if len(report.message.encode()) > STATUS_MESSAGE_BYTES:
        raise StatusMessageTooLong(STATUS_MESSAGE_BYTES)
    _check_lengths({"uri": report.uri})
    async with services.db.transaction() as conn:
        app = await db.get_agent_app_as_system(conn, agent.agent_id, report.app_slug)
        if app is None:
            raise RequestRefused(
                "app_unknown",
                "The app was not found.",
                f"The workspace has no app with the slug {report.app_slug!r}.",
            )
        await db.insert_app_status_as_system(
            conn,
            app,
            agent.agent_id,
            state=AppStatusState(report.state),
            message=sanitize_message(report.message),
            uri=report.uri,
            now=now,
        )
        await ring(conn, WORKSPACES, str(agent.workspace_id))
        if agent.task_id is not None:
            await ring(conn, "task", str(agent.task_id))


async def create_log_source(
    services: Services, agent: AgentActor, request: CreateLogSourceRequest, now: datetime
) -> WorkspaceAgentLogSource:
    """A named writer of the agent's log; the same id again changes nothing. Raises Invalid, RequestRefused."""
    _check_lengths({"display_name": request.display_name, "icon": request.icon})
    source_id = request.id or uuid4()
    async with services.db.transaction() as conn:
        await db.upsert_log_source_as_system(
            conn, agent.agent_id, source_id, request.display_name, icon=request.icon, now=now
        )
        if not await db.has_log_source_as_system(conn, agent.agent_id, source_id):
            raise RequestRefused(
                "log_sources_full",
                f"This agent has {db.MAX_LOG_SOURCES} writers of its log already.",
                "Use the id of one of them.",
            )
    return WorkspaceAgentLogSource(
        workspace_agent_id=agent.agent_id,
        id=source_id,
        created_at=now,
        display_name=request.display_name,
        icon=request.icon,
    )


async def append_logs(
    services: Services, agent: AgentActor, request: AppendAgentLogsRequest, now: datetime
) -> None:
    """Adds lines; raises RequestRefused for none, LogsOverflowed, NotFound for an unknown source."""
    if not request.logs:
        raise RequestRefused("logs_empty", "There are no lines to add.", "Send some in logs.")
    source_id = request.log_source_id or uuid5(LOG_SOURCES, f"{agent.agent_id}/agent")
    lines = [db.AgentLogLine(line.created_at, line.level, line.output) for line in request.logs]
    async with services.db.transaction() as conn:
        if request.log_source_id is None:
            await db.upsert_log_source_as_system(
                conn, agent.agent_id, source_id, "agent", icon="", now=now
            )
        elif not await db.has_log_source_as_system(conn, agent.agent_id, source_id):
            raise NotFound
        kept = await db.append_agent_logs_as_system(
            conn, agent.agent_id, source_id, lines, limit=MAX_LOG_BYTES
        )
    services.doorbell.ring_soon("agent-logs", str(agent.agent_id))
    if not kept:
        raise LogsOverflowed


def _check_lengths(texts: Mapping[str, str]) -> None:
    """Nothing when each of the fields is short enough; else raises Invalid."""
    violations = [
        (name, f"give at most {MAX_TEXT_BYTES} bytes")
        for name, text in texts.items()
        if len(text.encode()) > MAX_TEXT_BYTES
    ]
    if violations:
        raise Invalid("A field is too long.", violations)
