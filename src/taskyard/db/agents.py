"""Workspace agents as they report: row types and one function a statement of sql/agents.sql."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import msgspec

from taskyard.db.statements import NoRow, statement
from taskyard.db.workspaces import MAX_APP_STATUSES
from taskyard.wire.enums import AgentLifecycle, AppHealth, AppStatusState, LogLevel

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

MAX_LOG_SOURCES = 100
"""Writers of one agent's log: every page that shows the agent lists them all."""

LEAST_LINE_BYTES = 8
"""What each line more of one call counts at least against the limit: a million empty ones are no empty log."""


class ManifestRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a manifest is made of; definition is the parsed template, parameters an object of strings."""

    workspace_id: UUID
    workspace_name: str
    owner_name: str
    generation: int
    acked_seq: int
    task_id: UUID | None
    definition: bytes
    parameters: bytes


class AppRefRow(msgspec.Struct, frozen=True):
    """An app and the workspace it is in."""

    id: UUID
    workspace_id: UUID


class IdRow(msgspec.Struct, frozen=True):
    """The id of a row that is there."""

    id: UUID


class FoundRow(msgspec.Struct, frozen=True):
    """Whether there is such a thing."""

    found: bool


class AgentLogLine(msgspec.Struct, frozen=True):
    """A line to be added to an agent's log."""

    created_at: datetime
    level: LogLevel
    output: str


_MANIFEST = statement("agents", "get_agent_manifest_as_system", ManifestRow)
_IS_CURRENT = statement("agents", "is_current_agent_as_system", FoundRow)
_CONNECT = statement("agents", "connect_agent_as_system", NoRow)
_RENEW = statement("agents", "renew_agent_lease_as_system", NoRow)
_LOCK = statement("agents", "lock_agent_as_system", IdRow)
_DISCONNECT = statement("agents", "disconnect_agent_as_system", NoRow)
_LIFECYCLE = statement("agents", "set_agent_lifecycle_as_system", NoRow)
_APP_HEALTH = statement("agents", "set_app_health_as_system", NoRow)
_LOG_SOURCE = statement("agents", "upsert_log_source_as_system", NoRow)
_GET_SOURCE = statement("agents", "get_log_source_as_system", IdRow)
_GROW_LOGS = statement("agents", "grow_agent_logs_as_system", NoRow)
_OVERFLOWED = statement("agents", "mark_agent_logs_overflowed_as_system", NoRow)
_INSERT_LOG = statement("agents", "insert_agent_log_as_system", NoRow)
_GET_APP = statement("agents", "get_agent_app_as_system", AppRefRow)
_GET_TASK_APP = statement("agents", "get_task_app_as_system", AppRefRow)
_INSERT_STATUS = statement("agents", "insert_app_status_as_system", NoRow)
_DROP_STATUSES = statement("agents", "drop_app_statuses_as_system", NoRow)
_USE = statement("agents", "use_workspace_as_system", NoRow)
_PUSH_DEADLINE = statement("agents", "push_deadline_as_system", NoRow)


async def get_agent_manifest_as_system(
    conn: "Connection", agent_id: UUID, generation: int
) -> ManifestRow | None:
    """What the manifest of this generation is made of; None when a newer one has taken over."""
    return await _MANIFEST.one(conn, agent_id=agent_id, generation=generation)


async def is_current_agent_as_system(conn: "Connection", agent_id: UUID, generation: int) -> bool:
    """Whether this generation of the agent is its workspace's newest."""
    row = await _IS_CURRENT.one(conn, agent_id=agent_id, generation=generation)
    return row is not None and row.found


async def connect_agent_as_system(
    conn: "Connection",
    agent_id: UUID,
    generation: int,
    *,
    server_id: UUID,
    version: str,
    lease_expires_at: datetime,
    now: datetime,
) -> bool:
    """The agent has an open link here; False when a newer generation has taken over."""
    rows = await _CONNECT.execute(
        conn,
        agent_id=agent_id,
        generation=generation,
        server_id=server_id,
        version=version,
        lease_expires_at=lease_expires_at,
        now=now,
    )
    return rows > 0


async def renew_agent_lease_as_system(
    conn: "Connection",
    agent_id: UUID,
    generation: int,
    lease_expires_at: datetime,
    *,
    now: datetime,
) -> bool:
    """The agent was heard; False when a newer generation has taken over."""
    rows = await _RENEW.execute(
        conn, agent_id=agent_id, generation=generation, lease_expires_at=lease_expires_at, now=now
    )
    return rows > 0


