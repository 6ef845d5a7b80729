"""What coding agents ask people to permit, and the answers of people."""

from datetime import datetime
from typing import NoReturn
from urllib.parse import quote

import msgspec

from taskyard.control.actors import Actor
from taskyard.control.appclient import AppResponse, app_request
from taskyard.control.audit import deed_of, record
from taskyard.control.services import Services
from taskyard.control.task_app import APP_TIMEOUT_S, app_address
from taskyard.control.tasks import refuse
from taskyard.db import observed as db
from taskyard.db.pool import ring
from taskyard.db.tasks import TaskRow
from taskyard.errors import AppRefused, Missing, NotFound, RefusedNow, RequestRefused
from taskyard.lifecycle.permissions import Verb, can
from taskyard.lifecycle.task import TaskVerb
from taskyard.wire import tasks as wire
from taskyard.wire.base import encode
from taskyard.wire.enums import AuditAction, AuditResource, PermissionAnswerer, PermissionOutcome

ANSWERED_BY = "X-Taskyard-Answered-By"
"""Names to our bridge the person who answers."""

MOST_LISTED = 200
"""Requests of one list, the newest: more than a person answers in one task."""


async def list_permissions(
    services: Services, task: TaskRow, *, answered: bool
) -> list[wire.TaskPermission]:
    """What waits for an answer, oldest first; on demand with what was answered."""
    async with services.db.connection() as conn:
        rows = await db.list_permissions_as_system(
            conn, task.id, answered=answered, limit=MOST_LISTED
        )
    return [permission_view(row) for row in reversed(rows)]


def permission_view(row: db.PermissionRow) -> wire.TaskPermission:
    """A request as the wire shows it."""
    answer = None
    if row.answered_at is not None and row.outcome is not None and row.answered_by is not None:
        answer = wire.PermissionAnswer(
            outcome=PermissionOutcome(row.outcome),
            option_id=row.option_id,
            by=PermissionAnswerer(row.answered_by),
            username=row.answerer,
            at=row.answered_at,
        )
    return wire.TaskPermission(
        id=row.id,
        title=row.title,
        options=[
            wire.PermissionOption(option_id=o.option_id, name=o.name, kind=o.kind)
            for o in row.read_options()
        ],
        asked_at=row.asked_at,
        expires_at=row.expires_at,
        answer=answer,
    )


async def answer_permission(
    services: Services,
    actor: Actor,
    task: TaskRow,
    permission_id: str,
    *,
    request: wire.AnswerTaskPermissionRequest,
) -> None:
    """Gives a person's answer to the coding agent, once. Source: N11.

    Raises RequestRefused for no answer or one that the request does not take, NotFound, RefusedNow when it
    was answered already or the task is not active, AgentUnreachable, AppFailed, AppRefused.
    """
    if (request.option_id == "") == (request.outcome == ""):
        raise RequestRefused(
            "answer_missing", "The request needs one answer.", "Give either option_id or outcome."
        )
    if request.outcome not in ("", PermissionOutcome.CANCELLED):
        raise RequestRefused(
            "answer_invalid",
            f'The outcome cannot be "{request.outcome}".',
            "Give cancelled, or an option_id.",
        )
    if not can(actor, Verb.TASK_WRITE, task.owner_id, task.organization_id):
        raise NotFound
    row = await _open(services, task, permission_id)
    if request.option_id:
        _check_option(row, request.option_id)
    refuse(TaskVerb.ANSWER, task)
    await services.links.get(app_address(task).agent_id)  # raises before anything is noted
    option_id, now = request.option_id or None, services.now()
    await _note(services, actor, task, row, option_id=option_id, now=now)
    await _tell(services, actor, task, permission_id, request=request)
    await _keep(services, actor, task, row, option_id=option_id, now=services.now())


async def _open(services: Services, task: TaskRow, permission_id: str) -> db.PermissionRow:
    async with services.db.connection() as conn:
        row = await db.get_permission_as_system(conn, task.id, permission_id)
    if row is None:
        raise Missing(
            "permission_unknown", f"This task has asked nothing by the id {permission_id}."
        )
    if row.answered_at is not None:
        raise _answered(row)
    return row


