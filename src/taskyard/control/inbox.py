"""Prompts that wait for their turn: putting one there, and listing, moving, changing and taking back those that wait.

control/queue.py brings them to the coding agent. Whoever changes the order holds the task's row, as does whoever
marks the next one, so that a prompt that is on its way is never changed any more.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from taskyard.control.actors import Actor
from taskyard.control.audit import deed_of, record
from taskyard.control.prompts import message_body
from taskyard.control.services import Services
from taskyard.control.tasks import input_missing, refuse
from taskyard.db import inbox as db
from taskyard.db import tasks as tasks_db
from taskyard.db.observed import get_observation_as_system
from taskyard.db.pool import ring
from taskyard.errors import Missing, NotFound, RefusedNow, RequestRefused
from taskyard.lifecycle.inbox import waits_for
from taskyard.lifecycle.permissions import Verb, can
from taskyard.lifecycle.task import TaskVerb
from taskyard.wire import tasks as wire
from taskyard.wire.base import unless_empty
from taskyard.wire.enums import AuditAction, AuditResource, PromptState, QueueWait
from taskyard.wire.link import AgentState

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

INBOX: Final = "inbox"
"""The topic that is rung, by task id, when a prompt may have become due."""

MAX_WAITING: Final = 100
"""Prompts of one task that may wait: some days of work, and a list that a person can still read."""

MAX_WAITING_BYTES: Final = 4 * 1024 * 1024
"""Bytes of a task's prompts that wait, all together: they are listed as a whole."""

MAX_BODY_BYTES: Final = 1024 * 1024 - 1
"""Bytes of the longest message that a bridge takes, as JSON."""

MOST_SETTLED: Final = 50
"""Prompts listed that wait no more, the newest: the transcript has all."""

SETTLED_CHARS: Final = 1000
"""Characters listed of each of those: enough to tell which it is, and fifty of them are no large answer."""


async def queue_prompt(
    services: Services, actor: Actor, task: tasks_db.TaskRow, text: str, *, now: datetime
) -> wire.QueuedPrompt:
    """The place of a new prompt behind all that wait; nothing else is started by it.

    Raises RequestRefused for a text that says nothing or too much, NotFound, Refused, RefusedNow when too many wait.
    """
    _check_text(text)
    prompt = db.NewPrompt(id=uuid4(), content=text, created_by=actor.user_id)
    async with services.db.transaction() as conn:
        fresh = await _held(conn, actor, task)
        refuse(TaskVerb.QUEUE, fresh)
        waiting = await db.count_waiting_as_system(conn, task.id)
        _check_room(waiting, text)
        await db.insert_queued_as_system(conn, task.id, prompt, now)
        new: dict[str, object] = {"id": prompt.id, "position": waiting.prompts + 1}
        await _note(conn, actor, task, now, old=None, new=new)
        reason = await _waits_for(conn, fresh)
    return wire.QueuedPrompt(
        id=prompt.id, position=waiting.prompts + 1, waits_for=unless_empty(reason)
    )


async def list_prompts(services: Services, task: tasks_db.TaskRow) -> wire.TaskPromptsResponse:
    """What is under way and what waits, in order, and what became of the newest others."""
    async with services.db.connection() as conn:
        rows = await db.list_prompts_as_system(
            conn, task.id, settled=MOST_SETTLED, settled_chars=SETTLED_CHARS
        )
        reason = await _waits_for(conn, task)
    if not any(row.state is PromptState.WAITING for row in rows):
        reason = None
    return wire.TaskPromptsResponse(prompts=[prompt_view(row) for row in rows], waits_for=reason)


async def update_prompt(
    services: Services,
    actor: Actor,
    task: tasks_db.TaskRow,
    prompt_id: UUID,
    *,
    request: wire.UpdateTaskPromptRequest,
    now: datetime,
) -> wire.TaskPrompt:
    """A prompt that waits, with another place or another text. A place behind the last one is the last one.

    Raises RequestRefused, NotFound, Missing, RefusedNow for a prompt that waits no more.
    """
    _check_update(request)
    async with services.db.transaction() as conn:
        await _held(conn, actor, task)
        row = await _waiting(conn, task, prompt_id)
        if request.input is not None:
            waiting = await db.count_waiting_as_system(conn, task.id)
            _check_room(waiting, request.input, instead_of=row)
            await db.set_content_as_system(conn, prompt_id, request.input)
        if request.position is not None:
            await _move(conn, task.id, prompt_id, request.position)
        fresh = await _waiting(conn, task, prompt_id)
        await _note(conn, actor, task, now, old=_told(row), new=_told(fresh))
    return prompt_view(fresh)


async def take_back(
    services: Services, actor: Actor, task: tasks_db.TaskRow, prompt_id: UUID, *, now: datetime
) -> None:
    """The prompt will not be sent. Raises NotFound, Missing, RefusedNow once it waits no more."""
    async with services.db.transaction() as conn:
        await _held(conn, actor, task)
        row = await _waiting(conn, task, prompt_id)
        await db.delete_waiting_as_system(conn, task.id, prompt_id)
        await _note(conn, actor, task, now, old=_told(row), new=None)