async def lock_agent_as_system(conn: "Connection", agent_id: UUID) -> None:
    """Nothing, once no other transaction changes the agent until this one ends."""
    await _LOCK.one(conn, agent_id=agent_id)


async def disconnect_agent_as_system(
    conn: "Connection", agent_id: UUID, generation: int, server_id: UUID, *, now: datetime
) -> bool:
    """The link to this server is gone; False when the agent has moved on already."""
    rows = await _DISCONNECT.execute(
        conn, agent_id=agent_id, generation=generation, server_id=server_id, now=now
    )
    return rows > 0


async def set_agent_lifecycle_as_system(
    conn: "Connection",
    agent_id: UUID,
    generation: int,
    *,
    lifecycle: AgentLifecycle,
    at: datetime,
    now: datetime,
) -> bool:
    """What the agent says of its own life; False when a newer generation has taken over."""
    rows = await _LIFECYCLE.execute(
        conn, agent_id=agent_id, generation=generation, lifecycle=lifecycle, at=at, now=now
    )
    return rows > 0


async def set_app_health_as_system(
    conn: "Connection", agent_id: UUID, generation: int, slug: str, *, health: AppHealth
) -> bool:
    """The health of an app; False for an unknown app, one without a check, or an old generation."""
    rows = await _APP_HEALTH.execute(
        conn, agent_id=agent_id, generation=generation, slug=slug, health=health
    )
    return rows > 0


async def upsert_log_source_as_system(
    conn: "Connection",
    agent_id: UUID,
    source_id: UUID,
    display_name: str,
    *,
    icon: str,
    now: datetime,
) -> None:
    """A writer of the agent's log; nothing when it is known, or when the agent has named too many."""
    await _LOG_SOURCE.execute(
        conn,
        id=source_id,
        agent_id=agent_id,
        display_name=display_name,
        icon=icon,
        most=MAX_LOG_SOURCES,
        now=now,
    )


async def has_log_source_as_system(conn: "Connection", agent_id: UUID, source_id: UUID) -> bool:
    """Whether the agent has named this writer."""
    return await _GET_SOURCE.one(conn, agent_id=agent_id, source_id=source_id) is not None


async def append_agent_logs_as_system(
    conn: "Connection", agent_id: UUID, source_id: UUID, lines: list[AgentLogLine], *, limit: int
) -> bool:
    """Adds the lines; False when the log of the agent would get longer than limit bytes.

    Text that Postgres cannot hold (NUL) is shown as U+FFFD.
    """
    size = sum(len(line.output.encode()) for line in lines)
    size = max(size, LEAST_LINE_BYTES * (len(lines) - 1), 1)
    if not await _GROW_LOGS.execute(conn, agent_id=agent_id, size=size, limit=limit):
        await _OVERFLOWED.execute(conn, agent_id=agent_id)
        return False
    await _INSERT_LOG.execute_many(
        conn,
        [
            {
                "agent_id": agent_id,
                "source_id": source_id,
                "level": line.level,
                "output": line.output.replace("\0", "\ufffd"),
                "created_at": line.created_at,
            }
            for line in lines
        ],
    )
    return True


async def get_agent_app_as_system(
    conn: "Connection", agent_id: UUID, slug: str
) -> AppRefRow | None:
    """An app of the agent by its slug."""
    return await _GET_APP.one(conn, agent_id=agent_id, slug=slug)


async def get_task_app_as_system(conn: "Connection", agent_id: UUID) -> AppRefRow | None:
    """The app that takes the input of the task this agent serves."""
    return await _GET_TASK_APP.one(conn, agent_id=agent_id)


async def insert_app_status_as_system(
    conn: "Connection",
    app: AppRefRow,
    agent_id: UUID,
    *,
    state: AppStatusState,
    message: str,
    uri: str,
    number: int | None = None,
    now: datetime,
) -> None:
    """Adds a report; the newest one of a workspace is what clients see, and the oldest of many are forgotten.

    number: of the transcript item that it mirrors. Work, and its end, push the deadline and count as use of the workspace. Source: T161.
    """
    await _USE.execute(conn, workspace_id=app.workspace_id, state=state, now=now)
    await _PUSH_DEADLINE.execute(conn, workspace_id=app.workspace_id, state=state, now=now)
    await _INSERT_STATUS.execute(
        conn,
        id=uuid4(),
        workspace_id=app.workspace_id,
        agent_id=agent_id,
        app_id=app.id,
        state=state,
        message=message,
        uri=uri,
        number=number,
        now=now,
    )
    await _DROP_STATUSES.execute(conn, app_id=app.id, most=MAX_APP_STATUSES)
