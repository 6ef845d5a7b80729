"""Talking to the app of a task: sending it messages, reading the conversation."""

from datetime import datetime

import msgspec

from taskyard.control.actors import Actor
from taskyard.control.appclient import AppAddress, AppResponse, app_request
from taskyard.control.audit import deed_of, record
from taskyard.control.prompts import input_arrived
from taskyard.control.services import Services
from taskyard.control.tasks import input_missing, refuse, refused
from taskyard.db import tasks as db
from taskyard.db.transcript import SnapshotRow, get_snapshot_as_system
from taskyard.errors import (
    AppRefused,
    NotFound,
    RefusedBroken,
    RefusedNow,
    RequestRefused,
)
from taskyard.lifecycle.permissions import Verb, can
from taskyard.lifecycle.task import LogOrigin, TaskVerb, log_origin
from taskyard.wire import tasks as wire
from taskyard.wire.enums import AuditAction, AuditResource, LogEntryType
from taskyard_agent import points

APP_TIMEOUT_S = 30.0
"""Seconds that one request to an app may take. Source: tasks-api 8.6 row 10."""

SNAPSHOT_FORMAT = "agentapi"
"""The one format of snapshots. Source: tasks-api 9.1."""

ROLES = {"user": LogEntryType.INPUT, "agent": LogEntryType.OUTPUT}
"""Whose message is which direction. Source: T100."""

STABLE = "stable"
"""The status of an app that takes messages. Source: tasks-api 8.6 row 12."""


class _AppStatus(msgspec.Struct):
    status: str


class _AppMessage(msgspec.Struct):
    content: str
    type: str


async def send_input(
    services: Services,
    actor: Actor,
    task: db.TaskRow,
    request: wire.TaskSendRequest,
    *,
    now: datetime,
) -> None:
    """Hands a message to the app of an active task, once and as it is. Source: tasks-api 8.6, T93-T99.

    Raises RequestRefused, Refused, AgentUnreachable, AppFailed, AppRefused, AppUrlEmpty, AppUrlScheme.
    """
    if request.input == "":
        raise input_missing()
    refuse(TaskVerb.SEND, task)
    if not can(actor, Verb.TASK_WRITE, task.owner_id, task.organization_id):
        raise NotFound
    address = app_address(task)
    await _require_stable(services, address, task)
    body = msgspec.json.encode(_AppMessage(content=request.input, type="user"))
    await note_sent(services, actor, task, request.input, now=now)
    await points.reached("send.checked", str(task.workspace_id))
    answer = await _ask(services, address, "POST", "message", body=body)
    await points.reached("send.answered", str(task.workspace_id))
    _require_json(answer, "app_rejected", "The task's app did not take the message.")


async def note_sent(
    services: Services, actor: Actor, task: db.TaskRow, text: str, *, now: datetime
) -> None:
    """Keeps who sends a message, before it is sent, and how long it is; its text may hold secrets."""
    told: dict[str, object] = {"bytes": len(text.encode(errors="replace"))}
    changes = {"prompt": {"old": None, "new": told}}
    deed = deed_of(AuditResource.TASK, task, AuditAction.SEND, changes)
    async with services.db.transaction() as conn:
        await record(conn, actor, deed, now)


async def get_logs(services: Services, task: db.TaskRow) -> wire.TaskLogsResponse:
    """The conversation: from the app while the task is active, else as it was kept. Source: tasks-api 8.7.

    Raises Refused, AgentUnreachable, AppFailed, AppRefused, AppUrlEmpty, AppUrlScheme.
    """
    origin = log_origin(task.facts)
    match origin:
        case LogOrigin.LIVE:
            return await _live_logs(services, app_address(task))
        case LogOrigin.SNAPSHOT:
            return await _kept_logs(services, task)
        case _:
            raise refused(origin)


async def _live_logs(services: Services, address: AppAddress) -> wire.TaskLogsResponse:
    answer = await _ask(services, address, "GET", "messages")
    message = "The task's app did not give its messages."
    _require_json(answer, "app_messages_failed", message)
    try:
        found = msgspec.json.decode(answer.body, type=wire.SnapshotUpload)
    except (ValueError, RecursionError) as error:
        raise AppRefused(
            "app_messages_failed", message, f"Its answer makes no sense: {error}."
        ) from error
    entries = _entries(found.messages or [])
    if isinstance(entries, str):
        raise AppRefused(
            "app_answer_invalid",
            "The task's app gave a message that cannot be shown.",
            _role(entries),
        )
    return wire.TaskLogsResponse(logs=entries)


