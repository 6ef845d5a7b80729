"""The terminal of whoever is attached: raw while it lasts, filtered, and put back whatever happens."""

import os
import re
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

from taskyard.cli.failures import Failure

LEAVE: Final = b"\x1d"
"""Ctrl-]: the key that leaves, which no coding agent uses."""

LEAVE_SEQUENCES: Final = (LEAVE, b"\x1b[93;5u", b"\x1b[27;5;93~")
"""How terminals send it: plainly, or as a program may have asked them to."""

READ_BYTES: Final = 4096
"""Keys read at once; a terminal hands over no more."""

PUT_BACK: Final = (
    b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?2004l\x1b[?2026l\x1b[?1l\x1b>"
    b"\x1b[<u\x1b[>4;0m\x1b[?1049l\x1b[?25h\x1b[0m\r\n"
)
"""Takes back what programs ask terminals for: mouse, focus, paste marks, key codes, the second screen."""

_QUERY: Final = re.compile(
    rb"\x1b\[[>=?]?[0-9;]*[cn]"  # who are you, how are you, where is the cursor
    rb"|\x1b\[\?[0-9;]*\$p|\x1b\[[0-9;]*\$p|\x1b\[\?u|\x1b\[>[0-9;]*q|\x1b\[(?:1[1-9]|2[01])(?:;[0-9]+)*t"
    rb"|\x1b\](?:4;[0-9]+|1[0-9]);\?(?:\x07|\x1b\\)"
    rb"|\x1b\]52;[^\x07\x1b]*(?:\x07|\x1b\\)"
    rb"|\x1bP[+$]q[^\x1b]*\x1b\\"
)
"""Questions to a terminal: the workspace has answered them, and a second answer would be taken for keys. And what
would read or write the clipboard of whoever looks, which is no business of a program in a workspace."""

_OPEN_ENDED: Final = re.compile(rb"\x1b(?:[\[\]P][^\x07\x1b@-~]*|[\]P][^\x07\x1b]*\x1b?)?$")
"""The beginning of a sequence at the end of what has come so far."""

HELD_BYTES: Final = 64 * 1024
"""Longest such beginning that is kept back; a longer one, which no terminal would take, is dropped."""


class Filter:
    """Takes questions out of what a program writes, wherever the pieces are cut."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """What of it may be shown now."""
        data = _QUERY.sub(b"", self._held + piece)
        found = _OPEN_ENDED.search(data)
        if found is None:
            self._held = b""
            return data
        self._held = data[found.start() :] if len(data) - found.start() <= HELD_BYTES else b""
        return data[: found.start()]


def require_terminal(what: str) -> None:
    """Nothing where a person sits at a terminal. Raises Failure."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Failure(
            f"{what} needs a terminal.", hint="To only read it: taskyard task logs --follow TASK"
        )


def size() -> tuple[int, int]:
    """Columns and rows of the terminal."""
    found = os.get_terminal_size(sys.stdout.fileno())
    return found.columns, found.lines


class Wake:
    """A pipe by which signals and threads interrupt a wait for keys."""

    def __init__(self) -> None:
        self.read_end, self._write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def ring(self) -> None:
        """Ends a wait; may be called from anywhere."""
        with suppress(BlockingIOError):  # full: it rings already
            os.write(self._write_end, b"!")

    def quiet(self) -> None:
        """Takes away what rang."""
        with suppress(BlockingIOError):
            os.read(self.read_end, READ_BYTES)

    def close(self) -> None:
        """Gives both ends back."""
        os.close(self.read_end)
        os.close(self._write_end)


def wait_for_keys(wake: Wake) -> bytes | None:
    """Keys as they are typed; None when something else rang. Empty when the terminal is gone."""
    stdin = sys.stdin.fileno()
    ready, _, _ = select.select([stdin, wake.read_end], [], [])
    if wake.read_end in ready:
        wake.quiet()
    if stdin not in ready:
        return None
    try:
        return os.read(stdin, READ_BYTES)
    except OSError:
        return b""


class _Ended(BaseException):
    """A signal asked the program to end."""


@contextmanager
def held(wake: Wake) -> Iterator[None]:
    """The terminal gives each key as it is, until the block ends, by whatever.

    A change of its size rings. Raises SystemExit when the program was asked to end meanwhile.
    """
    stdin = sys.stdin.fileno()
    before = termios.tcgetattr(stdin)
    handlers = {number: signal.getsignal(number) for number in _HANDLED}
    signal.signal(signal.SIGWINCH, lambda *_: wake.ring())
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        tty.setraw(stdin)
        yield
    except _Ended as ended:
        raise SystemExit(128 + int(str(ended))) from None
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        put_back(stdin, before)


_HANDLED: Final = (signal.SIGWINCH, signal.SIGTERM, signal.SIGHUP)


def _end(number: int, _: FrameType | None) -> None:
    raise _Ended(str(number))


def put_back(stdin: int, before: list[int | list[bytes | int]]) -> None:
    """The terminal is as it was, as far as it is still there."""
    try:
        termios.tcsetattr(stdin, termios.TCSADRAIN, before)
        write(PUT_BACK)
    except (OSError, termios.error):
        pass  # nobody is there to see it


def write(data: bytes) -> None:
    """Shows bytes as they are."""
    sys.stdout.flush()
    view = memoryview(data)
    while view:
        view = view[os.write(sys.stdout.fileno(), view) :]


def before_leaving(keys: bytes) -> tuple[bytes, bool]:
    """The keys before the one that leaves, and whether it is among them."""
    places = [keys.find(sequence) for sequence in LEAVE_SEQUENCES]
    found = [place for place in places if place >= 0]
    return (keys[: min(found)], True) if found else (keys, False)
