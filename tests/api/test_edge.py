"""What surrounds every route: names, verbs, pages of other origins, versions, ids and the log."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import product
from uuid import UUID

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route as HttpRoute
from structlog.testing import capture_logs
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from taskyard.control.services import Services
from taskyard.server import headers
from taskyard.server.edge import Edge
from taskyard.wire.base import NIL_UUID
from taskyard.wire.routes import ROUTES, Body
from taskyard.wire.transcript import LAST_EVENT_ID
from tests.api.edge_kit import ask, edged, listening, say
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

PAGE = "https://page.example.com"
PATHS = sorted(
    {
        re.sub(r"\{\w+\}", str(NIL_UUID), path)
        for route in ROUTES
        if route.response is not Body.WEBSOCKET
        for path in route.paths
    }
)


async def test_names_that_are_answered(services: Services) -> None:
    """Addresses, this machine, and the name that people use."""
    async with edged(services, access_url="https://yard.example.com") as port:
        for host in (
            "127.0.0.1",
            "[::1]:80",
            "localhost:9",
            "LOCALHOST",
            "a.localhost",
            "192.0.2.7:1",
            "yard.example.com",
        ):
            assert (await ask(port, "GET", "/healthz", {"Host": host})).status == 200


async def test_other_names_are_refused(services: Services) -> None:
    """A name that an attacker points here is 421, for pages and for WebSockets; settings add names."""
    async with edged(services, allowed_hosts=("yard.lan", "*.yard.lan")) as port:
        refused = await ask(port, "GET", "/healthz", {"Host": "rebound.example.com"})
        assert refused.reason == (421, "unknown_host")
        assert b"--allowed-hosts" in refused.body
        assert (await ask(port, "GET", "/healthz", {"Host": "notyard.lan"})).status == 421
        for host in ("yard.lan", "Yard.Lan.:80", "x.y.yard.lan"):
            assert (await ask(port, "GET", "/healthz", {"Host": host})).status == 200
        upgrade = {
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "a" * 22 + "==",
        }
        head = "".join(f"{k}: {v}\r\n" for k, v in upgrade.items())
        raw = f"GET /x HTTP/1.1\r\nHost: rebound.example.com\r\nConnection: Upgrade\r\n{head}\r\n"
        reply = await say(port, raw.encode(), end=True)
        assert reply is not None
        assert reply.status == 421


async def test_any_name(services: Services) -> None:
    """`*` switches the check off."""
    async with edged(services, allowed_hosts=("*",)) as port:
        assert (await ask(port, "GET", "/healthz", {"Host": "whatever.example"})).status == 200


async def test_broken_names(services: Services) -> None:
    """No name, two names and what is none are 400; HTTP 1.0 knows no names."""
    async with edged(services) as port:
        for host in ("", "a b", "a/b", "a@b", "[::1", "a:b", "a\r\nHost: b"):
            assert (await ask(port, "GET", "/healthz", {"Host": host})).reason == (
                400,
                "invalid_host",
            )
            old = await say(port, b"GET /healthz HTTP/1.0\r\n\r\n")
            assert old is not None
            assert old.status == 200


async def test_every_path_says_what_it_takes(services: Services) -> None:
    """OPTIONS is 204 with the methods, another verb 405 with the same, HEAD is GET without a body."""
    async with edged(services) as port:
        for path in PATHS:
            options = await ask(port, "OPTIONS", path)
            assert (options.status, options.body) == (204, b""), path
            allowed = options.headers["allow"].split(", ")
            assert {"OPTIONS", *expected(path)} == set(allowed), path
            assert "access-control-allow-methods" not in options.headers
            wrong = next(m for m in ("PATCH", "DELETE", "PUT", "POST", "TRACE") if m not in allowed)
            refused = await ask(port, wrong, path)
            assert refused.reason == (405, "no_method"), path
            assert refused.headers["allow"] == options.headers["allow"]
            if "GET" in allowed:
                got, head = await ask(port, "GET", path), await ask(port, "HEAD", path)
                assert (head.status, head.body) == (got.status, b""), path
                for name in ("content-type", "content-length", "x-taskyard-reason"):
                    assert head.headers.get(name) == got.headers.get(name), path


def expected(path: str) -> set[str]:
    """The methods of every route that has this path."""
    found: set[str] = set()
    for route in ROUTES:
        for pattern in route.paths:
            if route.response is Body.WEBSOCKET:
                continue
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path):
                found |= {route.method} | ({"HEAD"} if route.method == "GET" else set())
    return found


async def test_unknown_routes(services: Services) -> None:
    """404 with an error body, whatever the verb, also for a WebSocket. Source: tasks-api 1."""
    async with edged(services) as port:
        for path in (
            "/nothing",
            "/api",
            "/api/v3",
            "/api/v2/nothing",
            "/api/experimental/x",
            "/api/v2/tasks/a/b/c/d",
        ):
            for method in ("GET", "POST", "OPTIONS", "DELETE"):
                assert (await ask(port, method, path)).reason == (404, "no_route")
            with pytest.raises(InvalidStatus) as refused:
                async with connect(f"ws://127.0.0.1:{port}{path}", proxy=None):
                    pass
            assert refused.value.response.status_code == 404


async def test_what_every_answer_carries(services: Services) -> None:
    """The version clients know, our own, and an id that no two answers share. Source: supporting-api 1."""
    async with edged(services) as port:
        replies = [
            await ask(port, *request)
            for request in (
                ("GET", "/healthz"),
                ("GET", "/nothing"),
                ("GET", "/api/v2/tasks"),
                ("TRACE", "/api/v2"),
                ("OPTIONS", "/api/v2"),
            )
        ]
        bad = await say(port, b"not http\r\n\r\n")
        assert bad is not None
        assert bad.reason == (400, "invalid_http")
    for reply in [*replies, bad]:
        assert reply.headers["x-coder-build-version"] == "v2.34.0"
        assert reply.headers["x-taskyard-version"]
        assert reply.headers["x-content-type-options"] == "nosniff"
    assert len({reply.headers["x-taskyard-request-id"] for reply in replies}) == len(replies)


async def test_build_info(services: Services) -> None:
    """Every key that clients decode, with the version that they compare. Source: supporting-api 1."""
    async with edged(services, access_url="https://yard.example.com") as port:
        reply = await ask(port, "GET", "/api/v2/buildinfo")
    info = msgspec.json.decode(reply.body)
    assert {key: type(value) for key, value in info.items()} == {
        "external_url": str,
        "version": str,
        "dashboard_url": str,
        "telemetry": bool,
        "workspace_proxy": bool,
        "agent_api_version": str,
        "provisioner_api_version": str,
        "upgrade_message": str,
        "deployment_id": str,
    }
    assert info["version"] == "v2.34.0"
    assert info["dashboard_url"] == "https://yard.example.com"
    assert UUID(info["deployment_id"]) == services.deployment_id


async def test_pages_of_other_origins(services: Services) -> None:
    """They may read nothing, unless their origin is in the settings; then without anybody's cookies."""
    ask_first = {"Origin": PAGE, "Access-Control-Request-Method": "GET"}
    async with edged(services) as port:
        for method in ("GET", "OPTIONS"):
            reply = await ask(port, method, "/api/v2/buildinfo", ask_first)
            assert "access-control-allow-origin" not in reply.headers
        refused = await ask(port, "POST", "/api/v2/users/login", {"Origin": PAGE}, b"{}")
        assert refused.reason == (403, "forbidden")
    async with edged(services, cors_origins=(PAGE,)) as port:
        preflight = await ask(port, "OPTIONS", "/api/v2/tasks", ask_first)
        assert preflight.status == 204
        assert preflight.headers["access-control-allow-origin"] == PAGE
        assert "GET" in preflight.headers["access-control-allow-methods"]
        taken = preflight.headers["access-control-allow-headers"].split(", ")
        assert {"Coder-Session-Token", "Idempotency-Key", LAST_EVENT_ID} <= set(taken)
        assert "access-control-allow-credentials" not in preflight.headers
        for path in ("/api/v2/buildinfo", "/api/v2/tasks", "/nothing"):
            reply = await ask(port, "GET", path, {"Origin": PAGE})
            assert reply.headers["access-control-allow-origin"] == PAGE
            assert reply.headers["vary"] == "Origin"
        other = await ask(port, "GET", "/api/v2/buildinfo", {"Origin": "https://page.example.org"})
        assert "access-control-allow-origin" not in other.headers
        assert other.headers["vary"] == "Origin"
        assert (
            await ask(port, "POST", "/api/v2/users/login", {"Origin": PAGE}, b"{}")
        ).status != 403


