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

_SEQUENCE: Final = re.compile(
    rb"\x1b\[(?P<csi>[^\x18\x1a\x1b@-~]*[@-~])"
    rb"|\x1b\](?P<osc>[^\x07\x1b]*)(?:\x07|\x1b\\)"
    rb"|\x1b(?P<plain>[()*+][0-~]|\#[0-~]|[78=>DEHMc\\])"
    rb"|(?P<text>\xc2[\xa0-\xbf])"
    rb"|\x1b[PX^_][^\x1b]*\x1b\\"  # orders to printers, images, questions, other multiplexers
    # Any other escape is dropped with what belongs to it: terminals forget a sequence that another one cuts off.
    rb"|\x1b(?:\[[^\x1b@-~]*|[\]PX^_][^\x07\x1b]*|[ -/]+[0-~]?|[0-Z`-~])?|\xc2[\x80-\x9f]*|\x05"
)
"""What a terminal may obey. So many of them read U+0080 to U+009F as escapes that these are taken for such."""

_OPEN_ENDED: Final = re.compile(
    rb"(?:\x1b(?:\[[^\x18\x1a\x1b@-~]*|\][^\x07\x1b]*\x1b?|[PX^_][^\x1b]*\x1b?|[ -/]+)?|\xc2)\Z"
)
"""The beginning of a sequence at the end of what has come so far."""

_DRAWS: Final = re.compile(
    rb"[0-9;:]*[@A-MPSTXZ`abd-hlmrsu]|2[23][0-9;]*t|\?[0-9;]*[hlrsJK]|>[0-9;]*[mu]|[<=][0-9;]*u"
    rb"|[0-9]* q|!p|[0-9;]*\$[rtvxz{]|[0-9]*\"q|[0-9]*'[}~]"
)
"""Sequences that draw, or say which keys a program wants; all others ask something, or reach beyond the screen."""

_SETS: Final = re.compile(
    rb"0*(?:[012]|8|133|104|11[0-9])(?:;[^\x00-\x1f\x7f]*)?|0*9;4[0-9;]*|0*(?:4|1[0-9]);[^\x00-\x1f\x7f?]*"
)
"""Titles, links, marks, progress and colours: orders that neither ask nor touch what is outside of the terminal."""

HELD_BYTES: Final = 16 * 1024
"""Longest such beginning that is kept back; a longer one, which no terminal would take, is dropped or shown as text."""


class Filter:
    """Leaves of what a program writes text and what draws, wherever the pieces are cut.

    The workspace has answered what it asks, and a second answer would be taken for keys, or be typed
    into the shell of whoever has just left. Clipboard, printer and window are no business of it.
    """

    def __init__(self) -> None:
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """What of it may be shown now."""
        data = self._held + piece
        found = _OPEN_ENDED.search(data, max(0, len(data) - HELD_BYTES))
        end = len(data) if found is None else found.start()
        self._held = data[end:]
        return _SEQUENCE.sub(_kept, data[:end])


def _kept(found: re.Match[bytes]) -> bytes:
    """The sequence as it may be shown; nothing of one that may not."""
    if found["csi"] is not None:
        order = _CONTROLS.sub(b"", found["csi"])
        return b"\x1b[" + order if _DRAWS.fullmatch(order) else b""
    if found["osc"] is not None:
        fine = _SETS.fullmatch(found["osc"]) and not _C1.search(found["osc"])
        return found[0] if fine else b""
    return found[0] if found["plain"] or found["text"] else b""


_CONTROLS: Final = re.compile(rb"[\x00-\x1f\x7f]")
_C1: Final = re.compile(rb"\xc2[\x80-\x9f]")


def require_terminal(name: str, *, what: str = "attaching") -> None:
    """Nothing where a person sits at a terminal; name: the task; what: that they want to do. Raises Failure."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Failure(
            f"{what} needs a terminal.",
            hint=f"To only read it: taskyard task logs --follow {name}",
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
        tty.setraw(stdin, termios.TCSADRAIN)  # keys that were pressed already are kept
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
