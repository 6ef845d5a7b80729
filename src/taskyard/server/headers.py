"""What every answer tells browsers: that it is for our own pages, and what a page of ours may do. Nothing by accident."""

from typing import Final

from starlette.types import Scope

POLICY: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""What a page may do that says nothing itself: nothing. Answers of the API are no pages, whatever is in them."""

HSTS_S: Final = 180 * 24 * 3600
"""Seconds for which a browser that came by https comes by nothing else: half a year. Names below ours are not meant,
which may be somebody else's."""

DEFAULTS: Final = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)
"""What is said unless the answer says it itself. Nothing is kept by a cache: what is shown is somebody's."""

_HSTS: Final = (b"strict-transport-security", f"max-age={HSTS_S}".encode())


def defaults_for(scope: Scope, own: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """What is said beside an answer's own headers; browsers that came by https are told to come back by it."""
    named = {name.lower() for name, _ in own}
    found = [header for header in DEFAULTS if header[0] not in named]
    return [*found, _HSTS] if scope["scheme"] in ("https", "wss") else found
