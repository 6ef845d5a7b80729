"""Where the keys of a TOML text stand, so that a problem can name a line."""

import re

KeyPath = tuple[str | int, ...]
"""Keys from the root down; a number is the place in a list, from 0."""

_KEY = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_KEYS = rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*"
_LIST_HEADER = re.compile(rf"\s*\[\[\s*({_KEYS})\s*\]\]")
_HEADER = re.compile(rf"\s*\[\s*({_KEYS})\s*\]\s*(?:#.*)?$")
_ASSIGNMENT = re.compile(rf"\s*({_KEYS})[ \t]*=(.*)")
_SYNTAX_LINE = re.compile(r"\(at line ([0-9]+), column [0-9]+\)")


class KeyLines:
    """The line of each key of one TOML text, found without understanding values.

    Keys inside inline tables are not found; the nearest key around them stands for them.
    """

    def __init__(self, text: str) -> None:
        self._lines: dict[KeyPath, int] = {}
        self._lists: dict[KeyPath, int] = {}
        self._section: KeyPath = ()
        self._scan(text)

    def find(self, path: KeyPath) -> int | None:
        """The line, from 1, of the key or of the nearest one around it; None where neither is seen."""
        for length in range(len(path), 0, -1):
            line = self._lines.get(path[:length])
            if line is not None:
                return line
        return None

    def _scan(self, text: str) -> None:
        closing: str | None = None
        for number, line in enumerate(text.split("\n"), start=1):
            if closing is not None:
                closing = None if closing in line else closing
                continue
            self._read(line, number)
            closing = _opened(line)

    def _read(self, line: str, number: int) -> None:
        if found := _LIST_HEADER.match(line):
            self._section = self._next_entry(self._place(_split(found[1])))
            self._note(self._section, number)
        elif found := _HEADER.match(line):
            self._section = self._place(_split(found[1]))
            self._note(self._section, number)
        elif found := _ASSIGNMENT.match(line):
            keys = _split(found[1])
            for length in range(1, len(keys) + 1):
                self._note(self._section + tuple(keys[:length]), number)

    def _note(self, path: KeyPath, number: int) -> None:
        self._lines.setdefault(path, number)

    def _place(self, keys: list[str]) -> KeyPath:
        """The path of a header; lists on the way mean their newest entry."""
        path: KeyPath = ()
        for key in keys:
            if path in self._lists:
                path = (*path, self._lists[path] - 1)
            path = (*path, key)
        return path

    def _next_entry(self, path: KeyPath) -> KeyPath:
        count = self._lists.get(path, 0)
        self._lists[path] = count + 1
        return (*path, count)


def _split(keys: str) -> list[str]:
    return [key.strip("\"'") for key in re.findall(_KEY, keys)]


def _opened(line: str) -> str | None:
    """The quotes that end a string which this line leaves open, None for no such string."""
    if line.lstrip().startswith("#"):
        return None
    for quotes in ('"""', "'''"):
        if line.count(quotes) % 2:
            return quotes
    return None


def syntax_error_line(message: str, text: str) -> int | None:
    """The line that a message of tomllib speaks of; its end-of-document is the last line."""
    found = _SYNTAX_LINE.search(message)
    if found is not None:
        return int(found[1])
    return text.count("\n") + 1 if "at end of document" in message else None


def dotted(path: KeyPath) -> str:
    """A path as people write it: `app[0].url`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")
