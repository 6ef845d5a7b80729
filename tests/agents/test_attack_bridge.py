"""A hostile program beside the coding agent, on the loopback that both share with the bridge."""

import json
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import anyio.to_thread
import msgspec
import pytest

from taskyard_agent.protocol import CodingAgent, ItemKind
from tests.agents.fake_server import PUPPET, kit, manifest, until
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


def post(url: str, path: str, body: object) -> int:
    """The status of the answer to a program of the workspace."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=DEADLINE_S)
    headers = {"Content-Type": "application/json", "X-Taskyard-Answered-By": "root"}
    connection.request("POST", path, json.dumps(body), headers)
    try:
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.attack(
    "A coding agent answers its own requests for permission over the bridge",
    wall="only what comes through the server answers one",
)
async def test_a_coding_agent_permits_itself_nothing(tmp_path: Path) -> None:
    """Under a server only what comes through it answers a request; a command that was permitted cannot answer the next."""
    made_of = manifest(coding_agent=CodingAgent("custom", "acp", PUPPET, "ask"))
    url = made_of.apps[0].url
    async with kit(tmp_path, made_of) as made, made.agent():
        server = made.server
        await until(lambda: ("agent", "healthy") in server.health)
        await server.until_stable()
        await server.say("ask reject_once,allow_once")
        await until(lambda: "permission_request" in server.kinds())
        [asked] = server.data(ItemKind.PERMISSION_REQUEST)
        path, answer = f"v2/permissions/{asked['id']}", {"option_id": "o1"}
        for body in (answer, {"outcome": "cancelled"}):
            assert await anyio.to_thread.run_sync(post, url, f"/{path}", body) == 403
        assert "permission_response" not in server.kinds()
        told = await server.ask("POST", path, answer)
        assert told.status == 200, msgspec.json.decode(told.body)
        await until(lambda: "permission_response" in server.kinds())
        assert server.data(ItemKind.PERMISSION_RESPONSE)[0]["option_id"] == "o1"
