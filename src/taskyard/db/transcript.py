"""Transcript items, snapshots, prompts: row types and one function a statement of sql/transcript.sql."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.db.statements import NoRow, statement
from taskyard.wire.enums import AgentLifecycle, AppHealth
from taskyard.wire.phases import Phase

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


class LockedWorkspaceRow(msgspec.Struct, frozen=True, kw_only=True):
    """How far a workspace's items are held, and by which generation they may be sent.

    phase: in which its start is, or at which its coding agent failed to come up; null once it is through with it.
    item_bytes: what its task's transcript holds.
    """

    generation: int
    acked_seq: int
    phase: Phase | None
    item_bytes: int


class TakenRow(msgspec.Struct, frozen=True, kw_only=True):
    """The task that items belong to; the first of them gets the number after `before`."""

    task_id: UUID
    before: int


class ItemRow(msgspec.Struct, frozen=True, kw_only=True):
    """A transcript item as it was stored; data is one JSON object."""

    number: int
    kind: str
    turn: int
    data: bytes
    time: datetime


class NewItem(msgspec.Struct, frozen=True, kw_only=True):
    """A transcript item to be stored; seq and generation are null for items of the server."""

    number: int
    seq: int | None
    generation: int | None
    kind: str
    turn: int
    data: bytes
    time: datetime


class SnapshotRow(msgspec.Struct, frozen=True, kw_only=True):
    """The stored end of a conversation; data is the JSON of its format."""

    format: str
    data: bytes
    created_at: datetime


class EndRow(msgspec.Struct, frozen=True, kw_only=True):
    """Where the newest items begin that together are not too large; messages_before: about as many were begun."""

    after: int
    messages_before: int


class DeliveryRow(msgspec.Struct, frozen=True, kw_only=True):
    """What decides whether a task's input is delivered now.

    prompt_* are null together: nothing was tried in this start, and nothing is open from an earlier one; but
    prompt_number is null as well until the prompt turned up in the transcript, as that item. after_seq:
    how far the workspace's record was held when it was marked. has_report: a program in the workspace has told of
    itself since this start, or the server of a delivery.
    """

    task_id: UUID
    input: str
    build_id: UUID
    generation: int
    workspace_id: UUID
    lifecycle: AgentLifecycle
    app_id: UUID
    slug: str
    url: str
    health: AppHealth
    definition: bytes
    prompt_id: UUID | None
    prompt_state: str | None
    prompt_content: str | None
    prompt_of_this_start: bool | None
    prompt_number: int | None
    after_seq: int | None
    last_delivered: str | None
    has_report: bool

    @property
    def is_due(self) -> bool:
        """Whether there is an input that has not turned up in the transcript yet."""
        match self.prompt_state:
            case None:
                return bool(self.input.strip()) and self.input != self.last_delivered
            case "sending":
                return True
            case _:
                return self.prompt_state == "delivered" and self.prompt_number is None


_LOCK = statement("transcript", "lock_workspace_as_system", LockedWorkspaceRow)
_TAKE_NUMBERS = statement("transcript", "take_numbers_as_system", TakenRow)
_INSERT_ITEMS = statement("transcript", "insert_items_as_system", NoRow)
_SET_ACKED = statement("transcript", "set_acked_seq_as_system", NoRow)
_LIST_ITEMS = statement("transcript", "list_items_as_system", ItemRow)
_GET_END = statement("transcript", "get_end_of_items_as_system", EndRow)
_UPSERT_SNAPSHOT = statement("transcript", "upsert_snapshot_as_system", NoRow)
_GET_SNAPSHOT = statement("transcript", "get_snapshot_as_system", SnapshotRow)
_DELIVERY = statement("transcript", "get_delivery_as_system", DeliveryRow)
_INSERT_PROMPT = statement("transcript", "insert_prompt_as_system", NoRow)
_ADOPT_PROMPT = statement("transcript", "adopt_prompt_as_system", NoRow)
_CONFIRM_PROMPT = statement("transcript", "confirm_prompt_as_system", NoRow)
_SETTLE_PROMPT = statement("transcript", "settle_prompt_as_system", NoRow)


async def lock_workspace_as_system(
    conn: "Connection", workspace_id: UUID
) -> LockedWorkspaceRow | None:
    """The workspace, locked until the transaction ends."""
    return await _LOCK.one(conn, workspace_id=workspace_id)


async def take_numbers_as_system(
    conn: "Connection", workspace_id: UUID, count: int, *, item_bytes: int | None = None
) -> TakenRow | None:
    """The next numbers of the workspace's task, live or deleted; None when it has no task.

    Whoever takes numbers stores that many items in the same transaction. item_bytes: what the transcript holds then,
    null for as much as before.
    """
    return await _TAKE_NUMBERS.one(
        conn, workspace_id=workspace_id, count=count, item_bytes=item_bytes
    )


async def insert_items_as_system(
    conn: "Connection", task_id: UUID, items: list[NewItem], now: datetime
) -> None:
    """Stores items under numbers that were taken for them."""
    await _INSERT_ITEMS.execute(
        conn,
        task_id=task_id,
        numbers=[item.number for item in items],
        seqs=[item.seq for item in items],
        generations=[item.generation for item in items],
        kinds=[item.kind for item in items],
        turns=[item.turn for item in items],
        datas=[item.data.decode() for item in items],
        times=[item.time for item in items],
        now=now,
    )


async def set_acked_seq_as_system(
    conn: "Connection", workspace_id: UUID, acked_seq: int, now: datetime
) -> None:
    """How far the workspace's items are held now."""
    await _SET_ACKED.execute(conn, workspace_id=workspace_id, acked_seq=acked_seq, now=now)


