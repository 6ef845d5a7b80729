"""`taskyard task transcript`: all that a task said and did, also when its workspace is gone."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final
from uuid import UUID

import click

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.failures import Failure
from taskyard.cli.find import find_task, full_name
from taskyard.cli.output import Progress, at, note, plain
from taskyard.cli.task_follow import ItemPrinter
from taskyard.cli.task_talk import LogPrinter
from taskyard.cli.why import error_text
from taskyard.sdk import ApiError, Client
from taskyard.wire.base import as_uuid
from taskyard.wire.link import ItemKind
from taskyard.wire.transcript import TranscriptFormat

SHOW_EACH_S: Final = 0.2
"""Seconds between changes of the line that tells how far it is."""


@click.command()
@click.argument("name", metavar="TASK")
@click.option(
    "--format",
    "format_",
    type=click.Choice(("text", "jsonl", "markdown")),
    default="text",
    help="Default: text, which is the conversation, and errors on stderr.",
)
@click.option(
    "-o", "--output", "path", type=click.Path(dir_okay=False, path_type=Path), help="Write a file."
)
@click.option("--kinds", metavar="KIND,...", help="Only items of these kinds; not with text.")
@signed_in
def transcript(
    client: Client, *, name: str, format_: str, path: Path | None, kinds: str | None
) -> Status:
    """Print all that TASK said and did, whatever became of it.

    A task that was deleted is named by its id.
    """
    task_id, shown = _known(client, name)
    if format_ == "text":
        if kinds or path:
            raise click.UsageError("For a file, or for some kinds, say --format jsonl or markdown.")
        _print_text(client, task_id)
        return None
    parts = client.export_task_transcript("me", task_id, TranscriptFormat(format_), kinds=kinds)
    if path is None:
        _copy(parts, sys.stdout.buffer, None)
    else:
        _save(parts, path)
        note(f"The transcript of {shown} is in {path}.")
    return None


def _known(client: Client, name: str) -> tuple[UUID, str]:
    """A task's id and how it is called; one that is gone is called by its id. Raises Failure."""
    task_id = as_uuid(name)
    try:
        task = find_task(client, name)
    except Failure:
        if task_id is None:
            raise
        try:
            client.get_task_transcript("me", task_id, limit=1)
        except ApiError as error:
            if error.status != 404:
                raise
        else:
            return task_id, str(task_id)
        raise
    return task.id, full_name(task)


def _print_text(client: Client, task_id: UUID) -> None:
    printer = LogPrinter()
    items = ItemPrinter(printer)
    more = True
    while more:
        page = client.get_task_transcript("me", task_id, after=items.number, limit=1000)
        for item in page.items:
            items.add(item)
            if item.kind == ItemKind.ERROR:
                items.show()
                printer.end()
                note(f"{at(item.stored_at)} {error_text(bytes(item.data))}")
        more = page.next_after is not None
    items.show()
    printer.end()
    if not items.number:
        note("Nothing was said yet.")


def _save(parts: Iterator[bytes], path: Path) -> None:
    """Writes a file once all of it has come. Raises Failure."""
    beside = path.with_name(f"{path.name}.part")
    progress = Progress()
    try:
        with beside.open("wb") as file:
            _copy(parts, file, progress)
        beside.replace(path)
    except OSError as error:
        if not isinstance(error, ConnectionError):
            raise Failure(f"cannot write {plain(str(path))}: {error.strerror}.") from error
        raise
    finally:
        progress.clear()
        beside.unlink(missing_ok=True)


def _copy(parts: Iterator[bytes], file: BinaryIO, progress: Progress | None) -> None:
    done, shown_at = 0, time.monotonic()
    for part in parts:
        file.write(part)
        done += len(part)
        if progress is not None and time.monotonic() - shown_at >= SHOW_EACH_S:
            shown_at = time.monotonic()
            progress.show(f"{done / 1e6:.1f} MB")
    file.flush()
