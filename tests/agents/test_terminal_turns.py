"""Whole conversations with a program behind a terminal. Source: agentapi 4, 5.2."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from taskyard_agent.protocol import ItemKind
from tests.agents.fake_server import until
from tests.agents.terminal_kit import GREETING, STEADY_S, script, step, terminal
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


async def test_A24_A29_a_conversation(tmp_path: Path) -> None:
    """Greeting, prompt and answer are three messages, numbered from 0; the agent has one a turn."""
    async with terminal(tmp_path, script(step("hello", "Hi there.\nWhat now?"))) as made:
        assert (await made.messages())[0][0] == "agent"
        await made.stable()
        assert await made.turn("hello") == "Hi there.\nWhat now?"
        assert await made.messages() == [
            ("agent", "Hello! I am ready."),
            ("user", "hello"),
            ("agent", "Hi there.\nWhat now?"),
        ]
        assert [end["reason"] for end in made.data(ItemKind.TURN_END)] == ["end_turn"]
        assert made.states == ["starting", "idle", "running", "idle"]


async def test_A24_before_anything_is_shown_there_is_one_empty_message(tmp_path: Path) -> None:
    """A program that shows nothing has said nothing, in one message with the number 0."""
    async with terminal(tmp_path, None, command=["sleep", "60"]) as made:
        assert await made.messages() == [("agent", "")]
        assert await made.status() == "running"


async def test_A21_running_right_after_the_message_was_taken(tmp_path: Path) -> None:
    """While the agent thinks the status is running, and its message is one in the end."""
    played = script(step("think", "one\ntwo", think_s=0.7))
    async with terminal(tmp_path, played, stable_after_s=STEADY_S) as made:
        await made.stable()
        await made.say("think")
        assert await made.status() == "running"
        await made.stable()
        assert (await made.messages())[2:] == [("agent", "one\ntwo")]
        assert made.states == ["starting", "idle", "running", "idle"]


async def test_D6_identical_replies(tmp_path: Path) -> None:
    """The same question with the same answer, three times, gives three answers."""
    again = [step("again", "The same.") for _ in range(3)]
    async with terminal(tmp_path, script(*again)) as made:
        for _ in range(3):
            assert await made.turn("again") == "The same."
        assert len(await made.messages()) == 7


async def test_N34_a_reply_longer_than_the_screen_is_whole(tmp_path: Path) -> None:
    """3,000 lines on a screen of 60, drawn anew more than once, are there once each; so is the next turn."""
    lines = "\n".join(f"line {number} of the answer" for number in range(3000))
    async with terminal(tmp_path, script(step("long", lines), step("more", "short"))) as made:
        assert await made.turn("long") == lines
        assert await made.turn("more") == "short"
        assert (await made.messages())[2] == ("agent", lines)


async def test_N34_broken_lines_are_whole_again(tmp_path: Path) -> None:
    """A line longer than the screen is wide comes back as one, without the screen's blanks."""
    line = "word " * 60 + "end"
    async with terminal(tmp_path, script(step("wide", f"{line}\n\n  indented"))) as made:
        assert await made.turn("wide") == f"{line}\n\n  indented"


@pytest.mark.parametrize(
    "reply",
    ["Here is the map:\na -> b\nc\nd", "x > 3", "1 > 0\n2 > 1\n3 > 2", "> quoted\nand not"],
)
async def test_N35_a_reply_with_a_prompt_sign_in_its_tail(tmp_path: Path, reply: str) -> None:
    """A `>` in the last lines of the answer is no input box."""
    async with terminal(tmp_path, script(step("draw", reply))) as made:
        assert await made.turn("draw") == reply


async def test_N35_a_reply_that_begins_like_the_prompt(tmp_path: Path) -> None:
    """Only the echo goes; an answer with the same first words stays, also when nothing is echoed."""
    steps = [step("Hello world", "Hello world to you"), step("Hello again", "Hello\nagain")]
    async with terminal(tmp_path, script(*steps)) as made:
        assert await made.turn("Hello world") == "Hello world to you"
        assert await made.turn("Hello again") == "Hello\nagain"


