"""What a task said and did, item by item, and what those who follow tasks are told. All of it is ours."""

from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from taskyard.wire.base import Time
from taskyard.wire.enums import TaskStatus
from taskyard.wire.tasks import TaskStateEntry, WaitingFor

LAST_EVENT_ID: Final = "Last-Event-ID"
"""The header in which a client says how far it had come; it counts before the query."""


class TranscriptFormat(StrEnum):
    """How a transcript is given: a page as JSON, or all of it, an item a line or as text for people."""

    JSON = "json"
    JSONL = "jsonl"
    MARKDOWN = "markdown"


Object = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "object"})]
"""A JSON object as it was stored, whatever it holds."""


class TaskItem(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a transcript, never changed once it is there.

    number counts from 1 without gaps. time is by the clock of the workspace, stored_at by that of the server. data
    is an object, which has other keys for each kind.
    """

    number: int
    kind: str
    turn: int
    time: Time
    stored_at: Time
    data: Object


class TaskTranscript(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a transcript, in order.

    last_number is of the newest item there is, 0 for none. next_after is what to ask for next, null when the span
    that was asked for has no more.
    """

    items: list[TaskItem]
    last_number: int
    next_after: int | None


ItemNumber = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""The number of an item, or 0 for before the first."""

PageLimit = Annotated[int, msgspec.Meta(ge=1, le=1000)]
"""Items of one page."""


class TranscriptQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which items, between two numbers, of which kinds, a list with commas; all by themselves.

    With before alone, a page holds the last items before it. limit is 200 for a page, none for what comes whole.
    """

    after: ItemNumber | None = None
    before: ItemNumber | None = None
    limit: PageLimit | None = None
    kinds: str = ""
    format: TranscriptFormat = TranscriptFormat.JSON


class FollowTaskQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Where to begin: behind an id of the stream or the number of an item, or so many items before the end."""

    after: str = ""
    tail: ItemNumber | None = None


class FollowTasksQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Where to begin: behind an id of the stream; with what comes from now on when there is none."""

    after: str = ""


class NewsKind(StrEnum):
    """The events of both streams."""

    ITEM = "item"
    STATUS = "status"
    TASK = "task"
    RESET = "reset"
    DELETED = "deleted"


class TaskStanding(msgspec.Struct, frozen=True, kw_only=True):
    """What a task had become at a moment, in the words of the task itself. Event `status`.

    display_name is left out where an older server kept the event.
    """

    display_name: str | UnsetType = UNSET
    status: TaskStatus
    current_state: TaskStateEntry | None
    waiting_for: WaitingFor | UnsetType = UNSET
    at: Time


class TaskName(msgspec.Struct, frozen=True, kw_only=True):
    """Which task something is about. display_name is left out where an older server kept the event."""

    id: UUID
    name: str
    display_name: str | UnsetType = UNSET
    owner_name: str
    organization_id: UUID


class TaskNews(msgspec.Struct, frozen=True, kw_only=True):
    """What one of many tasks had become at a moment; deleted: it is no more. Event `task`."""

    task: TaskName
    status: TaskStatus
    current_state: TaskStateEntry | None
    waiting_for: WaitingFor | UnsetType = UNSET
    at: Time
    deleted: bool


class TaskDeleted(msgspec.Struct, frozen=True, kw_only=True):
    """The task is no more, and so is its stream. Event `deleted`."""

    at: Time


class TasksReset(msgspec.Struct, frozen=True, kw_only=True):
    """What was before is not told: whoever wants to know reads the list of tasks now. Event `reset`."""


TaskStreamed = TaskItem | TaskStanding | TaskDeleted
"""What the stream of one task tells."""

TasksStreamed = TaskNews | TasksReset
"""What the stream of all tasks tells."""

OF_TASK: Final[dict[str, type[TaskItem | TaskStanding | TaskDeleted]]] = {
    NewsKind.ITEM: TaskItem,
    NewsKind.STATUS: TaskStanding,
    NewsKind.DELETED: TaskDeleted,
}
"""What the events of one task's stream hold."""

OF_TASKS: Final[dict[str, type[TaskNews | TasksReset]]] = {
    NewsKind.TASK: TaskNews,
    NewsKind.RESET: TasksReset,
}
"""What the events of all tasks' stream hold."""
