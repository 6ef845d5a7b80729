"""What differs between coding agents on a screen: questions to one type's rules.

A screen is rows joined by LF, padded or not. Nothing here keeps anything between two questions.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from taskyard_agent.terminal.boxes import BOXES, Anchor
from taskyard_agent.terminal.rule_file import RuleFile, RulesInvalid, read, shipped
from taskyard_agent.terminal.text import EchoRule, ToolBlock, echo_end, hide_tools, trimmed

__all__ = ["Cursor", "Rules", "RulesInvalid", "rules_of"]

Cursor = tuple[int, int, bool]
"""Column and row from 0, and whether it is shown."""

TAIL_ROWS = 60
"""Rows from the last filled one in which composers and dialogs are looked for; both may be tall."""

ABOVE_ROWS = 16
"""Rows above the composer in which a sign of work counts; more would find it in what the agent says."""

EXCERPT_CHARS = 2_000
"""Most characters of a dialog that are shown."""

_FRAME = " ┃│|"
"""What may stand at both ends of a composer's row."""

Patterns = tuple[re.Pattern[str], ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """How one type of coding agent looks. Made by rules_of."""

    type: str
    file: RuleFile
    composers: Patterns
    empty: Patterns
    ready_now: Patterns
    above: Patterns
    below: Patterns
    titles: Patterns
    idle_titles: Patterns
    dialogs: Patterns
    dialog_titles: Patterns
    edge: Patterns
    volatile: Patterns
    left_out: Patterns
    tools: tuple[ToolBlock, ...]
    echo: EchoRule

    @property
    def ready_when_still(self) -> bool:
        """Whether a shown cursor on a screen that stands still means ready. Source: N31."""
        return self.file.ready.still

    @property
    def header(self) -> int:
        """First rows that change by themselves, in which nothing new is looked for. Source: A26."""
        return self.file.screen.header

    def rows(self, screen: str | Sequence[str]) -> list[str]:
        """The rows without blanks and without what the type draws at their ends, such as a scroll bar."""
        rows = screen.split("\n") if isinstance(screen, str) else screen
        cleaned = [row.rstrip() for row in rows]
        for pattern in self.edge:
            cleaned = [pattern.sub("", row).rstrip() for row in cleaned]
        return cleaned

    def ready(self, screen: str) -> bool:
        """Whether the program takes input: an input box or a pattern, and no open question.

        Source: A36, N30, N31.
        """
        rows = self.rows(screen)
        if self._question(rows) is not None:
            return False
        if any(pattern.search("\n".join(rows)) for pattern in self.ready_now):
            return True
        lines = trimmed(rows)
        return self.unboxed(lines, None) != lines

    def clean(self, text: str, user_message: str, *, cursor: Anchor | None = None) -> str:
        """What the agent said: no echo, no input box, no report-tool blocks, no moving rows.

        cursor: line and column of it within `text`; a box that only seems to be one stays then.
        Source: A27, N35.
        """
        return self._cleaned(text, user_message, cursor)[0]

    def hidden(self, text: str, user_message: str = "") -> list[str]:
        """The closed report-tool blocks of a text, the last one first; for the log. Source: A39."""
        return self._cleaned(text, user_message, None)[1]

    def _cleaned(
        self, text: str, user_message: str, cursor: Anchor | None
    ) -> tuple[str, list[str]]:
        lines = self.rows(text)
        echo = self.echo_end(lines, user_message)
        at = None if cursor is None or cursor[0] < echo else (cursor[0] - echo, cursor[1])
        said = self.said(lines[echo:], at)
        kept, hidden = self.finished(said)
        return "\n".join(kept), hidden

    def echo_end(self, lines: Sequence[str], user_message: str) -> int:
        """How many of the lines belong to the echo of the message. Source: A37, A38."""
        return echo_end(lines, user_message, self.echo)

    def said(self, lines: Sequence[str], cursor: Anchor | None) -> list[str]:
        """The lines without the input box. Source: agentapi 4.6, N35."""
        filled = next((at for at, line in enumerate(lines) if line.strip()), len(lines))
        at = None if cursor is None else (cursor[0] - filled, cursor[1])
        return trimmed(self.unboxed(trimmed(lines), at))

    def unboxed(self, lines: Sequence[str], at: Anchor | None) -> list[str]:
        """The lines without the input box; an open question is part of what is said. Source: agentapi 4.6, A29."""
        if self._question(lines) is not None:
            return list(lines)
        start = self._composer_row(lines)
        if start is not None:
            return list(lines[:start])
        cut = BOXES[self.file.box.rule](lines, at)
        return list(lines) if cut is None else cut

    def finished(self, lines: Sequence[str]) -> tuple[list[str], list[str]]:
        """The lines without report-tool blocks and moving rows, and the blocks, the last one first.

        Source: A39, N29.
        """
        kept, hidden = hide_tools(lines, self.tools)
        return self._without(kept, (*self.volatile, *self.left_out)), hidden

    def moving(self, row: str) -> bool:
        """Whether a row may read otherwise whenever it is drawn, and says nothing."""
        return any(pattern.fullmatch(row) for pattern in (*self.volatile, *self.left_out))

    def busy_marker(self, screen: str) -> bool | None:
        """Whether a sign of work is seen; False with a composer and no sign, None without evidence.

        A type whose signs nobody recorded gives no evidence at all, and an open question none either.
        Source: N29.
        """
        if not (self.above or self.below):
            return None
        rows = trimmed(self.rows(screen))
        if self._question(rows) is not None:
            return None
        start = self._composer_row(rows)
        first = len(rows) if start is None else start
        near = "\n".join(rows[max(first - ABOVE_ROWS, 0) : first])
        under = "\n".join(rows[-ABOVE_ROWS:] if start is None else rows[start:])
        if _any(self.above, near) or _any(self.below, under):
            return True
        return None if start is None else False

    def busy_title(self, title: str) -> bool | None:
        """What the window's title says; None when that is nothing. Source: N29."""
        if _any(self.titles, title):
            return True
        return False if _any(self.idle_titles, title) else None

    def busy(self, screen: str, title: str = "") -> bool | None:
        """Whether the screen or the title has a sign of work; None when neither says anything.

        Source: N29.
        """
        said = {self.busy_marker(screen), self.busy_title(title)}
        return True if True in said else False if False in said else None

    def dialog(self, screen: str, title: str = "") -> str | None:
        """The rows of an open question, None when there is none.

        The title alone is enough: then the last rows are the excerpt. Source: N30.
        """
        rows = trimmed(self.rows(screen))
        found = self._question(rows)
        if found is None and _any(self.dialog_titles, title):
            found = "\n".join(rows[-ABOVE_ROWS:])
        return None if found is None else found[-EXCERPT_CHARS:]

    def composer_empty(self, screen: str, cursor: Cursor | None = None) -> bool | None:
        """Whether nothing is typed into the composer; None when no composer is seen.

        With the cursor, a hint is told from typed text: it stands right before a hint. Source: N32.
        """
        rows = self.rows(screen)
        found = None if self._question(rows) is not None else self._composer(rows)
        if found is None:
            return None
        text = " ".join(_typed(found).split())
        if not text or any(pattern.fullmatch(text) for pattern in self.empty):
            return True
        return cursor is not None and self._stands_before(rows, found, cursor)

    def composer_text(self, screen: str) -> str | None:
        """What stands in the composer, a hint included; None when no composer is seen."""
        rows = self.rows(screen)
        found = None if self._question(rows) is not None else self._composer(rows)
        return None if found is None else _typed(found)

    def steady(self, screen: str) -> str:
        """The screen without what moves for its own sake: two equal ones mean that nothing happened.

        Source: agentapi 11.
        """
        return "\n".join(self._without(self.rows(screen), self.volatile))

    def composer_rows(self, lines: Sequence[str]) -> range:
        """The rows of the composer with its frame; none when it is not seen, or a question is."""
        found = None if self._question(lines) is not None else self._composer(lines)
        if found is None:
            return range(0)
        skipped = max(len(trimmed_end(lines)) - TAIL_ROWS, 0)
        first, last = (found.string.count("\n", 0, at) for at in (found.start(), found.end()))
        return range(skipped + first, skipped + last + 1)

    def _composer_row(self, lines: Sequence[str]) -> int | None:
        found = self._composer(lines)
        if found is None:
            return None
        skipped = max(len(trimmed_end(lines)) - TAIL_ROWS, 0)
        return skipped + found.string.count("\n", 0, found.start())

    def _composer(self, rows: Sequence[str]) -> re.Match[str] | None:
        tail = "\n".join(trimmed_end(rows)[-TAIL_ROWS:])
        for pattern in self.composers:
            last = None
            for last in pattern.finditer(tail):  # noqa: B007 - the last one is the composer
                pass
            if last is not None:
                return last
        return None

    def _stands_before(self, rows: Sequence[str], found: re.Match[str], cursor: Cursor) -> bool:
        filled = found["text"]
        start = found.start("text") + len(filled) - len(filled.lstrip(_FRAME))
        before = found.string[:start]
        row = max(len(trimmed_end(rows)) - TAIL_ROWS, 0) + before.count("\n")
        column = len(before) - before.rfind("\n") - 1
        return cursor[1] == row and cursor[0] <= column

    def _question(self, rows: Sequence[str]) -> str | None:
        tail = "\n".join(trimmed_end(rows)[-TAIL_ROWS:])
        for pattern in self.dialogs:
            found = pattern.search(tail)
            if found is not None:
                return tail[found.start() :].strip("\n")
        return None

    def _without(self, lines: Sequence[str], patterns: Patterns) -> list[str]:
        text = "\n".join(lines)
        for pattern in patterns:
            text = pattern.sub("", text)
        return trimmed(text.split("\n"))


def _typed(found: re.Match[str]) -> str:
    rows = found["text"].split("\n")
    return "\n".join(row.strip(_FRAME) for row in rows).strip()


def trimmed_end(lines: Sequence[str]) -> list[str]:
    """The lines without the blank ones at the end."""
    end = max((at for at, line in enumerate(lines) if line.strip()), default=-1)
    return list(lines[: end + 1])


def _any(patterns: Patterns, text: str) -> bool:
    return any(pattern.search(text) for pattern in patterns)


def _compiled(*patterns: str) -> Patterns:
    return tuple(re.compile(pattern, re.MULTILINE) for pattern in patterns if pattern)


def _whole_rows(patterns: Sequence[str]) -> Patterns:
    return _compiled(*(rf"^(?:{pattern})[ \t]*(?:\n|\Z)" for pattern in patterns))


def rules_of(kind: str, extra: Path | None = None, hide: tuple[str, ...] = ()) -> Rules:
    """The rules of a type; a type without any of its own has those of a custom program.

    extra: a file that is read instead of ours (`--format-rules`). hide: names of further tools
    whose calls are left out of the messages (`--hide-tool`). Raises RulesInvalid. Source: N35, N36.
    """
    file = shipped(kind) if extra is None else read(extra)
    return Rules(
        type=kind,
        file=file,
        composers=_compiled(file.composer.pattern),
        empty=_compiled(*file.composer.empty),
        ready_now=_compiled(file.ready.pattern),
        above=_compiled(*file.busy.above),
        below=_compiled(*file.busy.below),
        titles=_compiled(*file.busy.titles),
        idle_titles=_compiled(*file.busy.idle_titles),
        dialogs=_compiled(*file.dialog.patterns),
        dialog_titles=_compiled(*file.dialog.titles),
        edge=_compiled(file.screen.edge),
        volatile=_whole_rows(file.screen.volatile),
        left_out=_whole_rows(file.screen.left_out),
        echo=_echo(file),
        tools=(*_tools(file), *(_hidden(file, name) for name in hide if file.hide.start)),
    )


def _echo(file: RuleFile) -> EchoRule:
    elided = re.compile(file.echo.elided) if file.echo.elided else None
    return EchoRule(file.echo.more, file.echo.closing, elided)


def _tools(file: RuleFile) -> tuple[ToolBlock, ...]:
    return tuple(
        ToolBlock(
            start=_compiled(*one.start),
            end=_compiled(*one.end),
            before=re.compile(one.before) if one.before else None,
            open_too=one.open_too,
        )
        for one in file.tools
    )


def _hidden(file: RuleFile, name: str) -> ToolBlock:
    start = file.hide.start.replace("{name}", re.escape(name))
    return ToolBlock(start=_compiled(start), before=re.compile(file.hide.before))
