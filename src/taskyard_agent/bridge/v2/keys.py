"""Names of keys, and what a terminal sends for them."""

import re
from collections.abc import Sequence
from typing import Final

from taskyard_agent.bridge.v2.reading import invalid

NAMED: Final = {
    "Enter": "\r",
    "Tab": "\t",
    "BTab": "\x1b[Z",
    "Escape": "\x1b",
    "Space": " ",
    "Backspace": "\x7f",
    "Delete": "\x1b[3~",
    "Insert": "\x1b[2~",
    "Up": "\x1b[A",
    "Down": "\x1b[B",
    "Right": "\x1b[C",
    "Left": "\x1b[D",
    "Home": "\x1b[H",
    "End": "\x1b[F",
    "PageUp": "\x1b[5~",
    "PageDown": "\x1b[6~",
}
"""Keys by the names that tmux has for them, or the longer ones."""

_CONTROL: Final = re.compile(r"C-([a-z@\[\\\]^_])")


def typed(names: Sequence[str]) -> str:
    """What these keys send, one after the other; a single character is itself. Raises Problem."""
    return "".join(_typed(name) for name in names)


def _typed(name: str) -> str:
    if len(name) == 1:
        return name
    if name in NAMED:
        return NAMED[name]
    if found := _CONTROL.fullmatch(name):
        return chr(ord(found[1].upper()) & 0x1F)
    if name.startswith("M-") and len(name) > 2:
        return "\x1b" + _typed(name[2:])
    raise invalid(f"There is no key {name!r}. Known are {', '.join(NAMED)}, C-x, M-x.", "body.keys")
