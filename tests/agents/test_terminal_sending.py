"""How messages and keys reach a program behind a terminal. Source: agentapi 4.4, N18, N30, N32, N33."""

import asyncio
import re
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from taskyard_agent.bridge.life import Life, OnExit
from taskyard_agent.bridge.session import Refused
from taskyard_agent.bridge.terminal_sender import typable
from taskyard_agent.protocol import ItemKind
from tests.agents.fake_server import until
from tests.agents.terminal_kit import GREETING, SHORT_S, Made, script, step, terminal

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


def read_by(path: Path) -> list[bytes]:
    """What the program read, each time that it did."""
    return [bytes.fromhex(line) for line in path.read_text().split()] if path.exists() else []


async def test_A30_text_is_trimmed_and_blank_text_refused(tmp_path: Path) -> None:
    """Blanks at both ends are neither typed nor stored; nothing but blanks is refused."""
    async with terminal(tmp_path, script(step("hello", "hi"))) as made:
        await made.stable()
        assert await made.post(" \t\r\n\f\v") == (500, "empty")
        assert await made.turn(" \n hello \v\f\t ") == "hi"
        assert (await made.messages())[1] == ("user", "hello")


async def test_A34_the_time_of_a_message(tmp_path: Path) -> None:
    """It is when sending began, however long the program took to take it."""
    played = script(step("hello", "hi"), echo=False)
    async with terminal(tmp_path, played, echo_s=0.6) as made:
        await made.stable()
        began = made.session.record.now()
        await made.say("hello")
        taken = made.session.record.now()
        (item,) = (item for item in made.items() if item.kind is ItemKind.USER_MESSAGE)
        assert (taken - item.time).total_seconds() > 0.5
        assert item.time >= began
        listed = (await (await made.client.get("/messages")).json())["messages"]
        assert datetime.fromisoformat(listed[1]["time"]) == item.time


async def test_A30_a_busy_agent_takes_nothing(tmp_path: Path) -> None:
    """A message while it works is refused: nothing of it is typed or stored."""
    log = tmp_path / "read"
    async with terminal(tmp_path, script(step("one", "1", think_s=0.6), log=str(log))) as made:
        status, code = await made.post("too early")
        assert (status, code in {"not_ready", "busy"}) == (500, True)
        await made.stable()
        await made.say("one")
        assert await made.post("two") == (500, "busy")
        await made.stable()
        assert b"two" not in b"".join(read_by(log))
        assert [text for role, text in await made.messages() if role == "user"] == ["one"]


async def test_A31_N32_the_bytes_that_are_typed(tmp_path: Path) -> None:
    """The text as a marked paste, and Enter by itself; nothing else, which modern programs take for text."""
    log = tmp_path / "read"
    async with terminal(tmp_path, script(step("a\nb", "ok"), log=str(log))) as made:
        await made.turn("a\nb")
        got = read_by(log)
        assert b"".join(got) == b"\x1b[200~a\nb\x1b[201~\r"
        assert got[-1] == b"\r"
        assert (await made.messages())[1] == ("user", "a\nb")


async def test_N32_no_paste_marks_for_a_program_that_wants_none(tmp_path: Path) -> None:
    """It gets the text alone, with line ends that do not send it."""
    log = tmp_path / "read"
    async with terminal(tmp_path, script(step("a\nb", "ok"), paste=False, log=str(log))) as made:
        await made.turn("a\r\nb")
        assert b"".join(read_by(log)) == b"a\nb\r"


def test_N32_what_would_end_a_paste_is_taken_out() -> None:
    """Keys and marks within a message are no keys and marks for the program; tabs and line ends stay."""
    assert typable("a\x1b[201~b\x1b[200~c\x1bd\x03e\tf\r\ng\rh\x00\x9b") == "abcde\tf\ng\nh"


async def test_N32_keys_in_a_message_do_nothing(tmp_path: Path) -> None:
    """A message with control characters arrives as text and is stored as it was."""
    async with terminal(tmp_path, script(step("ab", "ok"))) as made:
        assert await made.turn("a\x1b[201~\x03b") == "ok"


