"""`taskyard task attach` on a terminal, against a real server with a real workspace behind it."""

import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path

import pytest

from taskyard.sdk import Client
from tests.cli.conftest import DEADLINE_S, PROGRAM, Program
from tests.cli.test_cli_tasks import new_task

pytestmark = pytest.mark.all_tier


class Terminal:
    """A terminal with a command on it, from the person's side."""

    def __init__(self, process: subprocess.Popen[bytes], ours: int, theirs: int) -> None:
        self.process = process
        self.shown = b""
        self._ours = ours
        self._theirs = theirs

    def type(self, keys: str) -> None:
        """Presses keys."""
        os.write(self._ours, keys.encode())

    def until(self, pattern: bytes) -> bytes:
        """What is on the terminal as soon as the pattern is in what came since the last time."""
        deadline = time.monotonic() + DEADLINE_S
        since = len(self.shown)
        while not re.search(pattern, self.shown[since:]):
            assert time.monotonic() < deadline, self.shown[since:]
            if select.select([self._ours], [], [], 0.2)[0]:
                self.shown += os.read(self._ours, 65536)
        return self.shown[since:]

    def is_raw(self) -> bool:
        """Whether keys go through as they are."""
        return not termios.tcgetattr(self._theirs)[3] & termios.ICANON

    def end(self) -> int:
        """The status that the command ends with."""
        deadline = time.monotonic() + DEADLINE_S
        # It may wait for somebody to read what it says last.
        while self.process.poll() is None or select.select([self._ours], [], [], 0)[0]:
            assert time.monotonic() < deadline, self.shown
            if select.select([self._ours], [], [], 0.05)[0]:
                self.shown += os.read(self._ours, 65536)
        return self.process.wait()


@contextmanager
def on_a_terminal(program: Program, *words: str) -> Iterator[Terminal]:
    """A command on a terminal of 80 by 24."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    try:
        with subprocess.Popen(
            [*PROGRAM, *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=program.home,
            env=program._environ,
            start_new_session=True,
        ) as process:
            try:
                yield Terminal(process, ours, theirs)
            finally:
                process.kill()
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_conversation_on_a_terminal(owner: Program, client: Client) -> None:
    """What was said scrolls by, a line sends a message, Ctrl-] leaves, and the terminal is as it was."""
    task = new_task(owner, client, "echo one")
    with on_a_terminal(owner, "task", "attach", task.name) as screen:
        screen.until(rb"> echo one\r\n(?s:.*)[K\n]one\r\n(?s:.*)\[idle\] > ")
        assert screen.is_raw()
        screen.type("echo t")
        screen.until(rb"> echo t$")
        screen.type("wo\r")
        screen.until(rb"[K\n]two\r\n")
        screen.type("\x1d")
        screen.until(rb"Left ")
        assert screen.end() == 0
        assert not screen.is_raw()
    assert "two" in owner.good("task", "logs", task.name)


def test_every_way_out_restores_the_terminal(owner: Program, client: Client) -> None:
    """A pause of the task, SIGTERM and SIGHUP end it too, each with the terminal put back."""
    task = new_task(owner, client, "echo one")
    for number in (signal.SIGTERM, signal.SIGHUP):
        with on_a_terminal(owner, "task", "attach", task.name) as screen:
            screen.until(rb"\] > ")
            screen.process.send_signal(number)
            assert screen.end() == 128 + number
            assert not screen.is_raw()
    with on_a_terminal(owner, "task", "attach", task.name) as screen:
        screen.until(rb"\] > ")
        owner.good("task", "pause", "-y", task.name)
        screen.until(rb"Left ")
        assert screen.end() == 0
        assert not screen.is_raw()
    with on_a_terminal(owner, "task", "attach", task.name) as screen:
        screen.until(rb"Resume it first")
        assert screen.end() == 1


def test_attaching_needs_a_terminal(owner: Program) -> None:
    """In a pipe it says so, and what to do, before anything is asked."""
    ended = owner("task", "attach", "whatever")
    assert (ended.status, "needs a terminal" in ended.err) == (1, True)


SCREEN = """
[task]
app = "agent"

[agent]
type = "custom"
transport = "pty"
command = ["bash", "--norc"]

[workspace]
env = { PS1 = "> " }
"""
"""A shell on a terminal for a coding agent."""


def test_a_terminal_on_a_terminal(owner: Program, tmp_path: Path) -> None:
    """Keys go through, Ctrl-C too; the program has the terminal's size; Ctrl-] leaves, and the program stays, with its size."""
    folder = tmp_path / "screen"
    folder.mkdir()
    (folder / "taskyard.toml").write_text(SCREEN)
    name = f"screen-{os.getpid()}"
    owner.good("templates", "push", str(folder), "--name", name, "--yes")
    task = owner.good("task", "create", "-q", "--template", name, "echo begun").strip()
    owner.good("task", "status", "--watch", task)
    with on_a_terminal(owner, "task", "attach", task) as screen:
        screen.until(rb"the terminal of(?s:.*)\x1b\[2J")
        screen.type("stty size\r")
        screen.until(rb"24 80\r\n")
        screen.type("sleep 1000\r")
        screen.until(rb"sleep 1000")
        screen.type("\x03")
        screen.until(rb"\^C")
        screen.type("trap 'echo now $(stty size)' WINCH; x=kept\r")
        screen.until(rb"WINCH; x=kept(?s:.*)> ")
        screen.type("\x1d")
        assert screen.end() == 0
        assert not screen.is_raw()
    with on_a_terminal(owner, "task", "attach", task) as screen:
        screen.until(rb"now 1000 80(?s:.*)24 80")
        screen.type("echo 1$x\r")
        screen.until(rb"1kept")
        screen.type("\x1d")
        assert screen.end() == 0
