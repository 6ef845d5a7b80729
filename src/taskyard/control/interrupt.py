"""Ending the turn of a coding agent; its workspace, its session and what waits for it go on."""

from datetime import datetime
from typing import Final, TypeVar

import msgspec

from taskyard.control.actors import Actor
from taskyard.control.appclient import AppAddress, AppResponse, app_request
from taskyard.control.audit import deed_of, record
from taskyard.control.services import Services
from taskyard.control.task_app import APP_TIMEOUT_S, STABLE, app_address
from taskyard.control.tasks import refuse
from taskyard.db.tasks import TaskRow
from taskyard.errors import AppRefused, NotFound, RefusedNow
from taskyard.lifecycle.permissions import Verb, can
from taskyard.lifecycle.task import TaskVerb
from taskyard.wire.base import encode
from taskyard.wire.enums import AuditAction, AuditResource

T = TypeVar("T")

ESCAPE: Final = "\x1b"
"""The key that interrupts the coding agents of other servers: those have a terminal."""

IN_TURN: Final = frozenset({"running", "awaiting_permission", "awaiting_input"})
"""What a session of our bridge is while there is a turn to be ended."""


class _Session(msgspec.Struct):
    state: str


class _Status(msgspec.Struct):
    status: str


async def interrupt_task(services: Services, actor: Actor, task: TaskRow, now: datetime) -> None:
    """Returns once the coding agent was asked to end its turn; one that does not obey is ended by its bridge.

    Raises NotFound, Refused, RefusedNow when there is no turn, AgentUnreachable, AppFailed, AppRefused.
    """
    if not can(actor, Verb.TASK_WRITE, task.owner_id, task.organization_id):
        raise NotFound
    refuse(TaskVerb.INTERRUPT, task)
    address = app_address(task)
    answer = await _ask(services, address, "GET", "v2/session")
    if answer.status == 404:
        await _interrupt_other(services, address)
    else:
        state = _read(answer, _Session).state
        if state not in IN_TURN:
            raise _nothing_runs(state)
        _check(await _ask(services, address, "POST", "v2/cancel", body={}))
    async with services.db.transaction() as conn:
        deed = deed_of(
            AuditResource.TASK,
            task,
            AuditAction.INTERRUPT,
            {"turn": {"old": "running", "new": None}},
        )
        await record(conn, actor, deed, now)


async def _interrupt_other(services: Services, address: AppAddress) -> None:
    """Presses Escape at somebody else's server."""
    status = _read(await _ask(services, address, "GET", "status"), _Status).status
    if status == STABLE:
        raise _nothing_runs(status)
    body = {"content": ESCAPE, "type": "raw"}
    _check(await _ask(services, address, "POST", "message", body=body))


async def _ask(
    services: Services,
    address: AppAddress,
    method: str,
    path: str,
    *,
    body: dict[str, str] | None = None,
) -> AppResponse:
    return await app_request(
        services.links,
        address,
        method,
        path,
        body=None if body is None else encode(body),
        timeout_s=APP_TIMEOUT_S,
    )


def _check(answer: AppResponse) -> None:
    if not 200 <= answer.status < 300:
        raise _refused(f"It answered with status {answer.status}{_word(answer)}.")


def _read(answer: AppResponse, kind: type[T]) -> T:
    _check(answer)
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (ValueError, RecursionError) as error:
        raise _refused(f"Its answer makes no sense: {error}.") from error


def _word(answer: AppResponse) -> str:
    return f" ({answer.code})" if answer.code else ""


def _refused(detail: str) -> AppRefused:
    return AppRefused(
        "interrupt_rejected", "The workspace did not interrupt the coding agent.", detail
    )


def _nothing_runs(state: str) -> RefusedNow:
    shown = "".join(c for c in state[:40] if c.isprintable())
    return RefusedNow(
        "nothing_runs",
        "The coding agent of this task is in no turn that could be ended.",
        f'Its state is "{shown}". What waits for it can be taken back from the queue.',
    )
