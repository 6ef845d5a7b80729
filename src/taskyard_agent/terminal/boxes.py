"""Where the input box of a coding agent begins: the rules that AgentAPI has, one per way of drawing it.

Each takes the lines of a text without blank ones at its end and says where to cut. Source: agentapi 4.6.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

Anchor = tuple[int, int]
"""Line and column of the cursor within the text."""

Cut = Callable[[Sequence[str], Anchor | None], list[str] | None]
"""The lines without the box; None when there is no box."""

_BORDER: Final = re.compile(r"─{15}|╌{15}")
_MARK: Final = re.compile("[|│\u276f]")
_PROMPT: Final = re.compile(r"^\s*[│┃|╎]?\s*>(\s|$)")
_MORE: Final = re.compile(r"[\s│┃|].*\S")
_NEAR: Final = 6
"""Lines from the end in which a `>` counts as a prompt."""

_FRAME_LINES: Final = 12
"""Lines that a box of several lines may be high, for a cursor to be inside it."""


def generic(lines: Sequence[str], at: Anchor | None = None) -> list[str] | None:
    """A `>` near the end, or a line between two borders; with a cursor only the box that it is in.

    Source: agentapi 4.6, N35.
    """
    cut = _greater(lines, at)
    if cut is None:
        cut = _framed(lines) if at is None else _framed_around(lines, at[0])
    return None if cut is None else list(lines[:cut])


def _greater(lines: Sequence[str], at: Anchor | None) -> int | None:
    for row in range(len(lines) - 1, max(len(lines) - _NEAR, 0) - 1, -1):
        if ">" in lines[row] and (at is None or _holds(lines, row, at)):
            return row - 1 if row > 0 and _BORDER.search(lines[row - 1]) else row
    return None


def _holds(lines: Sequence[str], row: int, at: Anchor) -> bool:
    """Whether the prompt of this line is the one that the cursor is at."""
    line, column = at
    if line == row:
        return lines[row][:column].rstrip().endswith(">") or bool(_PROMPT.match(lines[row]))
    inside = row < line < len(lines) and all(_MORE.match(one) for one in lines[row + 1 : line + 1])
    return inside and bool(_PROMPT.match(lines[row]))


def _framed(lines: Sequence[str]) -> int | None:
    for top in range(len(lines) - 3, max(len(lines) - 9, 0) - 1, -1):
        above, line, below = lines[top : top + 3]
        if _BORDER.search(above) and _MARK.search(line) and _BORDER.search(below):
            return top
    return None


def _framed_around(lines: Sequence[str], line: int) -> int | None:
    if not 0 <= line < len(lines):
        return None
    over = range(line - 1, max(line - _FRAME_LINES, 0) - 1, -1)
    under = range(line + 1, min(line + _FRAME_LINES, len(lines)))
    top = next((row for row in over if _BORDER.search(lines[row])), None)
    bottom = next((row for row in under if _BORDER.search(lines[row])), None)
    if top is None or bottom is None:
        return None
    return top if any(_MARK.search(one) for one in lines[top + 1 : bottom]) else None


def codex(lines: Sequence[str], _at: Anchor | None = None) -> list[str] | None:
    """A right angle mark in the third line from the end: it and the next one go, the last one stays."""
    if len(lines) < 3 or "\u203a" not in lines[-3]:
        return None
    return [*lines[:-3], lines[-1]]


def opencode(lines: Sequence[str], _at: Anchor | None = None) -> list[str] | None:
    """The lower edge of the box, and the four lines above it."""
    for row in range(len(lines) - 1, 3, -1):
        if lines[row].lstrip().startswith("╹" + "▀" * 17):
            return list(lines[: row - 4])
    return None


def amp(lines: Sequence[str], _at: Anchor | None = None) -> list[str] | None:
    """A rounded box that ends with the last line; nothing above it is its greeting."""
    last = lines[-1].strip() if lines else ""
    if not (last.startswith("╰") and last.endswith("╯")):
        return None
    for row in range(len(lines) - 1, -1, -1):
        line = lines[row].strip()
        if line.startswith("╭") and line.endswith("╮"):
            return list(lines[:row]) if "".join(lines[:row]).strip() else ["Welcome to Amp"]
    return None


BOXES: Final[dict[str, Cut]] = {
    "generic": generic,
    "codex": codex,
    "opencode": opencode,
    "amp": amp,
}
"""Every rule by the name that a file of rules gives it."""
