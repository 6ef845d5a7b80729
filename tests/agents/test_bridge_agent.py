"""The bridge and coding agents that misbehave: each a real process behind a real workspace agent."""

import os
import signal
import sys
from functools import partial
from pathlib import Path

import msgspec
import pytest

from taskyard_agent.protocol import CodingAgent, ItemKind
from tests.agents.fake_server import PUPPET, FakeServer, Kit, kit, manifest, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


async def healthy(made: Kit) -> None:
    await until(lambda: ("agent", "healthy") in made.server.health)
    await made.server.until_stable()


async def turn(server: FakeServer, text: str) -> str:
    """The agent's message after a whole turn with this prompt."""
    assert (await server.say(text)).status == 200
    await server.until_stable()
    return (await server.messages())[-1][1]


def ended(server: FakeServer, turns: int) -> bool:
    return len(server.data(ItemKind.TURN_END)) == turns


def sentences(server: FakeServer) -> list[str]:
    return [str(error["message"]) for error in server.data(ItemKind.ERROR)]


@pytest.mark.parametrize(
    ("command", "part"),
    [
        (["no-such-agent"], "no-such-agent"),
        ([*PUPPET, "deaf"], "exit code 3"),
        (["yes"], "is not ACP"),
        ([*PUPPET, "v7"], "version 7"),
    ],
)
async def test_agent_that_does_not_start(tmp_path: Path, command: list[str], part: str) -> None:
    """The reason is in the transcript, in the log and in the refusal, and the app is unhealthy."""
    async with kit(tmp_path, manifest(command)) as made, made.agent():
        server = made.server
        await until(lambda: ("agent", "unhealthy") in server.health)
        await until(lambda: server.data(ItemKind.ERROR))
        await until(lambda: any(source == "agent" and part in text for source, text in server.logs))
        assert part in sentences(server)[-1]
        assert await server.status() == "running"
        refused = await server.say("hello")
        assert (refused.status, refused.code) == (500, "agent_exited")
        assert part in refused.body.decode()


async def test_deaths_are_counted(tmp_path: Path) -> None:
    """An agent that dies again and again is started three times more; its context is restored each time."""
    async with kit(tmp_path, manifest(PUPPET)) as made, made.agent():
        server = made.server
        await healthy(made)
        for number in range(4):
            await server.until_stable()
            answer = await server.say("die 5")
            assert (answer.status, answer.code) in [(200, ""), (500, "agent_exited")]
            await until(partial(ended, server, number + 1))
        await until(lambda: server.health[-1] == ("agent", "unhealthy"))
        opened = [info["opened"] for info in server.data(ItemKind.SESSION_INFO)]
        assert opened == ["new", "loaded", "loaded", "loaded"]
        await until(lambda: "stays down" in sentences(server)[-1])
        assert any("about to die" in text for _, text in server.logs)


async def test_restore_by_resume(tmp_path: Path) -> None:
    """An agent that can resume is resumed; one that can do neither starts afresh and says so."""
    async with kit(tmp_path, manifest([*PUPPET, "resume"])) as made, made.agent() as agent:
        await healthy(made)
        await turn(made.server, "updates 1")
        os.kill(agent.children()[0], signal.SIGKILL)
        await until(lambda: len(made.server.data(ItemKind.SESSION_INFO)) == 2)
        assert made.server.data(ItemKind.SESSION_INFO)[-1]["opened"] == "resumed"


async def test_lost_context(tmp_path: Path) -> None:
    """Another coding agent on the same home starts afresh, with a warning, and the conversation is kept."""
    async with kit(tmp_path, manifest(PUPPET)) as made:
        async with made.agent() as agent:
            await healthy(made)
            await turn(made.server, "updates 1")
            await agent.stop()
        shell = CodingAgent("shell", "acp", ["python", "-m", "taskyard_agent.shell"], "allow")
        made.server.manifest = msgspec.structs.replace(made.server.manifest, coding_agent=shell)
        async with made.agent():
            await until(lambda: len(made.server.health) == 2)
            assert "could not be restored" in sentences(made.server)[-1]
            assert (await made.server.messages())[0] == ("user", "updates 1")