def _answered(row: db.PermissionRow) -> RefusedNow:
    """The refusal of a second answer, which says whose the first was."""
    match PermissionAnswerer(row.answered_by or PermissionAnswerer.CANCEL):
        case PermissionAnswerer.PERSON:
            who = f"{row.answerer or 'Somebody in the workspace'} answered it"
        case PermissionAnswerer.POLICY:
            who = "The template's rule answered it"
        case PermissionAnswerer.TIMEOUT:
            who = "Nobody answered it in time, so it was denied"
        case PermissionAnswerer.CANCEL:
            who = "What asked was over, so it was cancelled"
    at = "" if row.answered_at is None else f" at {row.answered_at:%Y-%m-%d %H:%M:%S} UTC"
    chosen = next((o.name for o in row.read_options() if o.option_id == row.option_id), "")
    what = f': "{chosen}"' if chosen else ""
    return RefusedNow(
        "permission_answered", "This request was answered already.", f"{who}{at}{what}."
    )


def _check_option(row: db.PermissionRow, option_id: str) -> None:
    options = row.read_options()
    if not any(option.option_id == option_id for option in options):
        listed = ", ".join(option.option_id for option in options) or "none"
        raise RequestRefused(
            "option_unknown",
            f'The request takes no answer "{option_id}".',
            f"It takes these: {listed}; or the outcome cancelled.",
        )


async def _tell(
    services: Services,
    actor: Actor,
    task: TaskRow,
    permission_id: str,
    *,
    request: wire.AnswerTaskPermissionRequest,
) -> None:
    """Returns once the bridge has taken the answer."""
    body = {"option_id": request.option_id} if request.option_id else {"outcome": request.outcome}
    answer = await app_request(
        services.links,
        app_address(task),
        "POST",
        f"v2/permissions/{quote(permission_id, safe='')}",
        body=encode(body),
        headers={ANSWERED_BY: actor.username},
        timeout_s=APP_TIMEOUT_S,
    )
    if not 200 <= answer.status < 300:
        await _refused(services, task, permission_id, answer)


async def _refused(
    services: Services, task: TaskRow, permission_id: str, answer: AppResponse
) -> NoReturn:
    """Raises what the bridge's refusal means: most often that somebody else was quicker."""
    if answer.status in (404, 409) and answer.code:
        async with services.db.connection() as conn:
            row = await db.get_permission_as_system(conn, task.id, permission_id)
        if row is not None and row.answered_at is not None:
            raise _answered(row)
        raise RefusedNow(
            "permission_answered",
            "This request was answered already.",
            "The coding agent waits for it no more. Look at the task's log for what came of it.",
        )
    if answer.status == 404:
        raise AppRefused(
            "bridge_old",
            "The workspace of this task takes no answers.",
            "It was started by an older release. Pause and resume the task.",
        )
    word = f" ({answer.code})" if answer.code else ""
    raise AppRefused(
        "answer_rejected",
        "The workspace did not take the answer.",
        f"It answered with status {answer.status}{word}.",
    )


async def _note(
    services: Services,
    actor: Actor,
    task: TaskRow,
    row: db.PermissionRow,
    *,
    option_id: str | None,
    now: datetime,
) -> None:
    """Keeps who is about to answer what, so that nobody's answer goes out twice by one key."""
    told = {"id": row.id, "title": row.title, "answer": option_id or PermissionOutcome.CANCELLED}
    deed = deed_of(
        AuditResource.TASK,
        task,
        AuditAction.ANSWER,
        {"permission": {"old": None, "new": msgspec.to_builtins(told)}},
    )
    async with services.db.transaction() as conn:
        await record(conn, actor, deed, now)


async def _keep(
    services: Services,
    actor: Actor,
    task: TaskRow,
    row: db.PermissionRow,
    *,
    option_id: str | None,
    now: datetime,
) -> None:
    """Keeps whose answer it was; the workspace's own item, which names nobody, may have come first."""
    answer = db.PermissionAnswer(
        id=row.id, option_id=option_id, answered_by="person", answerer=actor.username
    )
    async with services.db.transaction() as conn:
        await db.answer_permission_as_system(conn, task.id, answer, now)
        await ring(conn, "task", str(task.id))
