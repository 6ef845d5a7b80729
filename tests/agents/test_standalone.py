"""`taskyard-agent bridge` in the place of `agentapi server`: upstream's scripts, signals, files, exits."""

import asyncio
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from tests.agents.fake_server import PUPPET
from tests.agents.standalone_kit import ACP, SHELL, alone, command, played
from tests.agents.terminal_kit import GREETING, script, step
from tests.waiting import DEADLINE_S

HELLO = ("agent", "Hello! I am ready.")
BASIC = script(step("a message", "an answer"))


# what upstream's own tests play


async def test_A29_basic(tmp_path: Path) -> None:
    """A greeting, a message and its answer are three messages."""
    async with alone(tmp_path, *played(tmp_path, BASIC)) as made:
        await made.stable()
        assert await made.messages() == [HELLO]
        await made.say("a message")
        assert await made.until_messages(3) == [
            HELLO,
            ("user", "a message"),
            ("agent", "an answer"),
        ]


async def test_A21_thinking(tmp_path: Path) -> None:
    """Right after a message the status is running; the answer is one message, with all its lines."""
    thinks = script(step("a message", "line one\nline two", think_s=0.6))
    async with alone(tmp_path, *played(tmp_path, thinks, "--stable-after", "0.5")) as made:
        await made.stable()
        await made.say("a message")
        assert await made.status() == "running"
        assert (await made.until_messages(3))[2:] == [("agent", "line one\nline two")]


async def test_A40_standard_input_is_sent_first(tmp_path: Path) -> None:
    """What comes by a pipe is the first message of the user."""
    async with alone(tmp_path, *played(tmp_path, BASIC), stdin=b" a message\n") as made:
        assert await made.until_messages(3) == [
            HELLO,
            ("user", "a message"),
            ("agent", "an answer"),
        ]


async def test_A41_stable_only_after_the_first_prompt(tmp_path: Path) -> None:
    """With a first prompt the status stays running until that is answered; over ACP too."""
    async with alone(tmp_path, "-I", "updates 2", *ACP) as made:
        await made.stable()
        assert await made.messages() == [("user", "updates 2"), ("agent", "01")]


async def test_A54_A55_acp_basic(tmp_path: Path) -> None:
    """Over ACP a conversation starts empty and stable, and an exchange is two messages."""
    async with alone(tmp_path, *ACP) as made:
        await made.stable()
        assert await made.messages() == []
        await made.say("updates 2")
        assert await made.until_messages(2) == [("user", "updates 2"), ("agent", "01")]


# state over restarts


async def test_A42_A43_a_conversation_goes_on(tmp_path: Path) -> None:
    """After a stop and a start with the same state file the messages are the same, and a new one follows."""
    state = ("--state-file", str(tmp_path / "state" / "s.json"))
    async with alone(tmp_path, *state, *SHELL) as made:
        await made.stable()
        await made.say("echo one")
        before = await made.until_messages(2)
        assert await made.end() == 0
    assert json.loads((tmp_path / "state" / "s.json").read_text())["version"] == 1
    async with alone(tmp_path, *state, *SHELL) as made:
        await made.stable()
        assert await made.messages() == before
        await made.say("echo two")
        after = await made.until_messages(4)
        assert (after[:2], after[2]) == (before, ("user", "echo two"))


async def test_A43_a_state_file_from_elsewhere(tmp_path: Path) -> None:
    """A state that another program wrote becomes the beginning of the conversation, with its times."""
    file = tmp_path / "s.json"
    messages = [
        {"id": 0, "message": "Hi.", "role": "agent", "time": "2026-01-02T03:04:05Z"},
        {"id": 1, "message": "do it", "role": "user", "time": "2026-01-02T03:04:06Z"},
        {"id": 2, "message": "Done.", "role": "agent", "time": "2026-01-02T03:04:07Z"},
    ]
    state = {
        "version": 1,
        "messages": messages,
        "initial_prompt": "do it",
        "initial_prompt_sent": True,
    }
    file.write_text(json.dumps(state))
    async with alone(tmp_path, "-s", str(file), *ACP) as made:
        await made.stable()
        assert await made.messages() == [("agent", "Hi."), ("user", "do it"), ("agent", "Done.")]
        body = await (await made.client.get("/messages")).json()
        assert body["messages"][2]["time"] == "2026-01-02T03:04:07Z"
        assert await made.end() == 0
    assert json.loads(file.read_text()) == state