async def test_text_in_pieces(tmp_path: Path) -> None:
    """Many small pieces are few items, and nothing of them is lost or out of order."""
    async with kit(tmp_path, manifest(PUPPET)) as made, made.agent():
        await healthy(made)
        expected = "".join(map(str, range(5000)))
        assert await turn(made.server, "updates 5000") == expected
        await until(lambda: "turn_end" in made.server.kinds())
        pieces = made.server.data(ItemKind.AGENT_TEXT)
        assert "".join(str(piece["text"]) for piece in pieces) == expected
        assert len(pieces) < 200


async def test_huge_text(tmp_path: Path) -> None:
    """A single update of megabytes arrives whole, in items that fit the link."""
    async with kit(tmp_path, manifest(PUPPET)) as made, made.agent():
        await healthy(made)
        assert await turn(made.server, "big 3000000") == "x" * 3_000_000
        await until(lambda: "turn_end" in made.server.kinds())
        assert max(len(item.data) for item in made.server.items) < 300_000


async def test_huge_prompt(tmp_path: Path) -> None:
    """A prompt near the body limit reaches the agent whole; the server gets its beginning."""
    async with kit(tmp_path, manifest(PUPPET)) as made, made.agent():
        await healthy(made)
        text = "updates 1\n" + "é" * 500_000
        assert await turn(made.server, text) == "0"
        await until(lambda: "turn_end" in made.server.kinds())
        assert (await made.server.messages())[0][1] == text
        stored = str(made.server.data(ItemKind.USER_MESSAGE)[0]["text"])
        assert stored.startswith(text[:1000])
        assert len(stored) < len(text)


async def test_early_error(tmp_path: Path) -> None:
    """An error that the agent answers a prompt with at once is the answer to the request, too."""
    async with kit(tmp_path, manifest(PUPPET)) as made, made.agent():
        await healthy(made)
        answer = await made.server.say("error")
        assert (answer.status, answer.code) == (500, "agent_error")
        assert "the model said no" in answer.body.decode()
        await until(lambda: "turn_end" in made.server.kinds())
        [end] = made.server.data(ItemKind.TURN_END)
        assert end["reason"] == "error"
        assert await turn(made.server, "updates 2") == "01"


async def test_late_error_keeps_the_text(tmp_path: Path) -> None:
    """What was said before an error is kept."""
    async with kit(tmp_path, manifest(PUPPET)) as made, made.agent():
        await healthy(made)
        await made.server.say("updates 3\nerror")
        await made.server.until_stable()
        assert (await made.server.messages())[-1] == ("agent", "012")
        await until(lambda: made.server.data(ItemKind.ERROR))
        assert made.server.kinds()[-2:] == ["error", "turn_end"]


async def test_agent_error_behind_end_turn(tmp_path: Path) -> None:
    """An agent whose own status says error did not end its turn well, whatever its answer says."""
    async with kit(tmp_path, manifest(PUPPET)) as made, made.agent():
        await healthy(made)
        await turn(made.server, "status systemError\nstop end_turn")
        await until(lambda: "turn_end" in made.server.kinds())
        assert made.server.data(ItemKind.TURN_END)[0]["reason"] == "error"


async def test_stop_reasons(tmp_path: Path) -> None:
    """A refusal ends the turn with a warning; tokens are kept as usage."""
    async with kit(tmp_path, manifest(PUPPET)) as made, made.agent():
        await healthy(made)
        await turn(made.server, "stop refusal")
        await until(lambda: "turn_end" in made.server.kinds())
        assert made.server.data(ItemKind.TURN_END) == [{"reason": "refusal", "error": None}]
        assert made.server.data(ItemKind.ERROR)[0]["level"] == "warning"
        assert "usage" in made.server.kinds()


async def test_busy_and_cancel(tmp_path: Path) -> None:
    """A second prompt is refused; Escape ends the turn; then the next one is taken."""
    async with kit(tmp_path, manifest(PUPPET)) as made, made.agent():
        server = made.server
        await healthy(made)
        assert (await server.say("wait")).status == 200
        busy = await server.say("updates 1", "p2")
        assert (busy.status, busy.code) == (500, "busy")
        assert (await server.say("  \n")).code == "empty"
        answer = await server.ask("POST", "message", {"content": "\x1b", "type": "raw"})
        assert answer.status == 200
        await server.until_stable()
        assert server.data(ItemKind.TURN_END) == [{"reason": "cancelled", "error": None}]
        assert (await server.say("updates 1", "p2")).status == 200
        assert (await server.ask("POST", "message", {"content": "x", "type": "raw"})).status == 422