ORIGINS = {
    "https://yard.example.com": 401,
    "http://yard.example.com": 403,
    "https://yard.example.com.evil.example": 403,
    "null": 403,
    "": 401,
}


async def test_our_own_pages(services: Services) -> None:
    """Behind a proxy a page of ours has the access URL's origin, whatever the proxy makes of the host."""
    async with edged(services, access_url="https://yard.example.com") as port:
        for host, (origin, status) in product(("127.0.0.1:1", "yard.example.com"), ORIGINS.items()):
            headers = {"Host": host, "Origin": origin}
            body = b'{"email":"a@example.com","password":"b"}'
            assert (await ask(port, "POST", "/api/v2/users/login", headers, body)).status == status


async def test_a_page_for_people(services: Services) -> None:
    """`/` says what this is and where its API is; it runs and loads nothing."""
    async with edged(services) as port:
        page = await ask(port, "GET", "/")
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-security-policy"] == headers.POLICY
    assert f"taskyard login http://127.0.0.1:{port}".encode() in page.body
    assert b"<script" not in page.body
    assert b"WITHOUT WALLS" not in page.body


async def test_the_page_for_people_says_that_there_are_no_walls(services: Services) -> None:
    """Where whoever runs the server allowed workspaces without walls, `/` says so."""
    async with edged(replace(services, unconfined=True)) as port:
        page = await ask(port, "GET", "/")
    assert b"WITHOUT WALLS" in page.body


