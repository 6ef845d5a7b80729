"""Turns of a session over ACP: what is shown of them, how they end, and what an agent is started with."""

import asyncio
import contextlib
import json
import os
from pathlib import Path

import msgspec
import pytest

from taskyard_agent.acp_messages import meta_error
from taskyard_agent.bridge.launch import launch, speaks_acp
from taskyard_agent.bridge.session import Refused
from taskyard_agent.protocol import CodingAgent, ItemKind
from tests.agents.acp_kit import FAST_PUPPET, Running, Wanted, acp
from tests.agents.bridge_kit import bridge, say, stable
from tests.agents.fake_server import until
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


def opened(running: Running) -> dict[str, object]:
    """How the agent says that its session was opened."""
    found = running.said()[0]["opened"]
    assert isinstance(found, dict)
    return found


def reason(running: Running) -> str | None:
    """How the last turn ended, as its state tells."""
    assert running.record.state is not None
    return running.record.state.reason


# starting


async def test_A53_a_session_in_the_folder(tmp_path: Path) -> None:
    """The agent is asked for a new session in its working directory, by an absolute path."""
    async with acp(tmp_path) as running:
        await running.stable()
        await running.turn("show\nstderr 200")
        assert opened(running)["method"] == "session/new"
        assert opened(running)["cwd"] == str(tmp_path)
        files = {"readTextFile": False, "writeTextFile": False}
        assert running.said()[0]["client"] == {"fs": files, "terminal": False}
        await until(lambda: running.logs)  # its standard error is in the log


async def test_A53_what_fails_is_told(tmp_path: Path) -> None:
    """An agent that answers nothing of use is given up with a sentence, and prompts are refused with it."""
    async with acp(tmp_path, Wanted(command=[*FAST_PUPPET, "deaf"])) as running:
        await until(lambda: running.health == ["unhealthy"])
        assert "exit code 3" in running.sentences()[-1]
        with pytest.raises(Refused) as caught:
            await running.session.prompt("hello", None)
        assert caught.value.code == "agent_exited"


async def test_a_program_that_is_missing(tmp_path: Path) -> None:
    """The error names the program and how to get it; the state carries it to the task."""
    wanted = Wanted(command=(), type="claude", env={"PATH": str(tmp_path)})
    async with acp(tmp_path, wanted) as running:
        await until(lambda: running.health == ["unhealthy"])
        told = running.sentences()[-1]
        assert told.startswith("`claude-agent-acp` not found: npm install -g @agentclientprotocol")
        assert reason(running) == told
        assert running.record.state is not None
        assert running.record.state.state == "failed"


async def test_a_program_of_ones_own_that_is_missing(tmp_path: Path) -> None:
    """Of a program that nobody knows the error still says its name and where it was looked for."""
    wanted = Wanted(command=("my-agent", "--acp"), env={"PATH": str(tmp_path)})
    async with acp(tmp_path, wanted) as running:
        await until(lambda: running.health == ["unhealthy"])
        assert "`my-agent` not found" in running.sentences()[-1]
        assert str(tmp_path) in running.sentences()[-1]


async def test_a_type_without_acp(tmp_path: Path) -> None:
    """A type that does not speak ACP says so instead of failing in the dark."""
    async with acp(tmp_path, Wanted(command=(), type="aider")) as running:
        await until(lambda: running.health == ["unhealthy"])
        assert "aider does not speak ACP" in running.sentences()[-1]


async def test_a_key_that_is_missing_at_the_start(tmp_path: Path) -> None:
    """An agent that wants a login first: which variables it needs, and what it offers itself."""
    wanted = Wanted(command=[*FAST_PUPPET, "auth"], type="codex")
    async with acp(tmp_path, wanted) as running:
        await until(lambda: running.health == ["unhealthy"])
        told = running.sentences()[-1]
        assert "CODEX_API_KEY or OPENAI_API_KEY" in told
        assert "Use a key - Set PUPPET_KEY" in told


async def test_a_key_that_is_missing_in_a_turn(tmp_path: Path) -> None:
    """An agent that notices only in a turn: the refusal and the state say the same."""
    async with acp(tmp_path, Wanted(type="claude")) as running:
        await running.stable()
        with pytest.raises(Refused, match="ANTHROPIC_API_KEY"):
            await running.session.prompt("error -32000", None)
        assert "ANTHROPIC_API_KEY" in str(reason(running))


