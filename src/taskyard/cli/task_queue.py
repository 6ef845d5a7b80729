"""`taskyard task queue` and `taskyard task interrupt`: what waits for a coding agent, and ending what it does."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import click

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.failures import Failure
from taskyard.cli.find import find_task, full_name
from taskyard.cli.output import Column, at, note, one_line, output_option, plain, print_list
from taskyard.sdk import Client
from taskyard.wire.enums import PromptState, QueueWait
from taskyard.wire.tasks import Task, TaskPrompt, UpdateTaskPromptRequest

WAITS: Final = {
    QueueWait.TURN: "The next prompt is sent once the turn that runs is over.",
    QueueWait.ANSWER: "The next prompt is sent once what the task asks is answered: taskyard task permissions {name}",
    QueueWait.START: "The next prompt is sent once the task has started.",
    QueueWait.RESUME: "The task stays paused. To have its prompts sent: taskyard task resume {name}",
    QueueWait.REPAIR: "The next prompt is sent once the task is active again. To see why it is not: taskyard task status {name}",
    QueueWait.FAILURE: "The last turn failed, so the queue waits until one ends well. Send the task something, or pause and resume it.",
}
"""What queued prompts wait for, and what to do about it."""

COLUMNS: Final[Mapping[str, Column[TaskPrompt]]] = {
    "id": lambda p: str(p.id),
    "place": lambda p: str(p.position or ""),
    "state": lambda p: p.state,
    "input": lambda p: p.input,
    "by": lambda p: p.created_by or "",
    "created_at": lambda p: at(p.created_at),
    "settled_at": lambda p: at(p.settled_at),
    "error": lambda p: p.error or "",
}

OPEN_COLUMNS: Final = ("id", "place", "state", "input", "by", "created_at")
ALL_COLUMNS: Final = ("id", "place", "state", "input", "by", "settled_at", "error")

OPEN: Final = (PromptState.WAITING, PromptState.SENDING)
"""States of prompts whose fate is open."""


@click.command()
@click.argument("name", metavar="TASK")
@click.option("-a", "--all", "everything", is_flag=True, help="Also what became of earlier ones.")
@click.option(
    "--move", nargs=2, type=(str, int), metavar="ID PLACE", help="Give one another place."
)
@click.option("--edit", nargs=2, type=(str, str), metavar="ID TEXT", help="Give one another text.")
@click.option("--drop", metavar="ID", help="Take one back.")
@output_option
@signed_in
def queue(
    client: Client,
    *,
    name: str,
    everything: bool,
    move: tuple[str, int] | None,
    edit: tuple[str, str] | None,
    drop: str | None,
    output: str,
) -> Status:
    """List the prompts that wait for the coding agent of TASK, or change one of them.

    Of an ID, the first characters that no other prompt has are enough. What is on its way stays as it is.
    """
    if sum(given is not None for given in (move, edit, drop)) > 1:
        raise click.UsageError("Give one of --move, --edit and --drop.")
    task = find_task(client, name)
    found = client.list_task_prompts("me", task.id)
    if drop is not None:
        chosen = _chosen(task, found.prompts, drop)
        client.delete_task_prompt("me", task.id, chosen)
        print(f"Took a prompt of {full_name(task)} back.")
    elif move is not None or edit is not None:
        chosen = _chosen(task, found.prompts, (move or edit or ("",))[0])
        request = UpdateTaskPromptRequest(
            position=move[1] if move else None, input=edit[1] if edit else None
        )
        changed = client.update_task_prompt("me", task.id, chosen, request)
        print(f"The prompt of {full_name(task)} has place {changed.position} now.")
    else:
        shown = found.prompts if everything else [p for p in found.prompts if p.state in OPEN]
        empty = f"No prompt {'was ever sent to' if everything else 'waits for'} {full_name(task)}."
        columns = ALL_COLUMNS if everything else OPEN_COLUMNS
        print_list(shown, COLUMNS, columns, output=output, empty=empty)
        note_waits(task, found.waits_for)
    return None


def note_waits(task: Task, reason: QueueWait | None) -> None:
    """Says on stderr what a task's queue waits for, if for anything but its turn."""
    if reason is not None:
        note(WAITS[reason].format(name=full_name(task)))


def _chosen(task: Task, prompts: Sequence[TaskPrompt], wanted: str) -> UUID:
    """The prompt that is meant. Raises Failure for none, or more than one."""
    matching = [p for p in prompts if str(p.id).startswith(wanted.lower()) and wanted]
    if len(matching) == 1:
        return matching[0].id
    waiting = tuple(f"  {p.id}  {one_line(p.input)}" for p in prompts if p.state in OPEN)
    how_many = str(len(matching)) if matching else "no"
    raise Failure(
        f"the task {full_name(task)} has {how_many} prompts whose id begins with {plain(wanted)!r}.",
        lines=waiting,
    )


@click.command()
@click.argument("name", metavar="TASK")
@signed_in
def interrupt(client: Client, *, name: str) -> Status:
    """End the turn of the coding agent of TASK; its workspace goes on, and so does its queue."""
    task = find_task(client, name)
    client.interrupt_task("me", task.id)
    print(f"Interrupted {full_name(task)}.")
    found = client.list_task_prompts("me", task.id).prompts
    if any(p.state is PromptState.WAITING for p in found):
        note(
            f"What waits is sent next. To take it back: taskyard task queue {full_name(task)} --drop ID"
        )
    return None
