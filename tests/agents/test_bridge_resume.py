"""A conversation that goes on: after a pause, after `kill -9`, and with an agent that forgot everything."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
import pytest

from taskyard_agent.bridge.context import CONTEXT_CHARS, MESSAGE_CHARS, summary
from taskyard_agent.bridge.messages import AGENT, USER, Message
from taskyard_agent.protocol import CodingAgent, ItemKind
from tests.agents.acp_kit import FAST_PUPPET, Running, Wanted, acp
from tests.agents.fake_server import FakeServer, Kit, kit, manifest, until
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

LOSES = Wanted(command=[*FAST_PUPPET, "lose"])


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


def how(running: Running) -> str:
    """How the last session was opened."""
    return str(running.data(ItemKind.SESSION_INFO)[-1]["opened"])


def opened(running: Running, times: int) -> bool:
    """Whether sessions were opened so many times."""
    return len(running.data(ItemKind.SESSION_INFO)) == times


async def blocks(running: Running) -> list[str]:
    """The text blocks that the agent gets with the next prompt."""
    await running.stable()
    text = await running.turn("echo")
    found = json.loads(text[text.index("[") :])
    assert isinstance(found, list)
    return [str(block) for block in found]


async def one_turn(home: Path, wanted: Wanted, prompt: str = "updates 3") -> None:
    """A session with one turn, which ends in order."""
    async with acp(home, wanted) as running:
        await running.stable()
        await running.turn(prompt)


def shown(running: Running) -> list[str]:
    """What the conversation holds."""
    return [one.content for one in running.record.conversation.messages]


@pytest.mark.parametrize(("word", "opened"), [("resume", "resumed"), ("plain", "loaded")])
async def test_N16_the_session_goes_on(tmp_path: Path, word: str, opened: str) -> None:
    """The agent's session is resumed, or loaded with its replay swallowed: nothing is shown twice."""
    wanted = Wanted(command=[*FAST_PUPPET, word])
    await one_turn(tmp_path, wanted)
    async with acp(tmp_path, wanted) as running:
        await running.stable()
        assert how(running) == opened
        # What a loading agent says behind its answer is no part of the replay, and comes whenever it comes.
        news = "\n\nnew" if opened == "loaded" else ""
        await until(lambda: shown(running) == ["updates 3", f"012{news}"])
        assert running.data(ItemKind.RAW) == running.data(ItemKind.TOOL_CALL) == []
        assert await blocks(running) == ["echo"]
        assert running.sentences() == []


async def test_N16_a_count_that_differs_is_logged(tmp_path: Path) -> None:
    """An agent that replays another number of prompts than we hold: the log says so, and nothing else."""
    await one_turn(tmp_path, Wanted())
    async with acp(tmp_path) as running:
        await running.stable()
        assert any("replayed 3 prompts" in line for line in running.logs)
        assert running.sentences() == []


LOST = {
    "it is gone": LOSES,
    "it cannot restore": Wanted(command=[*FAST_PUPPET, "noload"]),
    "another coding agent": Wanted(type="codex"),
}


@pytest.mark.parametrize("why", LOST)
async def test_N16_a_lost_session_is_never_silently_empty(tmp_path: Path, why: str) -> None:
    """A new session with a warning; the next prompt brings the conversation with it, and no later one."""
    await one_turn(tmp_path, Wanted(), "updates 3")
    async with acp(tmp_path, LOST[why]) as running:
        await running.stable()
        assert how(running) == "new"
        assert "could not be restored" in running.sentences()[-1]
        assert running.data(ItemKind.ERROR)[-1]["level"] == "warning"
        context, prompt = await blocks(running)
        assert prompt == "echo"
        assert "The user wrote:\nupdates 3" in context
        assert "You answered:\n012" in context
        assert running.data(ItemKind.USER_MESSAGE)[-1]["text"] == "echo"
        assert await blocks(running) == ["echo"]


