"""Reading bodies as strictly as clients with typed languages do; what is said here is what they read.

A shape is a function for a single value, a list of one shape, or a dict of shapes by key.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Json = Any
"""A parsed body: scripts of requests look into it key by key."""

Check: TypeAlias = Callable[[Json], bool]
Shape: TypeAlias = Check | list["Shape"] | Mapping[str, "Shape"]

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class DecodeError(Exception):
    """A body that a strict client cannot read: where, and what stood there."""

    def __init__(self, where: str, value: Json) -> None:
        super().__init__(f"{where or 'the body'} is {value!r:.120}")


def string(value: Json) -> bool:
    """A text, empty or not."""
    return isinstance(value, str)


def filled(value: Json) -> bool:
    """A text that is not empty."""
    return isinstance(value, str) and value != ""


def boolean(value: Json) -> bool:
    """true or false, not 0 or 1."""
    return isinstance(value, bool)


def integer(value: Json) -> bool:
    """A number without a fraction; a text of digits is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def uuid(value: Json) -> bool:
    """An id; the empty text is none."""
    return isinstance(value, str) and UUID.fullmatch(value) is not None


def time(value: Json) -> bool:
    """A moment in RFC 3339; the empty text is none."""
    return isinstance(value, str) and TIME.fullmatch(value) is not None


def email(value: Json) -> bool:
    """A text that is an address."""
    return isinstance(value, str) and EMAIL.fullmatch(value) is not None


def mapping(value: Json) -> bool:
    """Texts by name."""
    return isinstance(value, dict) and all(map(string, value.values()))


def one_of(*words: str) -> Check:
    """One of these words."""
    return lambda value: value in words


def decode_go(shape: Shape, body: bytes, media_type: str) -> Json:
    """A body as Go's decoder reads it: unknown keys are passed over, null and what is missing are zero.

    Raises DecodeError for another media type, for what is no JSON, and for each value of a wrong type.
    """
    if media_type.partition(";")[0].strip() != "application/json":
        raise DecodeError("the media type", media_type)
    try:
        value = json.loads(body)
    except ValueError as error:
        raise DecodeError("", body) from error
    conform(shape, value, null=True)
    return value


def conform(shape: Shape, value: Json, where: str = "", *, null: bool) -> None:
    """Raises DecodeError where a value is not of its shape. null says whether null always passes, and keys may be away."""
    if value is None and null:
        return
    if isinstance(shape, Mapping):
        if not isinstance(value, dict):
            raise DecodeError(where, value)
        for key, inner in shape.items():
            if key not in value and not null:
                raise DecodeError(f"{where}.{key}", "absent")
            conform(inner, value.get(key), f"{where}.{key}", null=null)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise DecodeError(where, value)
        for place, item in enumerate(value):
            conform(shape[0], item, f"{where}[{place}]", null=null)
    elif not shape(value):
        raise DecodeError(where, value)
