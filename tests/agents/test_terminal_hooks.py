"""Events that a coding agent with a screen tells by its own hooks. Source: N29."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import pytest

from taskyard_agent.bridge.hooks import BUSY, PROGRAM, command, hook_words
from taskyard_agent.protocol import ItemKind
from tests.agents.fake_server import until
from tests.agents.terminal_kit import GREETING, Made, script, step, terminal
from tests.agents.v2_kit import refused

pytestmark = pytest.mark.anyio

TOLD_S = 1.0
"""Seconds for which a screen stands still, several times what counts as free without a hook."""


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


async def hook(made: Made, event: str, error: str | None = None) -> None:
    async with made.client.post("/v2/hook", json={"event": event, "error": error}) as answer:
        assert answer.status == 200, await answer.text()


async def test_N29_a_hook_goes_before_silence(tmp_path: Path) -> None:
    """While its own hooks say that it works it is not free, however still its screen is; then it is."""
    ran = step("go", "done", begins="UserPromptSubmit", ends="Stop", works_s=TOLD_S)
    async with terminal(tmp_path, script(ran)) as made:
        await made.stable()
        await made.say("go")
        await until(lambda: made.session.record.conversation.messages[-1].content == "done")
        await until(lambda: made.data(ItemKind.TURN_END))
        said = next(item for item in made.items() if item.kind is ItemKind.AGENT_TEXT and b"done" in bytes(item.data))  # fmt: skip
        ended = next(item for item in made.items() if item.kind is ItemKind.TURN_END)
        assert (ended.time - said.time).total_seconds() > TOLD_S / 2
        assert made.states == ["starting", "idle", "running", "idle"]


async def test_N29_a_hook_tells_that_a_turn_failed(tmp_path: Path) -> None:
    """A turn that the program gave up is an error with its reason; the next one is as any other."""
    ran = step("go", "API Error", begins="UserPromptSubmit", ends="StopFailure invalid_request")
    fine = step("again", "fine", begins="UserPromptSubmit", ends="Stop")
    async with terminal(tmp_path, script(ran, fine)) as made:
        assert await made.turn("go") == "API Error"
        (end,) = made.data(ItemKind.TURN_END)
        assert end["reason"] == "error"
        assert "invalid_request" in end["error"]
        state = made.data(ItemKind.STATE)[-1]
        assert (state["state"], state["session"]) == ("failed", "idle")
        assert await made.turn("again") == "fine"
        assert made.data(ItemKind.TURN_END)[-1] == {"reason": "end_turn", "error": None}
        assert made.data(ItemKind.STATE)[-1]["state"] == "idle"


async def test_N29_keys_end_what_a_hook_said(tmp_path: Path) -> None:
    """No hook tells of an interrupt: after a key the screen decides, and a late hook changes nothing."""
    played = script(step("go", "cancelled", dialog="stop?", begins="UserPromptSubmit"))
    async with terminal(tmp_path, played) as made:
        await made.stable()
        await made.say("go")
        await until(lambda: "stop?" in made.session.screen_text())
        assert await made.post("\x03", "raw") == (200, "")
        await hook(made, "PreToolUse")
        await made.stable()
        assert made.data(ItemKind.TURN_END)[-1]["reason"] == "cancelled"


async def test_N29_a_prompt_that_somebody_typed(tmp_path: Path) -> None:
    """Work between our turns shows as running for as long as the hooks say so, and a failure of it as failed."""
    async with terminal(tmp_path, {"steps": [GREETING]}) as made:
        await made.stable()
        await hook(made, "UserPromptSubmit")
        assert made.states[-1] == "running"
        assert (await made.post("now"))[1] == "busy"
        await hook(made, "StopFailure", "overloaded")
        await made.stable()
        state = made.data(ItemKind.STATE)[-1]
        assert (state["state"], "overloaded" in state["reason"]) == ("failed", True)


async def test_hook_route(tmp_path: Path) -> None:
    """Events that nobody knows are heard and mean nothing; what is no event is refused."""
    async with terminal(tmp_path, {"steps": [GREETING]}) as made:
        await made.stable()
        await hook(made, "SomethingNew")
        assert made.states[-1] == "idle"
        async with made.client.post("/v2/hook", json={"event": ""}) as answer:
            await refused(answer, 422, "invalid")


@pytest.mark.parametrize("env", [{}, {"TASKYARD_BRIDGE_URL": "http://127.0.0.1:9"}, {"TASKYARD_BRIDGE_URL": "x"}])  # fmt: skip
def test_N29_a_hook_never_fails_its_agent(env: dict[str, str], tmp_path: Path) -> None:
    """Whatever the environment and standard input are, it ends well and says nothing."""
    (tmp_path / "json.py").write_text("raise SystemExit(3)")
    for event in ("Stop", "StopFailure"):
        ran = subprocess.run(
            command(event), env=env, cwd=tmp_path, input=b"{", capture_output=True, check=False
        )
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")


def told(words: Sequence[str]) -> dict[str, object]:
    (word,) = words
    hooks = json.loads(word.removeprefix("--settings="))["hooks"]
    assert isinstance(hooks, dict)
    return hooks


def test_N29_words_for_a_command() -> None:
    """Claude and Codex are told to run the hook, the others not; who sets the same by itself keeps it."""
    hooks = told(hook_words("claude", ["claude"]))
    assert set(hooks) < set(BUSY)
    assert PROGRAM in json.dumps(hooks["Stop"])
    flag, value = hook_words("codex", ["codex"])
    assert (flag, json.loads(value.removeprefix("notify="))[-2:]) == (
        "-c",
        [PROGRAM, "agent-turn-complete"],
    )
    assert hook_words("claude", ["claude", "--settings", "{}"]) == []
    assert hook_words("codex", ["codex", "-c", 'notify=["x"]']) == []
    assert hook_words("gemini", ["gemini"]) == []
    assert sys.executable in hooks_command(hooks)


def hooks_command(hooks: dict[str, object]) -> str:
    return json.dumps(hooks["Stop"])


async def test_N29_over_acp_there_are_no_hooks(tmp_path: Path) -> None:
    """A coding agent over ACP tells everything by it."""
    # Imported here: nothing else in this file talks ACP.
    from tests.agents.bridge_kit import bridge

    async with (
        bridge(tmp_path) as client,
        client.post("/v2/hook", json={"event": "Stop"}) as answer,
    ):
        assert isinstance(answer, aiohttp.ClientResponse)
        await refused(answer, 409, "no_terminal")
