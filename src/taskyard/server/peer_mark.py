"""The mark by which servers of one database know each other's requests: who really asked, proven by their shared key.

It takes no right from anybody: what is marked carries the caller's own credentials. It says whose address is to be
written down, and that the request is not to be sent on again.
"""

import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from taskyard.server.edge import respond
from taskyard.server.errors import problem

HEADER: Final = "X-Taskyard-Peer"
"""Carries the mark: what is said, a dot, and the HMAC-SHA-256 of it in hex."""

GOOD_S: Final = 60.0
"""Seconds for which a mark is good, either way: clocks of servers differ by less."""

UNKNOWN_REASON: Final = "peer_unknown"
"""The reason that is given to everybody else, and to who means an earlier server of this place."""

UNKNOWN: Final = problem(
    403, UNKNOWN_REASON, "Only other servers of the same database are answered here."
)


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """What a server says of a request that it sends on to the server `to`.

    at: seconds since 1970 when it said so. client null: by a Unix socket. claim is that of its Idempotency-Key.
    """

    to: UUID
    at: float
    method: str
    target: str
    client: str | None
    scheme: str
    request_id: str
    claim: UUID | None = None


@dataclass(frozen=True, slots=True)
class PeerKey:
    """The key that servers of one database share."""

    key: bytes
    clock: Callable[[], float] = time.time

    def written(self, mark: Mark) -> str:
        """The value of the header."""
        said = msgspec.json.encode(mark).hex()
        return f"{said}.{self._sum(said)}"

    def read(self, text: str, scope: Scope, server_id: UUID) -> Mark | None:
        """What was said of this request to this server; None when it is not proven."""
        said, _, proof = text.rpartition(".")
        if not (said.isascii() and proof.isascii() and hmac.compare_digest(self._sum(said), proof)):
            return None
        try:
            mark = msgspec.json.decode(bytes.fromhex(said), type=Mark)
        except (ValueError, msgspec.MsgspecError):
            return None
        is_this = (mark.to, mark.method, mark.target) == (
            server_id,
            method_of(scope),
            target_of(scope),
        )
        return mark if is_this and abs(self.clock() - mark.at) <= GOOD_S else None

    def _sum(self, said: str) -> str:
        return hmac.digest(self.key, b"taskyard peer\0" + said.encode(), "sha256").hex()


class PeerDoor:
    """An application that only other servers of the database may call, each request in somebody's name."""

    def __init__(self, app: ASGIApp, key: PeerKey, server_id: UUID) -> None:
        self._app = app
        self._key = key
        self._server_id = server_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        text = Headers(scope=scope).get(HEADER, "")
        mark = self._key.read(text, scope, self._server_id)
        if mark is None:
            await respond(UNKNOWN, scope, receive, send)
            return
        scope["client"] = None if mark.client is None else (mark.client, 0)
        scope["scheme"] = mark.scheme
        state = scope.setdefault("state", {})
        state["request_id"] = mark.request_id
        if mark.claim is not None:
            state["claim"] = mark.claim
        await self._app(scope, receive, send)


def method_of(scope: Scope) -> str:
    """The method of a request; GET for a WebSocket."""
    return str(scope.get("method", "GET"))


def target_of(scope: Scope) -> str:
    """Path and query of a request, as they were sent."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return (raw.partition(b"?")[0] + (b"?" + query if query else b"")).decode("latin-1")
