"""What the bridge refuses, row by row of agentapi 1.2, over real sockets."""

import asyncio
import io
import json
import shutil
from pathlib import Path

import aiohttp
import pytest

from tests.agents.bridge_kit import FORM, bridge, exchange, form, port_of, say, stable, upload

pytestmark = pytest.mark.anyio

LIMIT = 1_048_576
"""Bytes that are too many for a message."""


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


async def refusal(answer: aiohttp.ClientResponse, status: int) -> list[dict[str, object]]:
    """The errors of a problem document, which has the keys that it must have and no others."""
    assert answer.status == status, await answer.text()
    assert answer.content_type == "application/problem+json"
    assert answer.headers["Link"] == '</schemas/ErrorModel.json>; rel="describedBy"'
    assert answer.headers["X-Agentapi-Code"]
    problem = json.loads(await answer.text())
    host = f"{answer.url.host}:{answer.url.port}"
    assert problem["$schema"] == f"http://{host}/schemas/ErrorModel.json"
    assert (problem["status"], problem["title"]) == (status, answer.reason)
    assert problem["detail"]
    assert problem.keys() <= {"$schema", "title", "status", "detail", "errors"}
    errors = problem.get("errors", [])
    assert isinstance(errors, list)
    assert errors or "errors" not in problem
    assert all({"message"} <= error.keys() <= {"message", "location", "value"} for error in errors)
    return errors


async def post(
    client: aiohttp.ClientSession, body: bytes, media: str | None = "application/json"
) -> aiohttp.ClientResponse:
    headers = {} if media is None else {"Content-Type": media}
    skip = ["Content-Type"] if media is None else []
    return await client.post(
        "/message", data=io.BytesIO(body), headers=headers, skip_auto_headers=skip
    )


def with_changes(**changes: object) -> bytes:
    return json.dumps({"content": "x", "type": "user"} | changes).encode()


DEPTHS = range(940, 1_000, 6)
"""Around the depth at which reading JSON gives up."""

ROWS: list[tuple[bytes, str | None, int, set[tuple[object, object]]]] = [
    (b"", "application/json", 400, set()),
    (b"", "text/plain", 400, set()),
    (b"{", "application/json", 400, {("body", "{")}),
    (b"  ", "application/json", 400, {("body", "  ")}),
    (b"\xff", "application/json", 400, {("body", "\ufffd")}),
    (b'{"content": NaN}', None, 400, {("body", '{"content": NaN}')}),
    ("{}".encode("utf-16"), None, 400, {("body", "\ufffd\ufffd{\0}\0")}),
    (b" " * LIMIT, "application/json", 413, set()),
    (b" " * 2 * LIMIT, "text/plain", 413, set()),
    (b"{}", "text/plain", 415, {("body", None)}),
    (b"[]", "application/json", 422, {("body", None)}),
    (b"null", "application/json", 422, {("body", None)}),
    (b'{"content": "x"}', "application/json", 422, {("body", None)}),
    (b'{"type": "raw"}', "application/json", 422, {("body", None)}),
    (with_changes(z=1), "application/json", 422, {("body.z", 1)}),
    (with_changes(type="no"), "application/json", 422, {("body.type", "no")}),
    (with_changes(type=[1]), "application/json", 422, {("body.type", "[1]")}),
    (with_changes(type="\ud800"), "application/json", 422, {("body.type", None)}),
    (with_changes(**{"\ud800": 10**40}), "application/json", 422, {("body.?", 10**40)}),
    (with_changes(content=1), "application/json", 422, {("body.content", 1)}),
    (with_changes(content=None), "application/json", 422, {("body.content", None)}),
    (
        b'{"type": 1, "a": 2, "b": null}',
        "application/json",
        422,
        {("body", None), ("body.type", 1), ("body.a", 2), ("body.b", None)},
    ),
    (with_changes(type="raw"), "application/json", 422, {("body.content", "x")}),
    (with_changes(content=" \t\r\n\f\v"), "application/json", 500, {(None, None)}),
]


async def test_N40_bad_messages(tmp_path: Path) -> None:
    """Each wrong body has its status, and everything that is wrong with it is named."""
    async with bridge(tmp_path) as client:
        for body, media, status, expected in ROWS:
            errors = await refusal(await post(client, body, media), status)
            found = {(error.get("location"), shown(error.get("value"))) for error in errors}
            assert found == expected, body[:80]
        assert (await (await client.get("/messages")).json())["messages"] == []