async def test_N16_another_folder(tmp_path: Path) -> None:
    """A session of another folder is not taken up: agents bind theirs to it."""
    await one_turn(tmp_path, Wanted())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with acp(tmp_path, Wanted(cwd=str(elsewhere))) as running:
        await running.stable()
        assert how(running) == "new"
        assert "another folder" in running.sentences()[-1]


async def test_N16_a_damaged_session_file(tmp_path: Path) -> None:
    """Without what was noted of the session, the conversation still comes with the next prompt."""
    await one_turn(tmp_path, Wanted())
    (tmp_path / "session.json").write_text("{torn")
    async with acp(tmp_path) as running:
        assert len(await blocks(running)) == 2
        assert "could not be restored" in running.sentences()[0]


async def test_N16_a_pause_before_the_next_prompt(tmp_path: Path) -> None:
    """An agent that forgot everything is told even when it was paused before anybody wrote to it."""
    await one_turn(tmp_path, Wanted())
    async with acp(tmp_path, LOSES) as running:
        await running.stable()
    async with acp(tmp_path) as running:
        assert len(await blocks(running)) == 2
        assert how(running) == "loaded"


async def test_N16_an_agent_that_dies(tmp_path: Path) -> None:
    """An agent that dies and has lost its session is told within the same run of the bridge."""
    async with acp(tmp_path, LOSES) as running:
        await running.stable()
        await running.turn("updates 2")
        assert running.keeper._client is not None
        os.kill(running.keeper._client.pid, signal.SIGKILL)
        await until(lambda: len(running.data(ItemKind.SESSION_INFO)) == 2)
        assert len(await blocks(running)) == 2


async def test_the_next_agent_is_no_stray(tmp_path: Path) -> None:
    """An agent that starts at once after the death of the last one, within its turn, is left alone."""
    async with acp(tmp_path) as running:
        await running.stable()
        for number in range(2):
            await running.session.prompt("mute", None)
            assert running.keeper._client is not None
            os.kill(running.keeper._client.pid, signal.SIGKILL)
            await until(partial(opened, running, number + 2))
        assert await running.turn("updates 1") == "0"
        assert not any("did not come up" in sentence for sentence in running.sentences())


async def test_nothing_is_lost_where_nothing_was(tmp_path: Path) -> None:
    """A session that nobody wrote to is opened anew without any warning."""
    async with acp(tmp_path, LOSES) as running:
        await running.stable()
    async with acp(tmp_path, LOSES) as running:
        assert await blocks(running) == ["echo"]
        assert running.sentences() == []


def messages(*texts: str) -> Sequence[Message]:
    now = datetime.now(UTC)
    return [
        Message(number, AGENT if number % 2 else USER, text, now)
        for number, text in enumerate(texts)
    ]


def test_what_an_agent_is_told() -> None:
    """The newest messages that fit, whole or with their middle cut; nothing when nothing was said."""
    assert summary([]) is None
    assert summary(messages("", " \n")) is None
    told = summary(messages(*(f"message {number} " + "x" * 3_000 for number in range(40))))
    assert told is not None
    assert len(told) < CONTEXT_CHARS + 1_000
    assert "message 39" in told
    assert "message 0 " not in told
    assert told.index("message 38") < told.index("message 39")
    long = summary(messages("a" + "x" * 100_000 + "z"))
    assert long is not None
    assert "wrote:\nax" in long
    assert "xz\n" in long
    assert len(long) < MESSAGE_CHARS + 1_000


# a bridge that is killed


async def killed(made: Kit, prompt: str, kind: str) -> None:
    """A bridge with its agent that die by SIGKILL once an item of that kind is out, within the turn."""
    async with made.agent() as agent:
        await until(lambda: ("agent", "healthy") in made.server.health)
        await made.server.until_stable()
        await made.server.say(prompt, "p1")
        await until(lambda: kind in made.server.kinds())
        await agent.kill_all()
    made.server.health.clear()


