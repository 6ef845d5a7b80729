"""`taskyard task watch`: what becomes of tasks, a line for each change."""

import sys
from collections.abc import Iterator
from uuid import UUID

import click
import msgspec
from msgspec import UNSET

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.find import find_task
from taskyard.cli.output import MAX_LINE, at, one_line
from taskyard.cli.task_follow import OnceALoss
from taskyard.sdk import ApiError, Client
from taskyard.wire.base import ZERO_TIME
from taskyard.wire.tasks import Task
from taskyard.wire.transcript import TaskName, TaskNews


@click.command()
@click.argument("names", metavar="[TASK]...", nargs=-1)
@click.option("-a", "--all", "everybody", is_flag=True, help="All tasks that you may see.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(("text", "json")),
    default="text",
    help="Default: text. JSON is one object a line.",
)
@signed_in
def watch(client: Client, *, names: tuple[str, ...], everybody: bool, output: str) -> Status:
    """Print what TASKs are, then each change of their status or of what they do.

    Goes on until all of them are deleted, or until Ctrl-C.
    """
    if bool(names) == everybody:
        raise click.UsageError("Name one or more tasks, or say --all.")
    wanted = {find_task(client, name).id: None for name in names}
    try:
        for news in _news(client, None if everybody else set(wanted)):
            if output == "json":
                sys.stdout.write(msgspec.json.encode(news).decode() + "\n")
            else:
                print(_line(news))
            sys.stdout.flush()
            if news.deleted:
                wanted.pop(news.task.id, None)
                if not (wanted or everybody):
                    return None
    except KeyboardInterrupt:
        return None  # the usual way to end it
    return None


def _news(client: Client, wanted: set[UUID] | None) -> Iterator[TaskNews]:
    """What tasks are, then what becomes of them; of all tasks where none are named."""
    known: dict[UUID, TaskNews] = {}
    loss = OnceALoss()
    for told in client.follow_tasks(lost=loss.lost):
        loss.heard()
        found = [told.news] if isinstance(told.news, TaskNews) else _standing(client, wanted, known)
        for news in found:
            before = known.get(news.task.id)
            is_new = before is None or _what_counts(before) != _what_counts(news)
            if is_new and (wanted is None or news.task.id in wanted):
                known[news.task.id] = news
                yield news


def _standing(
    client: Client, wanted: set[UUID] | None, known: dict[UUID, TaskNews]
) -> Iterator[TaskNews]:
    """What tasks are now; those that were known and are no more as deleted."""
    tasks = client.iterate_tasks() if wanted is None else _each(client, wanted)
    gone = dict(known)
    for task in sorted(tasks, key=lambda one: one.created_at):
        gone.pop(task.id, None)
        yield TaskNews(
            task=TaskName(
                id=task.id,
                name=task.name,
                display_name=task.display_name,
                owner_name=task.owner_name,
                organization_id=task.organization_id,
            ),
            status=task.status,
            current_state=task.current_state,
            waiting_for=task.waiting_for,
            at=task.current_state.timestamp if task.current_state else task.created_at,
            deleted=False,
        )
    for news in gone.values():
        yield msgspec.structs.replace(news, deleted=True)


def _each(client: Client, wanted: set[UUID]) -> Iterator[Task]:
    for task_id in wanted:
        try:
            yield client.get_task("me", task_id)
        except ApiError as error:
            if error.status != 404:
                raise


def _what_counts(news: TaskNews) -> TaskNews:
    """The news without when it was told, and without what people call the task."""
    state = news.current_state
    plain = state and msgspec.structs.replace(state, timestamp=ZERO_TIME)
    task = msgspec.structs.replace(news.task, display_name=UNSET)
    return msgspec.structs.replace(news, task=task, at=ZERO_TIME, current_state=plain)


def _line(news: TaskNews) -> str:
    """What a task had become, on one line."""
    words = [at(news.at), f"{news.task.owner_name}/{news.task.name}"]
    words.append("deleted" if news.deleted else news.status.value)
    if news.waiting_for is not UNSET and not news.deleted:
        words.append(f"waits for you: {news.waiting_for.title or 'an answer'}")
    elif news.current_state is not None and not news.deleted:
        state = news.current_state
        words.append(f"{state.state}{': ' if state.message else ''}{state.message}")
    return "  ".join(one_line(word, MAX_LINE) for word in words)
