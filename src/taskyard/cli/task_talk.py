"""`taskyard task send` and `taskyard task logs`."""

import sys
import time
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import click

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.failures import Failure
from taskyard.cli.find import find_task, full_name, input_of
from taskyard.cli.output import Progress, at, note, plain, print_json
from taskyard.cli.task_queue import note_waits
from taskyard.cli.unconfined import warn_if_unconfined
from taskyard.cli.watch import watch_build
from taskyard.cli.why import (
    AGAIN,
    is_wrong,
    note_trouble,
    note_waiting,
    note_why,
    state_of,
    why_wrong,
)
from taskyard.sdk import ApiError, Client
from taskyard.wire.enums import LogEntryType, QueueWait, TaskState, TaskStatus, WorkspaceStatus
from taskyard.wire.tasks import SendWhen, Task, TaskLogEntry, TaskLogsResponse, TaskSendRequest

LOOK_S: Final = 0.5
"""Pause between looks at a task that works, and at a log that is followed."""

SILENT_LIMIT_S: Final = 30.0
"""How long an active task may say nothing of itself until it gets the message all the same."""

ERROR_LIMIT_S: Final = 300.0
"""How long a task may be in error until sending gives up; a workspace that comes back takes a while."""

QUEUE_IT: Final = "With --queue the server keeps a message and sends it when its turn comes."
"""The way out for whoever does not want to wait."""

READY: Final = frozenset({TaskState.IDLE, TaskState.COMPLETE, TaskState.FAILED})
"""What a coding agent does when it takes messages."""

GOING_ON: Final = frozenset({TaskStatus.PENDING, TaskStatus.INITIALIZING, TaskStatus.ACTIVE})
"""What a task is while its log may grow."""

IN_BETWEEN: Final = frozenset(
    {
        WorkspaceStatus.PENDING,
        WorkspaceStatus.STARTING,
        WorkspaceStatus.STOPPING,
        WorkspaceStatus.CANCELING,
        WorkspaceStatus.DELETING,
    }
)
"""What a workspace is on its way from one state to the next."""


@click.command()
@click.argument("name", metavar="TASK")
@click.argument("text", metavar="[INPUT]", required=False)
@click.option("--stdin", is_flag=True, help="Read the input from stdin.")
@click.option(
    "--queue", "waits", is_flag=True, help="Leave it with the server, which sends it in its turn."
)
@signed_in
def send(client: Client, *, name: str, text: str | None, stdin: bool, waits: bool) -> Status:
    """Send INPUT to the coding agent of TASK, as soon as it waits for some.

    A paused task is resumed first. With --queue this returns at once, and a paused task stays paused.
    """
    given = input_of(text, stdin=stdin)
    task = find_task(client, name)
    warn_if_unconfined(client)
    if waits:
        return _queue(client, task, given)
    match task.status:
        case TaskStatus.ACTIVE:
            pass
        case TaskStatus.PAUSED:
            build = client.resume_task(task.owner_name, task.id).workspace_build
            watch_build(client, build, f"resuming {full_name(task)}")
        case TaskStatus.INITIALIZING if task.workspace_id is not None:
            build = client.get_workspace(task.workspace_id).latest_build
            watch_build(client, build, f"starting {full_name(task)}")
        case _:
            note(QUEUE_IT)
            raise _not_now(client, task, "takes no input now")
    wait_until_ready(client, task)
    try:
        client.send_task_input("me", task.id, TaskSendRequest(input=given))
    except ApiError as error:
        if error.status == 409:
            note(QUEUE_IT)
        raise
    print(f"Sent to {full_name(task)}.")
    return None


def _queue(client: Client, task: Task, text: str) -> Status:
    """Leaves a message with the server, and says when it goes out."""
    place = client.send_task_input("me", task.id, TaskSendRequest(input=text, when=SendWhen.QUEUE))
    assert place is not None  # what is to wait has a place
    print(f"Queued for {full_name(task)} at place {place.position}: {place.id}")
    note_waits(task, place.waits_for if isinstance(place.waits_for, QueueWait) else None)
    return None


def _not_now(client: Client, task: Task, refusal: str) -> Failure:
    """What to say of a task whose status forbids something: that, why it has it, and the way out."""
    name = full_name(task)
    hint = f"Look at it with: taskyard task status {name}"
    if task.status is TaskStatus.ERROR:
        hint = AGAIN.format(name=name)
    lines = why_wrong(client, task) if is_wrong(task) else ()
    return Failure(f"the task {name} is {state_of(task)} and {refusal}.", hint=hint, lines=lines)


def wait_until_ready(client: Client, task: Task) -> None:
    """Returns when a task's coding agent takes messages. Raises Failure when it will not."""
    progress = Progress()
    began = time.monotonic()
    since = (task.status, began)
    asked = task.waiting_for
    _note_held(task)
    try:
        while True:
            seen = client.get_task("me", task.id)
            now = time.monotonic()
            if seen.status is not since[0]:
                since = (seen.status, now)
            if is_ready(seen, now - since[1]):
                return
            if seen.waiting_for and seen.waiting_for != asked:
                progress.clear()
                _note_held(seen)
            asked = seen.waiting_for
            doing = seen.current_state.message if seen.current_state else ""
            state = seen.current_state.state if seen.current_state else seen.status
            progress.show(f"{full_name(seen)} is {state}{': ' if doing else ''}{doing}")
            time.sleep(LOOK_S)
    except KeyboardInterrupt:
        progress.clear()
        note(f"Nothing was sent. {QUEUE_IT}")
        raise click.Abort from None
    finally:
        progress.clear()


