"""What all bodies share: times, unset values, the error Response, the one body reader, the encoder.

Output models give no value by themselves: each field is set on purpose. A field that may be left out
on the wire is `X | UnsetType` and starts as UNSET; a field that is always there but may be empty is
`X | None`. Request models start from the zero values that an absent key means.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, NoReturn, TypeVar, cast
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType, inspect

from taskyard.errors import BodyInvalid, QueryInvalid

NIL_UUID = UUID(int=0)
"""How clients say "not set", and how we say "no such thing" where a plain UUID must stand."""

ZERO_TIME = datetime(1, 1, 1, tzinfo=UTC)
"""The time that means "none" where a plain time must stand: 0001-01-01T00:00:00Z."""

MAX_DEPTH = 64
"""Arrays and objects a body may nest; our deepest request has four, 64 leaves room for ignored keys."""

MAX_VALUES = 20_000
"""Values in the arrays and objects of a body: our largest requests have some thousand lines of a log, and more
take longer to look through than everybody else should wait."""

MAX_INTEGER_DIGITS = 20
"""Characters of an integer that are read exactly: a signed 64-bit one has at most 19 and a sign."""

Time = Annotated[datetime, msgspec.Meta(tz=True)]
"""An aware time, RFC 3339 on the wire. Ours are UTC, which is written as `Z`, in microseconds."""

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""An integer of a request: what the database's bigint holds, and no more."""

PageNumber = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
"""A number of rows in a query; 0 as a limit means all. Upstream reads 32 bits."""

BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
"""How yes and no are written in a query, in lower case."""

T = TypeVar("T")

_Container = dict[str, object] | list[object]

_ENCODER = msgspec.json.Encoder()
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,19}")
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
"""A JSON string, to the end of the text where it has none: so it always takes what it looked at."""


class ValidationItem(msgspec.Struct, frozen=True):
    """What is wrong with one field of a request; field is its JSON name."""

    field: str
    detail: str


class Response(msgspec.Struct, frozen=True):
    """A sentence for a person, and with an error its details. Source: S1, T9."""

    message: str
    detail: str | UnsetType = UNSET
    validations: list[ValidationItem] | UnsetType = UNSET


class Request(msgspec.Struct, frozen=True):
    """What request bodies share: the nil UUID becomes None, and times become UTC. Source: T33."""

    def __post_init__(self) -> None:
        """Settle each field; a time that UTC cannot say raises ValueError."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, UUID) and value == NIL_UUID:
                msgspec.structs.force_setattr(self, name, None)
            elif isinstance(value, datetime):
                msgspec.structs.force_setattr(self, name, _utc(value))


def unless_empty(value: T | None) -> T | UnsetType:
    """The value, or UNSET where it is empty, zero, false or None, so that its key is left out."""
    return value or UNSET


def as_uuid(text: str) -> UUID | None:
    """The UUID that a text is, in any of its usual spellings; None where it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def encode(body: object) -> bytes:
    """The JSON of a response body, UTF-8."""
    return _ENCODER.encode(body)


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
    return _utc(value) if isinstance(value, datetime) else value


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


def _utc(at: datetime) -> datetime:
    """The same moment in UTC; raises ValueError where UTC has no year for it."""
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the time lies outside the years 1 to 9999") from error


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
