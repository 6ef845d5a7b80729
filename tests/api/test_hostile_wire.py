"""Bytes that are no proper HTTP: each ends in an answer that blames the sender, or in silence, and never in a wait."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from taskyard.control.services import Services
from tests.api.edge_kit import ask, edged, say
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

HOST = b"Host: localhost\r\n"
LOGIN = b"POST /api/v2/users/login HTTP/1.1\r\n" + HOST

HEADS = {
    "no method": b" / HTTP/1.1\r\n" + HOST + b"\r\n",
    "an unknown method": b"BREW /healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "no version": b"GET /healthz\r\n\r\n",
    "a strange version": b"GET /healthz HTTP/9.9\r\n" + HOST + b"\r\n",
    "a path without a slash": b"GET healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "a star": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tunnel": b"CONNECT localhost:22 HTTP/1.1\r\n" + HOST + b"\r\n",
    "raw bytes in the path": b"GET /api/v2/\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n",
    "NUL in the path": b"GET /api\x00 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space in the path": b"GET /api v2 HTTP/1.1\r\n" + HOST + b"\r\n",
    "no colon": b"GET /healthz HTTP/1.1\r\n" + HOST + b"hunter2\r\n\r\n",
    "a space before the colon": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X : y\r\n\r\n",
    "a space before the name": b"GET /healthz HTTP/1.1\r\n X: y\r\n" + HOST + b"\r\n",
    "a folded header": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: y\r\n z\r\n\r\n",
    "NUL in a header": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: \x00\r\n\r\n",
    "a bare CR in a header": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\rb: c\r\n\r\n",
    "an empty name": b"GET /healthz HTTP/1.1\r\n" + HOST + b": x\r\n\r\n",
    "two lengths": LOGIN + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a list of lengths": LOGIN + b"Content-Length: 2, 2\r\n\r\n{}",
    "a length and chunks": LOGIN
    + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and a length": LOGIN
    + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    "a negative length": LOGIN + b"Content-Length: -1\r\n\r\n",
    "a length with a sign": LOGIN + b"Content-Length: +2\r\n\r\n{}",
    "a length in hex": LOGIN + b"Content-Length: 0x2\r\n\r\n{}",
    "a length beyond counting": LOGIN + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n{}",
    "another coding": LOGIN + b"Transfer-Encoding: gzip\r\n\r\n{}",
    "chunks that are not last": LOGIN + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "a chunk of junk": LOGIN + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a chunk of a negative size": LOGIN
    + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n",
    "a chunk beyond counting": LOGIN
    + b"Transfer-Encoding: chunked\r\n\r\n"
    + b"F" * 20
    + b"\r\n{}\r\n",
    "a chunk longer than it says": LOGIN
    + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
    "a header of 100 KB": b"GET /healthz HTTP/1.1\r\n"
    + HOST
    + b"X: "
    + b"y" * 100_000
    + b"\r\n\r\n",
    "a path of 100 KB": b"GET /" + b"y" * 100_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a greeting of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
    "the preface of HTTP 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}
"""What no client sends: refused before it reaches a route, so that no proxy can be of another mind about it."""

BODIES = {
    "shorter than it says": LOGIN + b"Content-Length: 100\r\n\r\n{}",
    "shorter than its chunk": LOGIN + b"Transfer-Encoding: chunked\r\n\r\n64\r\n{}",
    "without the last chunk": LOGIN + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
}
"""Bodies that end before their time: the client that hung up gets an answer, or nothing."""

TARGETS = {
    "/api/v2/%ff": (400, "invalid_url"),
    "/api/v2/%ed%a0%80": (400, "invalid_url"),
    "/api/v2/tasks?q=%ff": (400, "invalid_url"),
    "/api/v2/tasks?%c0%af=1": (400, "invalid_url"),
    "/api/v2/%zz": (404, "no_route"),
    "/api/v2/%": (404, "no_route"),
    "/api/v2/..%2f..%2fetc%2fpasswd": (404, "no_route"),
    "/api/v2/../../healthz": (404, "no_route"),
    "/%2e%2e/healthz": (404, "no_route"),
    "/api/v2/users/%00": (401, "key_missing"),
    "/api/v2/users/me%0d%0aX-Bad:%201": (401, "key_missing"),
    "/healthz%20": (404, "no_route"),
    "/healthz%00": (404, "no_route"),
}
"""Where strange paths lead."""


@pytest.fixture
async def port(services: Services) -> AsyncIterator[int]:
    """A server as the daemon runs it."""
    async with edged(services) as port:
        yield port


@pytest.mark.attack(
    "Requests that are no proper HTTP, or have two bodies",
    wall="refused before a route is reached; the connection ends",
)
async def test_heads(port: int) -> None:
    """A request that is not one is 4xx with an error body, and the connection ends; the next one is fine."""
    wrong: dict[str, object] = {}

    async def send(name: str, raw: bytes) -> None:
        reply = await say(port, raw)
        fine = reply is not None and 400 <= reply.status < 500
        if reply is None or not fine or "x-taskyard-reason" not in reply.headers:
            wrong[name] = reply

    async with asyncio.TaskGroup() as group:
        for name, raw in HEADS.items():
            group.create_task(send(name, raw))
    assert not wrong, "\n".join(f"{name}: {reply}" for name, reply in wrong.items())
    assert (await ask(port, "GET", "/healthz")).status == 200


async def test_bodies_that_end_early(port: int) -> None:
    """Nobody waits for what will not come once the client has closed its side."""
    for name, raw in BODIES.items():
        reply = await say(port, raw, end=True)
        assert reply is None or reply.reason == (400, "invalid_json"), name


async def test_a_body_longer_than_it_says(port: int) -> None:
    """What stands after a body is the next request, and this one is none."""
    reply = await say(port, LOGIN + b"Content-Length: 2\r\n\r\n{}hunter2\r\n\r\n")
    assert reply is not None
    assert reply.status == 400
    assert b"hunter2" not in reply.body


async def test_targets(port: int) -> None:
    """Text that is none is 400; everything else is a name, and dots are nothing special in one."""
    for target, reason in TARGETS.items():
        reply = await ask(port, "GET", target)
        assert reply.reason == reason, target
        assert "x-bad" not in reply.headers


async def test_many_at_once(port: int) -> None:
    """Requests in a row on one connection are answered in their order."""
    request = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
    last = b"GET /nothing HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    async with asyncio.timeout(DEADLINE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request * 50 + last)
        answer = await reader.read()
        writer.close()
    assert answer.count(b"HTTP/1.1 200 ") == 50
    assert answer.count(b"HTTP/1.1 404 ") == 1
    assert answer.rindex(b"HTTP/1.1 200 ") < answer.index(b"HTTP/1.1 404 ")
