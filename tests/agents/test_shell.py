"""The shell agent, driven by the reference package's client and by ours, as a real process."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import acp
import msgspec
import pytest
from acp import schema

from taskyard_agent.acp import (
    AcpClient,
    AcpError,
    AgentExited,
    Answer,
    AnsweredBy,
    Asked,
    Malformed,
    PermissionRequest,
    Policy,
    StopReason,
    Turn,
    TurnEnd,
    Update,
    choose_option,
    text_block,
)
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

SHELL = [sys.executable, "-m", "taskyard_agent.shell"]


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


@dataclass
class Seen:
    """Handlers that keep the updates."""

    updates: list[dict[str, Any]] = field(default_factory=list)
    policy: Policy = Policy.ALLOW
    asked: list[PermissionRequest] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def update(self, update: Update) -> None:
        self.updates.append(json.loads(bytes(update.update)))
        self.news.set()

    def extension(self, method: str, params: msgspec.Raw) -> None:
        raise AssertionError(method)

    def permission_asked(self, asked: Asked) -> None:
        self.asked.append(asked.request)
        self.news.set()
        if self.policy is not Policy.ASK:
            asked.answer(Answer(choose_option(asked.request, self.policy), AnsweredBy.POLICY))

    def permission_answered(self, request: PermissionRequest, answer: Answer) -> None:
        pass

    def stderr(self, line: str) -> None:
        pass

    def malformed(self, malformed: Malformed) -> None:
        raise AssertionError(malformed)

    @property
    def text(self) -> str:
        said = [u for u in self.updates if u["sessionUpdate"] == "agent_message_chunk"]
        return "".join(update["content"]["text"] for update in said)

    @property
    def statuses(self) -> list[str]:
        return [update["status"] for update in self.updates if "status" in update]

    async def until(self, text: str) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while text not in self.text:
                self.news.clear()
                await self.news.wait()


@dataclass
class Shell:
    """One shell agent with an open session."""

    client: AcpClient
    seen: Seen
    session_id: str

    async def send(self, prompt: str) -> Turn:
        self.seen.updates.clear()
        return await self.client.send_prompt(self.session_id, [text_block(prompt)])

    async def run(self, prompt: str) -> TurnEnd:
        return await (await self.send(prompt)).wait()


@asynccontextmanager
async def shell(
    folder: Path, *, load: str | None = None, policy: Policy = Policy.ALLOW
) -> AsyncIterator[Shell]:
    env = {"PATH": os.environ["PATH"], "TASKYARD_SHELL_DIR": str(folder / "kept")}
    seen = Seen(policy=policy)
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as tasks:
        client = await AcpClient.start(tasks, SHELL, env=env, cwd=str(folder), handlers=seen)
        try:
            assert (await client.initialize()).can_load
            if load is None:
                load = (await client.new_session(str(folder))).session_id
            else:
                await client.load_session(load, str(folder))
            yield Shell(client, seen, load)
        finally:
            await client.end(1)


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


async def gone(pid: int) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while is_alive(pid):
            await asyncio.sleep(0.002)


class PeerClient:
    """The reference package's client: keeps updates, picks a permission."""

    def __init__(self) -> None:
        self.updates: list[Any] = []
        self.choice = "allow_once"

    def on_connect(self, conn: Any) -> None:
        pass

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        self.updates.append(update)

    async def request_permission(
        self, session_id: str, tool_call: Any, options: list[Any], **_: Any
    ) -> schema.RequestPermissionResponse:
        chosen = next(option for option in options if option.kind == self.choice)
        outcome = schema.AllowedOutcome(outcome="selected", option_id=chosen.option_id)
        return schema.RequestPermissionResponse(outcome=outcome)


async def test_the_package_as_client(tmp_path: Path) -> None:
    """The reference package's client gets a valid handshake, turn, permission and load out of it."""
    peer: Any = PeerClient()
    env = {"TASKYARD_SHELL_DIR": str(tmp_path)}
    async with acp.spawn_agent_process(peer, *SHELL, env=env) as (client, _):
        hello = await client.initialize(protocol_version=1)
        assert hello.protocol_version == 1
        opened = await client.new_session(cwd=str(tmp_path), mcp_servers=[])
        end = await client.prompt(
            session_id=opened.session_id, prompt=[acp.text_block("echo hi; exit 3")]
        )
        assert end.stop_reason == "end_turn"
        peer.choice = "reject_once"
        await client.prompt(session_id=opened.session_id, prompt=[acp.text_block("!perm touch no")])
        assert not (tmp_path / "no").exists()
    first = list(peer.updates)
    assert [update.session_update for update in first[:4]] == [
        "tool_call",
        "agent_message_chunk",
        "tool_call_update",
        "agent_message_chunk",
    ]
    assert (first[0].kind, first[0].title) == ("execute", "echo hi; exit 3")
    assert (first[2].status, first[2].raw_output) == ("failed", {"exitCode": 3})
    assert first[3].content.text == "exit 3"
    peer.updates.clear()
    async with acp.spawn_agent_process(peer, *SHELL, env=env) as (client, _):
        await client.initialize(protocol_version=1)
        await client.load_session(cwd=str(tmp_path), session_id=opened.session_id, mcp_servers=[])
    assert [u.session_update for u in peer.updates] == [
        "user_message_chunk",
        *(u.session_update for u in first[:4]),
        "user_message_chunk",
        *(u.session_update for u in first[4:]),
    ]