async def test_A43_A12_an_unreadable_state_is_told(tmp_path: Path) -> None:
    """A state file that makes no sense does not stop the start; everybody who listens is told."""
    file = tmp_path / "s.json"
    file.write_text("{")
    async with alone(tmp_path, "-s", str(file), *ACP) as made:
        await made.stable()
        async with made.client.get("/events") as stream, asyncio.timeout(DEADLINE_S):
            seen = await stream.content.readuntil(b"agent_error\n")
            line = await stream.content.readline()
        assert b"warning" in line
        assert str(file) in line.decode()
        assert b"status_change" in seen


@pytest.mark.parametrize("flags", [[], ["-I", "echo one"]])
async def test_A44_the_same_first_prompt_is_not_sent_again(
    tmp_path: Path, flags: list[str]
) -> None:
    """After a restart the first prompt is not sent again, whether it is given again or not."""
    state = ("-s", str(tmp_path / "s.json"))
    async with alone(tmp_path, *state, "-I", "echo one", *SHELL) as made:
        before = await made.until_messages(2)
        await made.end()
    async with alone(tmp_path, *state, *flags, *SHELL) as made:
        await made.stable()
        assert await made.messages() == before


async def test_A44_another_first_prompt_is_sent(tmp_path: Path) -> None:
    """A first prompt with another text is sent after the restart."""
    state = ("-s", str(tmp_path / "s.json"))
    async with alone(tmp_path, *state, "-I", "echo one", *SHELL) as made:
        before = await made.until_messages(2)
        await made.end()
    async with alone(tmp_path, *state, "-I", "echo two", *SHELL) as made:
        after = await made.until_messages(4)
        assert (after[:2], after[2]) == (before, ("user", "echo two"))


async def test_A44_an_unsent_prompt_of_the_state_is_sent(tmp_path: Path) -> None:
    """A first prompt that the state names as not sent is sent when no other is given."""
    file = tmp_path / "s.json"
    state = {
        "version": 1,
        "messages": [],
        "initial_prompt": "updates 1",
        "initial_prompt_sent": False,
    }
    file.write_text(json.dumps(state))
    async with alone(tmp_path, "-s", str(file), *ACP) as made:
        assert await made.until_messages(2) == [("user", "updates 1"), ("agent", "0")]


async def test_A45_A46_a_replay_on_the_screen_is_no_news(tmp_path: Path) -> None:
    """What a program with a screen shows again after a restart does not change the last message."""
    state = ("-s", str(tmp_path / "s.json"))
    async with alone(tmp_path, *played(tmp_path, BASIC, *state)) as made:
        await made.stable()
        await made.say("a message")
        before = await made.until_messages(3)
        await made.end()
    again = {
        "history": ["Welcome back.", "> a message", "an answer"],
        "steps": [step("*", "yes")],
    }
    async with alone(tmp_path, *played(tmp_path, {"paste": True, **again}, *state)) as made:
        await made.stable()
        assert await made.messages() == before
        await made.say("more")
        assert await made.until_messages(5) == [*before, ("user", "more"), ("agent", "yes")]


async def test_load_state_off_begins_anew(tmp_path: Path) -> None:
    """Without loading, the conversation is new, and the old one is put aside, not lost."""
    state = ("-s", str(tmp_path / "s.json"))
    async with alone(tmp_path, *state, *ACP) as made:
        await made.stable()
        await made.say("updates 2")
        await made.until_messages(2)
        await made.end()
    async with alone(tmp_path, *state, "--load-state=false", *ACP) as made:
        await made.stable()
        assert await made.messages() == []
    (aside,) = (tmp_path / "s.json.d").glob("before-*")
    assert "updates 2" in (aside / "transcript.jsonl").read_text()


