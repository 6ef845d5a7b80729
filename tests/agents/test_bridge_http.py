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
