"""What a person would see in the terminal of a program. The emulator hides behind this. Source: N22-N24."""

import codecs
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from avt._avt import Line, Vt
from avt._avt.util import TextUnwrapper

from taskyard_agent.terminal.queries import Ask, Modes, Scanner, answer

MIN_SIDE = 10
"""Fewest columns and rows: the emulator fails at one column. Source: N23."""

MAX_COLS = 500
MAX_ROWS = 2_000
"""Most columns and rows: 1,000,000 cells, about 30 MB."""

FEED_CHARS = 16 * 1024
"""Characters given to the emulator at once, at most 64 KiB: it lets nobody else run meanwhile. Source: N23."""

REPLY_BYTES = 4 * 1024
"""Bytes of answers to one feed: a program that asks more at once is not listening."""


@dataclass(frozen=True)
class Fed:
    """What some output did. changed: anything that could be seen, maybe.

    gone: rows that left the top, oldest first; they are read when somebody wants them, because most of a
    flood interests nobody. replies: to be written to the program. lost: characters that broke the emulator
    and were thrown away with the screen. erased: all that scrolled off before `gone` was forgotten on
    the way, as programs do that print everything again.
    """

    changed: bool
    gone: Sequence[Line]
    replies: bytes
    lost: int
    erased: bool = False

    @cached_property
    def _rows(self) -> tuple[list[str], frozenset[int]]:
        return _read(self.gone)

    @property
    def scrolled(self) -> list[str]:
        """The rows that left the top, without blanks at their end but for those that go on in the next one."""
        return self._rows[0]

    @property
    def wrapped(self) -> frozenset[int]:
        """The indices of those that go on in the next one."""
        return self._rows[1]


class Screen:
    """A grid of cells fed with a program's output, in pieces of any size.

    Text is NFC-normalised within each piece only. size: columns and rows, within what can be shown.
    """

    def __init__(self, cols: int, rows: int) -> None:
        self.size = _bounded(cols, rows)
        self._vt = Vt(*self.size, 0)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._scanner = Scanner()

    def feed(self, data: bytes) -> Fed:
        """Draws, and answers questions with the cursor where it was when they were asked."""
        text = unicodedata.normalize("NFC", self._decoder.decode(data))
        scrolled: list[Line] = []
        replies = bytearray()
        changed, lost, erased = False, 0, False
        for piece, asked in self._scanner.scan(text):
            for part in _parts(piece):
                done = self._draw(part)
                if done is None:
                    changed, lost = True, lost + len(part)
                    continue
                changed = changed or bool(done[0])
                scrolled += done[1]
            if asked is not None and asked.ask is Ask.ERASE:
                erased = True
                scrolled.clear()
            elif asked is not None and len(replies) < REPLY_BYTES:
                replies += answer(asked, *self.cursor()[:2])
        return Fed(changed, scrolled, bytes(replies), lost, erased)

    def _draw(self, text: str) -> tuple[list[int], list[Line]] | None:
        try:
            return self._vt.feed_str(text)
        except BaseException as error:  # its panics are no Exception
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            self._vt = Vt(*self.size, 0)
            self.modes.reset()
            return None

    def resize(self, cols: int, rows: int) -> None:
        """The grid has another size; lines are wrapped anew."""
        self.size = _bounded(cols, rows)
        try:
            self._vt.resize(*self.size)
        except BaseException as error:  # as above
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            self._vt = Vt(*self.size, 0)

    def view(self) -> list[str]:
        """The rows, each padded to the width. Source: A15."""
        return [line.text for line in self._vt.view()]

    def rows(self) -> list[str]:
        """The rows without blanks at their ends; one that goes on in the next keeps those that were written."""
        return self.shown()[0]

    def shown(self) -> tuple[list[str], frozenset[int]]:
        """The rows, and those of them that go on in the next one, because the program wrote beyond their end."""
        return _read(self._vt.view())

    def wrapped(self, row: int) -> bool:
        """Whether a row goes on in the next one."""
        return row in self.shown()[1]

    def cursor(self) -> tuple[int, int, bool]:
        """Its column and row from 0, and whether it is shown; behind a full row it stands on the last cell."""
        cursor = self._vt.cursor
        return min(cursor.col, self.size[0] - 1), cursor.row, cursor.visible

    @property
    def modes(self) -> Modes:
        """What the program told its terminal."""
        return self._scanner.modes

    @property
    def title(self) -> str:
        """The window's title."""
        return self.modes.title

    @property
    def progress(self) -> str:
        """What OSC 9;4 said last, empty for no progress."""
        return self.modes.progress

    @property
    def bracketed_paste(self) -> bool:
        """Whether the program wants pasted text marked."""
        return self.modes.bracketed_paste

    @property
    def alternate(self) -> bool:
        """Whether the second screen is shown, off which nothing scrolls."""
        return self.modes.alternate

    @property
    def synchronized(self) -> bool:
        """Whether the program is in the middle of drawing."""
        return self.modes.synchronized


def _bounded(cols: int, rows: int) -> tuple[int, int]:
    return min(max(cols, MIN_SIDE), MAX_COLS), min(max(rows, MIN_SIDE), MAX_ROWS)


def _parts(text: str) -> Iterator[str]:
    return (text[at : at + FEED_CHARS] for at in range(0, len(text), FEED_CHARS))


def _read(lines: Sequence[Line]) -> tuple[list[str], frozenset[int]]:
    """Rows without blanks at their ends, and those that go on in the next one, which keep theirs."""
    joiner = TextUnwrapper()  # the only one who is told which lines go on
    rows: list[str] = []
    wrapped: set[int] = set()
    for index, line in enumerate(lines):
        row = line.text
        if joiner.push(line) is None:
            wrapped.add(index)
        else:
            row = row.rstrip(" ")
        rows.append(row)
    for index in wrapped:
        if index + 1 < len(lines) and rows[index][-1] == " " and lines[index + 1][0].width == 2:
            rows[index] = rows[index][:-1]  # there was no room for a wide character
    return rows, frozenset(wrapped)