async def test_A32_an_echo_is_waited_for(tmp_path: Path) -> None:
    """Enter comes once the text was shown and nothing moved for a moment."""
    async with terminal(tmp_path, script(step("hello", "ok")), echo_s=30.0, quiet_s=0.3) as made:
        await made.stable()
        began = time.monotonic()
        await made.say("hello")
        assert 0.3 <= time.monotonic() - began < 25


async def test_A32_a_program_that_never_echoes(tmp_path: Path) -> None:
    """After a while Enter is pressed all the same, and that is no error."""
    played = script(step("hello", "hello yourself"), echo=False)
    async with terminal(tmp_path, played, echo_s=SHORT_S) as made:
        await made.stable()
        began = time.monotonic()
        await made.say("hello")
        assert time.monotonic() - began >= SHORT_S
        await made.stable()
        assert (await made.messages())[-1] == ("agent", "hello yourself")


MARKED = r"""
[composer]
pattern = '^>(?P<text>.*)\Z'
"""


async def test_A33_D8_a_program_that_does_not_react(tmp_path: Path) -> None:
    """The message fails, is not stored, and is taken out of the composer, so that a retry does not double it."""
    (tmp_path / "rules.toml").write_text(MARKED)
    log = tmp_path / "read"
    muted = script(log=str(log), mute=True)
    rules = tmp_path / "rules.toml"
    async with terminal(tmp_path, muted, rules=rules, echo_s=SHORT_S, reaction_s=0.5) as made:
        await made.stable()
        assert await made.post("hello") == (500, "timeout")
        await until(lambda: b"".join(read_by(log)).endswith(b"\x15"))
        assert b"".join(read_by(log)) == b"\x1b[200~hello\x1b[201~\r\x15"
        assert [role for role, _ in await made.messages()] == ["agent"]
        await made.stable()
        assert not made.data(ItemKind.USER_MESSAGE)


async def test_writing_to_the_agent_fails(tmp_path: Path) -> None:
    """A program that reads nothing fails the message with a code and a sentence; none of it is stored. Source: agentapi 1.2."""
    deaf = {"steps": [], "deaf": True, "paste": True}
    async with terminal(tmp_path, deaf, inline_max_bytes=10**6, reaction_s=0.5) as made:
        await made.stable()
        said = {"content": "x" * 500_000, "type": "user"}  # more than any terminal holds
        async with made.client.post("/message", json=said) as answer:
            assert (answer.status, answer.headers["X-Agentapi-Code"]) == (500, "timeout")
            told = (await answer.json(content_type=None))["errors"][0]["message"]
        assert "read none of its input" in told
        assert not made.data(ItemKind.USER_MESSAGE)
        await made.stable()


async def test_A33_enter_is_pressed_again_only_while_the_text_stands_there(tmp_path: Path) -> None:
    """A swallowed Enter is repeated; without a composer that holds the text it never is."""
    log, rules = tmp_path / "read", tmp_path / "rules.toml"
    rules.write_text(MARKED)
    played = script(step("hello", "hi"), swallow=1, log=str(log))
    async with terminal(tmp_path, played, rules=rules, repeat_s=1.0) as made:
        assert await made.turn("hello") == "hi"
        assert b"".join(read_by(log)).count(b"\r") == 2
    log.unlink()
    rules.write_text("")
    ready = re.compile("ready")
    async with terminal(tmp_path, played, rules=rules, ready_pattern=ready, reaction_s=0.5) as made:
        await made.stable()
        assert await made.post("hello") == (500, "timeout")
        assert b"".join(read_by(log)).count(b"\r") == 1


