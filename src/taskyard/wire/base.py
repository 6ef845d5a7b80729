"""What all bodies share: times, unset values, the error Response, the encoder; wire/reading.py reads what is sent.

Output models give no value by themselves: each field is set on purpose. A field that may be left out
on the wire is `X | UnsetType` and starts as UNSET; a field that is always there but may be empty is
`X | None`. Request models start from the zero values that an absent key means.
"""

from datetime import UTC, datetime
from typing import Annotated, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

NIL_UUID = UUID(int=0)
"""How clients say "not set", and how we say "no such thing" where a plain UUID must stand."""

ZERO_TIME = datetime(1, 1, 1, tzinfo=UTC)
"""The time that means "none" where a plain time must stand: 0001-01-01T00:00:00Z."""

Time = Annotated[datetime, msgspec.Meta(tz=True)]
"""An aware time, RFC 3339 on the wire. Ours are UTC, which is written as `Z`, in microseconds."""

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""An integer of a request: what the database's bigint holds, and no more."""

PageNumber = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
"""A number of rows in a query; 0 as a limit means all. Upstream reads 32 bits."""

T = TypeVar("T")

_ENCODER = msgspec.json.Encoder()


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
                msgspec.structs.force_setattr(self, name, as_utc(value))


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


def as_utc(at: datetime) -> datetime:
    """The same moment in UTC; raises ValueError where UTC has no year for it."""
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the time lies outside the years 1 to 9999") from error
