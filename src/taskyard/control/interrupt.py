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


RUNNING: Final = "running"
"""What it is in a turn, and while a program with a screen works by itself: then there is no turn."""

NO_SUCH_TURN: Final = "nothing_runs"
"""Refusal of our bridge: the turn that was named is over."""


class _Turn(msgspec.Struct):
    id: int


class _Session(msgspec.Struct):
    state: str
    turn: _Turn | None = None


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
        await _check_other(services, address)
        await _note(services, actor, task, now)
        body = {"content": ESCAPE, "type": "raw"}
        _check(await _ask(services, address, "POST", "message", body=body))
    else:
        session = _read(answer, _Session)
        if session.state not in IN_TURN or (session.turn is None and session.state != RUNNING):
            raise _nothing_runs(session.state)
        await _note(services, actor, task, now)
        await _cancel(services, address, session.turn)


async def _cancel(services: Services, address: AppAddress, turn: _Turn | None) -> None:
    """Our bridge was asked to end that turn and no later one; turn None: whatever runs."""
    path = "v2/cancel" if turn is None else f"v2/cancel?turn={turn.id}"
    answer = await _ask(services, address, "POST", path, body={})
    if answer.code == NO_SUCH_TURN:
        raise RefusedNow(
            NO_SUCH_TURN,
            "The turn that ran is over.",
            "If another one has begun meanwhile, it goes on. Interrupt the task again to end that.",
        )
    _check(answer)


async def _note(services: Services, actor: Actor, task: TaskRow, now: datetime) -> None:
    """Keeps who interrupts, before it is done: sent twice by one key, it does not end the turn after this one."""
    changes = {"turn": {"old": "running", "new": None}}
    deed = deed_of(AuditResource.TASK, task, AuditAction.INTERRUPT, changes)
    async with services.db.transaction() as conn:
        await record(conn, actor, deed, now)


async def _check_other(services: Services, address: AppAddress) -> None:
    """Nothing while somebody else's server is at work; raises RefusedNow."""
    status = _read(await _ask(services, address, "GET", "status"), _Status).status
    if status == STABLE:
        raise _nothing_runs(status)


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
