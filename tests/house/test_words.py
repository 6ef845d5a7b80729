"""Words that do not belong into the project. The patterns are written in halves, so as not to find themselves."""

import re

import pytest

from tests.house.tree import ROOT, project_files

BANNED = {
    "unfinished work; finish it or open an issue": r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b",
    "how the project is made, not what it is": r"(?i)\b(sub-?"
    r"agents?|this ses"
    r"sion|closing n"
    r"ote|steer"
    r"ing)\b",
    "a path of one machine": r"/wo"
    r"rk/|/fa"
    r"rm/|\.lib"
    r"rary/|/tmp/br"
    r"ief|shared/(design|contract|research|kit|hooks)\b",
    "an address of packages; locks carry hashes only": r"(?i)\bpypi\.o"
    r"rg|python"
    r"hosted|registry\.np"
    r"mjs|(index-url|find-links|\"resolved\"|registry *=).*:"
    r"//|https?:"
    r"//[a-z.]*(registry|index|mirror|files|packages)\.|/simp"
    r"le(/|\"|$)",
}

ALLOWED: dict[str, str] = {}
"""A word of one of these patterns that a file may hold, because it is the name of a thing of the wire, by path."""


@pytest.mark.parametrize("why", BANNED)
def test_banned_words(why: str) -> None:
    """No file of the project holds a word that was agreed to be out."""
    pattern = re.compile(BANNED[why])
    found = [
        f"{path}:{number}: {match[0]}"
        for path in project_files()
        for number, line in enumerate(text_of(path), 1)
        for match in pattern.finditer(line)
        if ALLOWED.get(path) != match[0]
    ]
    assert not found, f"{why}:\n" + "\n".join(found)


def text_of(path: str) -> list[str]:
    """The lines of a file; none when it is not text."""
    try:
        return (ROOT / path).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return []
