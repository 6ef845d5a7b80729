"""`taskyard task shell` and `taskyard task open`: a workspace from within, and its apps in a browser."""

import threading
from contextlib import suppress
from queue import Empty, Queue
from typing import TYPE_CHECKING, Final

import click
import msgspec
from websockets.exceptions import ConnectionClosed

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
from taskyard.sdk import Client
from taskyard.wire.apps import AppTicketRequest
from taskyard.wire.base import as_uuid, encode
from taskyard.wire.tasks import Task
from taskyard.wire.terminal import FromServer, TerminalEnded, TerminalOpened, TerminalResize

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

WAITING: Final = 64
"""Messages that wait for the terminal; behind them the server is held up, and the shell with it."""

LOST: Final = TerminalEnded(reason="lost", message="The connection to the server is gone.")

_MESSAGES: Final[msgspec.json.Decoder[FromServer]] = msgspec.json.Decoder(FromServer)


class _Line:
    """The connection to the server: what comes is collected by a thread, which rings for it."""

    def __init__(self, connection: "ClientConnection", wake: Wake) -> None:
        self._connection = connection
        self._wake = wake
        self._came: Queue[FromServer | bytes] = Queue(WAITING)

    def first(self) -> TerminalOpened:
        """What the server says of the shell. Raises Failure."""
        message = self._next()
        if not isinstance(message, TerminalOpened):
            raise Failure(
                plain(message.message)
                if isinstance(message, TerminalEnded)
                else "the server did not say which shell this is."
            )
        threading.Thread(target=self._receive, daemon=True).start()
        return message

    def take(self) -> FromServer | bytes | None:
        """The next thing that came; None when there is none yet."""
        with suppress(Empty):
            return self._came.get_nowait()
        return None

    def send(self, message: bytes | str) -> None:
        """Sends it, unless the connection is gone, which will be told."""
        with suppress(ConnectionClosed):
            self._connection.send(message)

    def _receive(self) -> None:
        while True:
            message = self._next()
            self._came.put(message)
            self._wake.ring()
            if isinstance(message, TerminalEnded):
                return

    def _next(self) -> FromServer | bytes:
        try:
            message = self._connection.recv()
        except ConnectionClosed:
            return LOST
        if isinstance(message, bytes):
            return message
        try:
            return _MESSAGES.decode(message)
        except (msgspec.MsgspecError, ValueError):
            return TerminalEnded(
                reason="unknown", message="The server said what is not understood."
            )


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
            line = _Line(connection, wake)
            opened = line.first()
            what = "A new shell" if opened.fresh else "The shell as you left it"
            note(f"{what} in the workspace of {full_name(task)}. Ctrl-] leaves.")
            ended = _hold(line, wake, (cols, rows))
    finally:
        wake.close()
    if ended:
        note(f"Left {full_name(task)}. {ended}")
    else:
        note(f"Left {full_name(task)}. To come back: taskyard task shell {name} --id {opened.id}")
    return None


def _hold(line: _Line, wake: Wake, known: tuple[int, int]) -> str:
    """Shows the shell and passes keys on until somebody leaves; why it ended, if not by the key."""
    shown = Filter()
    with held(wake):
        while True:
            if (now := size()) != known:
                known = now
                line.send(encode(TerminalResize(cols=now[0], rows=now[1])).decode())
            typed = wait_for_keys(wake)
            while (message := line.take()) is not None:
                if isinstance(message, bytes):
                    write(shown.feed(message))
                elif isinstance(message, TerminalEnded):
                    return plain(message.message)
            if typed is None:
                continue
            kept, leaves = before_leaving(typed)
            if kept:
                line.send(kept)
            if leaves or not typed:
                return ""


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
