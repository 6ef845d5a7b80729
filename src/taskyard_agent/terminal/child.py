"""A program in a pseudo-terminal: started, written to, listened to, and ended with all that it left."""

import asyncio
import contextlib
import fcntl
import os
import signal
import struct
import subprocess
import termios
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from taskyard_agent.bell import Bell
from taskyard_agent.memory_score import expose
from taskyard_agent.process import AgentNotFound, Leader

PIECE_BYTES = 4 * 1024
"""Bytes written at once: what a terminal's line of input holds. Source: N32."""

READ_BYTES = 32 * 1024
"""Bytes read before others get their turn, which take 1 ms to draw; the kernel hands out 4 KiB at a time."""

UNWRITTEN_BYTES = 64 * 1024
"""Bytes that may wait for a program that does not read; answers to its questions are dropped then."""

LAST_WORDS_BYTES = 1024 * 1024
"""Bytes read after the program's end: more than a terminal holds, for what it left behind may write on."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """The terminal that a program gets. kind: the value of TERM. Source: A14, N25."""

    cols: int = 80
    rows: int = 1000
    kind: str = "vt100"


class PtyChild(Leader):
    """A running program with a terminal of its own, which is its controlling one.

    Its output goes to a callback in pieces of up to READ_BYTES, as fast as that takes them.
    """

    def __init__(
        self, popen: subprocess.Popen[bytes], master: int, on_output: Callable[[bytes], None]
    ) -> None:
        super().__init__(popen)
        self._master = master
        self._on_output = on_output
        self._unwritten = bytearray()
        self._bell = Bell()
        self._writing = asyncio.Lock()
        self._reading = False
        self._wants_to_write = False
        self._gone = False

    @classmethod
    def spawn(
        cls,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str,
        terminal: Terminal,
        on_output: Callable[[bytes], None],
    ) -> Self:
        """A program in a session of its own, with this environment and TERM; needs a running loop.

        on_output must not raise. Raises AgentNotFound, or OSError when cwd is no folder.
        """
        master, slave = os.openpty()
        try:
            _set_size(master, terminal.cols, terminal.rows)
            os.set_blocking(master, False)
            child = cls(_popen(argv, _env(env, terminal), cwd, slave), master, on_output)
        except BaseException:
            os.close(master)
            raise
        finally:
            os.close(slave)
        child._watch()
        child.resume_reading()
        return child

    # what it says

    def resume_reading(self) -> None:
        """Output is read, from now on."""
        if not self._reading and not self._gone:
            asyncio.get_running_loop().add_reader(self._master, self._on_readable)
            self._reading = True

    def pause_reading(self) -> None:
        """Output is left where it is; a program that writes on has to wait. Source: N6."""
        if self._reading:
            asyncio.get_running_loop().remove_reader(self._master)
            self._reading = False

    def _on_readable(self) -> None:
        data = self._read(READ_BYTES)
        if data:
            self._on_output(data)

    def _read(self, size: int) -> bytes:
        """Up to about so many bytes; fewer when there are no more for now."""
        parts: list[bytes] = []
        left = size
        while left > 0:
            try:
                part = os.read(self._master, left)
            except BlockingIOError:
                break
            except OSError:  # nobody has the other end open any more
                part = b""
            if not part:
                self._hang_up()
                break
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def _take_last_words(self) -> None:
        if self._gone:
            return
        data = self._read(LAST_WORDS_BYTES)
        if data:
            self._on_output(data)
        self.pause_reading()
        self._hang_up()

    def _hang_up(self) -> None:
        """No byte goes either way any more."""
        self._gone = True
        self.pause_reading()
        self._stop_writing()
        self._wake()

    # what it is told

    async def write(self, data: bytes) -> None:
        """All of it is with the terminal, in order, not mixed with another call's. Raises BrokenPipeError."""
        async with self._writing:
            for start in range(0, len(data), PIECE_BYTES):
                self._unwritten += data[start : start + PIECE_BYTES]
                self._flush()
                while self._unwritten and not self._gone:
                    await self._progress()
                if self._gone:
                    raise BrokenPipeError

    def reply(self, data: bytes) -> None:
        """Bytes for the program, without waiting; none when it does not read what it has."""
        if len(self._unwritten) + len(data) <= UNWRITTEN_BYTES and not self._gone:
            self._unwritten += data
            self._flush()

    def _flush(self) -> None:
        while self._unwritten and not self._gone:
            try:
                size = os.write(self._master, self._unwritten[:PIECE_BYTES])
            except BlockingIOError:
                if not self._wants_to_write:
                    asyncio.get_running_loop().add_writer(self._master, self._flush)
                    self._wants_to_write = True
                return
            except OSError:
                self._hang_up()
                return
            del self._unwritten[:size]
        self._stop_writing()
        self._wake()

    def _stop_writing(self) -> None:
        if self._wants_to_write:
            asyncio.get_running_loop().remove_writer(self._master)
            self._wants_to_write = False

    async def _progress(self) -> None:
        await self._bell.rung()

    def _wake(self) -> None:
        self._bell.ring()

    def forget_unwritten(self) -> None:
        """What the program did not read yet it will never read."""
        self._unwritten.clear()
        self._stop_writing()
        with contextlib.suppress(termios.error, OSError):
            termios.tcflush(self._master, termios.TCOFLUSH)
        self._wake()

    def resize(self, cols: int, rows: int) -> None:
        """The terminal has that size, and the program was told."""
        with contextlib.suppress(OSError):  # it has ended
            _set_size(self._master, cols, rows)

    # its end

    async def _ask_to_end(self, grace_s: float) -> None:
        """As if Ctrl-C was pressed, then as if the terminal was closed. Source: A47, N20."""
        self._signal(signal.SIGINT)
        self._signal(signal.SIGCONT)
        await self._wait_gone(grace_s / 2)
        self._signal(signal.SIGHUP)
        await super()._ask_to_end(grace_s / 2)

    def _close(self) -> None:
        self._hang_up()
        if self._master >= 0:
            os.close(self._master)
            self._master = -1


def _env(env: Mapping[str, str], terminal: Terminal) -> dict[str, str]:
    """The whole environment, but for what another terminal left there about itself."""
    kept = {name: value for name, value in env.items() if name not in ("LINES", "COLUMNS")}
    return kept | {"TERM": terminal.kind}


def _set_size(fd: int, cols: int, rows: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))


def _control_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _popen(
    argv: Sequence[str], env: Mapping[str, str], cwd: str, slave: int
) -> subprocess.Popen[bytes]:
    try:
        popen = subprocess.Popen(
            list(argv),
            env=dict(env),
            cwd=cwd,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            # There is no other way to a controlling terminal; one system call, no lock, no import.
            preexec_fn=_control_terminal,  # noqa: PLW1509
        )
    except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
        if error.filename != argv[0]:
            raise  # the folder is at fault, not the program
        raise AgentNotFound(argv[0], env.get("PATH", os.defpath)) from error
    expose(popen.pid)
    return popen
