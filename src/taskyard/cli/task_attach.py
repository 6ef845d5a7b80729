"""`taskyard task attach`: a coding agent's terminal, or its conversation, with a way to type into it."""

import codecs
from typing import Final

import click
import msgspec

from taskyard.cli.connection import Status, signed_in
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
from taskyard.cli.terminal_line import Line
from taskyard.sdk import Client
from taskyard.wire.attached import (
    Attached,
    AttachEnded,
    AttachKeys,
    AttachResize,
    AttachTransport,
    FromServer,
)

LEAST_CELLS: Final = 10
"""Columns and rows of the smallest terminal that a workspace takes."""

CLEAR: Final = b"\x1b[2J\x1b[H"
"""Gives the program an empty screen, as its terminal in the workspace began with one."""

_MESSAGES: Final[msgspec.json.Decoder[FromServer]] = msgspec.json.Decoder(FromServer)


AttachLine = Line[FromServer, AttachEnded]


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
            restarts = "The server restarts; the task goes on. Attach again in a moment."
            line = AttachLine(connection, wake, told=_MESSAGES, end=AttachEnded, restarts=restarts)
            first = line.first(Attached)
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


def _terminal(line: AttachLine, wake: Wake, *, may_type: bool) -> str:
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
