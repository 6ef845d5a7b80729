"""Requests with an Idempotency-Key: done once, and answered the same for as long as the key is kept.

Kept are the answers of requests that were carried out, refusals among them. Not kept are answers before anything
began: 400, 401, 403, 408, 413, 429 and those of the server's own trouble; unless something was done all the same. Of
requests without a token only those are kept that did something.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

import msgspec
from starlette.responses import Response

from taskyard.control import idempotency
from taskyard.control.archives import MAX_ARCHIVE_BYTES
from taskyard.control.idempotency import KEPT_BYTES, Claim, KeyRow, Try
from taskyard.control.idempotency_again import REPEATED, Lost, made_again
from taskyard.errors import IdempotencyKeyInvalid, TaskyardError
from taskyard.server.call import MAX_JSON_BYTES, OPEN_JSON_BYTES, Call
from taskyard.server.deps import COOKIE, origin_of
from taskyard.server.errors import render
from taskyard.wire.base import NIL_UUID
from taskyard.wire.identity import CreateKeyResponse, LoginResponse
from taskyard.wire.routes import Auth, Body

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"

NOT_BEGUN: Final = frozenset({400, 401, 403, 408, 413, 429})
"""Statuses of requests that are refused before anything of them is done; those of 500 and more count as such too."""

COME_BACK: Final = 503
"""The status of requests that were cut off in the middle: what came of them is looked for when they are sent again."""

WAITED_S: Final = 0.25
"""Seconds in line after which the request is looked at again: its sender may have lost rights, its task may be another."""

SECRET: Final[tuple[object, ...]] = (CreateKeyResponse, LoginResponse)
"""Answers that hold a key: they are kept sealed."""

_KEY: Final = re.compile(r"[!-~]{1,255}")
_TOKENS: Final = frozenset({COOKIE, "access_token"})

Work = Callable[[Call], Awaitable[Response]]
"""Carries a request out; raises TaskyardError."""

Respond = Callable[[Call, object], Response]
"""The response of what a handler returned."""


class _Answer(msgspec.Struct, frozen=True, array_like=True):
    """An answer as it is kept."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


async def once(call: Call, work: Work, respond: Respond) -> Response:
    """The answer to a request, which is carried out unless one of its key was. Raises as the work does.

    Raises IdempotencyKeyInvalid, IdempotencyMismatch, IdempotencyBusy, IdempotencyLost, IdempotencyUnknown.
    """
    key = _key(call)
    if key is None:
        return await work(call)
    call = replace(call, sent=await call.raw(_limit(call)))
    began = asyncio.get_running_loop().time()
    found = await idempotency.begin(call.services, _asked(call, key))
    if asyncio.get_running_loop().time() - began >= WAITED_S:
        call = await _renewed(call, found)
    if isinstance(found, KeyRow):
        return _replayed(call, found) or await _unkept(call, found, respond)
    if found.row is not None and call.route.operation not in REPEATED:
        return await _settled(call, found, found.row, respond)
    return await _first(call, found, work)


async def _renewed(call: Call, found: Claim | KeyRow) -> Call:
    """The request as if it came now, when it has waited. Raises Unauthenticated, UserSuspended, Forbidden."""
    try:
        return await call.renewed()
    except BaseException:
        if isinstance(found, Claim):
            await idempotency.lapse(call.services, found)
        raise


def _key(call: Call) -> str | None:
    """The key of a request; null where it has none, or is no POST. Raises IdempotencyKeyInvalid."""
    if call.route.method != "POST":
        return None
    values = call.connection.headers.getlist(HEADER)
    if not values:
        return None
    if len(values) > 1 or not _KEY.fullmatch(values[0]):
        raise IdempotencyKeyInvalid
    return values[0]


def _limit(call: Call) -> int:
    """The largest body that the route may take; its handler says what is too large for it."""
    if call.route.request is Body.BYTES:
        return MAX_ARCHIVE_BYTES
    return OPEN_JSON_BYTES if call.route.auth is Auth.NONE else MAX_JSON_BYTES


