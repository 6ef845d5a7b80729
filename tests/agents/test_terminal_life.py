"""Programs behind a terminal that start, end, and start again. Source: agentapi 4.1, A40-A47, N17-N20, N26."""

import json
import os
import signal
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from taskyard_agent.bridge.life import Ended, Life, OnExit
from taskyard_agent.bridge.session import Refused, Report, TerminalLike
from taskyard_agent.process import Exit
from taskyard_agent.protocol import ItemKind
from tests.agents.fake_server import until
from tests.agents.terminal_kit import (
    FAKE,
    QUICK,
    SHORT_S,
    STEADY_S,
    Made,
    Script,
    script,
    step,
    terminal,
    written,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


def exits(made: Made) -> int:
    return len(made.data(ItemKind.AGENT_EXIT))


def pid_of(made: Made) -> int:
    return int(made.data(ItemKind.SESSION_INFO)[-1]["pid"])


@pytest.mark.parametrize("code", [0, 3])
async def test_A19_N26_stop_when_the_program_ends(tmp_path: Path, code: int) -> None:
    """Whoever runs the bridge hears of the end, with code and last screen; it is an error in the transcript."""
    ends: list[Ended] = []
    played = script(step("end", "", die=code, think_s=0.2))
    life = Life(OnExit.STOP, on_end=ends.append)
    async with terminal(tmp_path, played, life=life, stable_after_s=STEADY_S) as made:
        await made.stable()
        await made.say("end")
        await until(lambda: bool(ends))
        assert ends[0].exit == Exit(code, None)
        assert "last words" in ends[0].screen
        [ended] = made.data(ItemKind.AGENT_EXIT)
        assert (ended["exit_code"], ended["signal"]) == (code, None)
        assert "last words" in ended["screen"]
        assert f"exit code {code}" in made.faults[0]
        assert made.states[-1] == "error"
        assert made.data(ItemKind.TURN_END)[-1]["reason"] == "agent_exit"
        assert made.health == ["healthy", "unhealthy"]
        assert await made.post("more") == (500, "agent_exited")


async def test_N26_hold_keeps_the_conversation_readable(tmp_path: Path) -> None:
    """After a killed program the messages are still there, the status is running, and the state exited."""
    async with terminal(tmp_path, script(step("hello", "hi")), life=Life(OnExit.HOLD)) as made:
        await made.turn("hello")
        os.kill(pid_of(made), signal.SIGKILL)
        await until(lambda: exits(made) == 1)
        assert made.data(ItemKind.AGENT_EXIT)[0]["signal"] == signal.SIGKILL
        await made.state("exited")
        assert await made.status() == "running"
        assert len(await made.messages()) == 3


async def test_N26_restart_three_times(tmp_path: Path) -> None:
    """It is started again with its conversation frozen, three times in ten minutes, and then not any more."""
    played = script(step("hello", "hi"), step("end", "", die=5))
    async with terminal(tmp_path, played) as made:
        await made.turn("hello")
        said = await made.messages()
        for count in range(1, 5):
            os.kill(pid_of(made), signal.SIGKILL)
            await until(lambda count=count: exits(made) == count)  # type: ignore[misc]  # bound now
            if count < 4:
                await made.stable()
                assert await made.messages() == said
        await made.state("error")
        assert "stays down" in made.faults[-1]
        assert made.health[-1] == "unhealthy"


async def test_A14_a_program_that_is_not_there(tmp_path: Path) -> None:
    """The reason is told, and nothing is tried again."""
    ends: list[Ended] = []
    async with terminal(
        tmp_path, None, command=["no-such-agent"], life=Life(on_end=ends.append)
    ) as made:
        await made.state("error")
        assert "no-such-agent" in made.faults[0]
        assert ends[0].exit == Exit(None, None)
        assert await made.post("hello") == (500, "agent_exited")


async def test_A18_the_animation_of_amp_is_ended(tmp_path: Path) -> None:
    """That type gets a blank and its removal right after the start; others get nothing."""
    for kind, typed in (("amp", b" \x08"), ("custom", b"")):
        log = tmp_path / f"read-{kind}"
        played = script(log=str(log), mute=True)
        async with terminal(tmp_path, played, kind=kind) as made:
            await until(lambda: made.session.screen_text().strip() != "")
            if typed:
                await until(partial(written, log))
        assert bytes.fromhex(written(log)) == typed


async def test_A40_A41_the_first_prompt(tmp_path: Path) -> None:
    """It is typed when the program is ready, as message 1; the status is running until it was answered."""
    played = script(step("begin", "begun", think_s=0.3))
    options = replace(QUICK, stable_after_s=STEADY_S)
    life = Life(prompt=" begin\n")
    async with terminal(tmp_path, played, options=options, life=life) as made:
        assert await made.post("too early") == (500, "not_ready")
        await made.stable()
        assert await made.messages() == [
            ("agent", "Hello! I am ready."),
            ("user", "begin"),
            ("agent", "begun"),
        ]
        assert made.states == ["starting", "running", "idle"]


async def test_A44_N18_the_first_prompt_is_sent_once(tmp_path: Path) -> None:
    """After a restart the same one is not sent again, and another one is."""
    played = script(step("one", "1"), step("two", "2"))
    async with terminal(tmp_path, played, life=Life(prompt="one")) as made:
        await made.stable()
    async with terminal(tmp_path, script(step("two", "2")), life=Life(prompt="one")) as made:
        await made.stable()
        assert len(await made.messages()) == 3
    async with terminal(tmp_path, script(step("two", "2")), life=Life(prompt="two")) as made:
        await made.stable()
        assert [text for _, text in await made.messages()][1::2] == ["one", "two"]
        assert len(await made.messages()) == 5


async def test_D10_the_first_prompt_is_pasted_like_any_other(tmp_path: Path) -> None:
    """Its line ends do not send half of it."""
    log = tmp_path / "read"
    played = script(step("a\nb", "ok"), log=str(log))
    async with terminal(tmp_path, played, life=Life(prompt="a\nb")) as made:
        await made.stable()
        assert b"\x1b[200~a\nb\x1b[201~" in bytes.fromhex(log.read_text().replace("\n", ""))
        assert (await made.messages())[-1] == ("agent", "ok")


async def test_N18_a_first_prompt_that_fails_is_reported(tmp_path: Path) -> None:
    """A program that does not react to it leaves an error, and is free for other prompts."""
    never: dict[str, Any] = {"echo_s": SHORT_S, "reaction_s": 0.5}
    async with terminal(tmp_path, script(mute=True), life=Life(prompt="begin"), **never) as made:
        await made.stable()
        assert "The first prompt could not be sent" in made.faults[-1]


async def test_A45_the_conversation_survives_a_restart(tmp_path: Path) -> None:
    """The messages are those from before; what the program shows again is not taken for a new one."""
    async with terminal(tmp_path, script(step("hello", "hi"))) as made:
        await made.turn("hello")
        said = await made.messages()
    again = script(step("*", "much more"), history=["> hello", "hi"])
    async with terminal(tmp_path, again) as made:
        assert await made.messages() == said
        await made.stable()
        assert await made.messages() == said
        assert await made.turn("more") == "much more"
        assert await made.messages() == [*said, ("user", "more"), ("agent", "much more")]


async def test_A45_an_answer_that_was_cut_off_is_read_again(tmp_path: Path) -> None:
    """When the last prompt had no answer yet, what the program shows is that answer."""
    slow = script(step("hello", "hi", blank=60), prompt=False)
    async with terminal(tmp_path, slow, echo_s=SHORT_S) as made:
        await made.stable()
        await made.say("hello")
    async with terminal(tmp_path, {"steps": [step("", "Back: hi")]}) as made:
        await made.stable()
        assert (await made.messages())[1:] == [("user", "hello"), ("agent", "Back: hi")]
        assert made.data(ItemKind.TURN_END)[0]["reason"] == "interrupted"


def program(folder: Path, played: Script) -> list[str]:
    """A command of that script whose program is called claude."""
    (folder / "script.json").write_text(json.dumps(played))
    path = folder / "claude"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {FAKE} {folder}/script.json "$@"\n')
    path.chmod(0o755)
    return [str(path), "--model", "x"]


def calls(path: Path) -> list[list[str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


PLAIN_RULES = r"""
[composer]
pattern = '^>(?P<text>.*)\Z'
"""


@pytest.fixture
def claudes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where that program keeps its sessions."""
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude-config"))
    folder = tmp_path / "claude-config" / "projects" / "-home"
    folder.mkdir(parents=True)
    return folder


async def test_N17_the_program_goes_on_with_its_session(tmp_path: Path, claudes: Path) -> None:
    """The first start names a session, the next one resumes that; the agent's words follow the command's own."""
    words = tmp_path / "words"
    rules = tmp_path / "rules.toml"
    rules.write_text(PLAIN_RULES)
    command = program(tmp_path, script(step("hello", "hi"), args=str(words)))
    async with terminal(tmp_path, None, kind="claude", command=command, rules=rules) as made:
        await made.turn("hello")
    (claudes / f"{calls(words)[0][3]}.jsonl").touch()
    async with terminal(tmp_path, None, kind="claude", command=command, rules=rules) as made:
        await made.stable()
        assert made.faults == []
        assert made.session.inline.context is None
    first, second = calls(words)
    assert first[:3] == ["--model", "x", "--session-id"]
    assert second[:4] == ["--model", "x", "--resume", first[3]]
    ours = ["--mcp-config", "--allowedTools", "--settings"]
    assert [[word.split("=")[0] for word in one[4:]] for one in (first, second)] == [ours, ours]


async def test_N26_an_end_between_turns_is_no_failure_of_the_task(tmp_path: Path) -> None:
    """While the program is gone the state says so; with the next one it is idle again, as over ACP."""
    async with terminal(tmp_path, script(step("hello", "hi"))) as made:
        await made.turn("hello")
        os.kill(pid_of(made), signal.SIGKILL)
        await until(lambda: "exited" in made.states)
        await made.state("idle")
        states = [(state["session"], state["state"]) for state in made.data(ItemKind.STATE)]
        assert states[states.index(("exited", "failed")) :] == [
            ("exited", "failed"),
            ("starting", "starting"),
            ("idle", "idle"),
        ]
        assert "signal 9" in next(s["reason"] for s in made.data(ItemKind.STATE) if s["session"] == "exited")  # fmt: skip


async def test_N17_a_session_that_cannot_be_resumed(tmp_path: Path, claudes: Path) -> None:
    """A resume that fails at once is told as a warning, and the program starts afresh."""
    words = tmp_path / "words"
    rules = tmp_path / "rules.toml"
    rules.write_text(PLAIN_RULES)
    command = program(tmp_path, script(step("hello", "hi"), args=str(words), resume_code=1))
    for said in ("hello", "again"):
        async with terminal(tmp_path, None, kind="claude", command=command, rules=rules) as made:
            answer = await made.turn(said)
            (claudes / f"{calls(words)[0][3]}.jsonl").touch()
            levels = [error["level"] for error in made.data(ItemKind.ERROR)]
            faults = made.faults
    assert [call[2] for call in calls(words)] == ["--session-id", "--resume", "--session-id"]
    assert levels == ["error", "warning"]
    assert "starts without it" in faults[-1]
    assert "exit code 1" in faults[-1]
    assert "memory of this conversation was lost" in answer  # it was told


async def test_N19_N20_a_stop_ends_the_turn(tmp_path: Path) -> None:
    """The key for it is pressed, the turn ends as interrupted, and prompts are refused; nothing is left running."""
    played = script(step("work", "never", blank=60, busy="working"))
    async with terminal(tmp_path, played) as made:
        await made.stable()
        await made.say("work")
        pid = pid_of(made)
        await made.bridge.stop(0.2)
        assert made.data(ItemKind.TURN_END)[-1]["reason"] == "interrupted"
        refused = await made.client.post("/message", json={"content": "x", "type": "user"})
        assert refused.status == 503
        assert made.states[-1] == "stopped"
        await made.bridge.end_agent(0.5)
        assert not Path(f"/proc/{pid}").exists()


async def test_N27_all_output_is_kept(tmp_path: Path) -> None:
    """The bytes that the program wrote are there, also those from before a restart."""
    async with terminal(tmp_path, script(step("hello", "hi"))) as made:
        await made.turn("hello")
        log = made.session.pty_log
        assert b"Hello! I am ready." in log.read(0, 10**6)
        end = log.end
    async with terminal(tmp_path, script()) as made:
        await made.stable()
        assert made.session.pty_log.first == 0
        assert made.session.pty_log.end > end


async def test_N1_the_transport_is_the_screen(tmp_path: Path) -> None:
    """The status says that the agent is talked to through its terminal, and of which type it is."""
    async with terminal(tmp_path, script()) as made:
        body = await (await made.client.get("/status")).json()
        assert (body["transport"], body["agent_type"]) == ("pty", "custom")
        session: TerminalLike = made.session
        assert session.permissions() == []
        with pytest.raises(Refused):
            session.answer_permission("1", None)
        session.report(Report("half way", None, "working"))
        assert made.data(ItemKind.REPORT)[0]["summary"] == "half way"


async def test_a_tall_screen_is_not_in_the_message(tmp_path: Path) -> None:
    """Dozens of blank rows between two texts are what a program leaves free, not what it says."""
    played = script(step("hello", "top" + "\n" * 50 + "bottom\n\n\nend"))
    async with terminal(tmp_path, played, rows=100) as made:
        assert await made.turn("hello") == "top\n\nbottom\n\n\nend"
