"""That the table of endpoints is sound, and every endpoint has what an endpoint needs."""

import re
from collections import Counter
from collections.abc import Iterable

from taskyard.wire.routes import ROUTES, Route
from tests.house.tree import ROOT

PAGE = ROOT / "docs" / "reference" / "http.md"

UNDOCUMENTED: frozenset[str] = frozenset()
"""Operations that the page of endpoints does not show yet. This list only shrinks."""


def test_every_route_is_documented() -> None:
    """Each operation stands in docs/reference/http.md, but for the listed ones."""
    page = PAGE.read_text(encoding="utf-8")
    missing = {
        route.operation for route in ROUTES if f"| `{route.method} {route.path}` |" not in page
    }
    assert missing == UNDOCUMENTED


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
