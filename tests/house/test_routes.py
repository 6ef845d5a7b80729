"""That the table of endpoints is sound, and every endpoint has what an endpoint needs."""

import re
from collections import Counter
from collections.abc import Iterable

import pytest

from taskyard.sdk.aio.client import AsyncClient
from taskyard.sdk.client import Client
from taskyard.server.handlers import HANDLERS, SOCKETS
from taskyard.wire.routes import BY_OPERATION, ROUTES, Body, Route
from tests.api.sweep import DOORS, OPEN
from tests.house.tree import ROOT

PAGE = ROOT / "docs" / "reference" / "http.md"

UNDOCUMENTED: frozenset[str] = frozenset()
"""Operations that the page of endpoints does not show yet. This list only shrinks."""

UNHANDLED: frozenset[str] = frozenset()
"""Operations that no handler serves yet. This list only shrinks."""

UNCALLED: frozenset[str] = frozenset()
"""Operations that the clients have no method for yet. This list only shrinks."""

UNSWEPT: frozenset[str] = frozenset()
"""Operations that nobody tries without a token yet. This list only shrinks."""


def test_every_route_is_documented() -> None:
    """Each operation stands in docs/reference/http.md, but for the listed ones."""
    page = PAGE.read_text(encoding="utf-8")
    missing = {
        route.operation for route in ROUTES if f"| `{route.method} {route.path}` |" not in page
    }
    assert missing == UNDOCUMENTED


def test_every_route_has_a_handler() -> None:
    """Each operation is served, as HTTP, as WebSocket or as both, as the table says; nothing else is."""
    http = {route.operation for route in ROUTES if route.response is not Body.WEBSOCKET}
    sockets = {route.operation for route in ROUTES if route.websocket}
    assert (http - set(HANDLERS)) | (sockets - set(SOCKETS)) == UNHANDLED
    assert set(HANDLERS) <= http
    assert set(SOCKETS) <= sockets


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_every_route_has_a_method(client: type) -> None:
    """Each operation is a method of the client, but for the listed ones."""
    assert {name for name in BY_OPERATION if not callable(getattr(client, name, None))} == UNCALLED


def test_every_route_is_swept() -> None:
    """Each operation is tried without a token by tests/api, or is on its list of those that need none."""
    swept = {door.operation for door in DOORS}
    assert set(BY_OPERATION) - swept - OPEN == UNSWEPT
    assert not swept & OPEN


def test_operations_are_named_once() -> None:
    """No two routes share an operation, nor a method and path."""
    assert not doubles(route.operation for route in ROUTES)
    assert not doubles(f"{route.method} {path}" for route in ROUTES for path in route.paths)


def test_no_route_hides_another() -> None:
    """A path with a fixed word stands before one of the same form that has a parameter there."""
    hidden = [
        f"{later.path} is never reached: {earlier.path} stands before it"
        for place, later in enumerate(ROUTES)
        for earlier in ROUTES[:place]
        if earlier.method == later.method and covers(earlier, later)
    ]
    assert not hidden, "\n".join(hidden)


def covers(earlier: Route, later: Route) -> bool:
    """Whether every path of the later route is also one of the earlier."""
    pattern = re.sub(r"\{\w+\}", "[^/]+", earlier.path)
    return re.fullmatch(pattern, re.sub(r"\{\w+\}", "{}", later.path)) is not None


def doubles(names: Iterable[str]) -> list[str]:
    """What is there more than once."""
    return [name for name, times in Counter(names).items() if times > 1]
