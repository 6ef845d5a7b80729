"""The little language of the `q` parameter, the same for tasks, templates, workspaces and users."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum


class QueryRule(StrEnum):
    """What a query can break."""

    EDGE_COLON = "query_edge_colon"
    MANY_COLONS = "query_many_colons"
    UNKNOWN_KEY = "query_unknown_key"
    REPEATED_KEY = "query_repeated_key"


@dataclass(frozen=True, slots=True)
class QueryViolation:
    """One thing wrong with a query.

    field is `q` for the shape of an element, else the key. value is the element, or for a repeated key
    how often it came.
    """

    field: str
    code: QueryRule
    value: str


def parse_query(q: str, keys: Collection[str], bare: str) -> dict[str, str] | list[QueryViolation]:
    """The value of each key in a query, or everything that is wrong with it.

    keys: the keys that may be used. bare: the key that words without a colon mean, joined by blanks.
    All is lower-cased; an empty value counts as absent. Source: tasks-api 8.1.
    """
    violations: list[QueryViolation] = []
    found: dict[str, list[str]] = {}
    words: list[str] = []
    for element in _elements(q.lower()):
        parts = _split(element, ":")
        if element.startswith(":") or element.endswith(":"):
            violations.append(QueryViolation("q", QueryRule.EDGE_COLON, element))
        elif len(parts) > 2:
            violations.append(QueryViolation("q", QueryRule.MANY_COLONS, element))
        elif len(parts) == 2:
            found.setdefault(parts[0].strip('"'), []).append(parts[1].strip('"'))
        else:
            words.append(element.strip('"'))
    if words:
        found.setdefault(bare, []).append(" ".join(words))
    violations += _of_keys(found, keys)
    return violations or {key: values[0] for key, values in found.items() if values[0]}


def explain(violation: QueryViolation, keys: Collection[str]) -> str:
    """What is wrong with a query and what to write instead, for people."""
    value = violation.value
    match violation.code:
        case QueryRule.EDGE_COLON:
            return f'"{value}" lacks a key or a value; write key:value'
        case QueryRule.MANY_COLONS:
            return f'"{value}" has several colons; put quotes around a value that holds one'
        case QueryRule.UNKNOWN_KEY:
            return f'"{value}" is no key here; keys are: {", ".join(sorted(keys))}'
        case QueryRule.REPEATED_KEY:
            return f'"{violation.field}" was given {value} times; give it once'


def _of_keys(found: dict[str, list[str]], keys: Collection[str]) -> list[QueryViolation]:
    unknown = [QueryViolation(key, QueryRule.UNKNOWN_KEY, key) for key in found if key not in keys]
    repeated = [
        QueryViolation(key, QueryRule.REPEATED_KEY, str(len(values)))
        for key, values in found.items()
        if key in keys and len(values) > 1
    ]
    return unknown + repeated


def _elements(q: str) -> list[str]:
    """The elements of a query, each without one comma at its end: some clients join with comma and blank."""
    stripped = (element.removesuffix(",") for element in _split(q, " "))
    return [element for element in stripped if element]


def _split(text: str, separator: str) -> list[str]:
    """The text cut at each separator outside double quotes; quotes stay. An open quote runs to the end."""
    parts = [""]
    quoted = False
    for character in text:
        quoted ^= character == '"'
        if character == separator and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    return parts
