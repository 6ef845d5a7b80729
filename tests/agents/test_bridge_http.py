"""The bridge's AgentAPI over real HTTP: shapes, refusals, hosts and origins, events, uploads."""

import asyncio
import io
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from taskyard_agent.bridge.bridge import Bridge, BridgeOrder
from taskyard_agent.bridge.keeper import Place
from taskyard_agent.protocol import CodingAgent
from tests.agents.fake_server import PUPPET, free_port, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


@asynccontextmanager
async def bridge(home: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a running bridge with a scripted coding agent, ready for a prompt."""
    port = free_port()
    health: list[str] = []
    order = BridgeOrder(
        home=home,
        url=f"http://127.0.0.1:{port}",
        place=Place(CodingAgent("custom", "acp", PUPPET, "allow"), str(home), dict(os.environ)),
        floor=0,
        ports={},
        log=lambda _level, _text: None,
        on_health=health.append,
    )
    serving = Bridge(order)
    await serving.open()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serving.run())
        await until(lambda: health == ["healthy"])
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
            try:
                yield client
            finally:
                await serving.stop(0.5)
                await serving.end_agent(1)
                await serving.close()


async def stable(client: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(10):
        while (await (await client.get("/status")).json())["status"] != "stable":
            await asyncio.sleep(0.005)


async def say(client: aiohttp.ClientSession, text: str) -> None:
    answer = await client.post("/message", json={"content": text, "type": "user"})
    assert answer.status == 200, await answer.text()


async def test_shapes(tmp_path: Path) -> None:
    """Every JSON answer names its schema, and has exactly the documented keys."""
    async with bridge(tmp_path) as client:
        answer = await client.get("/status")
        assert answer.headers["Link"] == '</schemas/StatusResponse.json>; rel="describedBy"'
        assert await answer.json() == {
            "$schema": f"http://127.0.0.1:{answer.url.port}/schemas/StatusResponse.json",
            "status": "stable",
            "agent_type": "custom",
            "transport": "acp",
        }
        assert (await (await client.get("/messages")).json())["messages"] == []
        answer = await client.post("/message", json={"content": " updates 2\n", "type": "user"})
        assert (await answer.json())["ok"] is True
        await stable(client)
        user, agent = (await (await client.get("/messages")).json())["messages"]
        assert list(user) == ["id", "content", "role", "time"]
        assert (user["id"], user["role"], user["content"]) == (0, "user", "updates 2")
        assert (agent["id"], agent["role"], agent["content"]) == (1, "agent", "01")


async def test_other_routes(tmp_path: Path) -> None:
    """The root leads to the chat; unknown paths and wrong verbs are answered as upstream does."""
    async with bridge(tmp_path) as client:
        answer = await client.get("/", allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (307, "/chat/embed")
        for path in ("/chat/embed", "/nothing", "/status/"):
            answer = await client.get(path)
            assert (answer.status, await answer.text()) == (404, "404 page not found")
        answer = await client.post("/status")
        assert (answer.status, await answer.text()) == (405, "")


PLAIN = {"content": "x", "type": "user"}


@pytest.mark.parametrize(
    ("body", "media", "status", "location"),
    [
        (b"", "application/json", 400, None),
        (b"{", "application/json", 400, "body"),
        (b"[" * 100_000, "application/json", 400, "body"),
        (b"{}", "text/plain", 415, "body"),
        (b"[]", "application/json", 422, "body"),
        (json.dumps({"content": "x"}).encode(), "application/json", 422, "body"),
        (json.dumps(PLAIN | {"z": 1}).encode(), "application/json", 422, "body.z"),
        (json.dumps(PLAIN | {"type": "no"}).encode(), "application/json", 422, "body.type"),
        (json.dumps(PLAIN | {"type": []}).encode(), "application/json", 422, "body.type"),
        (json.dumps(PLAIN | {"content": 1}).encode(), "application/json", 422, "body.content"),
        (b" " * 1_048_576, "application/json", 413, None),
        (json.dumps(PLAIN | {"content": " "}).encode(), "application/json", 500, None),
    ],
)
async def test_bad_messages(
    tmp_path: Path, body: bytes, media: str, status: int, location: str | None
) -> None:
    """Each wrong body has its status, a problem document, and a code in a header."""
    async with bridge(tmp_path) as client:
        answer = await client.post("/message", data=body, headers={"Content-Type": media})
        assert answer.status == status
        assert answer.content_type == "application/problem+json"
        assert answer.headers["X-Agentapi-Code"]
        problem = json.loads(await answer.text())
        assert problem["status"] == status
        assert {"$schema", "title", "detail"} <= problem.keys()
        found = [error.get("location") for error in problem.get("errors", [])]
        assert not location or location in found


async def test_what_is_tolerated(tmp_path: Path) -> None:
    """A `$schema`, a `+json` type, no type at all, and half a surrogate pair are fine."""
    async with bridge(tmp_path) as client:
        for media, content in (("application/x+json", "updates 1"), ("", "updates 1\\nx\\ud800")):
            body = f'{{"$schema": "x", "content": "{content}", "type": "user"}}'
            headers = {"Content-Type": media} if media else {}
            skip = [] if media else ["Content-Type"]
            answer = await client.post(
                "/message", data=body.encode(), headers=headers, skip_auto_headers=skip
            )
            assert answer.status == 200
            await stable(client)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:1", 200),
        ("LOCALHOST", 200),
        ("[::1]:3284", 200),
        ("127.0.0.1", 200),
        ("example.com", 400),
        ("localhost.", 400),
        ("", 400),
    ],
)
async def test_hosts(tmp_path: Path, host: str, status: int) -> None:
    """Only the names of the loopback are answered, whatever the port says."""
    async with bridge(tmp_path) as client:
        answer = await client.get("/status", headers={"Host": host})
        assert answer.status == status
        assert status == 200 or "Allowed hosts: localhost, 127.0.0.1, ::1" in await answer.text()


async def test_origins(tmp_path: Path) -> None:
    """An allowed origin gets its headers, a foreign one is served without; preflights are 200."""
    async with bridge(tmp_path) as client:
        answer = await client.get("/status", headers={"Origin": "http://localhost:3000"})
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
        assert answer.headers["Access-Control-Expose-Headers"] == "Link"
        answer = await client.get("/status", headers={"Origin": "http://evil.example"})
        assert answer.status == 200
        assert "Access-Control-Allow-Origin" not in answer.headers
        preflight = {
            "Origin": "http://localhost:3000",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        }
        answer = await client.options("/message", headers=preflight)
        assert (answer.status, answer.headers["Access-Control-Max-Age"]) == (200, "300")
        answer = await client.options(
            "/message", headers=preflight | {"Access-Control-Request-Headers": "x-evil"}
        )
        assert (answer.status, "Access-Control-Allow-Origin" in answer.headers) == (200, False)
        answer = await client.options("/message", headers=preflight | {"Host": "evil"})
        assert answer.status == 400


async def event(stream: aiohttp.ClientResponse) -> tuple[str, dict[str, object]]:
    """The next event of a stream."""
    async with asyncio.timeout(10):
        name = (await stream.content.readline()).decode().removeprefix("event: ").strip()
        data = (await stream.content.readline()).decode().removeprefix("data: ")
        await stream.content.readline()
    return name, json.loads(data)


async def test_events(tmp_path: Path) -> None:
    """A stream begins with messages, one status and the errors; then it tells each change."""
    async with bridge(tmp_path) as client:
        await say(client, "stop refusal")
        await stable(client)
        async with client.get("/events") as stream:
            assert stream.headers["Cache-Control"].startswith("no-cache")
            names = [await event(stream) for _ in range(4)]
            assert [name for name, _ in names] == [
                *("message_update", "message_update", "status_change", "agent_error")
            ]
            assert list(names[0][1]) == ["id", "role", "message", "time"]
            assert names[2][1] == {"status": "stable", "agent_type": "custom"}
            assert names[3][1]["level"] == "warning"
            await say(client, "updates 3")
            seen: list[tuple[str, object]] = []
            while ("message_update", "012") not in seen or seen.count(
                ("status_change", "stable")
            ) == 0:
                name, data = await event(stream)
                seen.append((name, data.get("status") or data.get("message")))
            statuses = [value for name, value in seen if name == "status_change"]
            assert statuses == ["running", "stable"]


async def test_screen(tmp_path: Path) -> None:
    """The screen is the answer so far, trimmed at its end."""
    async with bridge(tmp_path) as client, client.get("/internal/screen") as stream:
        assert await event(stream) == ("screen", {"screen": ""})
        await say(client, "updates 2")
        while (await event(stream))[1] != {"screen": "01"}:
            pass


async def test_many_listeners(tmp_path: Path) -> None:
    """A hundred streams, one of which is never read, all learn the end of the turn."""
    async with bridge(tmp_path) as client:
        connector = aiohttp.TCPConnector(limit=0)
        url = str(client._base_url)
        async with aiohttp.ClientSession(url, connector=connector) as many:
            streams = [await many.get("/events") for _ in range(100)]
            await say(client, "updates 2000")
            expected = "".join(map(str, range(2000)))
            for stream in streams[1:]:
                while (await event(stream))[1].get("message") != expected:
                    pass
            for stream in streams:
                stream.close()


FORM = {"Content-Type": "multipart/form-data; boundary=B"}


def form(*files: tuple[str, str, bytes]) -> io.BytesIO:
    """A body with a plain field and these files: field, file name, bytes."""
    body = b'--B\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello'
    for field, name, data in files:
        head = f'Content-Disposition: form-data; name="{field}"; filename="{name}"\r\nX-Y: z'
        body += b"\r\n--B\r\n" + head.encode() + b"\r\n\r\n" + data
    return io.BytesIO(body + b"\r\n--B--\r\n")


async def upload(client: aiohttp.ClientSession, *files: tuple[str, str, bytes]) -> tuple[int, str]:
    answer = await client.post("/upload", data=form(*files), headers=FORM)
    return answer.status, str((await answer.json(content_type=None)).get("filePath"))


@pytest.mark.parametrize("size", [0, 1, 100_000, 10 * 1024 * 1024])
async def test_upload(tmp_path: Path, size: int) -> None:
    """A file of up to 10 MiB is stored whole under its base name; the same one again is the same path."""
    async with bridge(tmp_path) as client:
        data = os.urandom(size // 2) + b"\r\n--" * (size - size // 2)
        data = data[:size]
        paths = []
        for _ in range(2):
            status, path = await upload(client, ("file", "../dir/a b.txt", data))
            assert status == 200
            paths.append(Path(path))
        assert paths[0] == paths[1]
        assert paths[0].name == "a b.txt"
        assert paths[0].read_bytes() == data
        assert paths[0].stat().st_mode & 0o777 == 0o644
    assert not paths[0].parent.parent.exists()


async def test_refused_uploads(tmp_path: Path) -> None:
    """Too large, no file, two files, no form, no end: each is refused with its status."""
    async with bridge(tmp_path) as client:
        large = bytes(10 * 1024 * 1024 + 1)
        assert (await upload(client, ("file", "a", large)))[0] == 400
        assert (await upload(client, ("other", "a", b"x")))[0] == 422
        assert (await upload(client, ("file", "a", b"x"), ("file", "b", b"y")))[0] == 422
        assert (await upload(client, ("file", "..", b"x")))[0] == 422
        assert (await client.post("/upload", json={})).status == 422
        torn = form(("file", "a", b"abc")).read()[:-9]
        assert (await client.post("/upload", data=torn, headers=FORM)).status == 422
