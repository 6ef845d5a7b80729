"""Writes the generated reference pages from the code they describe; `./yard docs` runs it.

With --check it writes nothing and exits 1 when a page is stale.
"""

import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import get_args, get_origin

from taskyard.wire.routes import ROUTES, Auth, Body, Route

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "http.md"

HEAD = """\
# HTTP endpoints

This page is made from `src/taskyard/wire/routes.py` by `./yard docs`. Each line is one endpoint: what
it takes and gives are the names of its Structs in `src/taskyard/wire/`. Every path below
`/api/v2/tasks` is also served below `/api/experimental/tasks`.

A request carries the token of a session or of an agent; *none* means that anybody may ask.
"""

AUTH = {Auth.NONE: "none", Auth.SESSION: "session", Auth.AGENT: "agent"}


def page(routes: Iterable[Route]) -> str:
    """The whole page as Markdown, one table for each group of routes, in their order."""
    parts = [HEAD]
    for tag, group in groupby(routes, key=lambda route: route.tags[0]):
        parts.append(f"\n## {tag[0].upper()}{tag[1:]}\n\n")
        parts.append("| Endpoint | What it does | Token | Takes | Gives |\n|---|---|---|---|---|\n")
        parts.extend(f"{row(route)}\n" for route in group)
    return "".join(parts)


def row(route: Route) -> str:
    """One line of a table."""
    takes = [shape(route.request)] if route.request is not None else []
    takes += [f"query {shape(route.query)}"] if route.query is not None else []
    gives = f"{route.status}" + (f" {shape(route.response)}" if route.response is not None else "")
    socket = (
        "; also as WebSocket" if route.websocket and route.response is not Body.WEBSOCKET else ""
    )
    cells = (
        f"`{route.method} {route.path}`",
        route.summary,
        AUTH[route.auth],
        ", ".join(takes),
        gives + socket,
    )
    return f"| {' | '.join(cells)} |"


def shape(kind: type | Body) -> str:
    """The name of a body or query, for a reader."""
    match kind:
        case Body.NULL:
            return "`null`"
        case Body.BYTES:
            return "bytes"
        case Body.WEBSOCKET:
            return "WebSocket"
    if get_origin(kind) is list:
        return f"list of {shape(get_args(kind)[0])}"
    return f"`{kind.__name__}`"


def main(arguments: list[str]) -> int:
    """The exit status: 1 when --check finds a stale page."""
    text = page(ROUTES)
    if arguments == ["--check"]:
        return int(not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text)
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