def shown(value: object) -> object:
    """The value, as text when it is a list."""
    return json.dumps(value) if isinstance(value, list) else value


async def test_deep_bodies(tmp_path: Path) -> None:
    """Values nested as deep as can be read, or deeper, are refused like others."""
    async with bridge(tmp_path) as client:
        for depth in (100, *DEPTHS, 100_000):
            value = b"[" * depth + b"]" * depth
            answer = await post(client, b'{"content": "x", "type": ' + value + b"}")
            assert answer.status in {400, 422}
            await refusal(answer, answer.status)


async def test_what_is_tolerated(tmp_path: Path) -> None:
    """A `$schema`, a `+json` type, no type at all, half a surrogate pair, and the last byte that fits."""
    bodies: list[tuple[str | None, bytes]] = [
        ("application/x+json", b'{"$schema": 1, "content": "updates 1", "type": "user"}'),
        ("application/json; charset=utf-8", b'{"content": "updates 1", "type": "user"}'),
        (None, b'{"content": "updates 1\\nx\\ud800", "type": "user"}'),
        (None, b'{"content": "updates 1", "type": "user"}'.ljust(LIMIT - 1)),
    ]
    async with bridge(tmp_path) as client:
        for media, body in bodies:
            answer = await post(client, body, media)
            assert answer.status == 200, await answer.text()
            await stable(client)


async def test_A30_N10_N40_busy(tmp_path: Path) -> None:
    """A message to an agent that works is refused, and leaves nothing behind; Ctrl-C frees it."""
    async with bridge(tmp_path) as client:
        await say(client, "wait")
        answer = await post(client, with_changes())
        assert answer.headers["X-Agentapi-Code"] == "busy"
        assert len(await refusal(answer, 500)) == 1
        assert len((await (await client.get("/messages")).json())["messages"]) == 2
        assert (await post(client, with_changes(type="raw", content="\x03"))).status == 200
        await stable(client)


async def test_N41_bad_uploads(tmp_path: Path) -> None:
    """Too large, no file, two files, no name, no form, no end: each is refused with its status."""
    large = bytes(10 * 1024 * 1024 + 1)
    torn = form(("file", "a", b"abc")).read()[:-9]
    rows: list[tuple[object, dict[str, str], int, set[object]]] = [
        (form(("file", "a", large)), FORM, 400, set()),
        (form(), FORM, 422, {"file"}),
        (form(("other", "a", b"x")), FORM, 422, {"file"}),
        (form(("file", "a", b"x"), ("file", "b", b"y")), FORM, 422, {"file"}),
        (form(("file", "..", b"x")), FORM, 422, {"file"}),
        (b"{}", {"Content-Type": "application/json"}, 422, {"body"}),
        (b"", {"Content-Type": "multipart/form-data"}, 422, {"body"}),
        (torn, FORM, 422, {"body"}),
    ]
    async with bridge(tmp_path) as client:
        for body, headers, status, expected in rows:
            answer = await client.post("/upload", data=body, headers=headers)
            errors = await refusal(answer, status)
            assert {error.get("location") for error in errors} == expected


async def test_bugs(tmp_path: Path) -> None:
    """What nobody foresaw, such as a folder taken away, is a problem document too, and passes."""
    async with bridge(tmp_path) as client:
        _, path = await upload(client, ("file", "a", b"x"))
        shutil.rmtree(Path(path).parent.parent)
        answer = await client.post("/upload", data=form(("file", "a", b"x")), headers=FORM)
        assert await refusal(answer, 500) == []
        assert answer.headers["X-Agentapi-Code"] == "internal"
        assert (await client.get("/status")).status == 200


@pytest.mark.all_tier
async def test_slow_bodies(tmp_path: Path) -> None:
    """A message or an upload that does not arrive within 5 s is a 408; nobody else waits meanwhile."""
    async with bridge(tmp_path) as client, asyncio.TaskGroup() as tasks:
        head = f"Host: 127.0.0.1:{port_of(client)}\r\nConnection: close\r\nContent-Length: 99\r\n"
        kind = f"Content-Type: {FORM['Content-Type']}\r\n"
        slow = [
            tasks.create_task(exchange(client, text.encode()))
            for text in (
                f"POST /message HTTP/1.1\r\n{head}\r\n{{",
                f"POST /upload HTTP/1.1\r\n{head}{kind}\r\n--B",
            )
        ]
        await say(client, "updates 1")
        for answer in [await task for task in slow]:
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b"application/problem+json" in answer
