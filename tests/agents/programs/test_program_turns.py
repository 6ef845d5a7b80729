"""Real coding agents behind the bridge: turns, permissions, and errors of the model."""

from pathlib import Path

import pytest

from taskyard_agent.protocol import ItemKind
from tests.agents.model.server import Model
from tests.agents.programs.program import Program
from tests.agents.programs.program_kit import running

pytestmark = [pytest.mark.anyio, pytest.mark.all_tier, pytest.mark.xdist_group("programs")]


async def test_a_turn_with_two_tool_calls(home: Path, speaker: Program, model: Model) -> None:
    """A file is written and run; both calls, the words and the end of the turn are in the transcript."""
    async with running(home, speaker, model) as bridge:
        seen = len(bridge.states())
        end = await bridge.turn(
            f"say: I will write it in the bridge, {speaker.name}.",
            "write: hello.py print('hello ' + 'world')\\n",
            "shell: python3 hello.py",
            "say: It says hello.",
        )
        assert end == {"reason": "end_turn", "error": None}
        assert (home / "hello.py").exists()
        assert "hello world" in model.results(f"in the bridge, {speaker.name}.")[-1]
        assert [call["status"] for call in bridge.tools()] == ["completed"] * 2
        assert "It says hello." in (await bridge.messages())[-1]
        assert bridge.states(seen) == ["working", "idle"]
        assert bridge.data(ItemKind.ERROR) == []


async def test_a_permission_that_is_allowed(home: Path, speaker: Program, model: Model) -> None:
    """The policy allows: the request and its answer are in the transcript, and the command has run.

    Codex asks only where nobody else confines it.
    """
    async with running(home, speaker, model, permissions="allow", confined=False) as bridge:
        await bridge.turn(speaker.asking("touch made.txt"))
        (asked,) = bridge.data(ItemKind.PERMISSION_REQUEST)
        (answered,) = bridge.data(ItemKind.PERMISSION_RESPONSE)
        chosen = next(o for o in asked["options"] if o["option_id"] == answered["option_id"])
        assert (answered["outcome"], chosen["kind"]) == ("selected", "allow_once")
        assert (home / "made.txt").exists()


async def test_a_permission_that_is_refused(home: Path, speaker: Program, model: Model) -> None:
    """The policy denies: the command has not run, and the session takes the next prompt."""
    async with running(home, speaker, model, permissions="deny") as bridge:
        end = await bridge.turn(speaker.asking("touch made.txt"), "say: so it is")
        assert end["reason"] == ("end_turn" if speaker.goes_on else "cancelled")
        (asked,) = bridge.data(ItemKind.PERMISSION_REQUEST)
        (answered,) = bridge.data(ItemKind.PERMISSION_RESPONSE)
        chosen = next(o for o in asked["options"] if o["option_id"] == answered["option_id"])
        assert chosen["kind"] == "reject_once"
        assert not (home / "made.txt").exists()
        assert (await bridge.turn("say: next"))["reason"] == "end_turn"
        assert "next" in (await bridge.messages())[-1]


async def test_an_error_of_the_model_fails_the_turn(
    home: Path, speaker: Program, model: Model
) -> None:
    """Status 400 is no success, whatever the program calls it; the next prompt is taken."""
    async with running(home, speaker, model) as bridge:
        end = await bridge.turn("error: 400", f"say: {speaker.name}")
        assert end["reason"] == "error"
        assert bridge.states()[-1] == "failed"
        assert (await bridge.turn("say: better"))["reason"] == "end_turn"
        assert bridge.states()[-1] == "idle"


async def test_a_model_that_is_busy_for_a_while(home: Path, speaker: Program, model: Model) -> None:
    """Status 529 twice is got over by the program itself."""
    async with running(home, speaker, model) as bridge:
        words = f"at last in the bridge, {speaker.name}."
        end = await bridge.turn("error: 529 2", f"say: {words}")
        assert end["reason"] == "end_turn"
        assert [request.status for request in model.asked(words)] == [529, 529, 200]
        assert words in (await bridge.messages())[-1]


async def test_a_turn_that_is_held(home: Path, speaker: Program, model: Model) -> None:
    """While the model thinks the session works, and nothing else is said of it; then it is idle."""
    gate = f"held by {speaker.name}"
    async with running(home, speaker, model) as bridge:
        seen = len(bridge.states())
        await bridge.say("shell: true", f"gate: {gate}", "say: released")
        await bridge.until("the model at the gate", lambda: model.holds(gate))
        assert await bridge.status() == "running"
        assert bridge.states(seen) == ["working"]
        model.open(gate)
        assert (await bridge.ended(0))["reason"] == "end_turn"
        assert await bridge.status() == "stable"
        assert bridge.states(seen) == ["working", "idle"]
