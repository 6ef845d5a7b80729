"""`taskyard task pause`, `resume`, `retry`, `rename` and `delete`."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import click

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.failures import Failure
from taskyard.cli.find import find_task, full_name
from taskyard.cli.output import at, confirm, plain, yes_option
from taskyard.cli.task_phases import follow_start
from taskyard.cli.unconfined import warn_if_unconfined
from taskyard.cli.watch import watch_build
from taskyard.cli.why import AGAIN, TRY_AGAIN, state_of
from taskyard.sdk import Client
from taskyard.wire.enums import TaskStatus, Transition
from taskyard.wire.tasks import Task, UpdateTaskRequest


@click.command()
@click.argument("name", metavar="TASK")
@click.option("--force", is_flag=True, help="Kill what runs at once, and cancel a build first.")
@yes_option
@signed_in
def pause(client: Client, *, name: str, force: bool, yes: bool) -> Status:
    """Stop the workspace of TASK; its files and its conversation are kept.

    Where the template says that a pause freezes, the first one keeps memory and processes; one more ends them.
    """
    task = find_task(client, name)
    # Also one that is paused: it may be frozen, and one more pause stops it.
    confirm(f"Pause {full_name(task)}?", yes=yes)
    build = client.pause_task(task.owner_name, task.id, force=force).workspace_build
    with way_out(task):
        watch_build(client, build, f"pausing {full_name(task)}")
    print(f"Task {full_name(task)} was paused at {at(datetime.now(UTC))}.")
    return None


@click.command()
@click.argument("name", metavar="TASK")
@yes_option
@click.option("--no-wait", is_flag=True, help="Return as soon as it was asked for.")
@signed_in
def resume(client: Client, *, name: str, yes: bool, no_wait: bool) -> Status:
    """Start the workspace of a paused TASK again."""
    task = find_task(client, name)
    if task.status is not TaskStatus.PAUSED:
        raise not_paused(task)
    warn_if_unconfined(client)
    confirm(f"Resume {full_name(task)}?", yes=yes)
    build = client.resume_task(task.owner_name, task.id).workspace_build
    if no_wait:
        print(f"Task {full_name(task)} is being resumed.")
        return None
    with way_out(task):
        watch_build(client, build, f"resuming {full_name(task)}")
        follow_start(client, task, patient=True)
    print(f"Task {full_name(task)} was resumed at {at(datetime.now(UTC))}.")
    return None


@click.command()
@click.argument("name", metavar="TASK")
@click.option("--no-wait", is_flag=True, help="Return as soon as it was asked for.")
@signed_in
def retry(client: Client, *, name: str, no_wait: bool) -> Status:
    """Do again what the newest build of TASK failed at: its start, its stop, or its removal."""
    task = find_task(client, name)
    build = client.retry_task(task.owner_name, task.id).workspace_build
    doing = f"{_DOING[build.transition]} {full_name(task)}"
    if no_wait:
        print(f"Another try began: {doing}.")
        return None
    with way_out(task):
        watch_build(client, build, doing)
    print(f"Another try succeeded at {at(datetime.now(UTC))}: {doing}.")
    return None


_DOING: Final = {
    Transition.START: "starting",
    Transition.STOP: "pausing",
    Transition.DELETE: "removing",
}
"""What a build does, as one says it."""


@contextmanager
def way_out(task: Task) -> Iterator[None]:
    """A block whose Failure, where it names no way out, ends with the ways out of a build that failed."""
    try:
        yield
    except Failure as failure:
        if failure.hint:
            raise
        name = full_name(task)
        hint = TRY_AGAIN.format(name=name)
        raise Failure(
            failure.message, hint=hint, status=failure.status, lines=failure.lines
        ) from failure


def not_paused(task: Task) -> Failure:
    """The error of resuming what is not paused."""
    name = full_name(task)
    hint = AGAIN.format(name=name) if task.status is TaskStatus.ERROR else ""
    return Failure(f"the task {name} is {state_of(task)}; only a paused one is resumed.", hint=hint)


@click.command()
@click.argument("name", metavar="TASK")
@click.argument("title", metavar="TITLE")
@signed_in
def rename(client: Client, *, name: str, title: str) -> Status:
    """Give TASK another display name; an empty TITLE makes one from its input again. Its name stays."""
    task = find_task(client, name)
    renamed = client.update_task(task.owner_name, task.id, UpdateTaskRequest(display_name=title))
    print(f"Task {full_name(task)} is now called {plain(renamed.display_name)!r}.")
    return None


@click.command()
@click.argument("names", metavar="TASK...", nargs=-1, required=True)
@click.option(
    "--force",
    is_flag=True,
    help="Cancel a build first; what cannot be removed now is removed once it can be.",
)
@yes_option
@signed_in
def delete(client: Client, *, names: tuple[str, ...], force: bool, yes: bool) -> Status:
    """Delete each TASK with its workspace and all files in it."""
    found = {task.id: task for task in (find_task(client, name) for name in names)}
    listed = ", ".join(full_name(task) for task in found.values())
    confirm(f"Delete {listed} with everything in the workspace?", yes=yes)
    for task in found.values():
        client.delete_task(task.owner_name, task.id, force=force)
        print(f"Task {full_name(task)} was deleted at {at(datetime.now(UTC))}.")
    return None
