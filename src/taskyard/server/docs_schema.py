"""JSON Schemas in words, as HTML for the page of the API."""

from dataclasses import dataclass
from html import escape
from typing import Final

from taskyard.wire.openapi_document import Schema

_FORMATS: Final = {"uuid": "UUID", "date-time": "time"}
"""What strings of a format are called."""

_INT64: Final = 2**63 - 1
"""Limits that are only those of the store are not worth a reader's time."""


@dataclass(frozen=True, slots=True)
class Property:
    """A key of an object: its type in words, and what else is known of its values."""

    name: str
    type: str
    required: bool
    note: str


def properties(schema: Schema) -> list[Property]:
    """The keys of an object, in their order; none for another schema."""
    found = schema.get("properties")
    required = schema.get("required")
    names = required if isinstance(required, list) else []
    if not isinstance(found, dict):
        return []
    return [
        Property(name, type_of(part), name in names, note_of(part)) for name, part in found.items()
    ]


def type_of(schema: object) -> str:
    """The type of a schema in words, with links to those that have a name."""
    match schema:
        case {"$ref": str(target)}:
            name = target.rpartition("/")[2]
            words = f'<a href="#schema-{name}">{name}</a>'
        case {"anyOf": list(options)}:
            words = " or ".join(type_of(option) for option in options)
        case {"enum": list(options)}:
            words = " | ".join(f"<code>{escape(str(option))}</code>" for option in options)
        case {"type": "array", "items": item}:
            words = f"list of {type_of(item)}"
        case {"type": "object", "additionalProperties": dict(values)} if values:
            words = f"object of {type_of(values)}"
        case {"type": "string", "format": str(form)}:
            words = _FORMATS.get(form, escape(form))
        case {"type": str(name)}:
            words = name
        case _:
            words = "any"
    return words


def note_of(schema: object) -> str:
    """Default and limits of a value, where they say something."""
    if not isinstance(schema, dict):
        return ""
    default, least, most = (schema.get(key) for key in ("default", "minimum", "maximum"))
    said = [] if default in (None, "", [], {}) else [f"default <code>{escape(str(default))}</code>"]
    if isinstance(least, int) and least > -_INT64:
        said.append(f"at least {least}")
    if isinstance(most, int) and most < _INT64:
        said.append(f"at most {most}")
    return ", ".join(said)
