"""The transcript: items are stored as they come, before anybody sees them, and never rewritten."""

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.control.actors import AgentActor
from taskyard.control.services import Services
from taskyard.db import agents as agents_db
from taskyard.db import transcript as db
from taskyard.db.pool import ring
from taskyard.errors import ItemsMissing, StaleGeneration
from taskyard.wire import link
from taskyard.wire.enums import AppStatusState

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

SNAPSHOT_BYTES = 65536
"""Largest snapshot, in bytes of JSON. Source: T141, N21."""

CUT_MARKER = "[cut] "
"""Stands before the only message of a snapshot when its beginning had to go."""

PAGE = 1000
"""Items read at a time."""


class _Text(msgspec.Struct):
    text: str = ""
    message_id: int | None = None


class _TurnEnd(msgspec.Struct):
    reason: str = ""
    error: str | None = None


class SnapshotMessage(msgspec.Struct, kw_only=True):
    """One message of a snapshot, in the AgentAPI's words."""

    id: int
    content: str
    role: str
    time: datetime


async def store_items(
    services: Services, actor: AgentActor, items: list[link.SentItem], now: datetime
) -> int:
    """How far the workspace's items are held now.

    Items held already are passed over, so sending twice is harmless. Raises ItemsMissing when there is a
    gap, StaleGeneration when the agent was replaced, ValueError for data that is no JSON object.
    """
    async with services.db.transaction() as conn:
        held = await db.lock_workspace_as_system(conn, actor.workspace_id)
        if held is None or held.generation != actor.generation:
            raise StaleGeneration
        fresh = [item for item in items if item.seq > held.acked_seq]
        if not fresh:
            return held.acked_seq
        expected = range(held.acked_seq + 1, held.acked_seq + 1 + len(fresh))
        if [item.seq for item in fresh] != list(expected):
            raise ItemsMissing(held.acked_seq)
        _check(fresh)
        if held.task_id is not None:
            await _insert(conn, held, fresh, now)
            await _observe(conn, actor, fresh, now)
        await db.set_acked_seq_as_system(conn, actor.workspace_id, fresh[-1].seq, now)
    return fresh[-1].seq


async def append_server_item(
    conn: "Connection",
    workspace_id: UUID,
    kind: link.ItemKind,
    data: msgspec.Struct,
    *,
    now: datetime,
) -> None:
    """Adds an item of the server's own to the task of a workspace; nothing when it has none."""
    held = await db.lock_workspace_as_system(conn, workspace_id)
    if held is None or held.task_id is None:
        return
    item = db.NewItem(
        number=(held.last_number or 0) + 1,
        seq=None,
        generation=None,
        kind=kind,
        turn=0,
        data=msgspec.json.encode(data),
        time=now,
    )
    await db.insert_items_as_system(conn, held.task_id, [item], now)


async def snapshot_from_items(conn: "Connection", task_id: UUID, now: datetime) -> None:
    """Makes the snapshot of a task from its stored items, the newest messages that fit; nothing without any."""
    messages = fit(messages_of([item async for item in _all_items(conn, task_id)]))
    if messages:
        await db.upsert_snapshot_as_system(conn, task_id, _envelope(messages), now)


def messages_of(items: Iterable[db.ItemRow]) -> list[SnapshotMessage]:
    """The conversation as AgentAPI messages: a user message and the agent's answer to it for each prompt."""
    messages: list[SnapshotMessage] = []
    spoken = 0
    for item in items:
        if item.kind == link.ItemKind.USER_MESSAGE:
            text = msgspec.json.decode(item.data, type=_Text).text
            messages.append(_message(messages, text, "user", item.time))
            messages.append(_message(messages, "", "agent", item.time))
            spoken = 0
        elif item.kind in (link.ItemKind.AGENT_TEXT, link.ItemKind.AGENT_MESSAGE):
            if not messages:
                messages.append(_message(messages, "", "agent", item.time))
            spoken = _speak(messages[-1], item, spoken)
    return messages


def fit(messages: list[SnapshotMessage]) -> list[SnapshotMessage]:
    """The newest messages whose JSON fits a snapshot; of a single too long one, its end. Source: N21."""
    kept: list[SnapshotMessage] = []
    size = len(_envelope([]))
    for message in reversed(messages):
        size += len(msgspec.json.encode(message)) + 1
        if size > SNAPSHOT_BYTES:
            break
        kept.append(message)
    if messages and not kept:
        return [_cut(messages[-1])]
    return kept[::-1]