async def test_output_streams_while_the_command_runs(tmp_path: Path) -> None:
    """Output and errors come in order while the command still runs."""
    async with shell(tmp_path) as sh:
        fifo = tmp_path / "go"
        os.mkfifo(fifo)
        turn = await sh.send("echo one; echo two >&2; read < go; echo three")
        await sh.seen.until("one\ntwo\n")
        assert not turn.done
        fifo.write_text("\n", encoding="utf-8")
        assert (await turn.wait()).stop_reason is StopReason.END_TURN
        assert sh.seen.text == "one\ntwo\nthree\n"
        assert sh.seen.statuses == ["in_progress", "completed"]


CASES = [
    ("false", "exit 1", 1),
    ("printf x; exit 7", "x\nexit 7", 7),
    ("kill -9 $$", "exit 137", 137),
    ("x(", None, 2),
    ("true", "", 0),
    ("exec echo replaced", "replaced\n", 0),
    ("printf 'caf\\xc3'; printf '\\xa9 \\xff'", "café �", 0),
    ("echo $((6*7)) # a comment", "42\n", 0),
    ("cat <<X\nhere\nX", "here\n", 0),
    ("cat", "", 0),
    ("no-such-command-x", None, 127),
    ("#" + "x" * 200_000 + "\necho long", "long\n", 0),
]


@pytest.mark.parametrize(("command", "text", "code"), CASES, ids=[c[0][:20] for c in CASES])
async def test_commands(tmp_path: Path, command: str, text: str | None, code: int) -> None:
    """What bash says and its exit code come out, whatever the command."""
    async with shell(tmp_path) as sh:
        await sh.run(command)
        assert sh.seen.updates[0]["title"] == command.splitlines()[0][:200]
        last = next(u for u in sh.seen.updates if u["sessionUpdate"] == "tool_call_update")
        assert last["rawOutput"] == {"exitCode": code}
        if text is not None:
            assert sh.seen.text == text


async def test_an_empty_prompt(tmp_path: Path) -> None:
    """Nothing to run ends the turn with a sentence."""
    async with shell(tmp_path) as sh:
        assert (await sh.run(" \n ")).stop_reason is StopReason.END_TURN
        assert "empty" in sh.seen.text


async def test_the_folder_is_kept(tmp_path: Path) -> None:
    """The next prompt starts where the last one ended; a folder that has gone is left."""
    (tmp_path / "a b").mkdir()
    async with shell(tmp_path) as sh:
        await sh.run("cd 'a b'; false")
        await sh.run("pwd")
        assert sh.seen.text == f"{tmp_path}/a b\n"
        await sh.run("rmdir '../a b'")
        await sh.run("pwd")
        assert sh.seen.text == f"{tmp_path}\n"


async def test_a_flood_is_whole(tmp_path: Path) -> None:
    """Twenty megabytes arrive complete and in order; the kept file stays small."""
    async with shell(tmp_path) as sh:
        await sh.run("seq 3000000")
        text = sh.seen.text
        assert len(text) == 22_888_896
        assert text.startswith("1\n2\n")
        assert text.endswith("\n3000000\n")
        [kept] = (tmp_path / "kept").glob("*.jsonl")
        assert kept.stat().st_size < 1_000_000


async def test_background_processes_do_not_hold_the_turn(tmp_path: Path) -> None:
    """The turn ends with bash; what it started goes on, may write, and does not end the next turn."""
    async with shell(tmp_path) as sh:
        await sh.run("(while :; do echo noise; sleep 0.005; done) & echo $!")
        pid = int(sh.seen.text.replace("noise", "").split()[0])
        for _ in range(3):
            await sh.run("sleep 0.01; echo quiet")
            assert sh.seen.text == "quiet\n"
        assert is_alive(pid)
        os.kill(pid, signal.SIGKILL)


async def test_cancel_kills_the_group(tmp_path: Path) -> None:
    """A cancelled command and its children are gone, and the next prompt works."""
    async with shell(tmp_path) as sh:
        turn = await sh.send("sleep 1000 & echo $!; sleep 1000")
        await sh.seen.until("\n")
        pid = int(sh.seen.text)
        await sh.client.cancel(sh.session_id)
        assert (await turn.wait()).stop_reason is StopReason.CANCELLED
        await gone(pid)
        assert sh.seen.statuses == ["in_progress", "failed"]
        await sh.run("echo again")
        assert sh.seen.text == "again\n"