@pytest.mark.parametrize("spelling", ["--acp", "--experimental-acp"])
async def test_N1_old_and_new_spellings(tmp_path: Path, spelling: str) -> None:
    """A gemini of either age is started: the one that ends at once is asked in the other way."""
    program = tmp_path / "gemini"
    python, *rest = FAST_PUPPET
    program.write_text(
        f'#!/bin/sh\n[ "$1" = {spelling} ] || exit 1\nexec "{python}" {" ".join(rest)} "$@"\n'
    )
    program.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    wanted = Wanted(command=(), type="gemini", transport="auto", env={"PATH": path})
    async with acp(tmp_path, wanted) as running:
        await running.stable()
        await running.turn("show")
        assert running.said()[0]["argv"] == [spelling]
        assert running.health == ["healthy"]


def test_N1_auto_prefers_acp(tmp_path: Path) -> None:
    """auto is ACP where the type's command is installed or the command given speaks it; else the screen."""

    def transport(kind: str, command: list[str], *programs: str, wanted: str = "auto") -> str:
        folder = tmp_path / "-".join(["bin", *programs])
        folder.mkdir(exist_ok=True)
        for program in programs:
            (folder / program).touch(0o755)
        found = launch(CodingAgent(kind, wanted, command, "allow"), {"PATH": str(folder)})
        return found.transport

    assert transport("claude", [], "claude-agent-acp", "claude") == "acp"
    assert transport("claude", [], "claude-code-acp") == "acp"
    assert transport("claude", [], "claude") == "pty"
    assert transport("claude", []) == "acp"  # so that the error names what is wanted most
    assert transport("aider", [], "aider") == "pty"
    assert transport("claude", ["claude", "--model", "x"], "claude-agent-acp") == "pty"
    assert transport("claude", ["/opt/claude-agent-acp"]) == "acp"
    assert transport("gemini", ["gemini", "--acp", "--debug"]) == "acp"
    assert transport("custom", ["my-agent"]) == "pty"
    assert transport("custom", ["my-agent"], wanted="acp") == "acp"
    assert transport("claude", [], "claude-agent-acp", wanted="pty") == "pty"
    assert transport("shell", []) == "acp"
    assert not speaks_acp(["opencode"])


def test_N1_without_a_command() -> None:
    """The type's own commands are run, with our interpreter for its word."""
    shell = launch(CodingAgent("shell", "auto", [], "allow"), {})
    assert shell.argvs[0][1:] == ("-P", "-m", "taskyard_agent.shell")
    assert Path(shell.argvs[0][0]).is_absolute()
    assert launch(CodingAgent("custom", "acp", [], "allow"), {}).argvs == ()
    claude = launch(CodingAgent("claude", "pty", [], "allow"), {})
    assert claude.argvs == (("claude",),)


# modes


@pytest.mark.parametrize(
    ("permissions", "confined", "mode"),
    [
        ("allow", "1", "agent-full-access"),
        ("allow", "0", "workspace-write"),
        ("ask", "1", "workspace-write"),
        ("deny", "1", "workspace-write"),
    ],
)
async def test_the_mode_that_fits(
    tmp_path: Path, permissions: str, confined: str, mode: str
) -> None:
    """Codex is put into the mode that fits, by its variable and after opening; no other one is asked for."""
    wanted = Wanted(
        command=[*FAST_PUPPET, "modes"],
        type="codex",
        permissions=permissions,
        env={"TASKYARD_CONFINED": confined},
    )
    async with acp(tmp_path, wanted) as running:
        await running.stable()
        await running.turn("show")
        assert running.said()[0]["set_mode"] == mode
        assert running.said()[0]["mode_env"] == mode
        info = running.data(ItemKind.SESSION_INFO)[0]
        assert info["mode"] == mode
        assert info["modes"] == ["agent", "read-only", "workspace-write", "agent-full-access"]
        assert info["protocol"] == 1