async def one_exchange(home: Path, *state: str) -> list[tuple[str, str]]:
    """The messages of a conversation with one, which ended in order."""
    async with alone(home, *state, *ACP) as made:
        await made.stable()
        await made.say("updates 2")
        messages = await made.until_messages(2)
        assert await made.end() == 0
    return messages


async def test_A43_a_deleted_state_file_begins_anew(tmp_path: Path) -> None:
    """Without the state file the conversation is new; the old transcript is put aside, not lost."""
    file = tmp_path / "s.json"
    await one_exchange(tmp_path, "-s", str(file))
    file.unlink()
    async with alone(tmp_path, "-s", str(file), *ACP) as made:
        await made.stable()
        assert await made.messages() == []
    (aside,) = (tmp_path / "s.json.d").glob("before-*")
    assert "updates 2" in (aside / "transcript.jsonl").read_text()


async def test_A43_another_state_file_takes_the_place(tmp_path: Path) -> None:
    """A file with another conversation is what goes on; the transcript that was there is put aside."""
    mine, other = tmp_path / "s.json", tmp_path / "other.json"
    await one_exchange(tmp_path, "-s", str(mine))
    async with alone(tmp_path, "-s", str(other), *SHELL) as made:
        await made.stable()
        await made.say("echo three")
        theirs = await made.until_messages(2)
        await made.end()
    other.replace(mine)
    for _ in range(2):  # and it stays so
        async with alone(tmp_path, "-s", str(mine), *SHELL) as made:
            await made.stable()
            assert (await made.messages())[:2] == theirs
            await made.end()
    (aside,) = (tmp_path / "s.json.d").glob("before-*")
    assert "updates 2" in (aside / "transcript.jsonl").read_text()


@pytest.mark.parametrize("saved", [False, True])
async def test_N15_kill_9_loses_nothing(tmp_path: Path, saved: bool) -> None:  # noqa: FBT001 - a case
    """The transcript is gone on with when the state file is older than it, or was never written."""
    state = ("-s", str(tmp_path / "s.json"))
    if saved:
        await one_exchange(tmp_path, *state)
    async with alone(tmp_path, *state, *SHELL) as made:
        await made.stable()
        await made.say("echo one")
        before = await made.until_messages(4 if saved else 2)
        made.process.kill()
        await made.wait()
    async with alone(tmp_path, *state, *SHELL) as made:
        await made.stable()
        assert await made.messages() == before
    assert list((tmp_path / "s.json.d").glob("before-*")) == []


# signals and ends


async def test_A48_usr1_saves_and_goes_on(tmp_path: Path) -> None:
    """SIGUSR1 writes the state and nothing else happens; an unchanged state is not written again."""
    file = tmp_path / "s.json"
    async with alone(tmp_path, "-s", str(file), *ACP) as made:
        await made.stable()
        await made.say("updates 1")
        await made.until_messages(2)
        made.process.send_signal(signal.SIGUSR1)
        async with asyncio.timeout(DEADLINE_S):
            while not file.exists():
                await asyncio.sleep(0.01)
        first = file.stat().st_ino
        made.process.send_signal(signal.SIGUSR1)
        assert await made.end() == 0
    assert file.stat().st_ino == first


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("transport", ["acp", "pty"])
async def test_A47_D3_an_orderly_end(
    tmp_path: Path, number: signal.Signals, transport: str
) -> None:
    """Each of the signals ends the bridge with exit code 0 and the coding agent with it, over ACP too."""
    arguments = ACP if transport == "acp" else played(tmp_path, BASIC)
    async with alone(tmp_path, *arguments) as made:
        await made.stable()
        session = await (await made.client.get("/v2/session")).json()
        pid = session["agent"]["pid"]
        assert await made.end(number) == 0
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_A47_streams_end_with_it(tmp_path: Path) -> None:
    """A stop ends all event streams."""
    async with alone(tmp_path, *ACP) as made:
        await made.stable()
        async with made.client.get("/events") as stream, asyncio.timeout(DEADLINE_S):
            made.process.send_signal(signal.SIGTERM)
            await stream.content.read()
        assert await made.wait() == 0