def _note_held(task: Task) -> None:
    """Says what a task asks before it takes a message, if it asks anything."""
    note_waiting(task)
    if task.waiting_for:
        note(f"The message is sent once that is answered. Ctrl-C leaves it unsent. {QUEUE_IT}")


def is_ready(task: Task, for_s: float) -> bool:
    """Whether a task that has had its status for so long takes messages. Raises Failure for never."""
    match task.status:
        case TaskStatus.ACTIVE if task.current_state is None:
            return for_s >= SILENT_LIMIT_S
        case TaskStatus.ACTIVE:
            assert task.current_state is not None
            return task.current_state.state in READY
        case TaskStatus.PENDING | TaskStatus.INITIALIZING:
            return False
        case TaskStatus.ERROR if for_s < ERROR_LIMIT_S:
            return False
        case _:
            message = f"the task {full_name(task)} is {state_of(task)} now; nothing was sent."
            raise Failure(message)


@click.command()
@click.argument("name", metavar="TASK")
@click.option(
    "-f", "--follow", is_flag=True, help="Go on as it grows, until the task is not active."
)
@click.option(
    "-o", "--output", type=click.Choice(("text", "json")), default="text", help="Default: text."
)
@signed_in
def logs(client: Client, *, name: str, follow: bool, output: str) -> Status:
    """Print the conversation of TASK: what was put in stands after `>`, what came out below it."""
    task = find_task(client, name)
    if follow:
        if output == "json":
            raise click.UsageError("JSON is one whole; leave out --follow or take -o text.")
        # Imported on use: what reads items takes longer to import than most logs take to be printed.
        from taskyard.cli.task_follow import follow as follow_stream

        follow_stream(client, task)
        return None
    if task.status is TaskStatus.ERROR:
        raise _not_now(client, task, "has no log to be read")
    found = client.get_task_logs("me", task.id)
    if output == "json":
        print_json(found.logs)
        return None
    _say_snapshot(found, task.status)
    printer = LogPrinter()
    printer.show(found.logs)
    printer.end()
    note_trouble(client, task)
    return None


def _say_snapshot(found: TaskLogsResponse, status: TaskStatus) -> None:
    """What a reader must know about a log that is not live, or empty, on stderr."""
    if found.snapshot:
        kept = f", kept at {at(found.snapshot_at)}" if found.snapshot_at else ""
        if found.logs:
            note(f"The task is {status}; these are its last {len(found.logs)} messages{kept}.")
        else:
            note(f"The task is {status}, and no messages of it were kept.")
    elif not found.logs:
        note("Nothing was said yet.")


def follow_by_looking(client: Client, task_id: UUID, printer: "LogPrinter") -> None:
    """Prints the log of a task whose app is no bridge of ours as it grows, until the task is over."""
    try:
        while True:
            task = client.get_task("me", task_id)
            _show_new(client, task_id, printer)
            if task.current_state is None or task.current_state.state is not TaskState.WORKING:
                printer.end()
            if is_over(task):
                note(f"The task {full_name(task)} is {state_of(task)}.")
                note_why(client, task)
                note_trouble(client, task)
                return
            time.sleep(LOOK_S)
    except ApiError as error:
        if error.status != 404:
            raise
        note("The task was deleted.")
    finally:
        printer.end()


def _show_new(client: Client, task_id: UUID, printer: "LogPrinter") -> None:
    """Prints what is new in a log; between two states of a task there is none to be had."""
    try:
        found = client.get_task_logs("me", task_id)
    except ApiError as error:
        if error.status not in (409, 502):
            raise
    else:
        printer.show(found.logs, kept=bool(found.snapshot))


def is_over(task: Task) -> bool:
    """Whether a log grows no more; while a workspace stops, its last messages are yet to come."""
    return task.status not in GOING_ON and task.workspace_status not in IN_BETWEEN


class LogPrinter:
    """Prints messages once, and of a message that grows only what is new."""

    def __init__(self) -> None:
        self._seen: dict[int, str] = {}
        self._last: int | None = None
        self._open = False

    def show(self, entries: Sequence[TaskLogEntry], *, kept: bool = False) -> None:
        """Prints what was not printed yet; the last line stays open, because it may go on.

        kept says that long messages may have been cut when they were put away.
        """
        for entry in entries:
            text = entry_text(entry)
            before = self._seen.get(entry.id)
            if text == before:
                continue
            if before is not None and entry.id == self._last and text.startswith(before):
                grown = text[len(before) :]
                sys.stdout.write(grown if self._open else grown.removeprefix("\n"))
            elif before is not None and kept:
                continue
            else:
                self.end()
                sys.stdout.write(f"\n{text}" if self._seen else text)
            self._seen[entry.id] = text
            self._last = entry.id
            self._open = True
        sys.stdout.flush()

    def end(self) -> None:
        """Ends the last line, since nothing more is expected of it."""
        if self._open:
            sys.stdout.write("\n")
            sys.stdout.flush()
            self._open = False


def entry_text(entry: TaskLogEntry) -> str:
    """A message as it is printed, without the end of its last line."""
    text = plain(entry.content).rstrip()
    if entry.type is LogEntryType.INPUT:
        return "\n".join(f"> {line}" for line in text.split("\n"))
    return text
