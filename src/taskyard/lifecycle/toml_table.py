"""Reading a TOML table key by key, noting every problem instead of stopping at the first."""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum
from typing import TypeVar

from taskyard.lifecycle.template_model import Problem, TemplateInvalid
from taskyard.lifecycle.toml_lines import KeyLines, KeyPath, dotted
from taskyard.lifecycle.wording import cut, listed

MAX_PROBLEMS = 100
"""Problems looked for at most: a person fixes a few and looks again."""

MAX_ENTRIES = 500
"""Entries of one list at most: all of them are stored again for every version, parameters for every build."""

MAX_SENTENCE_CHARS = 500
"""Longest sentence about a problem, with what it quotes."""

MAX_WORD_CHARS = 64
"""Longest word that a nearest one is looked for: it takes the square of that."""

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


class Report:
    """The problems of one file so far."""

    def __init__(self, file: str, lines: KeyLines) -> None:
        self._file = file
        self._lines = lines
        self._problems: list[Problem] = []

    def add(self, path: KeyPath, sentence: str) -> None:
        """Notes a problem with the key at this path; raises TemplateInvalid once there are enough of them."""
        line = self._lines.find(path)
        sentence = cut(sentence, MAX_SENTENCE_CHARS)
        self._problems.append(Problem(self._file, cut(dotted(path)), line, sentence))
        if len(self._problems) >= MAX_PROBLEMS:
            raise TemplateInvalid(self.problems())

    def problems(self) -> tuple[Problem, ...]:
        """The problems in file order, those without a line last."""
        return tuple(sorted(self._problems, key=lambda each: (each.line is None, each.line or 0)))


def nearest(word: str, words: Sequence[str]) -> str:
    """A half sentence that leads from a wrong word to a right one: the nearest, else some of them."""
    close = nearest_of(word, words, cutoff=0.5)
    if close is not None:
        return f'did you mean "{close}"?'
    return f"known here: {listed(words)}" if words else "nothing is known here"


def nearest_of(word: str, words: Sequence[str], *, cutoff: float = 0.6) -> str | None:
    """The word that is most like this one; None where none is, and for words too long to look."""
    if len(word) > MAX_WORD_CHARS:
        return None
    short = [each for each in words[:MAX_ENTRIES] if len(each) <= MAX_WORD_CHARS]
    return next(iter(get_close_matches(word, short, n=1, cutoff=cutoff)), None)


