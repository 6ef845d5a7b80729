"""Who may call a bridge with a token, and what pages of other origins may not do."""

import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from taskyard_agent.bridge.options import Limits, Options
from tests.agents.bridge_kit import FORM, bridge, exchange, form, port_of, upload
from tests.agents.v2_kit import get, refused

pytestmark = pytest.mark.anyio

TOKEN = "s3cret-tökén"
LOCKED = Options(token="s3cret", queue=True)
RIGHT = {"Authorization": "Bearer s3cret"}

GETS = ["/status", "/messages", "/events", "/internal/screen", "/openapi.json", "/docs", "/metrics"]
GETS += ["/v2/session", "/v2/events", "/v2/transcript", "/v2/openapi.json", "/v2/nothing", "/"]
GETS += ["/schemas/Message.json", "/nothing"]
POSTS = ["/message", "/upload", "/v2/prompts", "/v2/cancel", "/v2/report", "/v2/hook"]
POSTS += ["/v2/checkpoint"]


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


async def unauthorized(answer: aiohttp.ClientResponse) -> None:
    """The answer to a caller without the token."""
    assert answer.status == 401, answer.url
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.headers["X-Agentapi-Code"] == "unauthorized"
    assert answer.content_type == "application/problem+json"
    assert "s3cret" not in await answer.text()


def test_the_token_is_not_shown() -> None:
    """Who prints the options does not print the token."""
    assert "s3cret" not in repr(LOCKED)


