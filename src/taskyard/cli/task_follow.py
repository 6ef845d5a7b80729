"""`taskyard task logs --follow`: a conversation as it grows, from the task's stream."""

import time
from contextlib import suppress
from typing import Final
from uuid import UUID

from taskyard.cli.find import full_name
from taskyard.cli.output import note
from taskyard.cli.task_talk import GOING_ON, LOOK_S, LogPrinter, follow_by_looking, is_over
from taskyard.cli.why import note_trouble, note_why, state_of
from taskyard.sdk import ApiError, Client, SdkError
from taskyard.wire.enums import LogEntryType, TaskState, TaskStatus
from taskyard.wire.link import Item, ItemKind
from taskyard.wire.tasks import Task, TaskLogEntry
from taskyard.wire.transcript import TaskItem, TaskStanding
from taskyard_agent.bridge.messages import USER, Conversation

SHOWN_EACH_S: Final = 0.1
"""Seconds between looks at a message that grows: as often as anybody reads."""

NEWEST: Final = 2
"""Messages that an item can change: a prompt makes one of its own and one for the answer."""


class TaskGone(Exception):
    """The task was deleted while it was followed."""


class OnceALoss:
    """Says that a stream broke off, once until something came of it again."""

    def __init__(self) -> None:
        self._is_lost = False

    def lost(self, _error: SdkError) -> None:
        """It broke off, or could not be taken up again yet."""
        if not self._is_lost:
            note("The connection to the server was lost; going on as soon as it is back.")
        self._is_lost = True

    def heard(self) -> None:
        """Something came."""
        self._is_lost = False


class ItemPrinter:
    """Prints a conversation by the items that make it. is_bridged: there was one that only our bridge sends."""

    def __init__(self, printer: LogPrinter) -> None:
        self.number = 0
        self.is_bridged = False
        self._printer = printer
        self._conversation = Conversation()
        self._is_due = False
        self._shown_at = 0.0

    def add(self, item: TaskItem) -> None:
        """Prints what an item adds; a piece of a message with the next one, if there was one just now."""
        self.number = item.number
        if self._is_due and item.kind != ItemKind.AGENT_TEXT:
            self.show()
        with suppress(ValueError, RecursionError):  # of a newer release, or what no bridge sends
            kind = ItemKind(item.kind)
            self.is_bridged = self.is_bridged or kind is ItemKind.STATE
            told = Item(item.number, item.time, item.turn, kind, item.data)
            self._is_due = self._conversation.apply(told) or self._is_due
            is_piece = kind is ItemKind.AGENT_TEXT
            if self._is_due and not (is_piece and time.monotonic() < self._shown_at + SHOWN_EACH_S):
                self.show()

    def show(self) -> None:
        """Prints what is new."""
        self._is_due, self._shown_at = False, time.monotonic()
        self._printer.show(
            [
                TaskLogEntry(
                    id=message.id,
                    content=message.content,
                    type=LogEntryType.INPUT if message.role == USER else LogEntryType.OUTPUT,
                    time=message.time,
                )
                for message in self._conversation.messages[-NEWEST:]
            ]
        )


def follow(client: Client, task: Task) -> None:
    """Prints a conversation as it grows until its task is over."""
    printer = LogPrinter()
    items = ItemPrinter(printer)
    try:
        if not _follow_items(client, task.id, printer, items):
            follow_by_looking(client, task.id, printer)
            return
        task = client.get_task("me", task.id)
        printer.end()
        note(f"The task {full_name(task)} is {state_of(task)}.")
        note_why(client, task)
        note_trouble(client, task)
    except (TaskGone, ApiError) as error:
        if isinstance(error, ApiError) and error.status != 404:
            raise
        printer.end()
        note("The task was deleted.")
    finally:
        printer.end()


def _follow_items(client: Client, task_id: UUID, printer: LogPrinter, items: ItemPrinter) -> bool:
    """Returns once the task is over; False when it has no transcript, because its app is no bridge of ours."""
    after = ""
    while True:
        standing, after = _until_rest(client, task_id, printer, items, after=after)
        if standing.status is TaskStatus.ACTIVE:
            return False
        if _is_over(client, task_id):
            _rest(client, task_id, items)
            return True


def _until_rest(
    client: Client, task_id: UUID, printer: LogPrinter, items: ItemPrinter, *, after: str
) -> tuple[TaskStanding, str]:
    """What a task had become when it did not go on, or went on without a bridge of ours, and where that was.

    Raises TaskGone when the task was deleted, ApiError.
    """
    loss = OnceALoss()
    for told in client.follow_task("me", task_id, after=after, lost=loss.lost):
        loss.heard()
        if isinstance(told.news, TaskItem):
            items.add(told.news)
        elif isinstance(told.news, TaskStanding):
            _settle(printer, items, told.news)
            is_foreign = told.news.status is TaskStatus.ACTIVE and not items.is_bridged
            if is_foreign or told.news.status not in GOING_ON:
                return told.news, told.id
    raise TaskGone


def _settle(printer: LogPrinter, items: ItemPrinter, standing: TaskStanding) -> None:
    """Ends the last line where nobody goes on with it."""
    items.show()
    state = standing.current_state
    if state is None or state.state is not TaskState.WORKING:
        printer.end()


def _is_over(client: Client, task_id: UUID) -> bool:
    """Waits until a task that does not go on now goes on again, or says nothing more."""
    while True:
        task = client.get_task("me", task_id)
        if is_over(task) or task.status in GOING_ON:
            return is_over(task)
        time.sleep(LOOK_S)


def _rest(client: Client, task_id: UUID, items: ItemPrinter) -> None:
    """Prints what was stored while the workspace stopped."""
    more = True
    while more:
        page = client.get_task_transcript("me", task_id, after=items.number)
        for item in page.items:
            items.add(item)
        more = page.next_after is not None
    items.show()