async def test_modes_that_are_not_offered(tmp_path: Path) -> None:
    """An agent without the mode stays in its own; nothing is set and nothing warned about."""
    async with acp(tmp_path, Wanted(type="codex")) as running:
        await running.stable()
        await running.turn("show")
        assert "set_mode" not in running.said()[0]
        assert running.sentences() == []


# the conversation


async def test_A54_it_starts_empty_and_stable(tmp_path: Path) -> None:
    """There is no message before the first prompt, and the status is stable as soon as the agent is up."""
    async with bridge(tmp_path) as client:
        await stable(client)
        assert (await (await client.get("/messages")).json())["messages"] == []


async def test_A55_two_messages_at_once(tmp_path: Path) -> None:
    """A prompt adds a user message and an empty agent message, with ids 0 and 1, and the status runs."""
    async with bridge(tmp_path) as client:
        await stable(client)
        await say(client, "wait")
        shown = (await (await client.get("/messages")).json())["messages"]
        assert [(one["id"], one["role"], one["content"]) for one in shown] == [
            (0, "user", "wait"),
            (1, "agent", ""),
        ]
        assert (await (await client.get("/status")).json())["status"] == "running"
        await client.post("/message", json={"content": "\x1b", "type": "raw"})
        await stable(client)
        await say(client, "updates 2")
        await stable(client)
        shown = (await (await client.get("/messages")).json())["messages"]
        assert [one["id"] for one in shown] == [0, 1, 2, 3]
        assert shown[3]["content"] == "01"


IGNORED = [
    {"sessionUpdate": "agent_thought_chunk", "content": {"type": "text", "text": "hm"}},
    {"sessionUpdate": "plan", "entries": []},
    {"sessionUpdate": "current_mode_update", "currentModeId": "ask"},
    {"sessionUpdate": "available_commands_update", "availableCommands": []},
    {"sessionUpdate": "usage_update", "used": 1, "size": 2},
    {"sessionUpdate": "agent_message_chunk", "content": {"type": "image", "data": "x"}},
    {"sessionUpdate": "user_message_chunk", "content": {"type": "text", "text": "echo"}},
    {"sessionUpdate": "from_the_future", "x": 1},
]


async def test_A56_what_is_text(tmp_path: Path) -> None:
    """Text comes verbatim; thoughts, plans, modes, commands, usage and images are no part of it."""
    lines = [f"update {json.dumps(update)}" for update in IGNORED]
    async with acp(tmp_path) as running:
        await running.stable()
        assert await running.turn("\n".join(["updates 2", *lines, "updates 1"])) == "01\n\n0"
        kinds = running.kinds()
        for kind in ("thought", "plan", "session_info", "usage", "raw"):
            assert kind in kinds


async def test_A57_an_error_keeps_the_text(tmp_path: Path) -> None:
    """After an error both messages are there with what came; the status is stable, the state failed."""
    async with acp(tmp_path) as running:
        await running.stable()
        with contextlib.suppress(Refused):  # when the error comes with the text
            await running.session.prompt("updates 3\nerror", None)
        await running.stable()
        assert running.text == "012"
        assert running.record.state is not None
        assert (running.record.state.state, running.record.state.session) == ("failed", "idle")
        assert "the model said no" in str(reason(running))
        assert "the model said no" in running.sentences()[-1]
        assert await running.turn("updates 1") == "0"
        assert reason(running) == "end_turn"


async def test_A59_raw_is_no_prompt(tmp_path: Path) -> None:
    """Keys other than Escape and Ctrl-C are refused and say why; those two cancel. The screen shows text."""
    async with acp(tmp_path) as running:
        await running.stable()
        with pytest.raises(Refused) as caught:
            await running.session.raw("ls\r")
        assert caught.value.code == "raw_needs_terminal"
        for key in ("\x1b", "\x03"):
            await running.session.prompt("wait", None)
            await running.session.raw(key)
            await running.stable()
            assert running.data(ItemKind.TURN_END)[-1]["reason"] == "cancelled"


