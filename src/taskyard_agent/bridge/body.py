"""Reads and checks the JSON body of POST /message. Source: agentapi 1.2."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import get_args

from starlette.requests import ClientDisconnect, Request

from taskyard_agent.bridge.errors import Problem
from taskyard_agent.bridge.shapes import ErrorDetail, MessageRequest, MessageType

BODY_S = 5.0
"""Seconds within which a message must have arrived; of an upload, the next bytes. Source: agentapi 1.2."""

FIELDS = ("content", "type")
TYPES = get_args(MessageType)

INVALID = "invalid"
"""Code of a request that is not of the documented shape."""

_DETAIL = "The request is not valid."


async def message_request(request: Request, limit: int) -> MessageRequest:
    """The body, checked. Raises Problem with everything that is wrong with it."""
    raw = await json_body(request, limit)
    try:
        body = json.loads(raw.decode(), parse_constant=_not_json)
    except (ValueError, RecursionError) as error:
        raise not_json(raw, error) from error
    return _checked(body)


def not_json(raw: bytes, error: Exception) -> Problem:
    """The problem of a body that cannot be read."""
    shown = raw.decode(errors="replace")
    return Problem(
        400, INVALID, _DETAIL, ErrorDetail(f"The body is not JSON: {error}", "body", shown)
    )


async def json_body(request: Request, limit: int) -> bytes:
    """A body that says to be JSON; one of `limit` bytes is too large. Raises Problem."""
    raw = await _read(request, limit)
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not raw:
        raise Problem(400, INVALID, "A request body is needed.")
    if media and media != "application/json" and not media.endswith("+json"):
        sentence = f"The content type {media} is not JSON."
        raise Problem(415, INVALID, _DETAIL, ErrorDetail(sentence, "body"))
    return raw


async def arriving(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes, which may take long in all. Raises Problem when nothing comes for BODY_S."""
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(BODY_S):
                part = await anext(stream, None)
        except TimeoutError:
            raise _late() from None
        if part is None:
            return
        yield part


async def _read(request: Request, limit: int) -> bytes:
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_S):
            async for part in request.stream():
                size += len(part)
                if size >= limit:
                    raise Problem(413, "too_large", f"The limit of a body is {limit} bytes.")
                parts.append(part)
    except TimeoutError:
        raise _late() from None
    except ClientDisconnect as error:
        raise Problem(400, INVALID, "The caller hung up before the body was complete.") from error
    return b"".join(parts)


def _late() -> Problem:
    return Problem(408, "timeout", f"The body did not arrive within {BODY_S:g} s. Send it again.")


def _not_json(word: str) -> None:
    """Python reads NaN and Infinity, which are not JSON."""
    raise ValueError(f"There is no number {word}.")


def _checked(body: object) -> MessageRequest:
    if not isinstance(body, dict):
        detail = ErrorDetail("The body must be a JSON object.", "body")
        raise Problem(422, INVALID, _DETAIL, detail)
    errors = [
        ErrorDetail(f"The property {name!r} is missing.", "body")
        for name in FIELDS
        if name not in body
    ]
    errors += [
        ErrorDetail("There is no such property.", f"body.{name}", body[name])
        for name in body
        if name not in (*FIELDS, "$schema")
    ]
    content, kind = body.get("content"), body.get("type")
    if "content" in body and not isinstance(content, str):
        errors.append(ErrorDetail("This must be a string.", "body.content", content))
    if "type" in body and kind not in TYPES:
        errors.append(ErrorDetail("This must be user or raw.", "body.type", kind))
    if errors or not isinstance(content, str):
        raise Problem(422, INVALID, _DETAIL, *errors)
    text = content.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return MessageRequest(text, "raw" if kind == "raw" else "user")
