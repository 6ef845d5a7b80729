"""What is read off a screen, without what only a screen has."""

import re

from taskyard_agent.terminal.reply import Look

TITLE_CHARS = 160
"""Characters of a dialog's first line that name it."""

_TALL = re.compile(r"\n(?:[ \t]*\n){20,}")
"""So many blank lines that nobody wrote them: programs that stick to the bottom of a tall screen leave them."""

_FRAME = " |" + "".join(map(chr, range(0x2500, 0x25A0)))
"""What a question is framed with: box drawing and blocks."""


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


def first_line(dialog: str) -> str:
    """The first line that says anything, without the frame around it."""
    lines = (line.strip(_FRAME) for line in dialog.split("\n"))
    told = (line for line in lines if any(char.isalnum() for char in line))
    return next(told, "The coding agent asks something.")[:TITLE_CHARS]
