"""The transcript: items are stored as they come, before anybody sees them, and never rewritten."""

import contextlib
import json
import re
from collections.abc import AsyncIterable, AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING, NoReturn
from uuid import UUID

import msgspec

from taskyard.control import phases
from taskyard.control.actors import AgentActor
from taskyard.control.agents import in_utc
from taskyard.control.fullness import fitting
from taskyard.control.observe import Source, observe
from taskyard.control.services import Services
from taskyard.db import observed as observed_db
from taskyard.db import transcript as db
from taskyard.db.events import ITEMS
from taskyard.db.pool import ring
from taskyard.errors import ItemsMissing, StaleGeneration
from taskyard.wire import link
from taskyard_agent import points
from taskyard_agent.bridge.messages import Conversation
from taskyard_agent.snapshot import SnapshotMessage, fit

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

PAGE = 1000
"""Items read at a time."""

MAX_ITEMS = 5000
"""Items of one call; agents send 500. A frame holds some 40,000 tiny ones, and all links wait while they are read."""

SNAPSHOT_READ_BYTES = 32 * 1024 * 1024
"""Most bytes of items that are read for a snapshot: 500 times what it may hold, as tool calls say much more than
is shown of them."""

MAX_TURN = 2**31 - 1
"""Highest turn that the column takes."""

SAID = (
    link.ItemKind.USER_MESSAGE,
    link.ItemKind.AGENT_TEXT,
    link.ItemKind.AGENT_MESSAGE,
    link.ItemKind.TOOL_CALL,
)
"""The kinds that a conversation is made of."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class _Prompt(msgspec.Struct):
    prompt_id: UUID | None = None


async def store_items(
    services: Services, actor: AgentActor, items: list[link.SentItem], now: datetime
) -> int:
    """How far the workspace's items are held now.

    Items held already are passed over, so sending twice is harmless. Raises ItemsMissing when there is a
    gap, StaleGeneration when the agent was replaced, ValueError for an item that cannot be stored.
    """
    if len(items) > MAX_ITEMS:
        raise ValueError(f"{len(items)} items at once; send at most {MAX_ITEMS}")
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
        kept, whole = fitting(fresh, held.item_bytes)
        taken = await db.take_numbers_as_system(
            conn, actor.workspace_id, len(kept), item_bytes=whole
        )
        if taken is not None:
            rows = [
                _row(item, taken.before + place, held.generation)
                for place, item in enumerate(kept, 1)
            ]
            await db.insert_items_as_system(conn, taken.task_id, rows, now)
            await _confirm_prompts(conn, taken.task_id, rows, now)
            source = Source(actor.workspace_id, actor.agent_id)
            await observe(conn, source, taken.task_id, rows, now=now)
            await phases.items_told(conn, actor.build_id, held.phase, rows, now=now)
        await db.set_acked_seq_as_system(conn, actor.workspace_id, fresh[-1].seq, now)
        await points.reached("items.writing", str(actor.workspace_id))
    await points.reached("items.stored", str(actor.workspace_id))
    if taken is not None:
        services.feeds.ring(taken.task_id)  # those who follow here need not wait for the bell
        services.doorbell.ring_soon(ITEMS, str(taken.task_id))
    services.meters.items(len(fresh))
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
    taken = await db.take_numbers_as_system(conn, workspace_id, 1)
    if taken is None:
        return
    item = db.NewItem(
        number=taken.before + 1,
        seq=None,
        generation=None,
        kind=kind,
        turn=0,
        data=msgspec.json.encode(data),
        time=now,
    )
    await db.insert_items_as_system(conn, taken.task_id, [item], now)
    await observe(conn, Source(workspace_id, None), taken.task_id, [item], now=now)
    await ring(conn, ITEMS, str(taken.task_id))


async def end_observation(
    conn: "Connection", workspace_id: UUID, news: link.StateNews, now: datetime
) -> None:
    """Notes a state that no bridge is left to tell: nothing where it was told, or no bridge ever told any."""
    task = await observed_db.get_task_of_workspace_as_system(conn, workspace_id)
    if task is None:
        return
    stored = await observed_db.get_observation_as_system(conn, task.task_id)
    if stored.state is news.state or (stored.state is None and stored.shown_state is None):
        return
    await append_server_item(conn, workspace_id, link.ItemKind.STATE, news, now=now)


async def snapshot_from_items(conn: "Connection", task_id: UUID, now: datetime) -> None:
    """Makes the snapshot of a task from its newest stored items; nothing when nobody has said anything.

    The newest messages that fit; of a single one that is too long, its end. Source: N21.
    """
    end = await db.get_end_of_items_as_system(conn, task_id, SAID, SNAPSHOT_READ_BYTES)
    messages = await messages_of(_items(conn, task_id, end.after))
    if not messages:
        return
    # Where the newest items begin amid a turn, the first message is one that was counted.
    cut = 1 if end.messages_before and messages[0].role != "user" else 0
    for message in messages:
        message.id += end.messages_before - cut
    if messages:
        await db.upsert_snapshot_as_system(conn, task_id, fit(messages), now)


async def messages_of(items: AsyncIterable[db.ItemRow]) -> list[SnapshotMessage]:
    """The conversation as our bridge shows it: made from the items by the bridge's own rules."""
    conversation = Conversation()
    async for item in items:
        # What the bridge could not have written says nothing that can be shown.
        with contextlib.suppress(ValueError, RecursionError):
            conversation.apply(_read(item))
    return [
        SnapshotMessage(m.id, m.content, m.role, str(msgspec.to_builtins(m.time)))
        for m in conversation.messages
    ]


