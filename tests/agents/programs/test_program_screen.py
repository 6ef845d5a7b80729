"""Claude Code's own screen, behind the bridge and through the whole product."""

import os
import signal
from pathlib import Path

import pytest

from taskyard.wire.enums import TaskState
from taskyard_agent.protocol import ItemKind
from tests.agents.model.server import Model
from tests.agents.programs.product_kit import Product
from tests.agents.programs.program import CLAUDE_SCREEN
from tests.agents.programs.program_kit import running

pytestmark = [pytest.mark.all_tier, pytest.mark.xdist_group("programs")]


@pytest.mark.anyio
async def test_a_dialog_on_the_screen(home: Path, model: Model) -> None:
    """It asks before it writes, which shows as waiting; with the answer the turn goes on to its end."""
    async with running(home, CLAUDE_SCREEN, model) as bridge:
        seen = len(bridge.states())
        await bridge.say(
            "say: I will write it.", "write: hello.py print('hello')\\n", "say: Written down."
        )
        await bridge.until("a dialog", lambda: "waiting" in bridge.states(seen))
        assert bridge.data(ItemKind.STATE)[-1]["waiting"]["kind"] == "dialog"
        assert not (home / "hello.py").exists()
        await bridge.keys("\r")
        assert (await bridge.ended(0))["reason"] == "end_turn"
        assert (home / "hello.py").exists()
        assert "Written down." in (await bridge.messages())[-1]
        assert bridge.states(seen) == ["working", "waiting", "working", "idle"]


@pytest.mark.anyio
async def test_a_screen_that_is_killed(home: Path, model: Model) -> None:
    """A new process goes on with the conversation."""
    async with running(home, CLAUDE_SCREEN, model) as bridge:
        await bridge.turn("say: the word is dunlin")
        (group,) = bridge.groups()
        os.killpg(group, signal.SIGKILL)
        await bridge.until("its end", lambda: bridge.data(ItemKind.AGENT_EXIT))
        await bridge.until("a second one", lambda: bridge.session() == "idle")
        await bridge.turn("say: again on the screen")
        assert "dunlin" in model.conversation("again on the screen")


def test_the_life_of_a_task_on_a_screen(product: Product, model: Model) -> None:
    """Answers, is sent to, paused, resumed, goes on with what it knows, and is deleted."""
    work = product.create(CLAUDE_SCREEN, "shell: echo $((70 + 7))", "say: the word is godwit")
    work.until(TaskState.IDLE, "the word is godwit")
    work.send("say: and another is ruff")
    work.until(TaskState.IDLE, "and another is ruff")
    work.pause()
    assert "the word is godwit" in work.said
    work.resume()
    work.until(TaskState.IDLE)
    work.send("say: back on the screen")
    work.until(TaskState.IDLE, "back on the screen")
    assert "godwit" in model.conversation("back on the screen")
    work.delete()
