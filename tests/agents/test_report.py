"""The report tool, as coding agents start it: a process that speaks MCP, and a bridge that hears of it."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from taskyard_agent.bridge.launch import launch
from taskyard_agent.bridge.mcp import (
    McpConfigInvalid,
    McpServers,
    report_command,
    report_env,
    screen_words,
)
from taskyard_agent.bridge.session import Report
from taskyard_agent.protocol import CodingAgent, ItemKind
from taskyard_agent.report import SUMMARY_CHARS, TOOL, VERSIONS
from tests.agents.acp_kit import FAST_PUPPET, Wanted, acp
from tests.agents.fake_server import Kit, kit, manifest, until
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


class Tool:
    """The running tool, and what its bridge got: head and body of each request."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.got: list[tuple[str, Any]] = []
        self.status = "200 OK"

    async def send(self, line: bytes) -> dict[str, Any]:
        """The answer to a line."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + b"\n")
        async with asyncio.timeout(DEADLINE_S):
            found: dict[str, Any] = json.loads(await self.process.stdout.readline())
        return found

    async def ask(self, method: str, params: object = None) -> dict[str, Any]:
        """The answer to a request."""
        message = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
        return await self.send(json.dumps(message).encode())

    async def call(self, **arguments: object) -> tuple[bool, str]:
        """Whether a call of the tool failed, and what it said."""
        answer = await self.ask("tools/call", {"name": "report_task", "arguments": arguments})
        result = answer["result"]
        return result["isError"], result["content"][0]["text"]


@asynccontextmanager
async def tool(url: str | None = None, token: str | None = None) -> AsyncIterator[Tool]:
    """The tool with a bridge of its own, unless another url is given."""
    made: list[Tool] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = json.loads(await reader.readexactly(int(fields["content-length"])))
        made[0].got.append((head, body))
        writer.write(f"HTTP/1.1 {made[0].status}\r\nContent-Length: 4\r\n\r\nfine".encode())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    own = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    env = report_env(own if url is None else url, token, os.environ)
    process = await asyncio.create_subprocess_exec(
        *report_command(),
        env={**env, "PYTHONPATH": ":".join(filter(None, sys.path))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    made.append(Tool(process))
    try:
        yield made[0]
    finally:
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(DEADLINE_S):
            assert await process.wait() == 0
        server.close()


async def test_it_speaks_mcp() -> None:
    """It says hello in the version that it is asked for, lists one tool, and answers a ping."""
    async with tool() as running:
        for asked in VERSIONS:
            hello = (await running.ask("initialize", {"protocolVersion": asked}))["result"]
            assert hello["protocolVersion"] == asked
        unknown = (await running.ask("initialize", {"protocolVersion": "2031-01-01"}))["result"]
        assert unknown["protocolVersion"] == VERSIONS[0]
        assert hello["capabilities"] == {"tools": {}}
        assert (await running.ask("tools/list"))["result"] == {"tools": [TOOL]}
        assert (await running.ask("ping"))["result"] == {}
        assert (await running.ask("resources/list"))["error"]["code"] == -32601
        assert (await running.ask("tools/call", {"name": "rm"}))["error"]["code"] == -32602


async def test_a_report_reaches_the_bridge() -> None:
    """Summary, outcome and link are posted as one object; blanks within the summary are folded."""
    async with tool() as running:
        failed, _ = await running.call(
            summary=" half\n done ", outcome="working", link="https://x.example/1"
        )
        assert not failed
        assert (await running.call(summary="done", outcome="complete"))[0] is False
        heads, bodies = zip(*running.got, strict=True)
        assert bodies == (
            {"summary": "half done", "outcome": "working", "link": "https://x.example/1"},
            {"summary": "done", "outcome": "complete", "link": None},
        )
        assert heads[0].startswith("POST /v2/report HTTP/1.1\r\n")
        assert "authorization" not in heads[0].lower()


async def test_a_token_is_shown() -> None:
    """A bridge that wants a token gets it."""
    async with tool(token="s3cret") as running:
        await running.call(summary="x", outcome="working")
        assert "Authorization: Bearer s3cret" in running.got[0][0]


BAD: list[tuple[dict[str, object], str]] = [
    ({}, "summary"),
    ({"summary": "  ", "outcome": "working"}, "summary"),
    ({"summary": 7, "outcome": "working"}, "summary"),
    ({"summary": "x" * (SUMMARY_CHARS + 1), "outcome": "working"}, "161"),
    ({"summary": "x"}, "outcome"),
    ({"summary": "x", "outcome": "idle"}, "idle"),
    ({"summary": "x", "outcome": ["working"]}, "outcome"),
    ({"summary": "x", "outcome": "working", "link": "ftp://x"}, "link"),
    ({"summary": "x", "outcome": "working", "link": 5}, "link"),
    ({"summary": "x", "outcome": "working", "link": "https://" + "x" * 2000}, "link"),
    ({"summary": "x", "outcome": "working", "state": "idle"}, "state"),
]


async def test_bad_input_is_told_to_the_model() -> None:
    """A wrong call is an error of the tool that names the argument; nothing is posted."""
    async with tool() as running:
        for arguments, part in BAD:
            failed, said = await running.call(**arguments)
            assert failed, arguments
            assert part in said
        answer = await running.ask("tools/call", {"name": "report_task", "arguments": [1]})
        assert answer["result"]["isError"]
        assert running.got == []
        assert (await running.call(summary="x" * SUMMARY_CHARS, outcome="failure"))[0] is False


async def test_a_bridge_that_cannot_be_had() -> None:
    """A bridge that is away, refuses, or is not named is told to the model, and the tool goes on."""
    async with tool(url="http://127.0.0.1:9") as running:
        failed, said = await running.call(summary="x", outcome="working")
        assert failed
        assert "did not arrive" in said
    async with tool(url="") as running:
        assert "TASKYARD_BRIDGE_URL" in (await running.call(summary="x", outcome="working"))[1]
    async with tool() as running:
        running.status = "409 Conflict"
        failed, said = await running.call(summary="x", outcome="working")
        assert failed
        assert "409" in said
        assert (await running.ask("ping"))["result"] == {}


async def test_lines_that_are_no_requests() -> None:
    """Broken lines get an error, notifications and answers none, and the next request is answered."""
    async with tool() as running:
        assert (await running.send(b"{nope"))["error"]["code"] == -32700
        assert (await running.send(b"[1]"))["error"]["code"] == -32600
        assert running.process.stdin is not None
        running.process.stdin.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        running.process.stdin.write(b'{"jsonrpc":"2.0","id":1,"result":{}}\n\n\xff\xfe\n')
        assert (await running.ask("ping"))["error"]["code"] == -32700  # of the last line above
        assert running.process.stdout is not None
        assert json.loads(await running.process.stdout.readline())["result"] == {}


def test_it_starts_fast() -> None:
    """It loads no network code and nothing of ours before it is called."""
    code = (
        "import sys; import taskyard_agent.report as r; "
        "print(sorted({'http', 'urllib', 'ssl', 'socket', 'msgspec', 'asyncio'} & set(sys.modules)))"
    )
    env = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    found = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, env=env
    )
    assert found.stdout.strip() == "[]"


# what a session is opened with


def config(folder: Path, text: str) -> Path:
    path = folder / "mcp.json"
    path.write_text(text)
    return path


SERVERS = """{"mcpServers": {
  "files": {"command": "files-mcp", "args": ["-r"], "env": {"A": "1"}},
  "web": {"type": "http", "url": "https://w.example/mcp", "headers": {"X": "y"}},
  "plain": {"url": "https://p.example/mcp"},
  "old": {"type": "sse", "url": "https://o.example/sse"}
}}"""


def test_N14_servers_of_a_file(tmp_path: Path) -> None:
    """Ours comes first; others as ACP wants them; what the agent cannot take is left out and named."""
    servers = McpServers("http://127.0.0.1:5", {"PYTHONPATH": "/p"}, config(tmp_path, SERVERS))
    raw, problems = servers.offered(msgspec.Raw(b'{"mcpCapabilities":{"http":true,"sse":false}}'))
    ours, *others = (json.loads(bytes(one)) for one in raw)
    assert ours["name"] == "taskyard"
    assert [ours["command"], *ours["args"]] == [sys.executable, "-P", "-m", "taskyard_agent.report"]
    assert {one["name"]: one["value"] for one in ours["env"]} == {
        "TASKYARD_BRIDGE_URL": "http://127.0.0.1:5",
        "PYTHONPATH": "/p",
    }
    env = [{"name": "A", "value": "1"}]
    headers = [{"name": "X", "value": "y"}]
    assert others == [
        {"name": "files", "command": "files-mcp", "args": ["-r"], "env": env},
        {"type": "http", "name": "web", "url": "https://w.example/mcp", "headers": headers},
        {"type": "http", "name": "plain", "url": "https://p.example/mcp", "headers": []},
    ]
    assert len(problems) == 1
    assert "'old'" in problems[0]
    assert len(servers.offered(msgspec.Raw(b"{}"))[1]) == 3


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{nope", "JSON"),
        ("{}", "mcpServers"),
        ('{"mcpServers": {"taskyard": {"command": "x"}}}', "taken"),
        ('{"mcpServers": {"a": {}}}', "either"),
        ('{"mcpServers": {"a": {"command": "x", "url": "y"}}}', "either"),
        ('{"mcpServers": {"a": {"type": "ws", "url": "y"}}}', "ws"),
    ],
)
def test_N14_a_file_that_cannot_be_used(tmp_path: Path, text: str, part: str) -> None:
    """The sentence names the file and what is wrong in it."""
    path = config(tmp_path, text)
    with pytest.raises(McpConfigInvalid, match=part) as caught:
        McpServers("u", {}, path)
    assert str(path) in str(caught.value)


async def test_N14_every_session_gets_them(tmp_path: Path) -> None:
    """New, loaded and resumed sessions are opened with the same servers."""
    path = str(config(tmp_path, SERVERS))
    for words, method in [
        ((), "session/new"),
        ((), "session/load"),
        (("resume",), "session/resume"),
    ]:
        wanted = Wanted(command=[*FAST_PUPPET, *words], mcp_config=path, url="http://127.0.0.1:77")
        async with acp(tmp_path, wanted) as running:
            await running.stable()
            await running.turn("show")
            opened = running.said()[0]["opened"]
            assert isinstance(opened, dict)
            assert opened["method"] == method
            assert [one["name"] for one in opened["mcpServers"]] == [
                "taskyard",
                "files",
                "web",
                "plain",
            ]
            assert any("'old'" in sentence for sentence in running.sentences())


async def test_N14_a_bad_file_is_told(tmp_path: Path) -> None:
    """With a file that cannot be used no agent comes up, and the task says why."""
    async with acp(tmp_path, Wanted(mcp_config=str(tmp_path / "none.json"))) as running:
        await until(lambda: running.health == ["unhealthy"])
        assert "none.json" in running.sentences()[-1]


def test_our_tool_for_a_screen() -> None:
    """Claude's screen gets the same tool by its command line, allowed; others get no words."""
    server, allowed = screen_words("claude", "http://127.0.0.1:5", {}, "t")
    found = json.loads(server.removeprefix("--mcp-config="))["mcpServers"]["taskyard"]
    assert [found["command"], *found["args"]] == report_command()
    assert found["env"]["TASKYARD_BRIDGE_TOKEN"] == "t"
    assert allowed == "--allowedTools=mcp__taskyard__report_task"
    assert screen_words("codex", "http://127.0.0.1:5", {}) == []


