"""The bridge's routes over real HTTP: shapes, verbs, uploads."""

import os
from pathlib import Path

import pytest

from tests.agents.bridge_kit import bridge, stable, upload

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


async def test_root(tmp_path: Path) -> None:
    """With any verb the root leads to the chat page."""
    async with bridge(tmp_path) as client:
        for verb in (
            "GET",
            "HEAD",
            "POST",
            "PUT",
            "PATCH",
            "DELETE",
            "OPTIONS",
            "TRACE",
            "PROPFIND",
        ):
            answer = await client.request(verb, "/", allow_redirects=False)
            assert (answer.status, answer.headers["Location"]) == (307, "/chat/embed"), verb


async def test_unknown_paths(tmp_path: Path) -> None:
    """A path that leads nowhere, the chat page that is not built in included, is a text with 404."""
    async with bridge(tmp_path) as client:
        for path in ("/chat", "/chat/embed", "/nothing", "/status/", "/docs/", "/schemas/No.json"):
            answer = await client.get(path)
            assert (answer.status, await answer.text()) == (404, "404 page not found"), path
            assert answer.content_type == "text/plain"
            answer = await client.post("/chat")
            assert (answer.status, await answer.text()) == (404, "404 page not found")


async def test_wrong_verbs(tmp_path: Path) -> None:
    """A known path with another verb is 405 without a body; HEAD is another verb than GET."""
    gets = ["/status", "/messages", "/events", "/internal/screen", "/openapi.json"]
    gets += ["/openapi-3.0.yaml", "/schemas/Message.json", "/docs"]
    wrong = [(path, verb) for path in gets for verb in ("HEAD", "POST", "OPTIONS", "DELETE")]
    wrong += [(path, verb) for path in ("/message", "/upload") for verb in ("GET", "HEAD", "PUT")]
    async with bridge(tmp_path) as client:
        for path, verb in wrong:
            answer = await client.request(verb, path)
            assert (answer.status, await answer.read()) == (405, b""), (verb, path)
            assert "X-Agentapi-Code" not in answer.headers


@pytest.mark.parametrize("size", [0, 1, 100_000, 10 * 1024 * 1024])
async def test_A49_upload(tmp_path: Path, size: int) -> None:
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


async def test_A49_names(tmp_path: Path) -> None:
    """The name of a file is kept as it is, whatever letters it has; only folders are cut off."""
    async with bridge(tmp_path) as client:
        for sent, kept in (("/etc/ü x.txt", "ü x.txt"), ("a\\b", "a\\b"), ("日本", "日本")):
            _, path = await upload(client, ("file", sent, b"x"))
            assert Path(path).name == kept
            assert Path(path).parent.name == "2d711642b726b044"  # the digest of an x
            assert Path(path).parent.parent.name.startswith("agentapi-uploads-")