def _cut(message: SnapshotMessage) -> SnapshotMessage:
    """The message with as much of its end as fits."""
    empty = msgspec.structs.replace(message, content=CUT_MARKER)
    room = SNAPSHOT_BYTES - len(_envelope([empty]))
    low, high = 0, len(message.content)
    while low < high:
        middle = (low + high + 1) // 2
        if len(msgspec.json.encode(message.content[-middle:])) - 2 <= room:
            low = middle
        else:
            high = middle - 1
    text = message.content[-low:] if low else ""
    return msgspec.structs.replace(message, content=CUT_MARKER + text)


def _speak(message: SnapshotMessage, item: db.ItemRow, spoken: int) -> int:
    """Adds text to the agent's message; returns where its current segment began.

    Pieces come first, then the whole segment that they make: it takes their place.
    """
    text = msgspec.json.decode(item.data, type=_Text).text
    if item.kind == link.ItemKind.AGENT_TEXT:
        message.content += text
        message.time = item.time
        return spoken
    message.content = message.content[:spoken] + text + "\n\n"
    message.time = item.time
    return len(message.content)


def _message(
    before: list[SnapshotMessage], text: str, role: str, time: datetime
) -> SnapshotMessage:
    return SnapshotMessage(id=len(before), content=text, role=role, time=time)


def _envelope(messages: list[SnapshotMessage]) -> bytes:
    return msgspec.json.encode({"messages": messages})


async def _all_items(conn: "Connection", task_id: UUID) -> AsyncIterator[db.ItemRow]:
    after = 0
    kinds = [link.ItemKind.USER_MESSAGE, link.ItemKind.AGENT_TEXT, link.ItemKind.AGENT_MESSAGE]
    while True:
        page = await db.list_items_as_system(
            conn, task_id, after=after, limit=PAGE, kinds=[k.value for k in kinds]
        )
        for item in page:
            yield item
        if len(page) < PAGE:
            return
        after = page[-1].number


async def _insert(
    conn: "Connection",
    held: db.LockedWorkspaceRow,
    items: list[link.SentItem],
    now: datetime,
) -> None:
    assert held.task_id is not None
    first = (held.last_number or 0) + 1
    rows = [
        db.NewItem(
            number=first + place,
            seq=item.seq,
            generation=held.generation,
            kind=item.kind,
            turn=item.turn,
            data=item.data,
            time=item.time,
        )
        for place, item in enumerate(items)
    ]
    await db.insert_items_as_system(conn, held.task_id, rows, now)
    await ring(conn, "items", str(held.task_id))


async def _observe(
    conn: "Connection", actor: AgentActor, items: list[link.SentItem], now: datetime
) -> None:
    """What the newest turn says of the coding agent becomes its state, for clients that wait for it."""
    found: tuple[AppStatusState, str] | None = None
    for item in items:
        if item.kind is link.ItemKind.USER_MESSAGE:
            found = (AppStatusState.WORKING, "Working on the input.")
        elif item.kind is link.ItemKind.TURN_END:
            found = _turn_state(msgspec.json.decode(item.data, type=_TurnEnd))
    if found is None:
        return
    app = await agents_db.get_task_app_as_system(conn, actor.agent_id)
    if app is not None:
        state, message = found
        await agents_db.insert_app_status_as_system(
            conn, app, actor.agent_id, state=state, message=message, uri="", now=now
        )
        await ring(conn, "task", str(actor.task_id))


def _check(items: list[link.SentItem]) -> None:
    """Nothing when all data are JSON objects; a workspace may send anything."""
    for item in items:
        msgspec.json.decode(item.data, type=dict[str, msgspec.Raw])


def _turn_state(end: _TurnEnd) -> tuple[AppStatusState, str]:
    if end.error:
        return AppStatusState.FAILURE, f"The turn failed: {end.error}"[:160]
    if end.reason == "interrupted":
        return AppStatusState.IDLE, "The turn was interrupted."
    return AppStatusState.IDLE, "Waiting for input."
