"""Prompts that wait for their turn: row types and one function a statement of sql/inbox.sql."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.db.statements import NoRow, statement
from taskyard.wire.enums import AgentLifecycle, AppHealth, PromptSource, PromptState

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


class LockedTaskRow(msgspec.Struct, frozen=True):
    """A task that is held until the transaction ends."""

    task_id: UUID


class WaitingRow(msgspec.Struct, frozen=True):
    """How many prompts wait, and how many bytes they have together."""

    prompts: int
    bytes: int


class PromptRow(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt and what became of it.

    position: its place among those that wait, from 1, null for others. created_by: a name, null for the server's
    own. number: the item that it is in the transcript, null until it turned up there, and for other servers'. is_cut:
    content is only how its text begins.
    """

    id: UUID
    source: PromptSource
    state: PromptState
    content: str
    created_at: datetime
    created_by: str | None
    sent_at: datetime | None
    settled_at: datetime | None
    error: str | None
    number: int | None
    position: int | None
    is_cut: bool


class PlaceRow(msgspec.Struct, frozen=True):
    """A prompt that waits; places rise, with gaps."""

    id: UUID
    place: int


class NewPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt to be put behind all others."""

    id: UUID
    content: str
    created_by: UUID


class OpenRow(msgspec.Struct, frozen=True):
    """Whether the fate of any queued prompt is open."""

    has_open: bool


class ExitRow(msgspec.Struct, frozen=True):
    """Whether a coding agent that died in a turn is up again."""

    is_exit: bool


class HeadRow(msgspec.Struct, frozen=True, kw_only=True):
    """The queued prompt whose turn it is, and what decides whether it goes out now.

    acked_seq: how far the workspace's record is held now; after_seq: when the prompt was marked, null before.
    is_idle, is_held and is_new are as sql/inbox.sql has them.
    """

    task_id: UUID
    workspace_id: UUID
    build_id: UUID
    acked_seq: int
    lifecycle: AgentLifecycle
    health: AppHealth
    slug: str
    url: str
    definition: bytes
    prompt_id: UUID
    prompt_state: PromptState
    content: str
    after_seq: int | None
    is_idle: bool
    is_held: bool
    is_new: bool


_LOCK = statement("inbox", "lock_task_as_system", LockedTaskRow)
_COUNT = statement("inbox", "count_waiting_as_system", WaitingRow)
_INSERT = statement("inbox", "insert_queued_as_system", NoRow)
_LIST = statement("inbox", "list_prompts_as_system", PromptRow)
_GET = statement("inbox", "get_prompt_as_system", PromptRow)
_LIST_PLACES = statement("inbox", "list_places_as_system", PlaceRow)
_SET_PLACE = statement("inbox", "set_place_as_system", NoRow)
_SET_CONTENT = statement("inbox", "set_content_as_system", NoRow)
_DELETE = statement("inbox", "delete_waiting_as_system", NoRow)
_HAS_OPEN = statement("inbox", "has_open_prompts_as_system", OpenRow)
_HEAD = statement("inbox", "get_queue_head_as_system", HeadRow)
_ENDED_IN_EXIT = statement("inbox", "ended_in_exit_as_system", ExitRow)
_MARK = statement("inbox", "mark_sending_as_system", NoRow)
_PUT_BACK = statement("inbox", "put_back_as_system", NoRow)


async def lock_task_as_system(conn: "Connection", task_id: UUID) -> bool:
    """Whether the task is live; then it is locked until the transaction ends."""
    return await _LOCK.one(conn, task_id=task_id) is not None


async def count_waiting_as_system(conn: "Connection", task_id: UUID) -> WaitingRow:
    """How much waits."""
    row = await _COUNT.one(conn, task_id=task_id)
    assert row is not None  # an aggregate always has one
    return row


async def insert_queued_as_system(
    conn: "Connection", task_id: UUID, prompt: NewPrompt, now: datetime
) -> None:
    """Puts a prompt behind all that wait."""
    await _INSERT.execute(conn, task_id=task_id, now=now, **msgspec.structs.asdict(prompt))


async def list_prompts_as_system(
    conn: "Connection", task_id: UUID, *, settled: int, settled_chars: int
) -> list[PromptRow]:
    """What is under way, what waits in its order, then so many of the others, the newest, and so much of each."""
    return await _LIST.many(conn, task_id=task_id, settled=settled, settled_chars=settled_chars)


async def get_prompt_as_system(
    conn: "Connection", task_id: UUID, prompt_id: UUID
) -> PromptRow | None:
    """One prompt of the task."""
    return await _GET.one(conn, task_id=task_id, id=prompt_id)


async def list_places_as_system(conn: "Connection", task_id: UUID) -> list[PlaceRow]:
    """The prompts that wait, in their order."""
    return await _LIST_PLACES.many(conn, task_id=task_id)


async def set_places_as_system(conn: "Connection", places: list[PlaceRow]) -> None:
    """Gives prompts that wait other places; the caller holds the task."""
    await _SET_PLACE.execute_many(conn, [msgspec.structs.asdict(place) for place in places])


async def set_content_as_system(conn: "Connection", prompt_id: UUID, content: str) -> None:
    """Another text for a prompt that waits."""
    await _SET_CONTENT.execute(conn, id=prompt_id, content=content)


async def delete_waiting_as_system(conn: "Connection", task_id: UUID, prompt_id: UUID) -> bool:
    """Takes a prompt back; False when it does not wait."""
    return await _DELETE.execute(conn, task_id=task_id, id=prompt_id) > 0


async def has_open_prompts_as_system(conn: "Connection", task_id: UUID) -> bool:
    """Whether the fate of any queued prompt is open."""
    row = await _HAS_OPEN.one(conn, task_id=task_id)
    assert row is not None  # a select without from always has one
    return row.has_open


async def get_queue_head_as_system(
    conn: "Connection", agent_id: UUID, generation: int, unseen_since: datetime
) -> HeadRow | None:
    """The queued prompt whose turn it is, if any goes through this agent of this generation.

    unseen_since: a prompt that was taken before and never turned up since holds up nothing.
    """
    return await _HEAD.one(
        conn, agent_id=agent_id, generation=generation, unseen_since=unseen_since
    )


async def ended_in_exit_as_system(conn: "Connection", task_id: UUID) -> bool:
    """Whether the task's coding agent died in its last turn, and another one is there."""
    row = await _ENDED_IN_EXIT.one(conn, task_id=task_id)
    assert row is not None  # a select without from always has one
    return row.is_exit


async def mark_sending_as_system(
    conn: "Connection", prompt_id: UUID, after_seq: int, now: datetime
) -> None:
    """The prompt is on its way from now on; the caller holds the task and has seen that it waits."""
    await _MARK.execute(conn, id=prompt_id, after_seq=after_seq, now=now)


async def put_back_as_system(conn: "Connection", prompt_id: UUID) -> None:
    """The prompt waits again; nothing when something was heard of it meanwhile."""
    await _PUT_BACK.execute(conn, id=prompt_id)