@pytest.mark.parametrize("code", [0, 3])
async def test_A19_the_agents_exit_is_ours(tmp_path: Path, code: int) -> None:
    """When the program ends, so does the bridge: 0 after 0, else 1 with the last screen and the reason."""
    dies = script(step("go", "", die=code))
    async with alone(tmp_path, *played(tmp_path, dies)) as made:
        await made.stable()
        with suppress(aiohttp.ClientError):  # the bridge may be gone before it has answered
            await made.post("go")
        assert await made.wait() == (1 if code else 0)
        assert ("last words" in made.errors) == bool(code)
        assert (f"exit code {code}" in made.errors) == bool(code)


@pytest.mark.parametrize("code", [0, 3])
async def test_A19_over_acp_too(tmp_path: Path, code: int) -> None:
    """The same without a screen."""
    async with alone(tmp_path, *ACP) as made:
        await made.stable()
        with suppress(aiohttp.ClientError):
            await made.post(f"die {code}")
        assert await made.wait() == (1 if code else 0)
        assert (f"exit code {code}" in made.errors) == bool(code)


@pytest.mark.parametrize("transport", ["acp", "pty"])
async def test_N26_hold_keeps_the_conversation(tmp_path: Path, transport: str) -> None:
    """With --on-exit hold the messages stay readable after the program is gone, and the state says exited."""
    hold = ("--on-exit", "hold")
    gone = script(step("die 3", "", die=3))
    arguments = (*hold, *ACP) if transport == "acp" else played(tmp_path, gone, *hold)
    async with alone(tmp_path, *arguments) as made:
        await made.stable()
        await made.post("die 3")
        async with asyncio.timeout(DEADLINE_S):
            while True:
                session = await (await made.client.get("/v2/session")).json()
                if session["state"] == "exited":
                    break
                await asyncio.sleep(0.01)
        assert await made.status() == "running"
        assert ("user", "die 3") in await made.messages()
        assert made.process.returncode is None


async def test_A53_what_the_agent_writes_on_stderr_is_passed_on(tmp_path: Path) -> None:
    """Each line of it is in the log of the bridge, whole; the conversation has nothing of it."""
    async with alone(tmp_path, *ACP) as made:
        await made.stable()
        await made.say("stderr 300\nupdates 2")
        assert await made.until_messages(2) == [("user", "stderr 300\nupdates 2"), ("agent", "01")]
        assert await made.end() == 0
        assert made.process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            log = (await made.process.stdout.read()).decode()
    assert log.count("y" * 99) == 3


# starts that cannot be


async def test_A14_A53_a_program_that_is_not_there(tmp_path: Path) -> None:
    """A program that cannot be started ends the bridge with exit code 1 and its name."""
    for transport in ("acp", "pty"):
        code, _, errors = await command(
            "bridge", "-p", "0", "--transport", transport, "--", "no-such-program"
        )
        assert code == 1
        assert "no-such-program" in errors