def _read(row: db.ItemRow) -> link.Item:
    """The item as it was sent, with half characters replaced; raises ValueError when there is no reading it."""
    value = json.loads(row.data)
    text = _LONE_SURROGATE.sub("\ufffd", json.dumps(value, ensure_ascii=False))
    return link.Item(
        seq=row.number,
        time=row.time,
        turn=row.turn,
        kind=link.ItemKind(row.kind),
        data=msgspec.Raw(text.encode()),
    )


async def _items(conn: "Connection", task_id: UUID, after: int) -> AsyncIterator[db.ItemRow]:
    while True:
        page = await db.list_items_as_system(
            conn, task_id, after=after, limit=PAGE, kinds=[kind.value for kind in SAID]
        )
        for item in page:
            yield item
        if len(page) < PAGE:
            return
        after = page[-1].number


def _row(item: link.SentItem, number: int, generation: int) -> db.NewItem:
    """The item as it is stored; raises ValueError when it cannot be: a workspace may send anything."""
    if not 0 <= item.turn <= MAX_TURN:
        raise ValueError(f"item {item.seq} has turn {item.turn}, which is none")
    if item.kind is link.ItemKind.PHASE:
        raise ValueError(f"item {item.seq} is of kind phase, which only the server writes")
    try:
        text = item.data.decode()
        _STRICT.decode(text)
    except RecursionError as error:
        raise ValueError(f"the data of item {item.seq} nests too deep") from error
    if not text.lstrip().startswith("{"):
        raise ValueError(f"the data of item {item.seq} is no JSON object")
    return db.NewItem(
        number=number,
        seq=item.seq,
        generation=generation,
        kind=item.kind,
        turn=item.turn,
        data=item.data,
        time=in_utc(item.time),
    )


async def _confirm_prompts(
    conn: "Connection", task_id: UUID, items: list[db.NewItem], now: datetime
) -> None:
    """Prompts of ours that stand in the transcript have arrived, even if no answer ever came back."""
    for item in items:
        if item.kind == link.ItemKind.USER_MESSAGE:
            prompt_id = _prompt_id(item)
            if prompt_id is not None:
                await db.confirm_prompt_as_system(conn, task_id, prompt_id, item.number, now=now)


def _prompt_id(item: db.NewItem) -> UUID | None:
    """Which prompt of ours a message is, if it is one."""
    try:
        return msgspec.json.decode(item.data, type=_Prompt).prompt_id
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_STRICT = json.JSONDecoder(parse_int=float, parse_constant=_refuse)
"""Takes what Postgres takes as json: half characters and U+0000 as escapes too, numbers of any length."""
