"""Other people's words within our sentences: as many of them, and as much of each, as somebody reads."""

from collections.abc import Collection
from itertools import islice

SHOWN_CHARS = 80
"""Characters quoted of what somebody wrote."""

SHOWN_WORDS = 20
"""Words named at most where any of them would do."""


def cut(text: str, most: int = SHOWN_CHARS) -> str:
    """The text, or its beginning."""
    return text if len(text) <= most else f"{text[:most]}…"


def listed(words: Collection[str]) -> str:
    """The first of the words, with commas between."""
    shown = [cut(word) for word in islice(words, SHOWN_WORDS)]
    return ", ".join(shown if len(words) <= SHOWN_WORDS else [*shown, "…"])