async def test_A60_D2_N3_reads_never_wait_for_a_turn(tmp_path: Path) -> None:
    """The POST has returned and reads are answered while the turn is held open: it ends only when told to."""
    async with bridge(tmp_path) as client:
        await stable(client)
        await say(client, "updates 2\nwait")
        for path in ("/status", "/messages", "/v2/session"):
            async with asyncio.timeout(DEADLINE_S), client.get(path) as answer:
                assert answer.status == 200
        async with client.get("/status") as answer:
            assert (await answer.json())["status"] == "running"
        async with client.get("/messages") as answer:
            assert (await answer.json())["messages"][0]["content"] == "updates 2\nwait"
        async with client.post("/v2/cancel") as answer:
            assert answer.status == 202
        await stable(client)


# ends


async def test_N8_taken_is_not_done(tmp_path: Path) -> None:
    """A prompt returns when the agent has it; an error that comes at once is the prompt's own."""
    async with acp(tmp_path) as running:
        await running.stable()
        await running.session.prompt("wait", None)
        assert running.record.status == "running"
        await running.session.cancel()
        await running.stable()
        with pytest.raises(Refused) as caught:
            await running.session.prompt("error", None)
        assert caught.value.code == "agent_error"


async def test_N9_one_at_a_time(tmp_path: Path) -> None:
    """A second prompt is refused while one runs, and leaves nothing behind."""
    async with acp(tmp_path) as running:
        await running.stable()
        await running.session.prompt("wait", None)
        with pytest.raises(Refused) as caught:
            await running.session.prompt("updates 1", "p")
        assert caught.value.code == "busy"
        assert len(running.data(ItemKind.USER_MESSAGE)) == 1


HIDDEN = [
    ({"error": "quota exceeded"}, "quota exceeded"),
    ({"error": {"message": "overloaded", "code": 529}}, "overloaded"),
    ({"vendor": {"error": {"message": "deep"}}}, "deep"),
    ({"a": {"b": {"error": "two down"}}}, "two down"),
    ({"a": {"b": {"c": {"error": "too far"}}}}, None),
    ({"error": None}, None),
    ({"error": {}}, None),
    ({"quota": 3}, None),
    ([1], None),
]


@pytest.mark.parametrize(("meta", "sentence"), HIDDEN)
def test_errors_within_metadata(meta: object, sentence: str | None) -> None:
    """A key `error` with words is found at the top and within a vendor's object, and nowhere else."""
    assert meta_error(msgspec.Raw(msgspec.json.encode(meta))) == sentence


@pytest.mark.parametrize(
    ("prompt", "part"),
    [
        ('meta {"vendor": {"error": {"message": "overloaded"}}}', "overloaded"),
        ("status systemError", "failed"),
        (
            'update {"sessionUpdate": "session_info_update", "_meta": {"x": {"error": "no quota"}}}',
            "no quota",
        ),
        ("stop error", "ended in an error"),
    ],
)
async def test_end_turn_is_not_success(tmp_path: Path, prompt: str, part: str) -> None:
    """An error that an agent only mentions makes the turn a failed one, whatever its stop reason."""
    async with acp(tmp_path) as running:
        await running.stable()
        await running.session.prompt(f"updates 1\n{prompt}", None)
        await running.stable()
        assert running.text == "0"
        assert running.data(ItemKind.TURN_END)[0]["reason"] == "error"
        assert part in str(reason(running))
        assert running.record.state is not None
        assert running.record.state.state == "failed"


async def test_an_error_that_it_got_over(tmp_path: Path) -> None:
    """An agent that is active again after its error ends its turn well."""
    async with acp(tmp_path) as running:
        await running.stable()
        await running.turn("status systemError\nstatus active\nupdates 1")
        assert reason(running) == "end_turn"


async def test_an_error_of_a_tool_is_none_of_the_turn(tmp_path: Path) -> None:
    """What a tool's metadata says of errors is the tool's business."""
    update = {"sessionUpdate": "tool_call", "toolCallId": "t", "_meta": {"error": "exit 1"}}
    async with acp(tmp_path) as running:
        await running.stable()
        await running.turn(f"update {json.dumps(update)}")
        assert reason(running) == "end_turn"