def ends(server: FakeServer) -> list[object]:
    return [end["reason"] for end in server.data(ItemKind.TURN_END)]


async def replayed(server: FakeServer) -> None:
    """Returns once the last message has what a loading agent says behind its answer, which comes whenever it comes."""
    async with asyncio.timeout(DEADLINE_S):
        while not (await server.messages())[-1][1].endswith("new"):
            await asyncio.sleep(0.005)


STARTED = {
    "sessionUpdate": "tool_call",
    "toolCallId": "t",
    "title": "sleep",
    "status": "in_progress",
}


async def test_N15_N19_kill_9_in_a_turn(tmp_path: Path) -> None:
    """The turn is closed as interrupted with its tool call, is not sent again, and the session is loaded."""
    async with kit(tmp_path, manifest(FAST_PUPPET)) as made:
        await killed(made, f"updates 2\nupdate {json.dumps(STARTED)}\nmute", "tool_call")
        async with made.agent():
            await until(lambda: ("agent", "healthy") in made.server.health)
            await made.server.until_stable()
            await until(lambda: made.server.data(ItemKind.STATE)[-1]["state"] == "idle")
            await replayed(made.server)
            assert ends(made.server) == ["interrupted"]
            assert made.server.data(ItemKind.TOOL_CALL)[-1]["status"] == "failed"
            assert made.server.data(ItemKind.SESSION_INFO)[-1]["opened"] == "loaded"
            assert len(made.server.data(ItemKind.USER_MESSAGE)) == 1
            state = made.server.data(ItemKind.STATE)[-1]
            assert (state["state"], state["reason"]) == ("idle", "interrupted")
            assert (
                await made.server.say("updates 2", "p1")
            ).status == 200  # taken before: not again
            assert (await made.server.say("updates 4", "p2")).status == 200
            await made.server.until_stable()
            said = [text for role, text in await made.server.messages() if role == "agent"]
            assert said == ["01\n\n[Tool: other] sleep\n\nnew", "0123"]


async def test_kill_9_with_an_open_request(tmp_path: Path) -> None:
    """What was asked before the end is closed as cancelled: nobody answers a dead agent."""
    agent = CodingAgent("custom", "acp", FAST_PUPPET, "ask")
    async with kit(tmp_path, manifest(coding_agent=agent)) as made:
        await killed(made, "ask allow_once", "permission_request")
        async with made.agent():
            await until(lambda: ("agent", "healthy") in made.server.health)
            await until(lambda: "permission_response" in made.server.kinds())
            answer = made.server.data(ItemKind.PERMISSION_RESPONSE)[0]
            assert (answer["by"], answer["outcome"]) == ("cancel", "cancelled")
            assert answer["id"] == made.server.data(ItemKind.PERMISSION_REQUEST)[0]["id"]


async def test_N18_a_prompt_is_sent_once(tmp_path: Path) -> None:
    """A prompt that was noted and never reached the transcript is reported after a crash, not repeated."""
    stored = {"session": {}, "prompts": {"initial": "taken"}}
    (tmp_path / "session.json").write_bytes(msgspec.json.encode(stored))
    async with acp(tmp_path) as running:
        await running.stable()
        assert "initial" in running.sentences()[0]
        assert "lost before" in running.sentences()[0]
        await running.session.prompt("updates 1", "initial")
        assert running.data(ItemKind.USER_MESSAGE) == []


def cut_off(home: Path) -> None:
    """The transcript of a turn that had no end."""
    now = datetime.now(UTC).isoformat()
    item = {"seq": 1, "time": now, "turn": 1, "kind": "user_message"}
    data = {"prompt_id": None, "text": "updates 3"}
    (home / "transcript.jsonl").write_bytes(msgspec.json.encode(item | {"data": data}) + b"\n")


