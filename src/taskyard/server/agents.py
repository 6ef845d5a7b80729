"""Handlers: what programs in a workspace report over HTTP, with the agent's token."""

import re
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from uuid import UUID

from taskyard.control import agent_requests
from taskyard.errors import BodyInvalid, NotFound, QueryInvalid, RequestRefused
from taskyard.server.call import Call, Handler
from taskyard.wire.reading import read_json
from taskyard.wire.tasks import SnapshotUpload
from taskyard.wire.workspaces import (
    AppendAgentLogsRequest,
    CreateLogSourceRequest,
    PatchAppStatus,
)

SNAPSHOT_BYTES = 65536
"""Largest body of a snapshot upload. Source: T141."""

_ESCAPED_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
"""U+0000 as JSON writes it; a backslash that is itself escaped begins nothing."""


async def upload_task_log_snapshot(call: Call) -> object:
    """Keeps the end of a task's conversation; the order of checks is the contract's. Source: T140."""
    task_id = _task_id(str(call.connection.path_params["task"]))
    _check_query(call.connection.query_params)
    if task_id != call.agent.task_id:
        raise NotFound
    try:
        raw = await call.raw(SNAPSHOT_BYTES)
        # What programs print may hold U+0000, and a whole conversation is not refused for that.
        body = read_json(_ESCAPED_NUL.sub(rb"\1\\ufffd", raw), SnapshotUpload)
    except BodyInvalid as error:
        raise RequestRefused(
            "snapshot_undecodable", "The snapshot cannot be read.", str(error)
        ) from error
    if body.messages is None:
        raise RequestRefused(
            "snapshot_without_messages",
            "The snapshot has no messages.",
            'Send {"messages": [...]}.',
        )
    async with _turn(call, len(raw)):
        await agent_requests.save_snapshot(call.services, task_id, body.messages, call.now)
    return None


async def update_app_status(call: Call) -> object:
    """Stores what a coding agent reports. Source: T147."""
    body = await call.body(PatchAppStatus)
    async with _turn(call):
        await agent_requests.report_status(call.services, call.agent, body, call.now)
    return None


async def create_log_source(call: Call) -> object:
    """Names a writer of the agent's log."""
    body = await call.body(CreateLogSourceRequest)
    async with _turn(call):
        return await agent_requests.create_log_source(call.services, call.agent, body, call.now)


async def append_agent_logs(call: Call) -> object:
    """Adds lines to the agent's log."""
    body = await call.body(AppendAgentLogsRequest)
    async with _turn(call, sum(len(line.output) for line in body.logs)):
        await agent_requests.append_logs(call.services, call.agent, body, call.now)
    return None


def _turn(call: Call, size_bytes: int = 0) -> AbstractAsyncContextManager[None]:
    """A turn at the database, as the workspace may have."""
    return call.services.throttle.turn(call.agent.workspace_id, size_bytes)


def _task_id(raw: str) -> UUID:
    try:
        return UUID(raw)
    except ValueError as error:
        raise RequestRefused(
            "invalid_task_id", "The task in the path must be a UUID.", f"This is none: {raw}."
        ) from error


def _check_query(query: Mapping[str, str]) -> None:
    violations = [
        (key, f'"{key}" is no parameter of this route') for key in query if key != "format"
    ]
    if not query.get("format"):
        violations.insert(0, ("format", 'say which format it is: "format" is needed'))
    if violations:
        raise QueryInvalid(violations[:1])
    if query["format"] != "agentapi":
        raise RequestRefused(
            "snapshot_format",
            "The format of the snapshot is not supported.",
            f'Send format=agentapi; "{query["format"]}" is not known.',
        )


HANDLERS: dict[str, Handler] = {
    handler.__name__: handler
    for handler in (
        upload_task_log_snapshot,
        update_app_status,
        create_log_source,
        append_agent_logs,
    )
}
