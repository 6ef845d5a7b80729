"""`taskyard task shell` and `taskyard task open`: a workspace from within, and its apps in a browser."""

from typing import Final

import click
import msgspec

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.failures import Failure
from taskyard.cli.find import find_task, full_name
from taskyard.cli.output import note, plain
from taskyard.cli.terminal import (
    Filter,
    Wake,
    before_leaving,
    held,
    require_terminal,
    size,
    wait_for_keys,
    write,
)
from taskyard.cli.terminal_line import LOST, Line
from taskyard.sdk import Client
from taskyard.wire.apps import AppTicketRequest
from taskyard.wire.base import as_uuid
from taskyard.wire.tasks import Task
from taskyard.wire.terminal import FromServer, TerminalEnded, TerminalOpened, TerminalResize

_MESSAGES: Final[msgspec.json.Decoder[FromServer]] = msgspec.json.Decoder(FromServer)


_Line = Line[FromServer, TerminalEnded]


@click.command()
@click.argument("name", metavar="TASK")
@click.option("--id", "shell_id", metavar="ID", default="", help="Come back to this shell.")
@click.option(
    "--command", metavar="TEXT", default="", help="Run this by bash in place of a login shell."
)
@signed_in
def shell(client: Client, *, name: str, shell_id: str, command: str) -> Status:
    """Open a shell in the workspace of TASK. Ctrl-] leaves; the shell goes on for ten minutes."""
    if shell_id and as_uuid(shell_id) is None:
        raise click.UsageError(f"{shell_id!r} is no id of a shell: those are UUIDs.")
    require_terminal(name, what="a shell")
    task = find_task(client, name)
    cols, rows = size()
    wake = Wake()
    try:
        with client.open_terminal(
            task.owner_name, task.id, id=as_uuid(shell_id), cols=cols, rows=rows, command=command
        ) as connection:
            restarts = "The server restarts; the shell goes on."
            line = _Line(connection, wake, told=_MESSAGES, end=TerminalEnded, restarts=restarts)
            opened = line.first(TerminalOpened)
            what = "A new shell" if opened.fresh else "The shell as you left it"
            note(f"{what} in the workspace of {full_name(task)}. Ctrl-] leaves.")
            ended = _hold(line, wake, (cols, rows))
    finally:
        wake.close()
    why = plain(ended.message) if ended else ""
    way = f"To come back: taskyard task shell {name} --id {opened.id}"
    goes_on = ended is None or ended.reason == LOST
    note(" ".join([f"Left {full_name(task)}.", *filter(None, [why, way if goes_on else ""])]))
    return None


def _hold(line: _Line, wake: Wake, known: tuple[int, int]) -> TerminalEnded | None:
    """Shows the shell and passes keys on until somebody leaves; why it ended, if not by the key."""
    shown = Filter()
    with held(wake):
        while True:
            if (now := size()) != known:
                known = now
                line.send(TerminalResize(cols=now[0], rows=now[1]))
            typed = wait_for_keys(wake)
            while (message := line.take()) is not None:
                if isinstance(message, bytes):
                    write(shown.feed(message))
                elif isinstance(message, TerminalEnded):
                    return message
            if typed is None:
                continue
            kept, leaves = before_leaving(typed)
            if kept:
                line.send(kept)
            if leaves or not typed:
                return None


@click.command("open")
@click.argument("name", metavar="TASK")
@click.option(
    "--app", "slug", metavar="SLUG", default="", help="Which app, where there are several."
)
@click.option(
    "--path", metavar="PATH", default="", help="Where in the app to begin, such as /docs."
)
@signed_in
def open_app(client: Client, *, name: str, slug: str, path: str) -> Status:
    """Print an address that shows an app of TASK in a browser, once and within a minute."""
    task = find_task(client, name)
    if task.workspace_id is None:
        raise Failure(f"{full_name(task)} has no workspace.", hint="Give the work to a new task.")
    chosen = _app(client, task, slug)
    ticket = client.create_app_ticket(task.workspace_id, chosen, AppTicketRequest(path=path))
    print(ticket.url)
    return None


def _app(client: Client, task: Task, slug: str) -> str:
    """The slug of the app that is meant, also where none was named. Raises Failure, which tells what there is."""
    assert task.workspace_id is not None
    build = client.get_workspace(task.workspace_id).latest_build
    apps = [
        app
        for resource in build.resources or ()
        for agent in resource.agents or ()
        for app in agent.apps
    ]
    if not apps:
        raise Failure(f"{full_name(task)} has no app that runs.", hint="Resume the task.")
    if slug:
        if slug in {app.slug for app in apps}:
            return slug
        slugs = ", ".join(plain(app.slug) for app in apps)
        message = f"{full_name(task)} has no app {slug!r}."
        raise Failure(message, hint=f"There are: {slugs}. Choose one by --app.")
    # What the task's messages go through is for programs.
    others = [app for app in apps if app.id != task.workspace_app_id] or apps
    if len(others) > 1:
        slugs = ", ".join(plain(app.slug) for app in others)
        raise Failure(f"{full_name(task)} has several apps.", hint=f"Choose by --app: {slugs}")
    return others[0].slug