async def test_slashes(services: Services) -> None:
    """Doubled slashes and one at the end make no difference. Source: wire 12."""
    async with edged(services) as port:
        for target in ("/healthz/", "//healthz", "/healthz//", "//api//v2/buildinfo/"):
            assert (await ask(port, "GET", target)).status == 200


async def test_one_line_of_log_a_request(services: Services) -> None:
    """With the pattern of the route, never its path or its query: tokens and names may be in them."""
    secret = "aaaaaaaaaa-" + "b" * 22
    with capture_logs() as lines:
        async with edged(services) as port:
            target = f"/api/v2/tasks/me/hunter2?coder_session_token={secret}"
            reply = await ask(
                port, "GET", target, {"X-Request-Id": "client-7", "Traceparent": "junk"}
            )
            await ask(port, "GET", "/nothing/hunter2")
            await ask(port, "BREW", "/healthz")
    [line, unknown, *_] = [line for line in lines if line["event"] == "request.served"]
    assert line["route"] == "/api/v2/tasks/{user}/{task}"
    assert (line["method"], line["status"], line["ip"]) == ("GET", 401, "127.0.0.1")
    assert line["ms"] >= 0
    assert (unknown["route"], unknown["status"]) == ("-", 404)
    assert reply.headers["x-taskyard-request-id"]
    assert secret not in str(lines)
    assert "hunter2" not in str(lines)


async def test_what_a_proxy_says(services: Services) -> None:
    """Client, scheme and host of a trusted proxy count; anybody else's are not looked at."""
    says = {
        "X-Forwarded-For": "198.51.100.1, 203.0.113.9, 10.0.0.3",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "yard.example.com",
        "Host": "127.0.0.1",
    }
    for proxies, ip, url in (
        ((), "127.0.0.1", "http://127.0.0.1"),
        (("192.0.2.0/24",), "127.0.0.1", "http://127.0.0.1"),
        (("127.0.0.0/8", "10.0.0.0/8"), "203.0.113.9", "https://yard.example.com"),
    ):
        with capture_logs() as lines:
            async with edged(
                services, trusted_proxies=proxies, allowed_hosts=("yard.example.com",)
            ) as port:
                reply = await ask(port, "GET", "/api/v2/buildinfo", says)
        [line] = [line for line in lines if line["event"] == "request.served"]
        assert line["ip"] == ip
        assert f'"dashboard_url":"{url}"'.encode() in reply.body


async def test_cookies_of_a_private_line(services: Services) -> None:
    """`Secure` where a trusted proxy says that the browser came by https; nobody else can make it so."""
    person = {"email": "ada@example.com", "password": "a long enough one"}
    first = msgspec.json.encode({**person, "username": "ada"})
    said = {"X-Forwarded-Proto": "https"}
    for proxies, is_secure in (((), False), (("127.0.0.1",), True)):
        async with edged(services, trusted_proxies=proxies) as port:
            await ask(port, "POST", "/api/v2/users/first", body=first)
            body = msgspec.json.encode(person)
            reply = await ask(port, "POST", "/api/v2/users/login", said, body)
        assert reply.status == 201
        assert ("; Secure" in reply.headers["set-cookie"]) is is_secure


async def test_head_of_what_never_ends() -> None:
    """Only the head is sent, and the handler is let go."""
    ended = asyncio.Event()

    async def ticks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"tick"
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    async def watch(_request: Request) -> StreamingResponse:
        return StreamingResponse(ticks(), media_type="text/event-stream")

    async with listening(Edge(Starlette(routes=[HttpRoute("/watch", watch)]))) as port:
        async with asyncio.timeout(DEADLINE_S):
            reply = await ask(port, "HEAD", "/watch")
            await ended.wait()
    assert (reply.status, reply.body) == (200, b"")
