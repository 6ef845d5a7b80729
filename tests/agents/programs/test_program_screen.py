"""Claude Code's own screen, behind the bridge."""

from pathlib import Path

import pytest

from taskyard_agent.protocol import ItemKind
from tests.agents.model.server import Model
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
        assert (await bridge.messages())[-1].endswith("\n● Written down.")
        assert bridge.states(seen) == ["working", "waiting", "working", "idle"]


@pytest.mark.anyio
async def test_N29_a_model_that_refuses(home: Path, model: Model) -> None:
    """An error of the model fails the turn, as Claude's own hook tells; the next prompt is answered, and no more."""
    async with running(home, CLAUDE_SCREEN, model) as bridge:
        end = await bridge.turn("error: 400", "say: refused on the screen")
        assert end["reason"] == "error", (end, await bridge.messages())
        await bridge.until(
            "a failed state", lambda: bridge.data(ItemKind.STATE)[-1]["state"] == "failed"
        )
        assert bridge.session() == "idle"
        assert (await bridge.turn("say: better now"))["reason"] == "end_turn"
        assert (await bridge.messages())[-1] == "● better now"
