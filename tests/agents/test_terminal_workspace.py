"""A program with a screen as the coding agent of a whole workspace, reached over the link."""

import json
import sys
from pathlib import Path

import msgspec
import pytest

from taskyard_agent.protocol import CodingAgent, ItemKind
from tests.agents.fake_server import kit, manifest, until
from tests.agents.terminal_kit import FAKE, script, step

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


async def test_N1_N17_a_workspace_with_a_terminal(tmp_path: Path) -> None:
    """It answers, its items reach the server, and after a stop and a start the conversation goes on."""
    played = tmp_path / "script.json"
    played.write_text(json.dumps(script(step("hello", "Hi there."), step("more", "Much more."))))
    agent = CodingAgent("custom", "pty", [sys.executable, FAKE, str(played)], "allow")
    told = msgspec.structs.replace(manifest(), coding_agent=agent)
    async with kit(tmp_path, told) as made:
        async with made.agent() as running:
            await until(lambda: ("agent", "healthy") in made.server.health)
            await made.server.until_stable()
            assert (await made.server.say("hello")).status == 200
            await made.server.until_stable()
            await until(lambda: "turn_end" in made.server.kinds())
            await running.stop()
        states = [state["session"] for state in made.server.data(ItemKind.STATE)]
        assert states == ["starting", "idle", "running", "idle", "stopped"]
        async with made.agent():
            await until(lambda: made.server.health.count(("agent", "healthy")) == 2)
            await made.server.until_stable()
            said = await made.server.messages()
            assert said == [
                ("agent", "Hello! I am ready."),
                ("user", "hello"),
                ("agent", "Hi there."),
            ]
