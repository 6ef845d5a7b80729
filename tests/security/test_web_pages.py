"""What browsers are told by every answer, and that pages of other origins cannot act by somebody's cookie."""

import re
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from taskyard.control.services import Services
from taskyard.server.headers import DEFAULTS, POLICY
from taskyard.wire.base import NIL_UUID
from taskyard.wire.routes import ROUTES, Auth
from tests.api.conftest import serving
from tests.api.edge_kit import ask, edged
from tests.api.seed import Api, connected
from tests.api.sweep import DOORS

pytestmark = pytest.mark.anyio

PAGES = {"/", "/api/docs"}
"""Paths with a page, whose policies are their own or the strict one."""

SOCKETS = [door for door in DOORS if door.is_socket and door.auth is Auth.SESSION]


@pytest.fixture
async def api(services: Services) -> AsyncIterator[Api]:
    """A running server without workers."""
    async with serving(services) as url, connected(services, url) as connection:
        yield connection


@pytest.mark.attack(
    "an answer shown in a frame, run as a page, kept in a cache or read by another page",
    wall="headers on every answer of every route",
)
async def test_every_answer_says_what_it_is(services: Services) -> None:
    """Each route, error and page tells browsers: no frame, no guess of its type, no cache, no referrer, no script."""
    targets = {re.sub(r"\{\w+\}", str(NIL_UUID), route.path) for route in ROUTES}
    asked = [("GET", target) for target in sorted(targets | PAGES | {"/nowhere", "/api/v2/%ff"})]
    asked += [("OPTIONS", "/api/v2/tasks"), ("DELETE", "/healthz"), ("HEAD", "/api/v2/tasks")]
    async with edged(services) as port:
        for method, target in asked:
            answer = await ask(port, method, target)
            for name, value in DEFAULTS:
                said = answer.headers[name.decode()]
                if target in PAGES and name == b"content-security-policy":
                    assert "default-src 'none'" in said
                    assert "frame-ancestors 'none'" in said
                    assert "unsafe" not in said
                else:
                    assert said == value.decode(), (target, name)
            assert answer.headers["x-content-type-options"] == "nosniff", target
            assert "strict-transport-security" not in answer.headers
        assert (await ask(port, "GET", "/", {"Host": "evil.example"})).headers[
            "content-security-policy"
        ] == POLICY


@pytest.mark.attack("a visitor lured to plain http", wall="Strict-Transport-Security over https")
async def test_https_is_asked_for_again(services: Services) -> None:
    """Over https, also where a proxy ends it, browsers are told to come by nothing else; names below are left alone."""
    async with edged(services, trusted_proxies=("127.0.0.1",)) as port:
        answer = await ask(port, "GET", "/healthz", {"X-Forwarded-Proto": "https"})
        assert answer.headers["strict-transport-security"].startswith("max-age=")
        assert "includeSubDomains" not in answer.headers["strict-transport-security"]


@pytest.mark.attack(
    "a page of another origin that opens a WebSocket with its reader's cookie",
    wall="Origin is checked before a WebSocket is let in",
)
async def test_foreign_pages_open_no_web_socket(api: Api) -> None:
    """Each WebSocket of the table is refused to a foreign page, and only for that."""
    cookie = {"Cookie": f"coder_session_token={api.owner.token}"}
    for door in SOCKETS:
        url = f"ws{api.url.removeprefix('http')}{door.target}"
        found = []
        for origin in (
            "http://evil.example",
            "null",
            api.url.replace("127.0.0.1", "x.localhost"),
            api.url,
        ):
            with pytest.raises(InvalidStatus) as refused:
                async with connect(
                    url, additional_headers={**cookie, "Origin": origin}, proxy=None
                ):
                    pass
            found.append(refused.value.response.status_code)
        assert found[:3] == [403, 403, 403], door
        assert found[3] in (400, 404), door


@pytest.mark.attack(
    "a page of another origin, an app's among them, that changes something with its reader's cookie",
    wall="Origin and Sec-Fetch-Site are checked; nothing is shared with other origins",
)
async def test_foreign_pages_change_nothing(api: Api) -> None:
    """Each route that is no GET is refused by its origin; what is read, another page cannot read."""
    cookie = {"Cookie": f"coder_session_token={api.owner.token}", "Coder-Session-Token": ""}
    foreign = (
        {"Origin": "http://shell--x.localhost:7081"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
    )
    for route in ROUTES:
        if route.auth is not Auth.SESSION:
            continue
        target = re.sub(r"\{\w+\}", str(NIL_UUID), route.path)
        for marks in foreign:
            if route.method != "GET":
                answer = await api.call(route.method, target, {}, headers={**cookie, **marks})
                assert answer.status_code == 403, (route.operation, marks)
    for path in ("/api/v2/tasks", "/api/v2/users/me"):
        answer = await api.call("GET", path, headers={**cookie, **foreign[0]})
        assert answer.status_code == 200
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