async def test_permission(tmp_path: Path) -> None:
    """`!perm` runs only with permission, and a refusal is said."""
    async with shell(tmp_path) as sh:
        await sh.run("!perm echo ran")
        assert sh.seen.text == "ran\n"
        assert sh.seen.statuses == ["pending", "in_progress", "completed"]
        sh.seen.policy = Policy.DENY
        assert (await sh.run("!perm echo ran")).stop_reason is StopReason.END_TURN
        assert "Not run" in sh.seen.text
        assert sh.seen.statuses == ["pending", "failed"]


async def test_cancel_with_an_open_permission(tmp_path: Path) -> None:
    """A prompt that waits for permission can be cancelled, and nothing runs."""
    async with shell(tmp_path, policy=Policy.ASK) as sh:
        turn = await sh.send("!perm touch ran")
        while not sh.seen.asked:
            sh.seen.news.clear()
            await sh.seen.news.wait()
        await sh.client.cancel(sh.session_id)
        assert (await turn.wait()).stop_reason is StopReason.CANCELLED
        assert not (tmp_path / "ran").exists()


async def test_load_after_a_crash(tmp_path: Path) -> None:
    """After SIGKILL in a command the session loads: folder kept, tool call closed, command killed."""
    (tmp_path / "deep").mkdir()
    async with shell(tmp_path) as sh:
        await sh.run("cd deep")
        turn = await sh.send("echo $$; sleep 1000")
        await sh.seen.until("\n")
        bash = int(sh.seen.text)
        os.kill(sh.client.pid, signal.SIGKILL)
        with pytest.raises(AgentExited):
            await turn.wait()
    [kept] = (tmp_path / "kept").glob("*.jsonl")
    with kept.open("ab") as file:
        file.write(b'{"torn')
    async with shell(tmp_path, load=sh.session_id) as again:
        await gone(bash)
        await again.run("pwd")
        assert again.seen.text == f"{tmp_path}/deep\n"
    lines = kept.read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines if line != '{"torn']
    ends = [r for r in records if r.get("rawOutput") == {"interrupted": True}]
    assert [end["status"] for end in ends] == ["failed"]
    async with shell(tmp_path, load=sh.session_id):
        assert kept.read_bytes().count(b'"interrupted": true') == 1


@pytest.mark.parametrize("name", ["unknown", "../../etc/passwd", ""])
async def test_loading_what_is_not_there(tmp_path: Path, name: str) -> None:
    """An unknown session is refused, also one that would lead out of the folder."""
    with pytest.raises(ExceptionGroup) as caught:
        async with shell(tmp_path, load=name):
            pass
    assert caught.group_contains(AcpError, match="no session")


async def test_bad_requests_are_refused(tmp_path: Path) -> None:
    """A missing folder, an unknown session and an unknown method each get an error."""
    async with shell(tmp_path) as sh:
        with pytest.raises(AcpError, match="cwd"):
            await sh.client.new_session("/no/such/folder")
        with pytest.raises(AcpError, match="no open session"):
            await sh.client.prompt("other", [text_block("true")])
        with pytest.raises(AcpError) as caught:
            await sh.client.set_mode(sh.session_id, "x")
        assert caught.value.code == -32601


@pytest.mark.parametrize("how", ["eof", "term"])
async def test_it_ends_with_its_client(tmp_path: Path, how: str) -> None:
    """End of input or SIGTERM ends the agent and the command that runs, at once."""
    async with shell(tmp_path) as sh:
        await sh.send("trap '' TERM; echo $$; while :; do sleep 0.01; done")
        await sh.seen.until("\n")
        bash = int(sh.seen.text)
        if how == "eof":
            stdin = sh.client._child._stdin
            assert stdin is not None
            stdin.close()
        else:
            os.kill(sh.client.pid, signal.SIGTERM)
        async with asyncio.timeout(DEADLINE_S):
            assert (await sh.client.wait()).code == 0
        await gone(bash)


async def test_idle_means_idle(tmp_path: Path) -> None:
    """Between prompts the process does not wake up, and it is small."""

    def switches(pid: int) -> str:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        return next(line for line in lines if line.startswith("voluntary_ctxt_switches"))

    async with shell(tmp_path) as sh:
        await sh.run("true")
        before = ""
        async with asyncio.timeout(DEADLINE_S):
            while (now := switches(sh.client.pid)) != before:
                before = now
                await asyncio.sleep(0.05)
        rollup = Path(f"/proc/{sh.client.pid}/smaps_rollup").read_text(encoding="utf-8")
        pss = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        print(f"shell agent: {pss} kB PSS")