def _asked(call: Call, key: str) -> Try:
    """The request as its key is kept with; of query and path only what is not a token or another spelling."""
    owner = NIL_UUID
    if call.session is not None:
        owner = call.session.actor.user_id
    elif call.workspace_agent is not None:
        owner = call.workspace_agent.agent_id
    query = sorted(p for p in call.connection.query_params.multi_items() if p[0] not in _TOKENS)
    path = sorted((name, str(value)) for name, value in call.connection.path_params.items())
    told = msgspec.json.encode([call.route.operation, path, query])
    return Try(
        owner_id=owner,
        key=key,
        operation=call.route.operation,
        fingerprint=call.services.vault.fingerprint(told + b"\0" + (call.sent or b"")),
        request_id=call.connection.state.request_id,
    )


async def _first(call: Call, claim: Claim, work: Work) -> Response:
    """The answer of a request that is carried out now, kept unless nothing was done."""
    claimed = _with_claim(call, claim)
    services = call.services
    try:
        response = await idempotency.while_alive(services, claim, lambda: work(claimed))
    except TaskyardError as error:
        await _keep(claimed, claim, render(error))
        raise
    except BaseException:
        await idempotency.lapse(services, claim)
        raise
    await _keep(claimed, claim, response)
    return response


def _with_claim(call: Call, claim: Claim) -> Call:
    """The call of somebody whose deeds are marked at the claim."""
    call.connection.state.claim = claim.id
    if call.session is None:
        return call
    actor = replace(call.session.actor, origin=origin_of(call.connection))
    return replace(call, session=replace(call.session, actor=actor))


async def _keep(call: Call, claim: Claim, response: Response) -> None:
    """Keeps an answer; where nothing was done and its status says so, the request is as if it had never come."""
    status = response.status_code
    # Of somebody unknown nothing is kept that did nothing: anybody could send any number of such requests.
    is_released = status in NOT_BEGUN or status >= 500 or call.route.auth is Auth.NONE
    if is_released and await idempotency.release(call.services, claim):
        return
    if status == COME_BACK:
        await idempotency.lapse(call.services, claim)
        return
    raw = _packed(response)
    sealed = raw is not None and call.route.response in SECRET
    if raw is not None and sealed:
        raw = call.services.vault.wrap(_about(claim), raw)
    await idempotency.finish(call.services, claim, raw, sealed=sealed)


def _about(kept: Claim | KeyRow) -> bytes:
    """What a sealed answer is sealed together with."""
    return b"taskyard answer\0" + kept.id.bytes


def _packed(response: Response) -> bytes | None:
    """An answer to be kept; null for one that is sent in parts, or too large."""
    if type(response) is not Response or len(response.body) > KEPT_BYTES:
        return None
    body = bytes(response.body)
    return msgspec.msgpack.encode(_Answer(response.status_code, response.raw_headers, body))


def _replayed(call: Call, row: KeyRow) -> Response | None:
    """The answer that was given before; null where it is not kept, or cannot be opened any more."""
    raw = row.answer
    if raw is not None and row.sealed:
        raw = call.services.vault.unwrap(_about(row), raw)
    if raw is None:
        return None
    kept = msgspec.msgpack.decode(raw, type=_Answer)
    return _marked(Response(kept.body, kept.status), kept.headers)


def _marked(response: Response, headers: list[tuple[bytes, bytes]]) -> Response:
    """The response with these headers, and the one that says that it is given again."""
    response.raw_headers = [*headers, (REPLAYED.lower().encode(), b"true")]
    return response


async def _unkept(call: Call, row: KeyRow, respond: Respond) -> Response:
    """The answer of a request that is over, made again from what it made. Raises IdempotencyUnknown."""
    response = await _made_again(call, row, respond)
    return _marked(response, response.raw_headers)


async def _settled(call: Call, claim: Claim, row: KeyRow, respond: Respond) -> Response:
    """The answer of a request whose server died after it had done something. Raises IdempotencyUnknown."""
    try:
        response = await _made_again(call, row, respond)
    except TaskyardError:
        await idempotency.finish(call.services, claim, None)
        raise
    await _keep(call, claim, response)
    return _marked(response, response.raw_headers)


async def _made_again(call: Call, row: KeyRow, respond: Respond) -> Response:
    """What the request would answer, read from what it made. Raises IdempotencyUnknown."""
    actor = None if call.session is None else call.actor
    found = await made_again(Lost(call.services, actor, row, call.now))
    if found is None:
        raise idempotency.unknown(row)
    return respond(call, found.body)
