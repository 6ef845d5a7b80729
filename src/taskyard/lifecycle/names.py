"""Names of tasks, workspaces, templates and users: made from a prompt, and checked."""

import re
from enum import StrEnum

MAX_NAME_CHARS = 32
"""Longest name of anything. Source: tasks-api 8.2."""

BASE_CHARS = 27
"""Longest part of a made name: 32 without a hyphen and four digits. Source: tasks-api 8.2."""

MAX_DISPLAY_NAME = 64
"""Longest display name: bytes of a given one, characters of a made one. Source: tasks-api 8.2."""

RESERVED = frozenset({"new", "create"})
"""Words that pages have at the place of a name. Source: tasks-api 8.2."""

ADJECTIVES = (
    "amber", "brisk", "calm", "candid", "crisp", "eager", "fond", "frank", "gentle", "hardy",
    "keen", "lively", "mellow", "nimble", "patient", "plucky", "quiet", "silver", "steady", "sunny",
    "swift", "tidy", "warm", "wry",
)  # fmt: skip
SURNAMES = (
    "babbage", "banneker", "carson", "curie", "darwin", "euler", "faraday", "fermat", "franklin",
    "galois", "gauss", "germain", "herschel", "hopper", "kepler", "lovelace", "maxwell", "meitner",
    "noether", "pascal", "ramanujan", "somerville", "turing", "wu",
)  # fmt: skip
"""Words for a prompt that leaves no letters; the caller picks one of each by chance."""

_NAME = re.compile(r"[a-zA-Z0-9]+(?:-[a-zA-Z0-9]+)*")
_SUFFIX = re.compile(r"[0-9a-f]{4}")


class NameRule(StrEnum):
    """What a name can break."""

    TOO_LONG = "name_too_long"
    RESERVED = "name_reserved"
    MALFORMED = "name_malformed"
    DISPLAY_TOO_LONG = "display_name_too_long"


def name_violation(name: str) -> NameRule | None:
    """The first rule that a name breaks, None for a good one; upper case is legal.

    One rule for tasks, workspaces, templates and users. Source: tasks-api 8.2, T25, T26.
    """
    if len(name) > MAX_NAME_CHARS:
        return NameRule.TOO_LONG
    if name in RESERVED:
        return NameRule.RESERVED
    return None if _NAME.fullmatch(name) else NameRule.MALFORMED


def display_name_violation(display_name: str) -> NameRule | None:
    """Whether a given display name is too long once blanks around it are gone. Source: T30."""
    size_bytes = len(display_name.strip().encode(errors="replace"))
    return NameRule.DISPLAY_TOO_LONG if size_bytes > MAX_DISPLAY_NAME else None


def name_problem(name: str) -> str | None:
    """What is wrong with a name, as a sentence for people; None for a good one."""
    rule = name_violation(name)
    return None if rule is None else explain(rule, name)


def explain(rule: NameRule, name: str) -> str:
    """Why a name was refused and what a good one looks like, for people."""
    match rule:
        case NameRule.TOO_LONG:
            return f"a name has at most {MAX_NAME_CHARS} characters, this one has {len(name)}"
        case NameRule.RESERVED:
            return f'"{name}" is kept for pages of the server; choose another name'
        case NameRule.MALFORMED:
            return "a name is made of letters and digits, with single hyphens between them"
        case NameRule.DISPLAY_TOO_LONG:
            return f"a display name has at most {MAX_DISPLAY_NAME} bytes"


def generate_name(prompt: str, *, suffix: str, fallback: str) -> str:
    """A name for a task from its prompt: up to 27 characters of whole words, then `-` and the suffix.

    suffix: four lower-case hexadecimal digits by chance. fallback: adjective and surname with a hyphen,
    used where the prompt leaves nothing. Raises ValueError for others. Source: tasks-api 8.2, T27.
    """
    if not _SUFFIX.fullmatch(suffix):
        raise ValueError(f"a suffix is four hexadecimal digits, not {suffix!r}")
    if len(fallback) > BASE_CHARS or not _NAME.fullmatch(fallback):
        raise ValueError(
            f"a fallback is a name of at most {BASE_CHARS} characters, not {fallback!r}"
        )
    words = _cut(_one_line(prompt), BASE_CHARS).lower()
    hyphened = re.sub(r"\s+", "-", words)
    base = re.sub(r"-+", "-", re.sub(r"[^a-z0-9-]", "", hyphened)).strip("-")
    return f"{base or fallback}-{suffix}"


def generate_display_name(prompt: str, name: str) -> str:
    """A display name from a prompt: at most 64 characters, the last of them … when it was cut.

    A blank prompt gives the words of the name instead. Source: tasks-api 8.2, T29.
    """
    line = _one_line(prompt).strip() or name.replace("-", " ")
    if len(line) > MAX_DISPLAY_NAME:
        line = _cut(line, MAX_DISPLAY_NAME - 1).rstrip() + "…"
    capital = line[:1].upper()
    return capital + line[1:] if len(capital) == 1 else line


def _one_line(prompt: str) -> str:
    return re.sub(r"[\t\r\n]+", " ", prompt)


def _cut(text: str, limit: int) -> str:
    """At most limit characters, ending with a whole word where there is more than one."""
    if len(text) <= limit:
        return text
    end = text.rfind(" ", 0, limit + 1)
    return text[:end] if end > 0 else text[:limit]
