"""Reads what clients send: the one reader of bodies, and that of queries."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import NoReturn, TypeVar, cast

import msgspec
from msgspec import inspect

from taskyard.errors import BodyInvalid, QueryInvalid
from taskyard.wire.base import NIL_UUID, as_utc

MAX_DEPTH = 64
"""Arrays and objects a body may nest; our deepest request has four, 64 leaves room for ignored keys."""

MAX_VALUES = 20_000
"""Values in the arrays and objects of a body: our largest requests have some thousand lines of a log, and more
take longer to look through than everybody else should wait."""

MAX_INTEGER_DIGITS = 20
"""Characters of an integer that are read exactly: a signed 64-bit one has at most 19 and a sign."""

BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
"""How yes and no are written in a query, in lower case."""

T = TypeVar("T")

_Container = dict[str, object] | list[object]

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,19}")
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
"""A JSON string, to the end of the text where it has none: so it always takes what it looked at."""


def read_json(raw: bytes, wanted: type[T]) -> T:
    """The first JSON value of a request body as the wanted type.

    Keys match whatever their case, unknown keys and anything after the value are ignored, and null
    says the same as an absent key. Raises BodyInvalid. Source: T36, T37.
    """
    value = _first_value(raw)
    _check_depth(value)
    try:
        return msgspec.convert(_fold(value, _shape(wanted)), wanted, strict=True)
    except msgspec.ValidationError as error:
        raise BodyInvalid(f"The body does not have the right shape: {error}.") from error


def read_query(given: Mapping[str, str], wanted: type[T]) -> T:
    """The keys of a query as the Struct that names them; others are ignored.

    An empty value, or the nil UUID, says the same as an absent key. Raises QueryInvalid with every key that is wrong.
    """
    values: dict[str, object] = {}
    wrong: list[tuple[str, str]] = []
    for field in msgspec.structs.fields(cast("type[msgspec.Struct]", wanted)):
        text = given.get(field.encode_name)
        if not text:
            continue
        try:
            value = _query_value(text, field.type)
        except (msgspec.ValidationError, ValueError) as error:
            wrong.append((field.encode_name, f'"{text}" cannot be taken: {error}'))
            continue
        if value != NIL_UUID:
            values[field.name] = value
    if wrong:
        raise QueryInvalid(wrong)
    return wanted(**values)


def _query_value(text: str, kind: object) -> object:
    """A value of a query as the field's type; raises ValidationError, ValueError."""
    plain: object = text
    shape = _shape(kind)
    if _pick(shape, inspect.BoolType):
        plain = BOOLEANS.get(text.lower(), text)
    elif _pick(shape, inspect.IntType) and _WHOLE_NUMBER.fullmatch(text):
        plain = int(text)
    value: object = msgspec.convert(plain, kind)
    return as_utc(value) if isinstance(value, datetime) else value


def _first_value(raw: bytes) -> object:
    """The first JSON value of the text; integers that no field can hold come as floats."""
    try:
        text = raw.decode("utf-8").lstrip(" \t\r\n")
    except UnicodeDecodeError as error:
        raise BodyInvalid(f"The body is not UTF-8 at byte {error.start}.") from error
    if not text:
        raise BodyInvalid("The body is empty; send a JSON value.")
    if _count_values(text) > MAX_VALUES and _count_values(_STRING.sub("", text)) > MAX_VALUES:
        raise BodyInvalid(f"The body holds more than {MAX_VALUES} values; send it in parts.")
    try:
        value: object = _DECODER.raw_decode(text)[0]
    except json.JSONDecodeError as error:
        raise BodyInvalid(f"The body is not JSON: {error}.") from error
    except RecursionError as error:
        raise BodyInvalid(_TOO_DEEP) from error
    return value


def _count_values(text: str) -> int:
    """At least as many as there are values in the arrays and objects of the text, if it is JSON."""
    return text.count(",") + text.count("[") + text.count("{")


def _check_depth(value: object) -> None:
    """Nothing when the value nests at most MAX_DEPTH arrays and objects; else raises BodyInvalid."""
    layer = _containers([value])
    for _ in range(MAX_DEPTH):
        if not layer:
            return
        layer = [inner for outer in layer for inner in _containers(outer)]
    if layer:
        raise BodyInvalid(_TOO_DEEP)


def _containers(outer: _Container) -> list[_Container]:
    """The arrays and objects directly inside this one."""
    inside = outer.values() if isinstance(outer, dict) else outer
    return [inner for inner in inside if isinstance(inner, dict | list)]


def _fold(value: object, shape: inspect.Type) -> object:
    """The value with its keys spelt as the shape spells them, and with texts that can be stored."""
    match value:
        case str():
            return _storable(value)
        case list():
            item_shape = _pick(shape, inspect.ListType)
            return [_fold(item, item_shape.item_type if item_shape else _ANY) for item in value]
        case dict():
            struct = _pick(shape, inspect.StructType)
            if struct is not None:
                return _fold_object(value, _fields(struct.cls))
            mapping = _pick(shape, inspect.DictType)
            inner = mapping.value_type if mapping else _ANY
            return {_storable(key): _fold(item, inner) for key, item in value.items()}
        case _:
            return value


def _fold_object(value: dict[str, object], fields: dict[str, inspect.Field]) -> dict[str, object]:
    """The object's known keys, properly spelt; of keys that differ by case only, the last stands."""
    known = ((fields.get(key.lower()), item) for key, item in value.items() if item is not None)
    return {
        field.encode_name: _fold(item, field.type) for field, item in known if field is not None
    }


def _pick(shape: inspect.Type, kind: type[T]) -> T | None:
    """The shape itself, or the member of a union, that is of this kind."""
    options = shape.types if isinstance(shape, inspect.UnionType) else (shape,)
    return next((option for option in options if isinstance(option, kind)), None)


def _storable(text: str) -> str:
    """The text with lone surrogates replaced; U+0000, which no store of ours takes, raises BodyInvalid."""
    if "\0" in text:
        raise BodyInvalid("The body holds the character U+0000, which cannot be kept; remove it.")
    return _LONE_SURROGATE.sub("\ufffd", text)


def _integer(digits: str) -> int | float:
    """The number, exact as far as any field of ours goes; a longer one fits no integer field."""
    return int(digits) if len(digits) <= MAX_INTEGER_DIGITS else float(digits)


def _refuse_constant(word: str) -> NoReturn:
    """Raises BodyInvalid: NaN and Infinity are not JSON."""
    raise BodyInvalid(f"The body is not JSON: {word} is not a JSON value.")


def _shape(wanted: object) -> inspect.Type:
    """What msgspec knows of a type, looked up once."""
    if wanted not in _SHAPES:
        _SHAPES[wanted] = inspect.type_info(wanted)
    return _SHAPES[wanted]


@cache
def _fields(struct: type) -> dict[str, inspect.Field]:
    """A struct's fields by their name on the wire in lower case."""
    shape = inspect.type_info(struct)
    assert isinstance(shape, inspect.StructType)
    return {field.encode_name.lower(): field for field in shape.fields}


_ANY = inspect.AnyType()
_SHAPES: dict[object, inspect.Type] = {}
_DECODER = json.JSONDecoder(parse_int=_integer, parse_constant=_refuse_constant)
_TOO_DEEP = f"The body nests more than {MAX_DEPTH} arrays and objects; send a flatter one."