@pytest.mark.parametrize(
    "reply", ["日本語の答え\n完了 ✅ 全部 ❤️", "👨‍👩‍👧‍👦 and 🇪🇺\nDone ✓", "é ü ñ — “quoted”"]
)
async def test_N22_wide_characters_in_reply_and_prompt(tmp_path: Path, reply: str) -> None:
    """Characters of every width come back as they were."""
    async with terminal(tmp_path, script(step(reply.split("\n", 1)[0], reply))) as made:
        assert await made.turn(reply.split("\n", 1)[0]) == reply


async def test_N29_a_spinner_and_a_pause_with_a_marker_are_one_turn(tmp_path: Path) -> None:
    """A long spinner, then nothing moving for far longer than a screen needs to be stable: never idle between."""
    (tmp_path / "rules.toml").write_text(MARKED)
    thinking = step("work", "done", think_s=0.3, blank=0.5, busy="(esc to interrupt)")
    made_of = script(thinking, step("next", "fine"))
    async with terminal(tmp_path, made_of, rules=tmp_path / "rules.toml") as made:
        await made.stable()
        assert await made.turn("work") == "done"
        assert made.states == ["starting", "idle", "running", "idle"]
        assert await made.turn("next") == "fine"


MARKED = r"""
[composer]
pattern = '^>(?P<text>.*)\Z'
[busy]
above = ['esc to interrupt']
below = ['esc to interrupt']
[screen]
left_out = ['.*esc to interrupt.*']
[dialog]
patterns = ['^Do you want .*\n.*1\. Yes']
"""


async def test_N30_a_dialog_refuses_messages_and_takes_keys(tmp_path: Path) -> None:
    """With a question on its screen the agent waits for a person: messages are refused, keys answer it."""
    (tmp_path / "rules.toml").write_text(MARKED)
    asks = step(
        "edit", "edited", dialog="Do you want to edit x.py?\n> 1. Yes\n  2. No", think_s=0.1
    )
    waits: dict[str, Any] = {"rules": tmp_path / "rules.toml", "stable_after_s": STEADY_S}
    async with terminal(tmp_path, script(asks), **waits) as made:
        await made.stable()
        await made.say("edit")
        await made.state("awaiting_input")
        waiting = made.data(ItemKind.STATE)[-1]
        assert (waiting["state"], waiting["waiting"]["kind"]) == ("waiting", "dialog")
        assert waiting["waiting"]["title"] == "Do you want to edit x.py?"
        assert await made.status() == "running"
        assert await made.post("yes please") == (500, "dialog_open")
        assert await made.post("1", "raw") == (200, "")
        await made.stable()
        assert (await made.messages())[-1] == ("agent", "answered '1'\nedited")
        assert len(made.data(ItemKind.TURN_END)) == 1


async def test_A28_the_last_message_follows_the_screen(tmp_path: Path) -> None:
    """What was drawn and is not there any more is not in the message; items say only what changed."""
    counts = script(step("count", "three", think_s=0.3, busy="42"))
    async with terminal(tmp_path, counts, stable_after_s=STEADY_S) as made:
        assert await made.turn("count") == "three"
        pieces = [piece for piece in made.data(ItemKind.AGENT_TEXT) if piece["message_id"] == 2]
        assert any("42" in piece["text"] for piece in pieces)
        assert all("keep" in piece for piece in pieces[1:])


async def test_A15_A7_the_screen_can_be_watched(tmp_path: Path) -> None:
    """The screen is told as it is, and again when it changed; its rows are as wide as the terminal."""
    async with terminal(tmp_path, script(step("hello", "hi")), cols=40, rows=12) as made:
        await made.stable()
        shown = made.session.screen_text().split("\n")
        assert [len(row) for row in shown] == [40] * 12
        assert shown[0].rstrip() == "Hello! I am ready."
        async with made.client.get("/internal/screen") as stream:
            first = await event_data(stream.content)
            assert first.startswith("Hello! I am ready.")
            await made.say("hello")
            while "hi" not in (await event_data(stream.content)).split():
                pass


async def event_data(content: object) -> str:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            line = (await content.readline()).decode()  # type: ignore[attr-defined]  # of any stream
            assert line, "the stream has ended"
            if line.startswith("data: "):
                return str(json.loads(line[6:])["screen"])


