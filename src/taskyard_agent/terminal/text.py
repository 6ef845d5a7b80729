"""From the rows of a screen to what the agent said: what is new, without the echo of the prompt.

Pure text, rows as lists of lines. What differs between types arrives as arguments.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

ECHO_PREFIX = 6
"""Characters of the prompt's first line that are looked for. Source: A37."""

ECHO_LINES = 6
"""Lines of the text in which the echo may begin. Source: A37."""

ECHO_CHARS = 25
"""Characters in which it may begin at least, however few the lines hold. Source: A37."""

ECHO_GAP = 5
"""Characters that may differ between two that are equal, on either side. Source: A38."""

ECHO_ROW_CHARS = 20
"""Characters of the prompt's first line that tell its echo in the middle of other rows."""

PROMPT_MARKS = ">\u276f\u203a»$#%┃│|"
"""What stands before an echo that shares its line with something else."""


@dataclass(frozen=True, slots=True)
class EchoRule:
    """What belongs to an echo beyond its last line.

    more: lines. closing: characters that one further line holds when it is the echo's frame. elided: a
    line that stands for the middle of a long prompt.
    Source: A38.
    """

    more: int = 0
    closing: str = ""
    elided: re.Pattern[str] | None = None


def trimmed(lines: Sequence[str]) -> list[str]:
    """The lines without the blank ones at both ends."""
    filled = [at for at, line in enumerate(lines) if line.strip()]
    return list(lines[filled[0] : filled[-1] + 1]) if filled else []


def diff(old: str, new: str, *, header: int = 0) -> str:
    """Everything from the first line of `new` that `old` does not have; empty when there is none.

    header: first lines of the new screen that change by themselves. Source: A26, D7.
    """
    known = set(old.split("\n"))
    lines = new.split("\n")
    for at, line in enumerate(lines):
        if at >= header and line not in known:
            return "\n".join(trimmed(lines[at:]))
    return ""


def first_new(
    old: Sequence[str],
    new: Sequence[str],
    *,
    header: int = 0,
    moving: Callable[[str], bool] = lambda _: False,
) -> int:
    """Where the new rows begin: the first that `old` does not have, or not that often.

    moving: whether a row may be another one whenever it is drawn; such rows are never the first. The length of `new` when it has nothing new. Counting the rows is what keeps a reply whose top
    reads like an earlier one. Source: A26, D6, D7, N34.
    """
    left = Counter(line.rstrip() for line in old)
    for at, row in enumerate(new):
        line = row.rstrip()
        if at < header or not line:
            continue
        if not left[line]:
            if moving(line):
                continue
            return at
        left[line] -= 1
    return len(new)


def echo_end(lines: Sequence[str], prompt: str, rule: EchoRule) -> int:
    """How many of the lines, from the top, are the echo of the prompt and what was before it; 0 for no echo.

    A line that has more to say than the prompt is an echo only behind a prompt's mark: else it is
    the reply, which happens to begin with the same words. Source: A37, A38, N35.
    """
    wanted = [char for char in prompt if not char.isspace()]
    said = list(_first_chars(lines, len(wanted)))
    first, _, _ = prompt.strip().partition("\n")
    prefix = [char for char in first if not char.isspace()][:ECHO_PREFIX]
    start = _find(said, prefix)
    if start is None or _is_reply(lines, said, (start, end := _walk(said, wanted, start, prefix))):
        return 0
    after = _past_elided(lines, "".join(wanted), said[end][0] + 1, rule)
    return _with_frame(lines, after, rule)


def echo_rows(rows: Sequence[str], prompt: str) -> list[int]:
    """Rows at which an echo of the prompt may begin: behind a prompt's mark, else as all of a row."""
    first = "".join(prompt.strip().partition("\n")[0].split())
    start = first[:ECHO_ROW_CHARS]
    if not start:
        return []
    said = [(at, "".join(row.split())) for at, row in enumerate(rows) if row]
    marked = [
        at
        for at, row in said
        if row[:1] in PROMPT_MARKS and row.lstrip(PROMPT_MARKS).startswith(start)
    ]
    return marked or [at for at, row in said if row == first]


def _first_chars(lines: Sequence[str], wanted: int) -> Iterator[tuple[int, str]]:
    """The characters that an echo of so many can reach, with their lines."""
    left = max(ECHO_CHARS, (ECHO_GAP + 1) * wanted)
    for line, text in enumerate(lines):
        if left < 0 and line >= ECHO_LINES:
            return
        chars = "".join(text.split())
        yield from ((line, char) for char in chars)
        left -= len(chars) if line >= ECHO_LINES else 0


def _find(said: Sequence[tuple[int, str]], prefix: Sequence[str]) -> int | None:
    if not prefix:
        return None
    within = max(sum(line < ECHO_LINES for line, _ in said), ECHO_CHARS)
    chars = "".join(char for _, char in said[:within])
    at = chars.find("".join(prefix))
    return None if at < 0 else at


