"""`taskyard task diff` and `task push`: what a task did to its repository."""

import re
import sys
from typing import Final

import click

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.find import find_task, full_name
from taskyard.cli.output import note, plain, print_json
from taskyard.sdk import Client
from taskyard.wire.repository import ChangedFile, PushTaskRequest, TaskDiff

GRAPH_WIDTH: Final = 40
"""Characters of the longest bar of `--stat`."""

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@click.command()
@click.argument("name", metavar="TASK")
@click.option("--stat", is_flag=True, help="Only how much of which file.")
@click.option(
    "-o", "--output", type=click.Choice(("text", "json")), default="text", help="Default: text."
)
@signed_in
def diff(client: Client, *, name: str, stat: bool, output: str) -> Status:
    """Print what TASK changed in its repository, committed or not, new files included."""
    task = find_task(client, name)
    found = client.get_task_diff("me", task.id)
    if output == "json":
        print_json(found)
    elif stat:
        _print_stat(found)
    else:
        # To a terminal goes nothing that it would obey; a file or a program gets the bytes as they are.
        sys.stdout.write(_seen(found.diff) if sys.stdout.isatty() else found.diff)
    if not found.files:
        note(
            f"Nothing has changed in {full_name(task)} since {plain(found.base_branch) or 'its start'}."
        )
    if found.truncated:
        note("This is not all: the difference is too large to be shown whole.")
    return None


@click.command()
@click.argument("name", metavar="TASK")
@click.option(
    "--commit", metavar="MESSAGE", default="", help="Commit everything under this message first."
)
@click.option(
    "--force-with-lease",
    is_flag=True,
    help="Replace what was pushed before, unless somebody else has pushed since.",
)
@signed_in
def push(client: Client, *, name: str, commit: str, force_with_lease: bool) -> Status:
    """Push the work branch of TASK to its repository, with the secret GIT_TOKEN."""
    task = find_task(client, name)
    request = PushTaskRequest(commit=commit, force_with_lease=force_with_lease)
    pushed = client.push_task("me", task.id, request)
    for line in plain(pushed.output).splitlines():
        note(line)
    branch, url, short = plain(pushed.branch), plain(pushed.url), plain(pushed.commit[:12])
    if pushed.changed:
        print(f"Pushed {branch} ({short}) to {url}.")
    else:
        print(f"{branch} ({short}) was at {url} already.")
    if pushed.uncommitted:
        note(
            "There are changes that are not committed; they were not pushed. Commit them with --commit."
        )
    return None


def _print_stat(found: TaskDiff) -> None:
    """A line for each file, and one for all."""
    most = max((_changes(file) for file in found.files), default=0)
    width = max((len(plain(file.path)) for file in found.files), default=0)
    for file in found.files:
        print(f" {plain(file.path):<{width}} | {_bar(file, most)}")
    added = sum(file.added or 0 for file in found.files)
    removed = sum(file.removed or 0 for file in found.files)
    if found.files:
        print(f" files: {len(found.files)}, lines added: {added}, removed: {removed}")


def _bar(file: ChangedFile, most: int) -> str:
    if file.added is None or file.removed is None:
        return "binary"
    scale = min(1.0, GRAPH_WIDTH / most) if most else 0
    plus, minus = (-int(-count * scale // 1) for count in (file.added, file.removed))
    return f"{_changes(file):>5} {'+' * plus}{'-' * minus}".rstrip()


def _changes(file: ChangedFile) -> int:
    return (file.added or 0) + (file.removed or 0)


def _seen(text: str) -> str:
    """The text with what a terminal would obey in a form that can be read."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
