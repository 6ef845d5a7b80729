"""What is read off a screen, without what only a screen has."""

import re

from taskyard_agent.terminal.reply import Look

TITLE_CHARS = 160
"""Characters of a question that name a dialog."""

_TALL = re.compile(r"\n(?:[ \t]*\n){20,}")
"""So many blank lines that nobody wrote them: programs that stick to the bottom of a tall screen leave them."""

_FRAME = " |" + "".join(map(chr, range(0x2500, 0x25A0)))
"""What a question is framed with: box drawing and blocks."""

_FIRST_CHOICE = re.compile(r"[\u276f\u203a>●→*]? *1[.)] ")
"""The first of several choices; the list of them is what stands last in a question."""

_ASKED = re.compile(r"(?!\$ |\d+[.)] ).*\?(?=\s|$)")
"""A question up to its mark, without the hint behind it; a command or a listed line that ends in one is none."""

_SAID = re.compile(r"[\u276f\u203a>•●⏺] ")
"""How the rows begin that programs put before what was typed, said or done."""

_BULLET = re.compile(r"^[^\w\s\"'(\[$/.~]+ +")
"""A sign before the text."""


def tidy(text: str, before: Look | None, look: Look) -> str:
    """The text without a program's prompt, and without what is blank only because the screen is tall."""
    return _TALL.sub("\n\n", _without_prompt(text, before, look))


def _without_prompt(text: str, before: Look | None, look: Look) -> str:
    """The text without the program's prompt: the cursor's row, when it stood on such a row before too."""
    row = _row_at_end(look)
    if not row or before is None or row != _row_at_end(before):
        return text
    cut = text.removesuffix(row)
    return cut.rstrip() if cut != text and cut[-1:] in ("", "\n") else text


def _row_at_end(look: Look) -> str:
    """What the cursor stands behind, when that is the last row."""
    if look.cursor is None or look.cursor[1] != len(look.rows) - 1:
        return ""
    return look.rows[-1].strip()


def question(dialog: str) -> str:
    """What an open question asks, in one line: the nearest line above the choices that ends in a question
    mark, else the nearest that says anything; without choices, the first line. Source: N30.
    """
    lines = [line.strip(_FRAME) for line in dialog.split("\n")]
    firsts = [at for at, line in enumerate(lines) if _FIRST_CHOICE.match(line)]
    above = _above(lines[: firsts[-1]]) if firsts else lines
    told = [line for line in above if any(char.isalnum() for char in line)]
    asked = [found[0] for line in told if (found := _ASKED.match(line)) is not None]
    near = (asked or told)[: None if firsts else 1] or ["The coding agent asks something."]
    return _BULLET.sub("", near[-1])[:TITLE_CHARS]


def _above(lines: list[str]) -> list[str]:
    """The lines after the last one that was said or typed before the question came up."""
    said = [at for at, line in enumerate(lines) if _SAID.match(line)]
    return lines[said[-1] + 1 :] if said and any(lines[said[-1] + 1 :]) else lines