async def test_N30_a_question_that_comes_up_meanwhile_is_not_answered(tmp_path: Path) -> None:
    """Enter is not pressed when a dialog opened while the message was typed; the message is refused."""
    log, rules = tmp_path / "read", tmp_path / "rules.toml"
    rules.write_text(MARKED + "[dialog]\npatterns = ['^Sure\\?']\n")
    played = script(step("hello", "hi"), ambush="Sure?", log=str(log))
    async with terminal(tmp_path, played, rules=rules) as made:
        await made.stable()
        assert await made.post("hello") == (500, "dialog_open")
        assert b"\r" not in b"".join(read_by(log))
        assert await made.post("y", "raw") == (200, "")
        await made.state("idle")


async def test_N32_a_composer_that_is_not_empty_is_emptied_first(tmp_path: Path) -> None:
    """What somebody typed and did not send is removed, and only the message is sent."""
    (tmp_path / "rules.toml").write_text(MARKED)
    async with terminal(
        tmp_path, script(step("hello", "hi")), rules=tmp_path / "rules.toml"
    ) as made:
        await made.stable()
        assert await made.post("left over", "raw") == (200, "")
        await until(lambda: made.session.record.status == "running")
        await made.stable()
        assert await made.turn("hello") == "hi"


async def test_A34_stored_only_when_it_was_taken(tmp_path: Path) -> None:
    """The answer to the request comes when the agent reacted; the message is stored by then, not before."""
    async with terminal(tmp_path, script(step("hello", "hi")), quiet_s=0.3) as made:
        await made.stable()
        async with asyncio.TaskGroup() as tasks:
            posting = tasks.create_task(made.post("hello"))
            await until(lambda: made.session.record.status == "running")
            assert len(await made.messages()) == 1
            assert not posting.done()
        assert posting.result() == (200, "")
        assert (await made.messages())[1] == ("user", "hello")


async def test_A35_raw_keys_go_through_at_any_time(tmp_path: Path) -> None:
    """They are written as they are, not stored as a message, and what they do shows in the last one."""
    log = tmp_path / "read"
    async with terminal(tmp_path, script(step("é\x1b[A", "moved"), log=str(log))) as made:
        await made.stable()
        assert await made.post("é\x1b[A", "raw") == (200, "")
        await until(lambda: b"".join(read_by(log)) == "é\x1b[A".encode())
        assert await made.post("\r", "raw") == (200, "")
        await until(lambda: made.session.record.status == "running")
        await made.stable()
        [(role, text)] = await made.messages()
        assert role == "agent"
        assert text.endswith("moved")


async def test_A35b_messages_wait_for_each_other(tmp_path: Path) -> None:
    """Of two at once the second is judged when the first was taken, and then the agent is busy."""
    played = script(step("one", "1", think_s=0.5), step("two", "2", think_s=0.5))
    async with terminal(tmp_path, played) as made:
        await made.stable()
        async with asyncio.TaskGroup() as tasks:
            posts = [tasks.create_task(made.post(text)) for text in ("one", "two")]
        assert sorted(post.result() for post in posts) == [(200, ""), (500, "busy")]


async def test_N18_the_same_prompt_is_not_typed_twice(tmp_path: Path) -> None:
    """A prompt with a known id is answered at once; one that certainly failed may come again."""
    async with terminal(tmp_path, script(step("hello", "hi"))) as made:
        await made.stable()
        await made.session.prompt("hello", "id-1")
        await made.session.prompt("hello", "id-1")
        await made.stable()
        await until(lambda: made.session.file.unfinished() == [])
        assert len(made.data(ItemKind.USER_MESSAGE)) == 1
    muted = script(mute=True)
    async with terminal(tmp_path, muted, echo_s=SHORT_S, reaction_s=0.5) as made:
        await made.stable()
        for _ in range(2):
            with pytest.raises(Refused):
                await made.session.prompt("hello", "id-2")
        assert made.session.file.prompt_state("id-2") is None


