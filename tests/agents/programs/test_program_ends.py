"""Real coding agents behind the bridge: turns that are cut off, and sessions that go on after it."""

import os
import signal
from pathlib import Path

import pytest

from taskyard_agent.protocol import ItemKind
from tests.agents.model.server import Model
from tests.agents.programs.program import Program
from tests.agents.programs.program_kit import Running, running

pytestmark = [pytest.mark.anyio, pytest.mark.all_tier, pytest.mark.xdist_group("programs")]

LONG = "shell: sleep 77.5"
"""A tool call that lasts longer than any test."""


async def at_work(bridge: Running) -> None:
    """Returns once LONG runs and its call is in the transcript."""
    await bridge.until("a running command", lambda: bridge.pids("sleep 77.5"))
    await bridge.until("its call", bridge.tools)


def opened(bridge: Running) -> list[str]:
    """How each session was opened."""
    return [info["opened"] for info in bridge.data(ItemKind.SESSION_INFO) if "opened" in info]


async def test_a_cancel_in_a_tool(home: Path, speaker: Program, model: Model) -> None:
    """The turn ends as cancelled, the command is gone, and the session takes the next prompt."""
    async with running(home, speaker, model) as bridge:
        await bridge.say(LONG)
        await at_work(bridge)
        await bridge.cancel()
        assert (await bridge.ended(0))["reason"] == "cancelled"
        await bridge.until("no command", lambda: not bridge.pids("sleep 77.5"))
        assert (await bridge.turn("say: next"))["reason"] == "end_turn"


async def test_a_kill_in_a_tool(home: Path, speaker: Program, model: Model) -> None:
    """The turn ends with its call and its command, and a new process goes on with the conversation."""
    async with running(home, speaker, model) as bridge:
        assert (await bridge.turn("say: the word is heron"))["reason"] == "end_turn"
        await bridge.say(LONG)
        await at_work(bridge)
        (group,) = bridge.groups()
        os.killpg(group, signal.SIGKILL)
        assert (await bridge.ended(1))["reason"] == "agent_exit"
        assert [call["status"] for call in bridge.tools()] == ["failed"]
        await bridge.until("a second session", lambda: len(opened(bridge)) == 2)
        assert opened(bridge)[1] in {"resumed", "loaded"}
        assert (await bridge.turn(f"say: again in the bridge, {speaker.name}"))[
            "reason"
        ] == "end_turn"
        assert "heron" in model.conversation(f"again in the bridge, {speaker.name}")
        await bridge.until("no command", lambda: not bridge.pids("sleep 77.5"))


async def test_a_bridge_that_starts_again(home: Path, speaker: Program, model: Model) -> None:
    """After an orderly end the program goes on with the conversation."""
    async with running(home, speaker, model) as bridge:
        assert (await bridge.turn("say: the word is plover"))["reason"] == "end_turn"
    async with running(home, speaker, model) as bridge:
        assert opened(bridge)[1] in {"resumed", "loaded"}
        assert (await bridge.turn(f"say: once more, {speaker.name}"))["reason"] == "end_turn"
        assert "plover" in model.conversation(f"once more, {speaker.name}")