async def test_a_port_that_is_taken() -> None:
    """A port that is taken ends the start with its number; nothing is started on another one."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, errors = await command("bridge", "-p", str(port), *ACP)
    assert code == 1
    assert str(port) in errors


async def test_A52_one_bridge_a_pid_file(tmp_path: Path) -> None:
    """A second bridge with the same pid file does not start, and names the first."""
    pid_file = tmp_path / "b.pid"
    async with alone(tmp_path, "--pid-file", str(pid_file), *ACP) as made:
        assert pid_file.read_text() == f"{made.process.pid}\n"
        code, _, errors = await command("bridge", "-p", "0", "--pid-file", str(pid_file), *ACP)
        assert code == 1
        assert str(made.process.pid) in errors
        assert await made.end() == 0
    assert not pid_file.exists()


async def test_D17_N7_a_token_is_needed_when_there_is_one(tmp_path: Path) -> None:
    """With a token file a caller without the token is refused, and one with it is served."""
    file = tmp_path / "token"
    file.write_text("s3cret-word\n")
    async with alone(tmp_path, "--token-file", str(file), *ACP) as made:
        for headers, status in (({}, 401), ({"Authorization": "Bearer s3cret-word"}, 200)):
            async with made.client.get("/messages", headers=headers) as answer:
                await answer.read()
                assert answer.status == status


async def test_D11_an_open_pipe_does_not_hold_up_the_start(tmp_path: Path) -> None:
    """A standard input that nobody closes is left after a while, and the bridge starts without a prompt."""
    reader, writer = os.pipe()
    port = socket.create_server(("127.0.0.1", 0))
    port.close()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "taskyard_agent", "bridge", "-p", "0", *ACP),
        stdin=reader,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            assert b"Standard input" in await process.stdout.readline()
            assert b"listening" in await process.stdout.readline()
    finally:
        process.terminate()
        await process.wait()
        os.close(writer)
        os.close(reader)


# other commands


async def test_print_openapi() -> None:
    """--print-openapi prints the 3.0.3 document in order and starts nothing; with ACP it is refused."""
    code, out, _ = await command("bridge", "--print-openapi", "--", "no-such-program")
    document = json.loads(out)
    assert (code, document["openapi"], document["info"]["title"]) == (0, "3.0.3", "AgentAPI")
    assert list(document["paths"]) == sorted(document["paths"])
    code, _, errors = await command("bridge", "-P", "--experimental-acp", "--", "x")
    assert (code, "ACP" in errors) == (1, True)


async def test_words_of_the_command() -> None:
    """Help and version are told; `server` means bridge; anything else is refused; --exit only checks."""
    code, out, _ = await command("--help")
    assert (code, "--state-file" in out, "--exit" in out) == (0, True, False)
    code, out, _ = await command("--version")
    assert (code, out.startswith("taskyard-agent ")) == (0, True)
    code, _, errors = await command("fly")
    assert (code, "fly" in errors) == (1, True)
    assert (await command("server", "--exit", "--", "x"))[0] == 0
    code, _, errors = await command("server", "--exit")
    assert (code, "--" in errors) == (1, True)
    code, _, errors = await command("bridge", "--ready-pattern", "(", "--", *PUPPET)
    assert (code, "ready-pattern" in errors) == (1, True)


async def test_greeting_alone(tmp_path: Path) -> None:
    """A program that is only greeting is stable with one message."""
    async with alone(tmp_path, *played(tmp_path, {"steps": [GREETING], "paste": True})) as made:
        assert await made.until_messages(1) == [HELLO]


async def test_N41_tools_as_the_flags_say(tmp_path: Path) -> None:
    """Without lines for tools the messages have none, in a later run neither; data over the limit is cut."""
    called = {
        "sessionUpdate": "tool_call",
        "toolCallId": "t",
        "title": "ls",
        "rawInput": "i" * 2_000,
    }
    flags = ("--state-dir", str(tmp_path / "state"), "--max-tool-data", "1000")
    said = [("user", f"updates 2\nupdate {json.dumps(called)}"), ("agent", "01")]
    async with alone(tmp_path, *flags, "--acp-inline-tools", "off", *ACP) as made:
        await made.stable()
        await made.say(said[0][1])
        assert await made.until_messages(2) == said
        async with made.client.get("/v2/session") as answer:
            assert (await answer.json())["limits"]["tool_bytes"] == 1_000
        async with made.client.get("/v2/transcript", params={"kinds": "tool_call"}) as answer:
            item = (await answer.json())["items"][0]["data"]
        assert (item["hidden"], item["raw_input"]["cut_bytes"]) == (True, 2_002)
    async with alone(tmp_path, *flags, *ACP) as made:
        await made.stable()
        assert (await made.messages())[0] == said[0]
        assert "[Tool:" not in (await made.messages())[1][1]