def prompt_view(row: db.PromptRow) -> wire.TaskPrompt:
    """A prompt as the wire shows it."""
    return wire.TaskPrompt(
        id=row.id,
        position=row.position,
        source=row.source,
        state=row.state,
        input=row.content,
        input_truncated=row.is_cut,
        created_at=row.created_at,
        created_by=row.created_by,
        sent_at=row.sent_at,
        settled_at=row.settled_at,
        error=row.error,
        item_number=row.number,
    )


async def _held(conn: "Connection", actor: Actor, task: tasks_db.TaskRow) -> tasks_db.TaskRow:
    """The task as it is now, and stays until the transaction ends. Raises NotFound."""
    if not can(actor, Verb.TASK_WRITE, task.owner_id, task.organization_id):
        raise NotFound
    fresh = None
    if await db.lock_task_as_system(conn, task.id):
        fresh = await tasks_db.get_task(conn, actor.viewer, task.id)
    if fresh is None:
        raise NotFound(f"task {task.id}")
    return fresh


async def _waiting(conn: "Connection", task: tasks_db.TaskRow, prompt_id: UUID) -> db.PromptRow:
    row = await db.get_prompt_as_system(conn, task.id, prompt_id)
    if row is None:
        raise Missing("prompt_unknown", f"This task has no prompt by the id {prompt_id}.")
    if row.state is not PromptState.WAITING:
        raise RefusedNow(
            "prompt_sent",
            "This prompt waits no more, so it can be neither changed nor taken back.",
            f"Its state is {row.state}. Interrupt the task to end the turn that works on it.",
        )
    return row


async def _waits_for(conn: "Connection", task: tasks_db.TaskRow) -> QueueWait | None:
    seen = (await get_observation_as_system(conn, task.id)).state
    if seen is AgentState.FAILED and await db.ended_in_exit_as_system(conn, task.id):
        seen = AgentState.IDLE
    return waits_for(task.facts, seen)


async def _move(conn: "Connection", task_id: UUID, prompt_id: UUID, position: int) -> None:
    """Deals out the places of those that wait anew; none is used that was not theirs. position: from 1, any number."""
    rows = await db.list_places_as_system(conn, task_id)
    order = [row.id for row in rows if row.id != prompt_id]
    order.insert(min(position - 1, len(order)), prompt_id)
    moved = [
        db.PlaceRow(wanted, row.place)
        for wanted, row in zip(order, rows, strict=True)
        if wanted != row.id
    ]
    await db.set_places_as_system(conn, moved)


async def _note(
    conn: "Connection",
    actor: Actor,
    task: tasks_db.TaskRow,
    now: datetime,
    *,
    old: dict[str, object] | None,
    new: dict[str, object] | None,
) -> None:
    """Keeps who changed the queue, but no text of it, and wakes whoever delivers."""
    deed = deed_of(
        AuditResource.TASK,
        task,
        AuditAction.SEND if old is None else AuditAction.WRITE,
        {"prompt": {"old": old, "new": new}},
    )
    await record(conn, actor, deed, now)
    await ring(conn, INBOX, str(task.id))
    await ring(conn, "task", str(task.id))


def _told(row: db.PromptRow) -> dict[str, object]:
    """What an audit keeps of a prompt: which, where, and how long, for texts may hold secrets."""
    return {"id": row.id, "position": row.position, "bytes": len(row.content.encode())}


def _check_text(text: str) -> None:
    if not text.strip():
        raise input_missing()
    if len(message_body(text)) > MAX_BODY_BYTES:
        raise RequestRefused(
            "input_too_long",
            "A prompt of this length is taken by no coding agent.",
            f"As JSON it may have {MAX_BODY_BYTES} bytes. Put the rest into a file of the workspace.",
        )


def _check_update(request: wire.UpdateTaskPromptRequest) -> None:
    if request.position is None and request.input is None:
        raise RequestRefused(
            "nothing_to_change", "The request changes nothing.", "Give position, input, or both."
        )
    if request.position is not None and request.position < 1:
        raise RequestRefused(
            "position_invalid",
            f"A prompt cannot have the position {request.position}.",
            "Positions count from 1, which is the next one to be sent.",
        )
    if request.input is not None:
        _check_text(request.input)


def _check_room(
    waiting: db.WaitingRow, text: str, *, instead_of: db.PromptRow | None = None
) -> None:
    """Raises RefusedNow when this is more than may wait."""
    freed = 0 if instead_of is None else len(instead_of.content.encode())
    if instead_of is None and waiting.prompts >= MAX_WAITING:
        what = f"{waiting.prompts} prompts wait already, and more may not."
    elif waiting.bytes - freed + len(text.encode()) > MAX_WAITING_BYTES:
        what = f"Those that wait may have {MAX_WAITING_BYTES} bytes together."
    else:
        return
    raise RefusedNow(
        "queue_full",
        "The queue of this task is full.",
        f"{what} Wait until some are sent, or take some back.",
    )
