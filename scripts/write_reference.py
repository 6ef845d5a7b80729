"""Writes the generated reference pages from the code they describe; `./yard docs` runs it.

With --check it writes nothing and exits 1 when a page is stale.
"""

import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import get_args, get_origin

from taskyard.wire.openapi import openapi_file
from taskyard.wire.routes import ROUTES, Auth, Body, Route

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "reference"

HEAD = """\
# HTTP endpoints

This page is made from `src/taskyard/wire/routes.py` by `./yard docs`. Each line is one endpoint: what
it takes and gives are the names of its Structs in `src/taskyard/wire/`. Every path below
`/api/v2/tasks` is also served below `/api/experimental/tasks`.

[openapi.json](openapi.json) says the same and more to programs; a server gives it at `/api/v2/openapi.json`.

A request carries the token of a session or of an agent; *none* means that anybody may ask.
"""

AUTH = {Auth.NONE: "none", Auth.SESSION: "session", Auth.AGENT: "agent"}


def pages() -> dict[str, bytes]:
    """Every generated file of the reference, by name."""
    return {"http.md": page(ROUTES).encode(), "openapi.json": openapi_file(ROUTES)}


def is_fresh(name: str, text: bytes) -> bool:
    """Whether the file holds this text already."""
    file = REFERENCE / name
    return file.exists() and file.read_bytes() == text


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
    if get_origin(kind) is dict:
        return "JSON object"
    if get_origin(kind) is list:
        return f"list of {shape(get_args(kind)[0])}"
    return f"`{kind.__name__}`"


def main(arguments: list[str]) -> int:
    """The exit status: 1 when --check finds a stale page."""
    if arguments == ["--check"]:
        return int(any(not is_fresh(name, text) for name, text in pages().items()))
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (REFERENCE / name).write_bytes(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
