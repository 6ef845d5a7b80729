"""Reads what callers of `/v2` send, and writes what they get."""

import re
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from taskyard_agent.bridge.body import INVALID, json_body, not_json
from taskyard_agent.bridge.errors import Problem
from taskyard_agent.bridge.shapes import ErrorDetail

T = TypeVar("T")

INVALID_DETAIL = "The request is not valid."

MAX_NUMBER = 2**63 - 1
"""The largest item number that there could ever be."""


async def read(request: Request, shape: type[T], limit: int) -> T:
    """The JSON body as that shape. Raises Problem."""
    raw = await json_body(request, limit)
    try:
        return msgspec.json.decode(raw, type=shape)
    except msgspec.ValidationError as error:
        told, _, path = str(error).partition(" - at `$")
        location = "body" + path.rstrip("`")
        raise invalid(told, location) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise not_json(raw, error) from error


def invalid(told: str, location: str) -> Problem:
    """The problem of a value that will not do."""
    return Problem(422, INVALID, INVALID_DETAIL, ErrorDetail(told, location))


def number(text: str | None, name: str, otherwise: int, most: int = MAX_NUMBER) -> int:
    """A number from a query or header, not below 0. Raises Problem."""
    if text is None or not text.strip():
        return otherwise
    if not re.fullmatch(r"[0-9]{1,19}", text.strip()) or int(text) > most:
        raise invalid(f"This must be a whole number from 0 to {most}.", name)
    return int(text)


def json(body: msgspec.Struct, status: int = 200) -> Response:
    """The answer with that object."""
    return Response(msgspec.json.encode(body), status, media_type="application/json")