def _walk(
    said: Sequence[tuple[int, str]], wanted: Sequence[str], start: int, prefix: Sequence[str]
) -> int:
    """The last character of the text that belongs to the echo."""
    of_prompt, of_text = len(prefix) - 1, start + len(prefix) - 1
    while True:
        step = _step(said, wanted, of_prompt, of_text)
        if step is None:
            return of_text
        of_prompt, of_text = step


def _step(
    said: Sequence[tuple[int, str]], wanted: Sequence[str], of_prompt: int, of_text: int
) -> tuple[int, int] | None:
    for skip in range(1, ECHO_GAP + 1):
        if of_prompt + skip >= len(wanted):
            return None
        for jump in range(1, ECHO_GAP + 1):
            if of_text + jump >= len(said):
                break
            if said[of_text + jump][1] == wanted[of_prompt + skip]:
                return of_prompt + skip, of_text + jump
    return None


def _is_reply(
    lines: Sequence[str], said: Sequence[tuple[int, str]], found: tuple[int, int]
) -> bool:
    start, end = found
    line = said[end][0]
    rest = [char for at, char in islice(said, end + 1, None) if at == line]
    if not any(char.isalnum() for char in rest):
        return False
    head = [char for at, char in said[:start] if at == said[start][0]]
    return not (head and head[-1] in PROMPT_MARKS and lines)


def _past_elided(lines: Sequence[str], wanted: str, after: int, rule: EchoRule) -> int:
    """Where the echo ends when its middle is left out: behind as much of the prompt's end as follows."""
    if rule.elided is None or after >= len(lines) or not rule.elided.search(lines[after]):
        return after
    seen, end = "", after + 1
    for at in range(after + 1, len(lines)):
        seen += "".join(lines[at].split())
        if seen not in wanted:
            break
        if seen and wanted.endswith(seen):
            end = at + 1
    return end


def _with_frame(lines: Sequence[str], end: int, rule: EchoRule) -> int:
    if rule.closing and end < len(lines) and all(char in lines[end] for char in rule.closing):
        end += 1
    return min(end + rule.more, len(lines))


@dataclass(frozen=True, slots=True)
class ToolBlock:
    """How the call of a tool that people need not see looks.

    start: patterns of its first lines, one after the other. end: patterns of its last lines.
    before: pattern of the first line that does not belong to it any more, when it has no end of its own.
    open_too: a block whose end is not there (yet) goes as well, up to the last blank line.
    Source: A39, N36.
    """

    start: tuple[re.Pattern[str], ...]
    end: tuple[re.Pattern[str], ...] = ()
    before: re.Pattern[str] | None = None
    open_too: bool = False


def hide_tools(lines: Sequence[str], blocks: Sequence[ToolBlock]) -> tuple[list[str], list[str]]:
    """The lines without the blocks, and the closed blocks, the last one first. Source: A39, N36."""
    kept, hidden = list(lines), list[str]()
    for block in blocks:
        at = 0
        while (start := _next(kept, block.start, at)) is not None:
            end, closed = _end_of(kept, block, start)
            if end is None:
                at = start + 1
                continue
            if closed:
                hidden.insert(0, "\n".join(trimmed(kept[start:end])))
            del kept[start:end]
            at = start
    return trimmed(kept), hidden


def _end_of(lines: Sequence[str], block: ToolBlock, start: int) -> tuple[int | None, bool]:
    behind = start + len(block.start)
    if block.before is not None:
        return _past_blanks(lines, _until(lines, block.before, behind)), True
    last = _next(lines, block.end, start)
    other = _next(lines, block.start, behind)
    if last is not None and (other is None or last < other):
        return _past_blanks(lines, last + len(block.end)), True
    if not block.open_too:
        return None, False
    stop = len(lines) if other is None else other
    blanks = [at for at in range(behind, stop) if not lines[at].strip()]
    return (blanks[-1] + 1 if blanks else stop), False


def _until(lines: Sequence[str], pattern: re.Pattern[str], at: int) -> int:
    return next((row for row in range(at, len(lines)) if pattern.search(lines[row])), len(lines))


def _past_blanks(lines: Sequence[str], at: int) -> int:
    while at < len(lines) and not lines[at].strip():
        at += 1
    return at


def _next(lines: Sequence[str], patterns: Sequence[re.Pattern[str]], at: int) -> int | None:
    rows = range(at, len(lines) - len(patterns) + 1)
    return next((row for row in rows if _fits(lines, patterns, row)), None)


def _fits(lines: Sequence[str], patterns: Sequence[re.Pattern[str]], row: int) -> bool:
    return all(pattern.search(lines[row + at]) for at, pattern in enumerate(patterns))


def joined(rows: Sequence[str], wrapped: Mapping[int, int]) -> Iterator[str]:
    """Rows as the lines that the program wrote: one that goes on in the next one is joined with it.

    wrapped: such rows, and how many blanks each has lost at its end. Source: N34, D16.
    """
    line = ""
    for at, row in enumerate(rows):
        line += row
        if at in wrapped and at < len(rows) - 1:
            line += " " * wrapped[at]
        else:
            yield line.rstrip()
            line = ""
