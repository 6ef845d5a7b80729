"""Markdown that holds other people's text: nothing in it reaches beyond the place it was given."""

import html
import re
from collections import Counter, defaultdict, deque
from difflib import unified_diff
from itertools import takewhile
from typing import Final

CONTEXT_LINES: Final = 3
"""Lines shown around a change, as everywhere."""

DIFFED_LINES: Final = 400
"""Most lines on either side that are compared line by line; of more, which may take minutes, both are shown whole."""

DIFFED_PAIRS: Final = 8
"""Most pairs of equal lines on the two sides, for each line, of what is compared so: each pair is looked at again and
again, and where all lines are alike there are thousands. Programs have one or two, with their empty lines and braces."""

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_TICKS: Final = re.compile(r"`+")
_MARKS: Final = re.compile(r"(?:[\s>]|[-+*] |\d{1,9}[.)] )*")
_RISKY: Final = re.compile(r"<|`{3}|~{3}")
_PUNCTUATION: Final = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~&])")
_INLINE: Final = re.compile(r"\\[!-/:-@\[-`{-~]|`+|<(?=[A-Za-z/!?])")


def lines(text: str) -> list[str]:
    """A text by its lines, without what no reader of Markdown takes."""
    return _LINE_END.split(text.replace("\0", "\ufffd"))


def quoted(text: str) -> str:
    """The text as a quotation, which ends what is open in it."""
    return "\n".join(f"> {line}".rstrip() for line in _no_tags(lines(text))) + "\n"


def prose(text: str) -> str:
    """Markdown of somebody else: as it is, or as the one entry of a list where it might not end by itself."""
    told = lines(text.strip())
    if not _ends(told):
        return "- " + "\n  ".join(_no_tags(told)) + "\n"
    shown: list[str] = []
    plain: list[str] = []
    inside = ""
    for line in told:
        before, inside = inside, _fence_after(inside, line)
        if before or inside:
            shown += [*_no_tags(plain), line]
            plain = []
        else:
            plain.append(line)
    return "\n".join([*shown, *_no_tags(plain)]) + "\n"


def fenced(text: str, language: str = "") -> str:
    """The text as it is, between fences that are longer than any in it."""
    longest = max((len(ticks) for ticks in _TICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    body = "\n".join(lines(text.rstrip("\r\n")))
    return f"{fence}{language}\n{body}\n{fence}\n"


def folded(summary: str, inside: str) -> str:
    """What is shown on demand, under one line that is plain text."""
    return (
        f"<details>\n<summary>{html.escape(one_line(summary))}</summary>\n\n{inside}\n</details>\n"
    )


def literal(text: str) -> str:
    """One line of text in which no character means anything."""
    return _PUNCTUATION.sub(r"\\\1", one_line(text))


def one_line(text: str) -> str:
    """The text on one line, without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def difference(path: str, old: str, new: str) -> str:
    """What became of a file, as a difference in the usual form."""
    before, after = lines(old) if old else [], lines(new)
    names = (f"a/{one_line(path)}", f"b/{one_line(path)}")
    if _is_soon_compared(before, after):
        told = unified_diff(before, after, *names, n=CONTEXT_LINES, lineterm="")
        return fenced("\n".join(told), "diff")
    same = sum(1 for _ in takewhile(lambda two: two[0] == two[1], zip(before, after, strict=False)))
    least = min(len(before), len(after)) - same
    tails = zip(reversed(before), reversed(after), strict=False)
    tail = min(least, sum(1 for _ in takewhile(lambda two: two[0] == two[1], tails)))
    start = max(0, same - CONTEXT_LINES)
    shown = [f" {line}" for line in before[start:same]]
    shown += [f"-{line}" for line in before[same : len(before) - tail]]
    shown += [f"+{line}" for line in after[same : len(after) - tail]]
    head = [f"--- {names[0]}", f"+++ {names[1]}", f"@@ line {same + 1} @@"]
    return fenced("\n".join([*head, *shown]), "diff")


def _is_soon_compared(before: list[str], after: list[str]) -> bool:
    if max(len(before), len(after)) > DIFFED_LINES:
        return False
    often = Counter(after)
    return sum(often[line] for line in before) <= DIFFED_PAIRS * (len(before) + len(after))


def _ends(told: list[str]) -> bool:
    """Whether it is certain that nothing in these lines is open behind the last: only plain fences, all closed."""
    inside = ""
    for line in told:
        before, inside = inside, _fence_after(inside, line)
        if before:
            continue
        start = _MARKS.match(line)
        if start is not None and start.end() > 0 and _RISKY.match(line, start.end()):
            return False
    return not inside


def _fence_after(inside: str, line: str) -> str:
    """The fence that is open behind a line, empty for none; inside: the one that was open before it."""
    found = _FENCE.fullmatch(line)
    if found is None:
        return inside
    fence, rest = found[1], found[2]
    if not inside:
        return "" if fence[0] == "`" and "`" in rest else fence
    closes = fence[0] == inside[0] and len(fence) >= len(inside) and not rest.strip()
    return "" if closes else inside


def _no_tags(told: list[str]) -> list[str]:
    """Lines in which `<` begins no HTML, but for what is code to every reader: it begins and ends on one line."""
    shown, is_open = [], False
    for line in told:
        is_open = is_open and bool(line.strip(" \t"))
        text, is_open = _line_without_tags(line, was_open=is_open)
        shown.append(text)
    return shown


def _line_without_tags(line: str, *, was_open: bool) -> tuple[str, bool]:
    """The line, and whether code may be open behind it; in one pass, however many backticks it has.

    A bar may be the end of a cell, and of code with it: such a line has no code that is certain.
    """
    ends, is_certain = _tick_ends(line), not was_open and "|" not in line
    parts, at = [], 0
    while (found := _INLINE.search(line, at)) is not None:
        parts.append(line[at : found.start()])
        mark, at = found[0], found.end()
        if mark[0] == "`":
            later = ends[len(mark)]
            while later and later[0] <= at:
                later.popleft()
            was_open = was_open or not later
            if later and is_certain:
                mark, at = line[found.start() : later[0]], later[0]
        parts.append("\\<" if mark == "<" else mark)
    return "".join(parts) + line[at:], was_open


def _tick_ends(line: str) -> dict[int, deque[int]]:
    """Where each run of backticks ends, by its length: code ends with as many as it begins with."""
    ends: defaultdict[int, deque[int]] = defaultdict(deque)
    for found in _TICKS.finditer(line):
        ends[len(found[0])].append(found.end())
    return ends