async def test_N7_N37_token(tmp_path: Path) -> None:
    """With a token every route but the two probes needs it, whatever the verb, in a header of the right kind."""
    wrong: list[dict[str, str]] = [
        {},
        {"Authorization": "Bearer s3cre"},
        {"Authorization": "Bearer s3cret1"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic s3cret"},
        {"Authorization": "s3cret"},
        {"Authorization": "Bearer S3CRET"},
        {"Cookie": "token=s3cret"},
    ]
    async with bridge(tmp_path, LOCKED) as client:
        for headers in wrong:
            async with client.get("/v2/session", headers=headers) as answer:
                await unauthorized(answer)
                await refused(answer, 401, "unauthorized")
        for path in GETS:
            async with client.get(path, allow_redirects=False) as answer:
                await unauthorized(answer)
            async with client.get(path, headers=RIGHT, allow_redirects=False) as answer:
                assert answer.status != 401
        for path in POSTS:
            async with client.post(path, json={"content": "x", "type": "user"}) as answer:
                await unauthorized(answer)
        async with client.get("/status", headers={"Authorization": "bEARER  s3cret"}) as answer:
            assert answer.status == 200
        for path in ("/healthz", "/readyz"):
            async with client.get(path) as answer:
                assert answer.status == 200
        query = await client.get("/v2/session?token=s3cret")
        await unauthorized(query)


async def test_N7_token_of_any_letters(tmp_path: Path) -> None:
    """A token or a guess of it may hold any letters; what is not ASCII is compared, and never a crash."""
    async with bridge(tmp_path, Options(token=TOKEN)) as client:
        host = f"127.0.0.1:{port_of(client)}"
        right = TOKEN.encode()
        for given, status in ((b"\xff\xfe", b"401"), (right[:-1], b"401"), (right, b"200")):
            head = b"GET /status HTTP/1.1\r\nConnection: close\r\nHost: " + host.encode()
            raw = await exchange(client, head + b"\r\nAuthorization: Bearer " + given + b"\r\n\r\n")
            assert raw.split(b" ")[1] == status


async def test_A1_N7_the_host_comes_first(tmp_path: Path) -> None:
    """A foreign Host is refused on `/v2` too, with and without the token."""
    async with bridge(tmp_path, LOCKED) as client:
        for path in ("/v2/session", "/v2/events", "/healthz", "/metrics", "/docs"):
            for headers in ({}, RIGHT):
                async with client.get(path, headers=headers | {"Host": "evil.example"}) as answer:
                    assert (answer.status, answer.content_type) == (400, "text/plain")


async def test_A5_preflights_need_no_token(tmp_path: Path) -> None:
    """A browser asks without the token whether it may send it."""
    headers = {
        "Origin": "http://localhost:3000",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    async with bridge(tmp_path, LOCKED) as client:
        async with client.options("/v2/prompts", headers=headers) as answer:
            assert answer.status == 200
            assert answer.headers["Access-Control-Allow-Origin"] == headers["Origin"]
        async with client.get("/v2/session", headers={"Origin": headers["Origin"]}) as answer:
            assert answer.status == 401
            assert answer.headers["Access-Control-Allow-Origin"] == headers["Origin"]


async def test_A4_N7_foreign_pages(tmp_path: Path) -> None:
    """A page of another origin is served what it cannot read, and changes nothing, whatever it leaves out."""
    async with bridge(tmp_path) as client:
        for origin in ("https://evil.example", "null", "http://localhost:9", "http://127.0.0.1"):
            headers = {"Origin": origin}
            for path in ("/status", "/v2/session", "/v2/transcript"):
                async with client.get(path, headers=headers) as answer:
                    assert answer.status == 200
                    assert "Access-Control-Allow-Origin" not in answer.headers
            for path in POSTS:
                body = b'{"content": "updates 1", "type": "user", "text": "updates 1"}'
                plain = await client.post(
                    path, data=body, headers=headers, skip_auto_headers=["Content-Type"]
                )
                assert (plain.status, plain.headers["X-Agentapi-Code"]) == (403, "foreign_origin")
            async with client.delete("/v2/prompts/x", headers=headers) as answer:
                await refused(answer, 403, "foreign_origin")
        assert (await get(client, "/messages"))["messages"] == []


async def test_A4_N7_own_pages(tmp_path: Path) -> None:
    """Pages of the bridge itself, of allowed origins, and programs that are no page may do everything."""
    async with bridge(tmp_path) as client:
        own = f"http://127.0.0.1:{port_of(client)}"
        for headers in ({"Origin": own}, {"Origin": "http://localhost:3284"}, {}):
            async with client.post("/v2/checkpoint", headers=headers) as answer:
                assert answer.status == 200
            async with client.post(
                "/upload", data=form(("file", "a", b"x")), headers=FORM
            ) as answer:
                assert answer.status == 200


async def test_N41_uploads_in_all(tmp_path: Path) -> None:
    """Files together have a limit, once it is reached no more bytes are read; the same file again costs nothing."""
    limits = Limits(upload_bytes=600, uploads_bytes=1_000)
    async with bridge(tmp_path, Options(limits=limits)) as client:
        status, first = await upload(client, ("file", "a", b"x" * 600))
        assert status == 200
        assert (await upload(client, ("file", "b", b"y" * 601)))[0] == 400
        assert (await upload(client, ("file", "b", b"y" * 401)))[0] == 507
        assert await upload(client, ("file", "a", b"x" * 600)) == (200, first)
        assert (await upload(client, ("file", "c", b"z" * 400)))[0] == 200
        answer = await client.post("/upload", data=form(("file", "d", b"w")), headers=FORM)
        assert answer.status == 507
        assert answer.headers["X-Agentapi-Code"] == "too_large"


async def test_N41_body_limits_are_options(tmp_path: Path) -> None:
    """Both limits of bodies are those of the options: one for AgentAPI's routes, one for `/v2`."""
    limits = Limits(body_bytes=100, v2_body_bytes=200)
    async with bridge(tmp_path, Options(limits=limits)) as client:
        for path, limit in (("/message", 100), ("/v2/prompts", 200)):
            for size, status in ((limit - 1, 422), (limit, 413)):
                headers = {"Content-Type": "application/json"}
                body = b'{"zzz": 1}'.ljust(size)
                async with client.post(path, data=body, headers=headers) as answer:
                    assert answer.status == status, (path, size)


def test_v2_costs_a_start_nothing() -> None:
    """What only `/v2` needs is imported when somebody asks for it."""
    program = (
        "import sys; import taskyard_agent.bridge.bridge, taskyard_agent.bridge.serving;"
        "print([name for name in sys.modules if name.startswith('taskyard_agent.bridge.v2.')])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert ran.stdout == b"[]\n"