async def test_N19_continue_where_it_is_asked_for(tmp_path: Path) -> None:
    """With `continue` the agent is asked to go on, once; without it, nobody writes to it."""
    cut_off(tmp_path)
    async with acp(tmp_path, Wanted(on_interrupted="continue")) as running:
        await until(lambda: len(running.data(ItemKind.TURN_END)) == 2)
        _, sent = running.data(ItemKind.USER_MESSAGE)
        assert "cut off" in str(sent["text"])
        assert sent["prompt_id"] is None
    async with acp(tmp_path, Wanted(on_interrupted="continue")) as running:
        await running.stable()
        assert len(running.data(ItemKind.USER_MESSAGE)) == 2


async def test_N19_a_stop_in_order_cuts_a_turn_off_too(tmp_path: Path) -> None:
    """A turn that a stop ended is gone on with as one that a crash ended, where that is asked for."""
    async with acp(tmp_path) as running:
        await running.stable()
        await running.session.prompt("mute", None)
        await running.session.stop(0.1)
    async with acp(tmp_path, Wanted(on_interrupted="continue")) as running:
        await until(lambda: len(running.data(ItemKind.TURN_END)) == 2)
        assert "cut off" in str(running.data(ItemKind.USER_MESSAGE)[-1]["text"])


async def test_N19_wait_is_the_default(tmp_path: Path) -> None:
    """A turn that was cut off is closed and not sent again; the state tells how it ended."""
    cut_off(tmp_path)
    async with acp(tmp_path) as running:
        await running.stable()
        assert running.data(ItemKind.TURN_END) == [{"reason": "interrupted", "error": None}]
        assert len(running.data(ItemKind.USER_MESSAGE)) == 1
        assert running.record.state is not None
        assert running.record.state.reason == "interrupted"


async def test_D3_a_signal_in_a_turn(tmp_path: Path) -> None:
    """SIGTERM while the agent works over ACP ends everything in order, with exit code 0."""
    async with kit(tmp_path, manifest(FAST_PUPPET)) as made, made.agent() as agent:
        await until(lambda: ("agent", "healthy") in made.server.health)
        await made.server.until_stable()
        await made.server.say("wait")
        assert await agent.stop() == 0
        assert ends(made.server) == ["interrupted"]
        assert made.server.data(ItemKind.STATE)[-1]["state"] == "stopped"


async def test_N5_on_disk_before_it_is_shown(tmp_path: Path) -> None:
    """Whatever is shown at any moment is in the file already, item after item, and never rewritten."""
    path = tmp_path / "transcript.jsonl"
    seen = b""
    async with acp(tmp_path) as running:
        await running.stable()
        await running.session.prompt("updates 3000", None)
        while running.record.status != "stable":
            since, shown = running.record.changes, running.text
            stored = path.read_bytes()
            assert stored.startswith(seen)
            assert shown == said(stored)
            seen = stored
            await running.record.changed(since)
        items = [json.loads(line) for line in path.read_bytes().splitlines()]
        assert [item["seq"] for item in items] == list(range(1, len(items) + 1))
        assert running.text == "".join(map(str, range(3000)))


def said(stored: bytes) -> str:
    """The agent's text in a transcript's bytes."""
    items = map(json.loads, stored.splitlines())
    return "".join(item["data"]["text"] for item in items if item["kind"] == "agent_text")


async def test_N4_an_idle_session_sleeps(tmp_path: Path) -> None:
    """With its agent idle and nobody connected, no timer of the session is armed and nothing runs."""
    async with kit(tmp_path, manifest(FAST_PUPPET)) as made, made.agent() as agent:
        await until(lambda: ("agent", "healthy") in made.server.health)
        await made.server.until_stable()
        await made.server.say("updates 10")
        await made.server.until_stable()
        await until(lambda: quiet(agent.process.pid))


def quiet(pid: int) -> bool:
    """Whether the process did not wake up for half a second."""
    before = switches(pid)
    time.sleep(0.5)
    return switches(pid) == before


def switches(pid: int) -> str:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next(line for line in status.splitlines() if line.startswith("voluntary"))
