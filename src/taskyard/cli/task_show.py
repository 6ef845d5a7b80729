"""`taskyard task list` and `taskyard task status`."""

import time
from collections.abc import Mapping
from typing import Final, assert_never

import click

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.failures import Failure
from taskyard.cli.find import find_task, full_name
from taskyard.cli.output import (
    Column,
    at,
    columns_option,
    ids_option,
    note,
    output_option,
    print_json,
    print_list,
    print_table,
    with_owner,
)
from taskyard.cli.task_phases import note_timeline
from taskyard.cli.unconfined import warn_if_unconfined
from taskyard.cli.why import note_trouble, note_waiting, note_why
from taskyard.sdk import ApiError, Client
from taskyard.wire.enums import (
    AgentLifecycle,
    QueueReason,
    TaskState,
    TaskStatus,
    WorkspaceStatus,
)
from taskyard.wire.tasks import Task, TaskQueue

LOOK_S: Final = 1.0
"""Pause between looks of `status --watch`."""


def message_of(task: Task) -> str:
    """What a task says of itself; what it waits for a person to answer goes before everything else."""
    if task.queue:
        return queue_text(task.queue, task.owner_name)
    if task.waiting_for:
        return f"waiting for you: {task.waiting_for.title or 'an answer'}"
    return task.current_state.message if task.current_state else ""


def queue_text(queue: TaskQueue, owner: str) -> str:
    """Where a task of that owner stands whose start waits, and for what."""
    match queue.reason:
        case QueueReason.USER:
            why = f"{owner}'s limit of {queue.limit} running"
        case QueueReason.ORGANIZATION:
            why = f"the organization's limit of {queue.limit} running"
        case QueueReason.SERVER:
            why = "for a place on the server"
        case _:
            assert_never(queue.reason)
    return f"queued {queue.position} of {queue.size} ({why})"


COLUMNS: Final[Mapping[str, Column[Task]]] = {
    "id": lambda t: str(t.id),
    "name": lambda t: t.name,
    "display_name": lambda t: t.display_name,
    "owner": lambda t: t.owner_name,
    "template": lambda t: t.template_name,
    "workspace": lambda t: t.workspace_name,
    "workspace_status": lambda t: str(t.workspace_status or ""),
    "status": lambda t: t.status.value,
    "state": lambda t: t.current_state.state.value if t.current_state else "",
    "state_changed": lambda t: at(t.current_state.timestamp) if t.current_state else "",
    "message": message_of,
    "prompt": lambda t: t.initial_prompt,
    "created_at": lambda t: at(t.created_at),
    "updated_at": lambda t: at(t.updated_at),
}

SHOWN: Final = ("name", "status", "state", "state_changed", "message")
"""The columns of a table that was told none."""

OVER: Final = frozenset(
    {
        WorkspaceStatus.STOPPED,
        WorkspaceStatus.FAILED,
        WorkspaceStatus.CANCELED,
        WorkspaceStatus.DELETED,
    }
)
"""What a workspace is when nothing more happens in it by itself."""

shown_option = columns_option(COLUMNS, SHOWN)


@click.command("list")
@click.option("--status", type=click.Choice([s.value for s in TaskStatus]), help="Only these.")
@click.option("-a", "--all", "everybody", is_flag=True, help="Tasks of everybody you may see.")
@click.option("--user", default="me", help="Whose tasks. Default: yours.")
@ids_option
@output_option
@shown_option
@signed_in
def list_tasks(
    client: Client,
    *,
    status: str | None,
    everybody: bool,
    user: str,
    quiet: bool,
    output: str,
    columns: list[str],
) -> Status:
    """List tasks, newest first."""
    found = list(client.iterate_tasks(search_text(None if everybody else user, status)))
    chosen = with_owner(columns, SHOWN) if everybody else columns
    empty = "There are no such tasks."
    print_list(found, COLUMNS, chosen, output=output, quiet=quiet, empty=empty)
    if not quiet:
        warn_if_unconfined(client)
    silent = (t for t in found if t.status is TaskStatus.ERROR and t.current_state is None)
    if (wrong := next(silent, None)) is not None:
        note(f"\nTo see why a task is in error: taskyard task status {full_name(wrong)}")
    return None


def search_text(owner: str | None, status: str | None) -> str:
    """The search that narrows a list of tasks. Raises UsageError for a name that it cannot hold."""
    words = {"owner": owner, "status": status}
    if any('"' in word for word in words.values() if word):
        raise click.UsageError(f"{owner!r} is no name of a user.")
    return " ".join(f'{key}:"{word}"' for key, word in words.items() if word)


@click.command()
@click.argument("name", metavar="TASK")
@click.option("--watch", is_flag=True, help="Go on until the task settles; print every change.")
@output_option
@shown_option
@signed_in
def status(client: Client, *, name: str, watch: bool, output: str, columns: list[str]) -> Status:
    """Show one task."""
    task = find_task(client, name)
    _show(task, output, columns)
    if output == "table":
        note_timeline(client, task)
        note_why(client, task)
        note_trouble(client, task)
        note_waiting(task)
    warn_if_unconfined(client)
    while watch and not settled(task):
        time.sleep(LOOK_S)
        fresh = _look(client, task)
        if _differs(fresh, task):
            _show(fresh, output, columns)
            if output == "table":
                note_waiting(fresh)
            if output == "table" and settled(fresh):
                note_trouble(client, fresh)
        task = fresh
    return None


def settled(task: Task) -> bool:
    """Whether nothing more is to be expected of a task by itself."""
    if task.workspace_status in OVER or task.status is TaskStatus.PAUSED:
        return True
    health = task.workspace_agent_health
    starting = (AgentLifecycle.CREATED, AgentLifecycle.STARTING, None)
    if health is None or not health.healthy or task.workspace_agent_lifecycle in starting:
        return False
    return task.current_state is None or task.current_state.state is not TaskState.WORKING


def _look(client: Client, task: Task) -> Task:
    try:
        return client.get_task("me", task.id)
    except ApiError as error:
        if error.status != 404:
            raise
        raise Failure(f"the task {task.name!r} was deleted.") from error


def _differs(fresh: Task, task: Task) -> bool:
    return (fresh.status, fresh.current_state, fresh.waiting_for, fresh.queue) != (
        task.status,
        task.current_state,
        task.waiting_for,
        task.queue,
    )


def _show(task: Task, output: str, columns: list[str]) -> None:
    if output == "json":
        print_json(task)
    else:
        print_table([task], COLUMNS, columns)
