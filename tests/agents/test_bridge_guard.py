"""Who may call the bridge: host names and origins, A1 to A5."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from starlette.responses import PlainTextResponse

from taskyard_agent.bridge.guard import BadEntry, Guard, host_names, origin_patterns
from taskyard_agent.bridge.listener import Listener
from taskyard_agent.bridge.port import bind
from tests.agents.bridge_kit import bridge, exchange

pytestmark = pytest.mark.anyio

ORIGIN = "http://localhost:3000"
PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type, X-CSRF-Token",
}
ALLOW = "Access-Control-Allow-"


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


@asynccontextmanager
async def guarded(hosts: list[str], origins: list[str]) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of an app behind a guard with these lists."""
    listening = bind(0)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    listener = Listener(Guard(PlainTextResponse("in"), hosts, origins), listening)
    await listener.start()
    async with aiohttp.ClientSession(url) as client:
        try:
            yield client
        finally:
            await listener.close(0)


async def test_A1_hosts(tmp_path: Path) -> None:
    """Only the names of the loopback are answered, on every route, whatever the port says."""
    fine = ["localhost:1", "LOCALHOST", "[::1]:3284", "[::1]", "127.0.0.1", "localhost:"]
    bad = ["example.com", "localhost.", "", "::1", "[::1]x", "[::1", "localhost:x", "localhost:1:2"]
    async with bridge(tmp_path) as client:
        for host in fine:
            async with client.get("/status", headers={"Host": host}) as answer:
                assert answer.status == 200, host
        for host in bad:
            for path in ("/status", "/nothing", "/", "/events", "/openapi.json"):
                answer = await client.get(path, headers={"Host": host, "Origin": ORIGIN})
                assert answer.status == 400, host
                assert answer.content_type == "text/plain"
                assert "Allowed hosts: localhost, 127.0.0.1, ::1" in await answer.text()
                assert not any(name.startswith(ALLOW) for name in answer.headers)


async def test_A1_no_host(tmp_path: Path) -> None:
    """A request without a Host is refused, in both versions of HTTP."""
    async with bridge(tmp_path) as client:
        for version in ("1.0", "1.1"):
            answer = await exchange(client, f"GET /status HTTP/{version}\r\n\r\n".encode())
            assert answer.startswith(b"HTTP/1.1 400 ")


def test_A2_allowed_hosts() -> None:
    """A list is names without ports, IPv6 in brackets; a star allows all and is not checked further."""
    assert host_names(["LocalHost", "[::1]"]) == frozenset({"localhost", "::1"})
    assert host_names(["a b", "*", "http://x"]) is None
    bad = ["", "a b", "a\tb", "a,b", "http://a", "https://a", "a:80", "::1", "[::1]:80", "[]", "[a"]
    for entries in ([], *([entry] for entry in bad)):
        with pytest.raises(BadEntry):
            host_names(entries)


def test_A3_D13_allowed_origins() -> None:
    """An entry is cut after its port and in lower case; without a scheme it stops the start."""
    assert origin_patterns(["HTTP://A:1/path?q", "https://*.b"]) == ("http://a:1", "https://*.b")
    assert origin_patterns(["http://a", "*"]) is None
    bad = ["", "a b", "http://a,http://b", "localhost:3000", "http://", "http://*.*.a"]
    for entries in ([], *([entry] for entry in bad)):
        with pytest.raises(BadEntry):
            origin_patterns(entries)


async def test_A3_wildcard() -> None:
    """A star in an origin stands for any text between what is left and right of it."""
    async with guarded(["*"], ["https://a*a.example"]) as client:
        for origin, allowed in (
            ("https://aa.example", True),
            ("HTTPS://A.b.A.example", True),
            ("https://a.example", False),
            ("https://aa.example.evil", False),
            ("null", False),
        ):
            headers = {"Origin": origin, "Host": "any.example"}
            async with client.get("/", headers=headers) as answer:
                assert answer.status == 200
                assert answer.headers.get(ALLOW + "Origin") == (origin if allowed else None)


async def test_A4_origins(tmp_path: Path) -> None:
    """An allowed origin gets its headers on every answer; a foreign one is served without."""
    async with bridge(tmp_path) as client:
        for path in ("/status", "/messages", "/nothing", "/events"):
            async with client.get(path, headers={"Origin": ORIGIN.upper()}) as answer:
                assert answer.headers[ALLOW + "Origin"] == ORIGIN.upper()
                assert answer.headers[ALLOW + "Credentials"] == "true"
                assert answer.headers["Access-Control-Expose-Headers"] == "Link"
                assert answer.headers["Vary"] == "Origin"
        for headers in ({"Origin": "http://evil.example"}, {"Origin": "http://localhost"}, {}):
            async with client.get("/status", headers=headers) as answer:
                assert answer.status == 200
                assert not any(name.startswith("Access-Control-") for name in answer.headers)


async def test_A4_any_origin() -> None:
    """Where all origins are allowed, the answer says so with a star."""
    async with guarded(["*"], ["*"]) as client:
        async with client.get("/", headers={"Origin": "https://any.example"}) as answer:
            assert answer.headers[ALLOW + "Origin"] == "*"
        async with client.options("/", headers=PREFLIGHT) as answer:
            assert answer.headers[ALLOW + "Origin"] == "*"


async def test_A5_preflights(tmp_path: Path) -> None:
    """A preflight is an empty 200, which repeats what was asked when all of it is allowed."""
    async with bridge(tmp_path) as client:
        for path in ("/message", "/nothing"):
            answer = await client.options(path, headers=PREFLIGHT)
            assert (answer.status, await answer.read()) == (200, b"")
            assert answer.headers[ALLOW + "Origin"] == ORIGIN
            assert answer.headers[ALLOW + "Methods"] == "POST"
            assert answer.headers[ALLOW + "Headers"] == "content-type, X-CSRF-Token"
            assert answer.headers[ALLOW + "Credentials"] == "true"
            assert answer.headers["Access-Control-Max-Age"] == "300"
            assert answer.headers["Vary"].split(", ") == [
                "Origin",
                "Access-Control-Request-Method",
                "Access-Control-Request-Headers",
            ]


@pytest.mark.parametrize(
    "change",
    [
        {"Origin": "http://evil.example"},
        {"Access-Control-Request-Method": "PATCH"},
        {"Access-Control-Request-Headers": "content-type, x-evil"},
    ],
)
async def test_A5_refused_preflights(change: dict[str, str]) -> None:
    """One thing that is not allowed leaves out all headers that would allow; a bad host is a 400."""
    async with guarded(["127.0.0.1"], [ORIGIN]) as client:
        answer = await client.options("/message", headers=PREFLIGHT | change)
        assert (answer.status, await answer.read()) == (200, b"")
        assert "Vary" in answer.headers
        assert not any(name.startswith("Access-Control-") for name in answer.headers)
        async with client.options("/message", headers=PREFLIGHT | {"Host": "evil"}) as answer:
            assert answer.status == 400
