"""Whatever is sent, the answer says what is wrong with it: never a 500, never a stack trace."""

import asyncio
import contextlib
import re
from collections.abc import Sequence

import pytest

from taskyard.wire.base import NIL_UUID
from taskyard.wire.routes import ROUTES, Auth, Body, Route
from tests.api.agent_seat import AgentSeat, started
from tests.api.hostile_kit import ANSWERING, LARGE, TOKENS, bodies, queries, targets
from tests.api.seed import Api

pytestmark = pytest.mark.anyio


async def tried(api: Api, token: str, method: str, target: str, body: bytes | None) -> str | None:
    """What is wrong with the answer to a request, if anything is."""
    if body is None:
        status, answer = await asked(api, token, method, target)
    else:
        headers = {"Coder-Session-Token": token} if token else {}
        response = await api.client.request(method, target, content=body, headers=headers)
        status, answer = response.status_code, response.content
    fine = (200 <= status < 500 or status == 502) and b"Traceback" not in answer
    return None if fine else f"{method} {target[:120]} {(body or b'')[:60]!r}: {answer[:300]!r}"


async def asked(api: Api, token: str, method: str, target: str) -> tuple[int, bytes]:
    """Status, 0 for no answer, and all of an answer to a request whose target is sent as it stands.

    Of a stream of events, which may have no end, all that is read is its head.
    """
    head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    if token:
        head += f"Coder-Session-Token: {token}\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", int(api.url.rpartition(":")[2]))
    writer.write(head.encode() + b"\r\n")
    answer = b""
    with contextlib.suppress(asyncio.IncompleteReadError):
        answer = await reader.readuntil(b"\r\n\r\n")
    if b"text/event-stream" not in answer:
        answer += await reader.read()
    writer.close()
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0, answer


async def check(api: Api, token: str, requests: Sequence[tuple[str, str, bytes | None]]) -> None:
    """Nothing when every request gets a proper answer."""
    wrong = [
        w
        for method, target, body in requests
        if (w := await tried(api, token, method, target, body))
    ]
    assert not wrong, "\n".join(wrong)


def filled(route: Route, seat: AgentSeat) -> str:
    """The route's path with parameters that lead as far into it as one seeded task can."""
    task = seat.task
    known = {
        "task": task["id"],
        "workspace": task["workspace_id"],
        "agent": str(seat.agent_id),
        "template": task["template_id"],
        "version": task["template_version_id"],
        "organization": "default",
        "user": "me",
    }
    return re.sub(r"\{(\w+)\}", lambda m: known.get(m[1], str(NIL_UUID)), route.path)


@pytest.mark.attack("Any segment of a path is anything", wall="4xx with an error body, never a 500")
async def test_paths(api: Api) -> None:
    """A segment of a path may be anything."""
    for auth in Auth:
        token = await token_for(api, auth)
        routes = [route for route in ANSWERING if route.auth is auth]
        await check(api, token, [(r.method, t, None) for r in routes for t in targets(r)])


@pytest.mark.attack("Any value of a query is anything", wall="4xx with an error body, never a 500")
async def test_queries(api: Api) -> None:
    """A value of a query may be anything, for every key that any route reads."""
    seat = await started(api)
    requests = [("GET", f"{filled(route, seat)}?{query}", None) for route, query in queries()]
    await check(api, api.owner.token, requests)


@pytest.mark.parametrize(
    "third", [0, *(pytest.param(other, marks=pytest.mark.all_tier) for other in (1, 2))]
)
@pytest.mark.attack(
    "Any field of any body is anything: huge, deep, doubled, of another type",
    wall="one reader of bodies with limits of size, depth and number",
)
async def test_bodies(api: Api, third: int) -> None:
    """A body may be anything, and so may each of its fields."""
    seat = await started(api)
    for auth in Auth:
        token = seat.token if auth is Auth.AGENT else await token_for(api, auth)
        routes = [route for route in ANSWERING if route.auth is auth]
        await check(
            api,
            token,
            [(r.method, filled(r, seat), body) for r in routes for body in bodies(r, third)],
        )
        taker = next(r for r in routes if bodies(r))
        await check(api, token, [(taker.method, filled(taker, seat), body) for body in LARGE])


async def test_tokens(api: Api) -> None:
    """A token in a query may be anything, for users and for agents, also with a WebSocket."""
    paths = ("/api/v2/tasks", "/api/v2/workspaceagents/me/log-source")
    await check(
        api,
        "",
        [
            ("POST" if "me" in path else "GET", f"{path}?coder_session_token={token}", b"{}")
            for path in paths
            for token in TOKENS
        ],
    )


async def test_bytes_in_a_template(api: Api) -> None:
    """An upload may be anything."""
    for kind in ("application/x-tar", "application/zip"):
        for content in (
            b"",
            b"\0" * 2048,
            b"PK\x05\x06" + b"\0" * 18,
            b"PK\x03\x04" + b"\xff" * 90,
        ):
            answer = await api.call(
                "POST", "/api/v2/files", content=content, headers={"Content-Type": kind}
            )
            assert answer.status_code < 500, answer.text


async def token_for(api: Api, auth: Auth) -> str:
    """A good token of the kind that a route asks for."""
    match auth:
        case Auth.NONE:
            return ""
        case Auth.SESSION:
            return api.owner.token
        case Auth.AGENT:
            return (await started(api)).token


def test_the_tables_reach_every_route() -> None:
    """The routes here are those that answer plain requests."""
    plain = {r.operation for r in ROUTES if r.response is not Body.WEBSOCKET}
    assert {r.operation for r in ANSWERING} == plain
