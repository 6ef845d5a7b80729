"""Text from a coding agent, made fit to be shown on one line."""

import json
import re

_DROPPED_WITH_CONTENT = re.compile(
    r"<(script|style|iframe)\b[^>]*>.*?(</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL
)
_TAG = re.compile(r"<!--.*?-->|</?[a-zA-Z][^<>]*>", re.DOTALL)
_ANSI = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~])"
)


def sanitize_message(text: str) -> str:
    """The text with escapes resolved, tags, control sequences and unprintable characters gone, on one line.

    Characters such as & and < that stand for themselves are kept as they are. Source: T148.
    """
    resolved = _unescape(text)
    untagged = _TAG.sub("", _DROPPED_WITH_CONTENT.sub("", resolved))
    plain = _ANSI.sub("", untagged)
    printable = "".join(c for c in plain if c.isprintable() or c.isspace())
    return " ".join(printable.split())


def _unescape(text: str) -> str:
    """Backslash escapes resolved where the text could stand between quotes; else as it is."""
    if "\\" not in text or '"' in text.replace('\\"', "") or "\n" in text:
        return text
    try:
        resolved = json.loads(f'"{text}"', strict=False)
    except ValueError:
        return text
    return str(resolved)
