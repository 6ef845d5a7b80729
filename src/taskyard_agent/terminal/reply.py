"""What the coding agent said in one turn, put together from looks at its screen.

A reply may be longer than the screen: rows that scrolled off stand before what is seen, and where a
program scrolls by drawing anew, what was seen before is kept. Source: A25-A29, N34, N35.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from taskyard_agent.terminal.rules import Cursor, Rules
from taskyard_agent.terminal.text import echo_rows, first_new, joined, trimmed

REDRAWN_ROWS = 3
"""Filled rows that must be seen again, in order, for them to be a redraw: fewer occur by chance."""

TAIL_LINES = 6
"""Last lines of a reply that may have changed when it scrolls on: the ones that were being written."""

ECHO_WITHIN = 40
"""Rows behind the old screen in which a redraw shows the prompt again."""

TOP_ROWS = 4
"""First rows of a second screen that may not scroll with the rest: a title, a rule, a blank one."""

KEPT_ROWS = 500
"""Rows of those that scrolled off that are looked at again, besides as many as the old screen has."""

FOLD_ROWS = 2_000
"""Rows beyond these are made text for good, about 10 ms of work: a reply may have 100,000 rows."""

BLANK_WITHIN = 200
"""Rows in which a blank one is looked for to fold at: what belongs together has none."""

GAP = "[...]"
"""Stands where lines went by unseen, on a screen that tells nobody what scrolled off it."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a settled screen.

    rows: as shown, padded or not. wrapped: rows that go on in the next one; blanks at their ends are
    part of what was written. alternate: it is the second screen, off which nothing scrolls.
    """

    rows: tuple[str, ...]
    cursor: Cursor | None = None
    wrapped: frozenset[int] = frozenset()
    alternate: bool = False


@dataclass(frozen=True, slots=True)
class _Span:
    """Rows of the document, and which of them are the reply."""

    rows: tuple[str, ...]
    start: int
    end: int

    def shortens(self, later: "_Span") -> bool:
        """Whether the later one has fewer rows of the reply although none of them was drawn anew."""
        if later.start != self.start or later.end >= self.end:
            return False
        return later.rows[self.start : self.end] == self.rows[self.start : self.end]


@dataclass(slots=True)
class Reply:
    """What was said since the last message of the user; one of these a turn.

    user_message: empty before the first. before: the look before it was typed; None when nothing was
    on the screen yet, as for the first message of a conversation. hidden: the report-tool blocks that
    were left out of the text, the last one first.
    """

    rules: Rules
    user_message: str = ""
    before: Look | None = None
    hidden: list[str] = field(default_factory=list, init=False)
    _old: list[str] = field(init=False)
    _gone: list[str] = field(default_factory=list, init=False)
    _gone_wrapped: dict[int, int] = field(default_factory=dict, init=False)
    _folded: list[str] = field(default_factory=list, init=False)
    _folded_hidden: list[str] = field(default_factory=list, init=False)
    _typed: list[str] = field(default_factory=list, init=False)
    _span: _Span | None = field(default=None, init=False)
    _known: list[str] = field(default_factory=list, init=False)
    _said: list[str] = field(default_factory=list, init=False)
    _text: str = field(default="", init=False)
    _echo_seen: bool = field(default=False, init=False)
    _erased: bool = field(default=False, init=False)
    _boxed: bool = field(default=False, init=False)
    _height: int = field(default=0, init=False)
    _fold_at: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._old = [] if self.before is None else self.rules.rows(self.before.rows)

    def scrolled(self, lines: Sequence[str], wrapped: Iterable[int] = ()) -> None:
        """Rows that left the top of the screen since `before`, oldest first. Source: N34.

        wrapped: which of them go on in the next one.
        """
        self._gone_wrapped |= _blank_ends(lines, wrapped, len(self._gone))
        self._gone += self.rules.rows(list(lines))
        if len(self._gone) > max(FOLD_ROWS + self._kept_rows, self._fold_at):
            self._fold()

    def erased(self) -> None:
        """The program had all that scrolled off forgotten: it prints everything again. Source: N34."""
        self._erased = True
        self._gone, self._gone_wrapped, self._span = [], {}, None
        self._folded, self._folded_hidden, self._fold_at = [], [], 0

    def typed(self, look: Look) -> None:
        """The screen just before the CR: rows that it has and `before` has not are the echo. Source: N35."""
        rows = [*self._gone, *self.rules.rows(look.rows)]
        self._typed = trimmed(rows[self._first_new(rows) :])

    def text(self, look: Look) -> str:
        """The whole reply as of this look; empty while there is none.

        It is never shorter than before unless the rows in question were drawn anew. Source: N35.
        """
        rows = [*self._gone, *self.rules.rows(look.rows)]
        start, echo = self._begin(rows)
        drawn = look.alternate and bool(self._known) and not (self._gone or self._folded)
        if drawn and self._echo_seen and not echo:
            start = self._top(rows, look)
        inside = start in self.rules.composer_rows(rows)
        kept = [] if inside else self._unboxed(rows, start, look)
        boxed = len(kept) < len(_end_trimmed(rows[start:]))
        height = len(self._folded) + len(kept)
        if self._erased and self._is_partial(echo, height, boxed=boxed):
            return self._text
        self._boxed, self._height = self._boxed or boxed, height
        span = _Span(tuple(rows), start, start + len(kept))
        if self._span is None or not self._span.shortens(span):
            self._span = span
            ends = _blank_ends(look.rows, look.wrapped, len(self._gone))
            wrapped = self._gone_wrapped | ends
            lines = _joined(span, kept, wrapped)
            lines = _end_trimmed(lines) if self._folded else trimmed(lines)
            self._say(self._continued(lines, echo=echo > 0) if drawn else self._all(lines))
        self._text = "\n".join([*self._folded, *self._said])
        return self._text

    def _top(self, rows: list[str], look: Look) -> int:
        """Where rows that go on with what is known begin: they may read like those of the old screen.

        Where none go on, behind the rows that both screens begin with.
        """
        for top in range(min(TOP_ROWS, len(rows))):
            if _continued(self._known, trimmed(self._unboxed(rows, top, look))) is not None:
                return top
        both = zip(rows[:TOP_ROWS], self._old, strict=False)
        return next((top for top, (row, old) in enumerate(both) if row != old), 0)

    def _is_partial(self, echo: int, height: int, *, boxed: bool) -> bool:
        """Whether not everything is printed again yet: the prompt is missing still, or the input box and more."""
        without_echo = self._echo_seen and not echo and not self._folded
        return without_echo or (self._boxed and not boxed and height < self._height)

    def _begin(self, rows: list[str]) -> tuple[int, int]:
        """Where the reply begins in these rows, and how many rows of echo are before that."""
        if self._folded and self._erased:
            return 0, 0
        redraw = self._printed_again(rows) if self._erased else self._redrawn(rows)
        if redraw:
            self._folded, self._folded_hidden = [], []
        if self._folded:
            return 0, 0
        start = redraw if self._erased and redraw else self._start(rows, redraw)
        echo = self._echo(rows[start:])
        self._echo_seen = self._echo_seen or echo > 0
        return start + echo, echo

    def _start(self, rows: list[str], redraw: int) -> int:
        """Where the turn begins: behind the last redraw of the old screen, at the first new row."""
        whole = redraw + self._first_new(rows[redraw:])
        if self._gone or self.before is None or not self.rules.header:
            return whole
        if self.rules.echo_end(rows[whole:], self.user_message):
            return whole  # this release has no header: the prompt itself is new
        return self._first_new(rows, self.rules.header)

    def _first_new(self, rows: list[str], header: int = 0) -> int:
        return first_new(self._old, rows, header=header, moving=self.rules.moving)

    def _printed_again(self, rows: list[str]) -> int:
        """Where the last message of the user stands in rows that begin with the first of all; 0 for nowhere."""
        found = echo_rows(rows, self.user_message)
        first = next((line.strip() for line in self._known if line), "")
        for at in reversed(found):
            behind = at + self.rules.echo_end(rows[at:], self.user_message)
            following = (row.strip() for row in rows[behind:] if row)
            if not first or next(following, "") == first:
                return at
        return found[-1] if found else 0

    def _redrawn(self, rows: list[str]) -> int:
        """Where the old screen was printed again behind rows that scrolled off; 0 when it was not."""
        old = self.rules.unboxed(_end_trimmed(self._old), None)
        if not self._gone or sum(bool(row) for row in old) < REDRAWN_ROWS:
            return 0
        keys = [None if self.rules.moving(row) else row for row in old]
        for at in range(len(rows) - len(old), 0, -1):
            behind = at + len(old)
            same = keys[0] in (None, rows[at]) and _same(keys, rows[at:behind])
            if same and self.rules.echo_end(rows[behind : behind + ECHO_WITHIN], self.user_message):
                return at
        return 0

    def _echo(self, rows: list[str]) -> int:
        """How many of the rows are the echo: those that were typed if they still stand there. Source: N35."""
        if self._typed and rows[: len(self._typed)] == self._typed:
            return len(self._typed)
        return self.rules.echo_end(rows, self.user_message)

    def _unboxed(self, rows: list[str], start: int, look: Look) -> list[str]:
        """The rows without the input box, which has the cursor in it, shown or not. Source: N35.

        A cursor that is not shown stands anywhere in a program that nobody recorded: then any box counts.
        """
        anchor = None
        if look.cursor is not None and (look.cursor[2] or self.rules.composers):
            line = len(self._gone) + look.cursor[1] - start
            anchor = (line, look.cursor[0])
        return self.rules.unboxed(_end_trimmed(rows[start:]), anchor)

    @property
    def _kept_rows(self) -> int:
        return KEPT_ROWS + len(self._old)

    def _fold(self) -> None:
        """The oldest rows become text, which only a redraw of everything changes any more."""
        rows = self._gone
        start, echo = self._begin(rows)
        if self._erased and self.user_message and not (echo or self._folded):
            self._fold_at = 2 * len(rows)  # still on the turns before: nothing of this one yet
            return
        cut = _blank_before(rows, len(rows) - self._kept_rows, self._gone_wrapped)
        if start >= cut:
            return
        lines = _joined(_Span(tuple(rows), start, cut), rows[start:cut], self._gone_wrapped)
        said, hidden = self.rules.finished(lines)
        self._folded += [*_blanks(lines, self._folded), *said]
        self._folded_hidden = [*hidden, *self._folded_hidden]
        self._gone = rows[cut:]
        self._gone_wrapped = {at - cut: end for at, end in self._gone_wrapped.items() if at >= cut}
        self._span = None

    def _continued(self, seen: list[str], *, echo: bool) -> list[str]:
        """All lines, of which these are seen, on a screen that scrolls by drawing anew.

        echo: the prompt is seen too. It may be all, or the prompt stays while the lines below it scroll.
        """
        whole = bool(seen) and seen[0].strip() == self._known[0].strip()
        met = None if whole else _continued(self._known, seen)
        if not seen:
            return self._known
        if met is None and not (whole or echo or not self._echo_seen):
            return [*self._known, GAP, *seen]
        return self._all(seen if met is None else met)

    def _all(self, lines: list[str]) -> list[str]:
        self._known = lines
        return lines

    def _say(self, lines: list[str]) -> None:
        said, hidden = self.rules.finished(lines)
        self._said = [*_blanks(lines, self._folded), *said] if said else []
        self.hidden = [*hidden, *self._folded_hidden]


def _same(keys: Sequence[str | None], rows: Sequence[str]) -> bool:
    """Whether these are the rows; null stands for one that may be another whenever it is drawn."""
    return all(key is None or key == row for key, row in zip(keys, rows, strict=True))


def _joined(span: _Span, kept: list[str], wrapped: Mapping[int, int]) -> list[str]:
    """The lines that the program wrote: rows are joined where they are all kept. Source: N34, D16."""
    if list(span.rows[span.start : span.end]) != kept:
        return kept
    return list(joined(kept, {at - span.start: end for at, end in wrapped.items()}))


def _blank_ends(rows: Sequence[str], wrapped: Iterable[int], first: int) -> dict[int, int]:
    """The rows that go on, with their blanks at the end; first: the number of the first row."""
    return {first + at: len(rows[at]) - len(rows[at].rstrip()) for at in wrapped if at < len(rows)}


def _blanks(lines: Sequence[str], folded: Sequence[str]) -> list[str]:
    """The blank lines that begin these, when something stands before them."""
    count = next((at for at, line in enumerate(lines) if line), len(lines))
    return [""] * count if folded else []


def _blank_before(rows: Sequence[str], at: int, wrapped: Collection[int]) -> int:
    """Where to part rows, at most there: before a blank one, else before one that begins a line."""
    for row in range(at, max(at - BLANK_WITHIN, 0), -1):
        if not rows[row] and rows[row - 1]:
            return row
    return next((row for row in range(at, 0, -1) if row - 1 not in wrapped), 0)


def _end_trimmed(rows: Sequence[str]) -> list[str]:
    end = max((at for at, row in enumerate(rows) if row), default=-1)
    return list(rows[: end + 1])


def _continued(known: Sequence[str], seen: Sequence[str]) -> list[str] | None:
    """What was known, with what is seen now in the place where it goes on; None when nothing meets."""
    best, length = None, 0
    for at in range(len(known)):
        run = _run(known, at, seen)
        filled = sum(bool(line) for line in seen[:run])
        if filled > length and at + run >= len(known) - TAIL_LINES:
            best, length = at, filled
    return None if best is None or length < REDRAWN_ROWS else [*known[:best], *seen]


def _run(known: Sequence[str], at: int, seen: Sequence[str]) -> int:
    for count, line in enumerate(seen):
        if at + count >= len(known) or known[at + count].strip() != line.strip():
            return count
    return len(seen)