async def test_D16_no_padding_in_messages(tmp_path: Path) -> None:
    """Blanks at the ends of lines that only the screen has are not in any message."""
    async with terminal(tmp_path, script(step("hello", "short\n\nlines"))) as made:
        text = await made.turn("hello")
        assert not re.search(r"[ \t]+$", text, re.MULTILINE)


async def test_A25_frozen_while_a_message_is_typed(tmp_path: Path) -> None:
    """What is typed never appears in the agent's message before it."""
    async with terminal(tmp_path, script(step("a secret prompt", "ok"))) as made:
        await made.turn("a secret prompt")
        for piece in made.data(ItemKind.AGENT_TEXT):
            assert "secret" not in piece["text"]


async def test_N4_N28_an_idle_session_does_nothing(tmp_path: Path) -> None:
    """While nothing happens no timer of the session is set, so that nothing wakes up."""
    async with terminal(tmp_path, script(), ready_timeout_s=None) as made:
        await made.stable()
        session = made.session
        assert session._program is not None
        watch = session._program.watch
        assert (watch._timer, watch._settle.pending) == (None, False)
        assert session._speech._timer is None
        assert session._silence is None


async def test_A36_a_program_is_ready_when_its_box_is_drawn(tmp_path: Path) -> None:
    """By the rules of its type: before its input box is there a message is refused, after that it is taken."""
    loads = step("", "Hello! I am ready.", dialog="Loading the program")
    played = {"steps": [loads, step("hello", "hi")], "paste": True, "box": True}
    async with terminal(tmp_path, played, kind="claude", ready_pattern=None) as made:
        program = made.session._program
        assert program is not None
        await until(lambda: "Loading" in program.text())
        await until(lambda: program.watch.quiet_s > 3 * 0.15)
        assert await made.status() == "running"
        assert await made.post("hello") == (500, "not_ready")
        assert await made.post("x", "raw") == (200, "")
        assert await made.turn("hello") == "hi"
        assert [role for role, _ in await made.messages()] == ["agent", "user", "agent"]


async def test_N31_an_unknown_program_is_ready_when_its_cursor_stands_still(tmp_path: Path) -> None:
    """A plain `$ ` is enough: no program is never ready."""
    played = {"steps": [GREETING, step("*", "fine")], "plain": True, "prompt": "$ "}
    async with terminal(tmp_path, played, ready_pattern=None) as made:
        assert await made.turn("whatever") == "fine"


async def test_N31_a_program_that_shows_nothing_is_ready_in_the_end(tmp_path: Path) -> None:
    """It takes longer, since a blank screen is mostly that of a program that is starting."""
    async with terminal(tmp_path, None, command=["cat"], ready_pattern=None) as made:
        program = made.session._program
        assert program is not None
        await made.stable()
        assert program.watch.quiet_s >= 5 * 0.15
        await made.say("hello")


async def test_N31_a_pattern_says_when_it_is_ready(tmp_path: Path) -> None:
    """Nothing else counts then; a program that is late is reported, and may still come."""
    played = script(step("hello", "hi"), history=["booting"])
    pattern = re.compile("never shown")
    async with terminal(tmp_path, played, ready_pattern=pattern, ready_timeout_s=0.6) as made:
        await made.state("not_ready")
        assert "does not look ready after 0.6 s" in made.faults[-1]
        assert await made.post("hello") == (500, "not_ready")
        assert await made.status() == "running"


async def test_N31_a_pattern_that_is_shown(tmp_path: Path) -> None:
    """A program whose screen has it takes messages."""
    async with terminal(
        tmp_path, script(step("hello", "hi")), ready_pattern=re.compile("ready")
    ) as made:
        assert await made.turn("hello") == "hi"


async def test_N3_reading_never_waits(tmp_path: Path) -> None:
    """While a message is being typed into a program that does not react, everything else is answered."""
    muted = {"steps": [], "mute": True, "paste": True}
    async with terminal(tmp_path, muted, reaction_s=60.0) as made:
        await made.stable()
        async with asyncio.TaskGroup() as tasks:
            posting = tasks.create_task(made.post("hello"))
            await until(lambda: made.session.record.status == "running")
            for path in ("/status", "/messages"):
                assert (await made.client.get(path)).status == 200
            assert not posting.done()
            await made.bridge.stop(0)
        assert posting.result() == (503, "shutting_down")