async def test_N33_a_long_prompt_goes_through_a_file(tmp_path: Path) -> None:
    """200 KB are put into a file, of which the agent is told; the message is stored as it was."""
    text = "read this " * 20_000
    async with terminal(tmp_path, script(step("*", "done"))) as made:
        assert await made.turn(text) == "done"
        assert (await made.messages())[1] == ("user", text.strip())
        [path] = (tmp_path / ".taskyard" / "prompts").iterdir()
        assert path.read_text() == text.strip()
        assert str(path) in made.session._program.watch.seen.text.replace("\n", "")  # type: ignore[union-attr]  # it runs
    assert not path.exists()


async def test_N32_a_long_prompt_is_typed_whole(tmp_path: Path) -> None:
    """200 KB that are typed arrive whole and in order, whatever the terminal holds at once."""
    text = " ".join(f"word-{number}" for number in range(20_000))
    log = tmp_path / "read"
    played = script(step("*", "done"), echo=False, log=str(log))
    long: dict[str, Any] = {"inline_max_bytes": 10**6, "echo_s": SHORT_S}
    async with terminal(tmp_path, played, rows=200, **long) as made:
        await made.stable()
        await made.say(text)
        assert text.encode() in b"".join(read_by(log))


async def test_N13_cancel_presses_the_key_for_it(tmp_path: Path) -> None:
    """The type's key for that is pressed, and the turn ends as cancelled; without a turn nothing is."""
    log = tmp_path / "read"
    played = script(step("work", "stopped", dialog="press a key"), log=str(log))
    async with terminal(tmp_path, played) as made:
        await made.stable()
        await made.session.cancel()
        await made.say("work")
        await until(lambda: "press a key" in made.session.screen_text())
        await made.session.cancel()
        await made.stable()
        await until(lambda: read_by(log)[-1] == b"\x03")
        assert made.data(ItemKind.TURN_END)[-1]["reason"] == "cancelled"


async def test_N13_a_cancel_while_a_message_is_typed(tmp_path: Path) -> None:
    """The key is pressed behind the message and not into it, and the turn ends as cancelled."""
    log = tmp_path / "read"
    played = script(step("work", "stopped", dialog="press a key"), log=str(log))
    async with terminal(tmp_path, played) as made:
        await made.stable()
        async with asyncio.TaskGroup() as group:
            group.create_task(made.say("work"))
            while made.session.turn is None:
                await asyncio.sleep(0)
            assert made.data(ItemKind.USER_MESSAGE) == []
            await made.session.cancel()
        await made.stable()
        await until(lambda: b"".join(read_by(log)).endswith(b"\r\x03"))
        assert b"".join(read_by(log)).count(b"\x03") == 1
        assert made.data(ItemKind.TURN_END)[-1]["reason"] == "cancelled"


async def test_a_program_that_works_by_itself_is_interrupted(tmp_path: Path) -> None:
    """Whatever somebody typed into the terminal to make it work: a cancel presses the key for it."""
    log = tmp_path / "read"
    played = script(step("work", "stopped", think_s=0.6), log=str(log))
    async with terminal(tmp_path, played) as made:
        await made.stable()
        await made.session.keys("work\r")
        await made.state("running")
        assert made.session.turn is None
        await made.session.cancel()
        await until(lambda: read_by(log)[-1] == b"\x03")


async def test_keys_for_a_program_that_is_gone(tmp_path: Path) -> None:
    """Are refused, and so are messages."""
    async with terminal(tmp_path, None, command=["true"], life=Life(OnExit.HOLD)) as made:
        await gone(made)
        assert await made.post("x", "raw") == (500, "agent_exited")
        assert await made.post("x") == (500, "agent_exited")


async def gone(made: Made) -> None:
    await until(lambda: bool(made.data(ItemKind.AGENT_EXIT)))


async def test_A14_the_size_can_be_changed(tmp_path: Path) -> None:
    """The program and the screen have the new size."""
    played = {"steps": [GREETING], "plain": True}
    async with terminal(tmp_path, played) as made:
        await made.stable()
        made.session.resize(50, 20)
        await until(
            lambda: [len(row) for row in made.session.screen_text().split("\n")] == [50] * 20
        )