async def list_items_as_system(
    conn: "Connection", task_id: UUID, *, after: int, limit: int, kinds: list[str] | None
) -> list[ItemRow]:
    """Items after a number, in order; kinds null means all."""
    return await _LIST_ITEMS.many(conn, task_id=task_id, after=after, limit=limit, kinds=kinds)


async def get_end_of_items_as_system(
    conn: "Connection", task_id: UUID, kinds: Sequence[str], limit_bytes: int
) -> EndRow:
    """Where the newest items of these kinds begin that together have at most limit_bytes."""
    row = await _GET_END.one(conn, task_id=task_id, kinds=list(kinds), bytes=limit_bytes)
    assert row is not None  # an aggregate always has one
    return row


async def upsert_snapshot_as_system(
    conn: "Connection", task_id: UUID, data: bytes, now: datetime
) -> None:
    """Replaces the task's snapshot, in the one format there is."""
    await _UPSERT_SNAPSHOT.execute(conn, task_id=task_id, format="agentapi", data=data, now=now)


async def get_snapshot_as_system(conn: "Connection", task_id: UUID) -> SnapshotRow | None:
    """The task's snapshot."""
    return await _GET_SNAPSHOT.one(conn, task_id=task_id)


async def get_delivery_as_system(conn: "Connection", agent_id: UUID) -> DeliveryRow | None:
    """What decides about the delivery of the task's input through this agent."""
    return await _DELIVERY.one(conn, agent_id=agent_id)


async def insert_prompt_as_system(
    conn: "Connection", prompt_id: UUID, row: DeliveryRow, now: datetime
) -> None:
    """Marks the input as being delivered. Raises UniqueViolationError when this start has tried."""
    await _INSERT_PROMPT.execute(
        conn, id=prompt_id, task_id=row.task_id, build_id=row.build_id, content=row.input, now=now
    )


async def adopt_prompt_as_system(conn: "Connection", prompt_id: UUID, build_id: UUID) -> bool:
    """The open delivery belongs to that start from now on; False when it was settled."""
    return await _ADOPT_PROMPT.execute(conn, id=prompt_id, build_id=build_id) > 0


async def confirm_prompt_as_system(
    conn: "Connection", task_id: UUID, prompt_id: UUID, number: int, *, now: datetime
) -> None:
    """The prompt stands in the task's transcript, as that item; nothing when it is no prompt of that task."""
    await _CONFIRM_PROMPT.execute(conn, id=prompt_id, task_id=task_id, number=number, now=now)


async def settle_prompt_as_system(
    conn: "Connection", prompt_id: UUID, state: str, error: str | None, *, now: datetime
) -> bool:
    """How the delivery ended: delivered, uncertain or failed; False when it had ended already."""
    return await _SETTLE_PROMPT.execute(conn, id=prompt_id, state=state, error=error, now=now) > 0
