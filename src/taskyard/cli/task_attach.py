"""`taskyard task attach`: a coding agent's terminal, or its conversation, with a way to type into it."""

import codecs
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
from taskyard.wire.attached import (
    Attached,
    AttachEnded,
    AttachKeys,
    AttachRefused,
    AttachResize,
    AttachTransport,
    FromClient,
    FromServer,
)
from taskyard.wire.base import encode

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

LEAST_CELLS: Final = 10
"""Columns and rows of the smallest terminal that a workspace takes."""

CLEAR: Final = b"\x1b[2J\x1b[H"
"""Gives the program an empty screen, as its terminal in the workspace began with one."""

WAITING: Final = 64
"""Messages that wait for the terminal; behind them the server is held up, and the program with it."""

RESTART_CLOSE: Final = 1012
"""WebSocket close code of a server that stops."""

_MESSAGES: Final[msgspec.json.Decoder[FromServer]] = msgspec.json.Decoder(FromServer)


class Line:
    """The connection to the server: what comes is collected by a thread, which rings for it."""

    def __init__(self, connection: "ClientConnection", wake: Wake) -> None:
        self._connection = connection
        self._wake = wake
        self._came: Queue[FromServer | bytes] = Queue(WAITING)
        self._thread = threading.Thread(target=self._receive, daemon=True)

    def first(self) -> Attached:
        """What the server says of the session. Raises Failure."""
        message = self._next()
        if not isinstance(message, Attached):
            raise Failure(_sentence(message))
        self._thread.start()
        return message

    def take(self) -> FromServer | bytes | None:
        """The next thing that came; None when there is none yet."""
        with suppress(Empty):
            return self._came.get_nowait()
        return None

    def send(self, message: FromClient) -> None:
        """Sends it, unless the connection is gone, which will be told."""
        with suppress(ConnectionClosed):
            self._connection.send(encode(message).decode())

    def _receive(self) -> None:
        while True:
            message = self._next()
            self._came.put(message)
            self._wake.ring()
            if isinstance(message, AttachEnded):
                return

    def _next(self) -> FromServer | bytes:
        try:
            message = self._connection.recv()
        except ConnectionClosed as error:
            if error.rcvd is not None and error.rcvd.code == RESTART_CLOSE:
                return AttachEnded(
                    reason="lost",
                    message="The server restarts; the task goes on. Attach again in a moment.",
                )
            return AttachEnded(reason="lost", message="The connection to the server is gone.")
        if isinstance(message, bytes):
            return message
        try:
            return _MESSAGES.decode(message)
        except (msgspec.MsgspecError, ValueError):
            return AttachEnded(reason="unknown", message="The server said what is not understood.")


def _sentence(message: object) -> str:
    if isinstance(message, AttachEnded | AttachRefused):
        return plain(message.message)
    return "the server did not say what is attached to."


@click.command()
@click.argument("name", metavar="TASK")
@signed_in
def attach(client: Client, *, name: str) -> Status:
    """See what the coding agent of TASK does, and type to it. Ctrl-] leaves; the task goes on."""
    require_terminal(name)
    task = find_task(client, name)
    wake = Wake()
    try:
        with client.attach_task("me", task.id) as connection:
            line = Line(connection, wake)
            first = line.first()
            note(_greeting(full_name(task), first))
            if first.transport is AttachTransport.TERMINAL:
                ended = _terminal(line, wake, may_type=first.may_type)
                if first.may_type and min(first.cols, first.rows) >= LEAST_CELLS:
                    line.send(AttachResize(cols=first.cols, rows=first.rows))
            else:
                # Imported on use: a terminal needs none of it.
                from taskyard.cli.attach_talk import talk

                ended = talk(line, wake, may_type=first.may_type)
    finally:
        wake.close()
    note(f"Left {full_name(task)}. {ended}".rstrip())
    return None


def _greeting(name: str, first: Attached) -> str:
    agent = f" ({plain(first.agent)})" if first.agent else ""
    what = (
        "the terminal of" if first.transport is AttachTransport.TERMINAL else "the conversation of"
    )
    only = "" if first.may_type else " You may look, but not type."
    return f"This is {what} {name}{agent}. Ctrl-] leaves; the task goes on.{only}"


def _terminal(line: Line, wake: Wake, *, may_type: bool) -> str:
    """Shows the terminal and passes keys on until somebody leaves; why it ended, if not by the key."""
    questions, keys = Filter(), codecs.getincrementaldecoder("utf-8")(errors="replace")
    known: tuple[int, int] | None = None
    with held(wake):
        write(CLEAR)
        while True:
            if may_type and (now := size()) != known:
                known = now
                cols, rows = (max(cells, LEAST_CELLS) for cells in now)
                line.send(AttachResize(cols=cols, rows=rows))
            typed = wait_for_keys(wake)
            while (message := line.take()) is not None:
                if isinstance(message, bytes):
                    write(questions.feed(message))
                elif isinstance(message, AttachEnded):
                    return plain(message.message)
            if typed is None:
                continue
            kept, leaves = before_leaving(typed)
            if kept and may_type:
                line.send(AttachKeys(data=keys.decode(kept)))
            if leaves or not typed:
                return ""
