"""Writes plain data as block YAML; only what the OpenAPI document holds."""

import json
import re
from collections.abc import Iterator, Mapping

_PLAIN = re.compile(r"[A-Za-z][\w-]*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""Keys that some readers would take for something else than text."""


def yaml_lines(value: object, indent: str = "") -> Iterator[str]:
    """The lines of a value. Texts are in JSON's notation, which YAML shares, so that none is misread."""
    match value:
        case Mapping() if value:
            for key, item in value.items():
                yield from _entry(f"{_key(str(key))}:", item, indent)
        case list() if value:
            for item in value:
                yield from _entry("-", item, indent)
        case _:
            yield indent + json.dumps(value)


def _entry(mark: str, item: object, indent: str) -> Iterator[str]:
    if isinstance(item, Mapping | list) and item:
        yield indent + mark
        yield from yaml_lines(item, indent + "  ")
    else:
        yield f"{indent}{mark} {json.dumps(item)}"


def _key(name: str) -> str:
    return name if _PLAIN.fullmatch(name) and name.lower() not in _WORDS else json.dumps(name)