@pytest.mark.parametrize(
    ("permissions", "outcome"), [("allow", "o1"), ("deny", "o0"), ("ask", None)]
)
async def test_permissions(tmp_path: Path, permissions: str, outcome: str | None) -> None:
    """Requests are answered by the template's policy; with `ask` they wait until the turn is cancelled."""
    agent = CodingAgent("custom", "acp", PUPPET, permissions)
    async with kit(tmp_path, manifest(coding_agent=agent)) as made, made.agent():
        server = made.server
        await healthy(made)
        await server.say("ask reject_once,allow_once")
        await until(lambda: "permission_request" in server.kinds())
        if permissions == "ask":
            assert await server.status() == "running"
            await server.ask("POST", "message", {"content": "\x03", "type": "raw"})
        await until(lambda: "permission_response" in server.kinds())
        assert server.data(ItemKind.PERMISSION_RESPONSE)[0]["option_id"] == outcome
        await server.until_stable()


async def test_strange_output(tmp_path: Path) -> None:
    """Lines that are no messages are warned about, unknown updates kept, and the turn goes on."""
    async with kit(tmp_path, manifest(PUPPET)) as made, made.agent():
        await healthy(made)
        assert (
            await turn(made.server, "stderr 3000000\nraw hello there\nunknown\nupdates 2") == "01"
        )
        await until(lambda: "turn_end" in made.server.kinds())
        assert "hello there" in sentences(made.server)[0]
        assert len(made.server.data(ItemKind.RAW)) == 2


async def test_tool_states(tmp_path: Path) -> None:
    """A tool call's item is its whole state; what is too large is cut, and open calls are closed."""
    script = tmp_path / "tools.py"
    script.write_text(_TOOLS)
    async with kit(tmp_path, manifest([sys.executable, str(script)])) as made, made.agent():
        await healthy(made)
        text = await turn(made.server, "go")
        assert text == "first\n\n[Tool: edit] Edit a b\n[Tool: other] t2\n\nlast"
        await until(lambda: "turn_end" in made.server.kinds())
        states = made.server.data(ItemKind.TOOL_CALL)
        last = [state for state in states if state["tool_call_id"] == "t1"][-1]
        assert last["status"] == "completed"
        assert last["raw_input"] == {"x": 1}
        assert "cut_bytes" in str(last["raw_output"])
        assert states[-1]["tool_call_id"] == "t2"
        assert states[-1]["status"] == "failed"
        segments = made.server.data(ItemKind.AGENT_MESSAGE)
        assert [segment["text"] for segment in segments] == ["first", "last"]


_TOOLS = """
import json, sys
def send(**m):
    print(json.dumps({"jsonrpc": "2.0"} | m), flush=True)
def update(**u):
    send(method="session/update", params={"sessionId": "s", "update": u})
for line in sys.stdin:
    m = json.loads(line)
    if m["method"] == "initialize":
        send(id=m["id"], result={"protocolVersion": 1})
    elif m["method"] == "session/new":
        send(id=m["id"], result={"sessionId": "s"})
    elif m["method"] == "session/prompt":
        say = lambda t: update(sessionUpdate="agent_message_chunk", content={"type": "text", "text": t})
        say("first")
        update(sessionUpdate="tool_call", toolCallId="t1", title="Edit a\\nb", kind="edit", rawInput={"x": 1})
        for n in range(50):
            block = {"type": "content", "content": {"type": "text", "text": "y" * n}}
            update(sessionUpdate="tool_call_update", toolCallId="t1", content=[block])
        update(sessionUpdate="tool_call_update", toolCallId="t1", status="completed", rawOutput="z" * 600000)
        update(sessionUpdate="tool_call", toolCallId="t2")
        say("last")
        send(id=m["id"], result={"stopReason": "end_turn"})
"""


async def test_a_flood_does_not_starve_readers(tmp_path: Path) -> None:
    """While the agent floods, others are answered in between."""
    async with kit(tmp_path, manifest(PUPPET)) as made, made.agent():
        await healthy(made)
        assert (await made.server.say("updates 60000")).status == 200
        answered = [await made.server.status() for _ in range(3)]
        assert answered == ["running"] * 3
        await made.server.until_stable()
