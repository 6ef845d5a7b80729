"""Headers between a browser and an app of a workspace: what is passed on, and what belongs to us or to one connection."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from taskyard.control.appclient import LOOPBACK
from taskyard.server.deps import COOKIE as SESSION_COOKIE

Headers = list[tuple[bytes, bytes]]

APP_COOKIE: Final = "taskyard_app"
"""The cookie of a visit, on the app's own host name."""

APP_COOKIE_HTTPS: Final = "__Host-taskyard_app"
"""Its name over https, which no other host name can set."""

OUR_COOKIES: Final = frozenset({SESSION_COOKIE, APP_COOKIE, APP_COOKIE_HTTPS})
"""Cookies that no app is told and none may set."""

_HOP: Final = frozenset(
    {
        *(
            b"connection",
            b"keep-alive",
            b"proxy-authenticate",
            b"proxy-authorization",
            b"proxy-connection",
        ),
        *(b"te", b"trailer", b"transfer-encoding", b"upgrade", b"expect"),
    }
)
"""Headers of one connection, not of the request."""

_UNTOLD: Final = _HOP | {
    *(b"host", b"cookie", b"origin", b"referer", b"content-length"),
    *(b"authorization", b"coder-session-token", b"forwarded", b"via", b"x-real-ip"),
}
"""Headers of requests that are left out, or written anew. Authorization is left out whatever it holds: it may be a
token of ours."""

_SOCKET: Final = frozenset(
    {
        *(b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-extensions"),
        b"sec-websocket-protocol",
    }
)
"""Headers of a WebSocket's beginning, which each half of it has of its own."""

_UNHEARD: Final = _HOP | {
    *(b"set-cookie", b"set-cookie2", b"location", b"server", b"date"),
    *(b"clear-site-data", b"strict-transport-security", b"alt-svc", b"public-key-pins"),
    *(b"proxy-status", b"content-security-policy-report-only"),
    *(b"x-accel-redirect", b"x-sendfile"),
}
"""Headers of answers that are left out, or looked at first. Some speak for more than the app's own host name: one of
them would sign everybody out of the server itself. The last two tell a proxy in front to serve a file of its own."""

_CACHE_WORD: Final = re.compile(
    rb"no-store|no-cache|no-transform|must-revalidate|immutable"
    rb"|(?:max-age|stale-while-revalidate|stale-if-error)=[0-9]{1,10}"
)
"""What a private app may say of the one cache that keeps its answers, its reader's own."""

_SHARED_CACHES: Final = (b"cache-control", b"surrogate-control", b"x-accel-expires")
"""How names end of headers that speak to caches; those in front of Cache-Control are a vendor's own."""


def request_headers(raw: Iterable[tuple[bytes, bytes]], origin: str, port: int) -> Headers:
    """What an app hears of a request to its origin, as if its own loopback had been asked; without what frames a body."""
    found = list(raw)
    named = _named(found)
    kept = [
        (name, value)
        for name, value in found
        if name not in _UNTOLD
        and name not in named
        and not name.startswith((b"x-forwarded-", b"x-taskyard-"))
    ]
    inside = f"http://127.0.0.1:{port}"
    cookies = _cookies(found)
    return [
        (b"host", f"127.0.0.1:{port}".encode()),
        *kept,
        *([(b"cookie", cookies)] if cookies else []),
        *[
            (name, inside.encode() + value.removeprefix(origin.encode()))
            for name, value in found
            if name in (b"origin", b"referer") and _is_of(value.decode("latin-1"), origin)
        ],
    ]


def socket_headers(raw: Iterable[tuple[bytes, bytes]], origin: str, port: int) -> Headers:
    """The same for a WebSocket, without what its client writes itself."""
    headers = request_headers(raw, origin, port)
    return [(name, value) for name, value in headers if name not in _SOCKET and name != b"host"]


def forwarded(origin: str, client: str | None) -> Headers:
    """What tells an app how it is reached, from us and nobody else."""
    scheme, _, host = origin.partition("://")
    told = [(b"x-forwarded-proto", scheme.encode()), (b"x-forwarded-host", host.encode())]
    return [*told, (b"x-forwarded-for", client.encode())] if client else told


def answer_headers(raw: Iterable[tuple[bytes, bytes]], port: int, *, private: bool) -> Headers:
    """What a browser hears of an app's answer.

    private: pages of other origins may not take it in, and no cache on the way may keep it.
    """
    found = [(name.lower(), value) for name, value in raw]
    named = _named(found)
    kept = [
        (name, value)
        for name, value in found
        if name not in _UNHEARD
        and name not in named
        and not name.startswith((b"x-taskyard-", b"x-coder-"))
    ]
    kept += [(b"set-cookie", c) for n, v in found if n == b"set-cookie" and (c := _set_cookie(v))]
    kept += [(b"location", _location(v, port)) for n, v in found if n == b"location"]
    return _for_one_reader(kept) if private else kept


def _for_one_reader(headers: Headers) -> Headers:
    """The headers of an answer that nobody else may be given."""
    said = [word for name, v in headers if name == b"cache-control" for word in v.split(b",")]
    words = [word.strip().lower() for word in said] if said else [b"no-cache"]
    kept = [
        (name, value)
        for name, value in headers
        if name != b"cross-origin-resource-policy" and not name.endswith(_SHARED_CACHES)
    ]
    words = [b"private", *(word for word in words if _CACHE_WORD.fullmatch(word))]
    own = (b"cross-origin-resource-policy", b"same-origin")
    return [*kept, own, (b"cache-control", b", ".join(words))]


def without_token(query: bytes) -> bytes:
    """A query less a session token, which some clients send there."""
    parts = query.split(b"&")
    return b"&".join(p for p in parts if p.partition(b"=")[0] != SESSION_COOKIE.encode())


def _named(headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    """The headers that Connection says are of this connection only."""
    values = [value for name, value in headers if name == b"connection"]
    return {part.strip().lower() for value in values for part in value.split(b",")}


def _cookies(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The browser's cookies that are the app's own."""
    pairs = [part.strip() for n, v in headers if n == b"cookie" for part in v.split(b";")]
    return b"; ".join(pair for pair in pairs if pair and not _is_ours(pair))


def _is_ours(pair: bytes) -> bool:
    name = pair.partition(b"=")[0].strip().decode("latin-1")
    return name.lower() in {cookie.lower() for cookie in OUR_COOKIES}


def _set_cookie(value: bytes) -> bytes:
    """A cookie for this host name and no other; empty for one of ours, or that has no name."""
    pair, *attributes = (part.strip() for part in value.split(b";"))
    # Browsers take what has no "=" for a value without a name, and send it as if it were both.
    if not pair.partition(b"=")[1] or not pair.partition(b"=")[0].strip() or _is_ours(pair):
        return b""
    kept = [a for a in attributes if a.partition(b"=")[0].strip().lower() != b"domain"]
    return b"; ".join([pair, *kept])


def _location(value: bytes, port: int) -> bytes:
    """Where a browser is sent: on its own loopback the app means itself."""
    try:
        parts = urlsplit(value.decode("latin-1"))
        is_self = parts.hostname in LOOPBACK and (parts.port or 80) == port
    except ValueError:
        return value
    if not is_self or parts.scheme not in ("http", ""):
        return value
    rest = value.decode("latin-1").partition("//")[2]
    path = "/" + rest.partition("/")[2].lstrip("/") if "/" in rest else "/"
    return path.encode("latin-1")


def _is_of(address: str, origin: str) -> bool:
    return address == origin or address.startswith(f"{origin}/")