async def _kept_logs(services: Services, task: db.TaskRow) -> wire.TaskLogsResponse:
    async with services.db.connection() as conn:
        row = await get_snapshot_as_system(conn, task.id)
    if row is None:
        return wire.TaskLogsResponse(logs=[], snapshot=True)
    entries = _entries(_snapshot(row).messages or [])
    if isinstance(entries, str):
        raise RefusedBroken(
            "snapshot_role", "The kept conversation cannot be shown.", _role(entries)
        )
    return wire.TaskLogsResponse(logs=entries, snapshot=True, snapshot_at=row.created_at)


def _snapshot(row: SnapshotRow) -> wire.SnapshotUpload:
    """The kept messages; raises RefusedBroken for a format or a text that cannot be read."""
    if row.format != SNAPSHOT_FORMAT:
        raise RefusedBroken(
            "snapshot_format",
            "The kept conversation has a format that this server does not read.",
            f'The format is "{row.format}"; only "{SNAPSHOT_FORMAT}" is read.',
        )
    try:
        return msgspec.json.decode(row.data, type=wire.SnapshotUpload)
    except msgspec.MsgspecError as error:
        raise RefusedBroken(
            "snapshot_broken", "The kept conversation cannot be read.", str(error)
        ) from error


def _entries(messages: list[wire.SnapshotMessage]) -> list[wire.TaskLogEntry] | str:
    """The messages as log entries in their order, or the first role that is none."""
    for message in messages:
        if message.role not in ROLES:
            return message.role
    return [
        wire.TaskLogEntry(id=m.id, content=m.content, type=ROLES[m.role], time=m.time)
        for m in messages
    ]


def _role(role: str) -> str:
    return f'A message has the role "{role}"; only user and agent are known.'


def app_address(task: db.TaskRow) -> AppAddress:
    """Where the app is that takes the task's input; raises RequestRefused when the build chose none."""
    if task.agent_id is None or task.app_url is None:
        raise RequestRefused(
            "no_app", "This task has no app that takes messages.", "Pause the task and resume it."
        )
    return AppAddress(task.agent_id, task.app_url)


async def _require_stable(services: Services, address: AppAddress, task: db.TaskRow) -> None:
    """Nothing when the app takes messages now; raises RefusedNow when it is busy, AppRefused."""
    has_input = await input_arrived(services, address.agent_id)
    answer = await _ask(services, address, "GET", "status")
    message = "The task's app did not tell its status."
    _require_json(answer, "app_status_failed", message)
    try:
        status = msgspec.json.decode(answer.body, type=_AppStatus).status
    except (ValueError, RecursionError) as error:
        raise AppRefused(
            "app_status_failed", message, f"Its answer makes no sense: {error}."
        ) from error
    if status != STABLE:
        raise RefusedNow(
            "app_busy",
            "The task's app takes no message now.",
            f'The app\'s status is "{status}". {_way_out(task)}',
        )
    if not has_input:
        raise RefusedNow(
            "app_busy",
            "The task's app takes no message now.",
            f"The task's input has not reached it yet. {_way_out(task)}",
        )


def _way_out(task: db.TaskRow) -> str:
    """What to do while the app takes no message: for a person's answer it may wait for ever."""
    waiting = task.facts.waiting
    if waiting is None:
        return "Send again once the task is idle, or put the message into the task's queue."
    what = f'It waits for an answer to "{waiting.title}"'
    if waiting.id:
        return f"{what}; permission {waiting.id}. Answer it, then send again."
    return f"{what}. Attach to the task and answer it, then send again."


async def _ask(
    services: Services, address: AppAddress, method: str, path: str, *, body: bytes | None = None
) -> AppResponse:
    return await app_request(
        services.links, address, method, path, body=body, timeout_s=APP_TIMEOUT_S
    )


def _require_json(answer: AppResponse, code: str, message: str) -> None:
    """Raises AppRefused unless the app answered 200 with JSON. Source: tasks-api 8.11, T97, T105."""
    if answer.status != 200:
        word = f" ({answer.code})" if answer.code else ""
        raise AppRefused(code, message, f"It answered with status {answer.status}{word}.")
    if answer.content_type != "application/json":
        kind = answer.content_type or "no media type"
        raise AppRefused(code, message, f"It answered with {kind}, not with JSON.")