class Table:
    """One TOML table. A key that was never asked for is unknown when the table is closed.

    Every reader gives None for an absent key and, after noting a problem, for a wrong value.
    """

    def __init__(self, values: Mapping[str, object], path: KeyPath, report: Report) -> None:
        self._values = values
        self._path = path
        self._report = report
        self._asked: list[str] = []

    def problem(self, sentence: str, key: str | None = None) -> None:
        """Notes a problem with one key, or with the table as a whole."""
        self._report.add(self._path if key is None else (*self._path, key), sentence)

    def has(self, key: str) -> bool:
        """Whether the key is there, whatever its value."""
        return key in self._values

    def raw(self, key: str) -> object:
        """The value as TOML has it."""
        self._asked.append(key)
        return self._values.get(key)

    def text(self, key: str, *, max_chars: int | None = None) -> str | None:
        """A string, of so many characters at most."""
        value = self._typed(key, str, "a string")
        if value is None:
            return None
        if "\0" in value:
            self.problem("must not hold a NUL character", key)
            return None
        limit = len(value) if max_chars is None else max_chars
        sentence = f"must be at most {limit} characters, not {len(value)}"
        return self._held(key, value, sentence, holds=len(value) <= limit)

    def needed_text(self, key: str) -> str | None:
        """A string that has to be there and must not be empty."""
        if not self.has(key):
            self._asked.append(key)
            self.problem(f'"{key}" is missing; add {key} = "…"')
            return None
        value = self.text(key)
        return self._held(key, value, "must not be empty", holds=value != "")

    def flag(self, key: str) -> bool | None:
        """True or false."""
        return self._typed(key, bool, "true or false")

    def whole(self, key: str, *, least: int = -(2**31)) -> int | None:
        """A whole number that fits in 32 bits, the least one included."""
        value = self._typed(key, int, "a whole number")
        if value is None:
            return None
        # The value itself may be too long to be written out.
        sentence = f"must be between {least} and {2**31 - 1}"
        return self._held(key, value, sentence, holds=least <= value < 2**31)

    def number(self, key: str) -> float | None:
        """A number above zero, whole or not."""
        value = self.raw(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.problem(f"must be a number, not {_kind(value)}", key)
            return None
        fits = 0 < value < 2**31
        sentence = f"must be above 0 and below {2**31}"
        return self._held(key, float(value) if fits else None, sentence, holds=fits)

    def parsed(self, key: str, parse: Callable[[str], T | None], example: str) -> T | None:
        """A string with a grammar of its own; parse gives None where it does not hold."""
        value = self.text(key)
        if value is None:
            return None
        result = parse(value)
        return self._held(key, result, f'"{value}" is not like {example}', holds=result is not None)

    def choice(self, key: str, kind: type[E]) -> E | None:
        """One word of a closed list."""
        words = {str(word): word for word in kind}
        value = self.text(key)
        if value is None:
            return None
        sentence = f'"{value}" is not known; {nearest(value, list(words))}'
        return self._held(key, words.get(value), sentence, holds=value in words)

    def words(self, key: str) -> list[str] | None:
        """A list of strings."""
        values = self._typed(key, list, "a list of strings")
        if values is None:
            return None
        words = [value for value in values if isinstance(value, str) and "\0" not in value]
        sentence = "must be a list of strings, without a NUL character in them"
        return self._held(key, words, sentence, holds=len(words) == len(values))

    def texts(self) -> dict[str, str]:
        """Every key of this table whose value is a string; the others are problems."""
        return {name: text for name in self._values if (text := self.text(name)) is not None}

    def table(self, key: str) -> "Table":
        """A table within this one; an empty one when absent or not a table."""
        value = self._typed(key, dict, "a table")
        return Table(value or {}, (*self._path, key), self._report)

    def tables(self, key: str) -> list["Table"]:
        """A list of tables; empty when absent."""
        values = self._typed(key, list, f"a list of tables, each headed [[{key}]]")
        if len(values or []) > MAX_ENTRIES:
            self.problem(f"has more than the {MAX_ENTRIES} entries that are taken", key)
            return []
        paths = [((*self._path, key, place), value) for place, value in enumerate(values or [])]
        for path, value in paths:
            if not isinstance(value, dict):
                self._report.add(path, f"must be a table, not {_kind(value)}")
        return [
            Table(value, path, self._report) for path, value in paths if isinstance(value, dict)
        ]

    def texts_and_tables(self, key: str) -> "list[str | Table]":
        """A list of which each entry is a string or a table; empty when absent."""
        values = self._typed(key, list, "a list of strings and tables") or []
        if len(values) > MAX_ENTRIES:
            self.problem(f"has more than the {MAX_ENTRIES} entries that are taken", key)
            return []
        found: list[str | Table] = []
        for place, value in enumerate(values):
            path = (*self._path, key, place)
            if isinstance(value, dict):
                found.append(Table(value, path, self._report))
            elif isinstance(value, str) and "\0" not in value:
                found.append(value)
            else:
                what = "a string with a NUL character" if isinstance(value, str) else _kind(value)
                self._report.add(path, f"must be a string or a table, not {what}")
        return found

    def names(self) -> list[str]:
        """Every key that is there."""
        return list(self._values)

    def close(self) -> None:
        """Notes each key that was never asked for, with the nearest one that is known."""
        for key in self._values:
            if key not in self._asked:
                self.problem(f'unknown key "{key}"; {nearest(key, self._asked)}', key)

    def _typed(self, key: str, kind: type[T], wanted: str) -> T | None:
        value = self.raw(key)
        if value is None:
            return None
        if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
            return value
        self.problem(f"must be {wanted}, not {_kind(value)}", key)
        return None

    def _held(self, key: str, value: T | None, sentence: str, *, holds: bool) -> T | None:
        """The value where the rule holds; else notes the problem and gives None."""
        if holds:
            return value
        self.problem(sentence, key)
        return None


_KINDS: dict[type[object], str] = {
    str: "a string",
    bool: "true or false",
    int: "a whole number",
    float: "a number with a fraction",
    list: "a list",
    dict: "a table",
}


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "a date or time")