@pytest.mark.parametrize("word", ["wait", "cancelerror", "late"])
async def test_N13_a_cancel_that_is_obeyed(tmp_path: Path, word: str) -> None:
    """However an agent answers a cancelled prompt, the turn ends as cancelled and not as failed."""
    async with acp(tmp_path) as running:
        await running.stable()
        await running.session.prompt(word, None)
        await running.session.cancel()
        await running.session.cancel()
        await running.stable()
        assert running.data(ItemKind.TURN_END) == [{"reason": "cancelled", "error": None}]
        assert running.text == ("late news" if word == "late" else "")
        await running.session.cancel()  # nothing runs: harmless


async def test_N13_a_cancel_that_is_not_obeyed(tmp_path: Path) -> None:
    """After its time the agent is ended and another one goes on with the session; the turn is cancelled."""
    async with acp(tmp_path, Wanted(command=[*FAST_PUPPET, "resume"], cancel_s=0.05)) as running:
        await running.stable()
        first = await running.turn("pid")
        await running.session.prompt("mute", None)
        await running.session.cancel()
        await running.session.cancel()
        await running.stable()
        assert running.data(ItemKind.TURN_END)[-1]["reason"] == "cancelled"
        assert await running.turn("pid") != first
        assert [one["opened"] for one in running.data(ItemKind.SESSION_INFO)] == ["new", "resumed"]


async def test_N20_an_orderly_end(tmp_path: Path) -> None:
    """A stop refuses prompts, cancels the turn, which ends as interrupted, and leaves no process."""
    async with acp(tmp_path) as running:
        await running.stable()
        await running.session.prompt("wait", None)
        await running.session.stop(5)
        with pytest.raises(Refused) as caught:
            await running.session.prompt("updates 1", None)
        assert caught.value.code == "shutting_down"
        assert running.data(ItemKind.TURN_END)[-1]["reason"] == "interrupted"
        assert running.states()[-1] == "stopped"
        client = running.keeper._client
        assert client is not None
        await running.keeper.stop(5)
        assert not Path(f"/proc/{client.pid}").exists()


async def test_N20_a_turn_that_does_not_end(tmp_path: Path) -> None:
    """A turn that outlasts the grace is closed as interrupted all the same."""
    async with acp(tmp_path) as running:
        await running.stable()
        await running.session.prompt("mute", None)
        await running.session.stop(0.05)
        assert running.data(ItemKind.TURN_END)[-1]["reason"] == "interrupted"


async def test_blocks_of_a_prompt(tmp_path: Path) -> None:
    """Blocks reach the agent as they are; the message shows their text, and a word for what is none."""
    link = {"type": "resource_link", "uri": "file:///a", "name": "a"}
    blocks = [{"type": "text", "text": "look"}, link, {"type": "text", "text": "echo"}]
    async with acp(tmp_path) as running:
        await running.stable()
        raw = [msgspec.Raw(msgspec.json.encode(block)) for block in blocks]
        await running.session.prompt_blocks(raw, "p1")
        await running.stable()
        assert running.text == '["look", "", "echo"]'
        message = running.data(ItemKind.USER_MESSAGE)[0]
        assert message["text"] == "look\n[resource_link: a]\necho"
        assert message["blocks"] == blocks


async def test_a_line_that_is_too_long(tmp_path: Path) -> None:
    """A line of more than 32 MiB is lost alone, and said to be; the turn goes on behind it."""
    async with acp(tmp_path) as running:
        await running.stable()
        assert await running.turn("big 33600000\nupdates 2") == "01"
        assert "too long" in running.sentences()[0]


async def test_a_flood_loses_nothing(tmp_path: Path) -> None:
    """N5, N6: megabytes of output, of errors and of updates all arrive, in order, and the turn ends."""
    big = {"sessionUpdate": "tool_call", "toolCallId": "b", "rawOutput": "z" * 5_000_000}
    async with acp(tmp_path) as running:
        await running.stable()
        text = await running.turn(f"update {json.dumps(big)}\nstderr 1000000\nupdates 3000")
        assert text.endswith("".join(map(str, range(3000))))
        await until(lambda: len(running.logs) >= 10_000 - 1)  # by another pipe
        cut = running.data(ItemKind.TOOL_CALL)[0]["raw_output"]
        assert isinstance(cut, dict)
        assert cut["cut_bytes"] > 5_000_000
