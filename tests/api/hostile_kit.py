"""Input that no honest client sends, for every route: paths, queries, bodies, tokens."""

import re

from taskyard.server.handlers import HANDLERS
from taskyard.wire.routes import ROUTES, Body, Route

SEGMENTS = (
    "%00",
    "a%00b",
    "%ff%fe",
    "%ed%a0%80",
    "%F0%9F%99%82",
    "%2e%2e%2f%2e%2e",
    "me%0d%0aX-Bad:%201",
    "'%3B--",
    "%25",
    "99999999999999999999999999",
    "00000000-0000-0000-0000-000000000000",
    "{00000000-0000-0000-0000-000000000000}",
    "urn:uuid:zz",
    "x" * 5000,
)
"""Segments of a path, encoded."""

VALUES = (
    "%00",
    "%ff",
    "%ed%a0%80",
    "x" * 5000,
    "-1",
    "99999999999999999999999999",
    "1e400",
    "NaN",
    "%D9%A1",
    "0001-01-01T00:00:00-23:59",
    "9999-12-31T23:59:59-23:59",
    "owner:%00",
    "owner:me status:active name:%25 organization:%ff",
    "last_used_after:9999-12-31T23:59:59-23:59",
    "%22:::%22%22",
    "search:%25%25 name:_ author:%00 author_id:x",
    "github_com_user_id:999999999999999999",
)
"""Values of a query, encoded."""

MORE_KEYS = {
    "q": ("list_templates", "list_workspaces"),
    "after": ("get_template_version_logs", "get_workspace_agent_logs"),
    "before": ("get_workspace_agent_logs",),
    "after_id": ("list_template_versions", "list_workspace_builds"),
    "since": ("list_workspace_builds",),
    "format": ("get_template_version_logs", "get_file"),
    "include_deleted": ("get_workspace",),
    "expect_status": ("list_workspace_builds",),
}
"""Keys of queries that some routes read one by one, beside those that the table of routes names."""

DEEP = 100_000

BODIES = (
    b"",
    b"\x00",
    b"\xff\xfe\x00",
    b"null",
    b"[]",
    b"1e999",
    b'"\\ud800"',
    b'{"input":' + b"9" * 5000 + b"}",
    b'{"input":NaN}',
    b'{"input":"\\u0000"}',
    b"\xef\xbb\xbf{}",
    b'{"a":"\xed\xa0\x80"}',
    b'{"a":"\xc0\xaf"}',
    b'{"a":1,"a":{"a":2},"A":3}',
    b"-" + b"9" * 400,
    b"{}" + b"}" * 1000,
    b'{"a":' + b"1" * 400 + b"e" + b"9" * 400 + b"}",
    b'{"\\ud800":"\\udc00"}',
)
"""Bodies that fit no request."""

LARGE = (b"[" * DEEP, b'{"a":' * DEEP, b"[" + b"0," * 30_000 + b"0]", b'{"a":"' + b"y" * 9_000_000)
"""Bodies that take long to look at, for a route of each kind: all read theirs by one function."""

TEXTS = (
    b'"\\ud800"',
    b'"\\u0000"',
    b'"' + b"y" * 70_000 + b'"',
    b'"  \\u202e\\ufeff  "',
    b"99999999999999999999999999999",
    b"-9223372036854775808",
    b"9223372036854775807",
    b"1e308",
    b"true",
    b"null",
    b"{}",
    b"[null]",
    b"[[]]",
    b'"9999-12-31T23:59:59-23:59"',
    b'"00000000-0000-0000-0000-000000000000"',
)
"""JSON values for each field of a request in turn."""

TOKENS = (
    "%00aaaaaaaaa-" + "b" * 22,
    "%ed%a0%80",
    "%ff" * 33,
    "-",
    "aaaaaaaaaa-" + "%00" * 22,
    "%F0%9F%99%82" * 10 + "-" + "b" * 22,
    "00000000-0000-0000-0000-000000000000",
    "x" * 5000,
)
"""Tokens as they stand in a query, encoded."""

ANSWERING = [route for route in ROUTES if route.operation in HANDLERS]
"""Routes that take plain requests."""


def targets(route: Route) -> list[str]:
    """The route's paths with a hostile segment for each parameter, the others being `me`."""
    names = re.findall(r"\{(\w+)\}", route.path)
    found = []
    for nasty in names:
        for segment in SEGMENTS:
            path = route.path
            for name in names:
                path = path.replace(f"{{{name}}}", segment if name == nasty else "me")
            found.append(path)
    return found


def keys_of(route: Route) -> set[str]:
    """The query keys that a route reads."""
    named = getattr(route.query, "__struct_encode_fields__", ())
    return {*named, *(key for key, readers in MORE_KEYS.items() if route.operation in readers)}


def queries() -> list[tuple[Route, str]]:
    """Routes with a hostile query each."""
    return [
        (route, query)
        for route in ANSWERING
        if "GET" in route.method
        for key in sorted(keys_of(route))
        for query in (
            *(f"{key}={value.replace(' ', '+')}" for value in VALUES),
            f"{key}=1&{key}=x&{key}=",
            f"{key}",
            f"{key}[]=1&{key}%00=2&{key.upper()}=3",
        )
    ]


def bodies(route: Route, third: int = 0) -> list[bytes]:
    """Hostile bodies for a route that takes one: a third of them, so that each kind meets some field of it."""
    if route.request is None or route.request in set(Body):
        return []
    assert isinstance(route.request, type)
    names = [f.encode() for f in getattr(route.request, "__struct_encode_fields__", ())]
    # Each sign-in that can be read costs a slow hash.
    texts = TEXTS[:2] if route.operation == "login" else TEXTS
    fields = [b'{"%s":%s}' % (name, text) for name in names for text in texts]
    return [*BODIES, *fields][third::3]
