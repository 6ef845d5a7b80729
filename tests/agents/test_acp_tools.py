"""Tool calls over ACP: what they say in the conversation, and how much of their data is kept."""

import json
from pathlib import Path

import pytest

from taskyard_agent.protocol import ItemKind
from tests.agents.acp_kit import Wanted, acp

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


async def test_D18_a_line_a_tool(tmp_path: Path) -> None:
    """A tool call is one line when it starts; what becomes of it adds none."""
    started = {"sessionUpdate": "tool_call", "toolCallId": "t", "title": "ls", "kind": "execute"}
    ended = {"sessionUpdate": "tool_call_update", "toolCallId": "t", "status": "completed"}
    async with acp(tmp_path) as running:
        await running.stable()
        text = await running.turn(
            f"updates 1\nupdate {json.dumps(started)}\nupdate {json.dumps(ended)}\nupdates 1"
        )
        assert text == "0\n\n[Tool: execute] ls\n\n0"
        states = [one["status"] for one in running.data(ItemKind.TOOL_CALL)]
        assert states == ["pending", "completed"]


async def test_tools_without_lines(tmp_path: Path) -> None:
    """With --acp-inline-tools=off no tool call makes a line, in a later run with it neither. Source: agentapi 7.2 row 4."""
    called = {"sessionUpdate": "tool_call", "toolCallId": "t", "title": "ls", "kind": "execute"}
    prompt = f"updates 1\nupdate {json.dumps(called)}\nupdates 1"
    async with acp(tmp_path, Wanted(inline_tools=False)) as running:
        await running.stable()
        assert await running.turn(prompt) == "0\n\n0"
        states = [(one["status"], one["hidden"]) for one in running.data(ItemKind.TOOL_CALL)]
        assert states == [("pending", True), ("failed", True)]
    async with acp(tmp_path) as running:
        await running.stable()
        assert running.text.startswith("0\n\n0")
        assert "[Tool: execute] ls" in await running.turn(prompt)
        assert "hidden" not in running.data(ItemKind.TOOL_CALL)[-1]


def tool_data(state: dict[str, object]) -> int:
    """Bytes of the data of a tool call."""
    names = ("raw_input", "raw_output", "content", "locations")
    return sum(len(json.dumps(state[name])) for name in names)


@pytest.mark.parametrize("limit", [1_000, 256 * 1024])
async def test_N41_data_of_a_tool_call(tmp_path: Path, limit: int) -> None:
    """All data of a tool call is kept up to the limit, and what goes beyond it cut to its beginning and size."""
    fits = "i" * (limit // 2)
    blocks = [{"type": "content", "content": {"type": "text", "text": '"é' * limit}}] * 3
    first = {"sessionUpdate": "tool_call", "toolCallId": "t", "rawInput": fits}
    more: dict[str, object] = {"sessionUpdate": "tool_call_update", "toolCallId": "t"}
    more |= {"status": "completed"}
    more |= {"rawOutput": "o" * limit, "content": blocks, "locations": [{"path": "/a", "line": 1}]}
    async with acp(tmp_path, Wanted(tool_bytes=limit)) as running:
        await running.stable()
        await running.turn(f"update {json.dumps(first)}\nupdate {json.dumps(more)}")
        begun, ended = running.data(ItemKind.TOOL_CALL)
        assert begun["raw_input"] == ended["raw_input"] == fits
        cut = ended["raw_output"]
        assert isinstance(cut, dict)
        assert cut["cut_bytes"] == limit + 2
        assert cut["beginning"].startswith('"ooo')
        assert limit // 2 < tool_data(ended) < limit + 200