async def test_a_report_is_an_item(tmp_path: Path) -> None:
    """A report is stored as it came, and moves no state."""
    async with acp(tmp_path) as running:
        await running.stable()
        before = running.states()
        running.session.report(Report("half done", None, "working"))
        assert running.data(ItemKind.REPORT) == [
            {"summary": "half done", "link": None, "outcome": "working"}
        ]
        assert running.states() == before


async def session_servers(made: Kit) -> list[dict[str, Any]]:
    """The MCP servers that the agent's session was opened with."""
    await until(lambda: ("agent", "healthy") in made.server.health)
    await made.server.until_stable()
    await made.server.say("show")
    await made.server.until_stable()
    shown = json.loads((await made.server.messages())[-1][1])
    found: list[dict[str, Any]] = shown["opened"]["mcpServers"]
    return found


async def test_N14_a_file_of_the_template(tmp_path: Path) -> None:
    """`mcp.json` beside the template's own file adds its servers."""
    async with kit(tmp_path, manifest(FAST_PUPPET)) as made:
        config(made.template, SERVERS)
        async with made.agent():
            names = [server["name"] for server in await session_servers(made)]
            assert names == ["taskyard", "files", "web", "plain"]


async def test_the_tool_of_a_session_reaches_its_task(tmp_path: Path) -> None:
    """The server that a session is opened with, started as it says there, reports to the bridge's real port."""
    async with kit(tmp_path, manifest(FAST_PUPPET)) as made, made.agent():
        ours = (await session_servers(made))[0]
        arguments = {"summary": "half done", "outcome": "complete", "link": "https://x.example"}
        call = {"name": "report_task", "arguments": arguments}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
        process = await asyncio.create_subprocess_exec(
            ours["command"],
            *ours["args"],
            env={one["name"]: one["value"] for one in ours["env"]}
            | {"PYTHONPATH": ":".join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        said, _ = await process.communicate(json.dumps(message).encode() + b"\n")
        assert json.loads(said)["result"]["isError"] is False
        await until(lambda: made.server.data(ItemKind.REPORT) == [arguments])


def test_the_start_of_the_tool_is_quick(figure: Callable[[str], None]) -> None:
    """From its start to its first answer it takes a fraction of a second (printed)."""
    env = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    began = time.monotonic()
    subprocess.run(
        report_command(),
        input=b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n',
        env=env,
        check=True,
        capture_output=True,
    )
    figure(f"report tool: {(time.monotonic() - began) * 1000:.0f} ms from start to end")


@pytest.mark.parametrize(
    "argv", [launch(CodingAgent("shell", "acp", [], "allow"), {}).argvs[0], report_command()]
)
async def test_files_of_the_workspace_are_no_modules_of_ours(
    tmp_path: Path, argv: Sequence[str]
) -> None:
    """A `json.py` where the coding agent works is not run by the programs that we start there."""
    (tmp_path / "json.py").write_text("import os; os._exit(9)\n")
    process = await asyncio.create_subprocess_exec(
        *argv, cwd=tmp_path, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() != 9
