"""`taskyard-agent attach`: somebody at a terminal watches a coding agent and types to it."""

import asyncio
import os
import pty
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from taskyard_agent.protocol import ItemKind
from taskyard_agent.standalone.attach import Console, attach
from taskyard_agent.standalone.client import BridgeClient, BridgeFailed
from tests.agents.bridge_kit import bridge, port_of, stable
from tests.agents.fake_server import until
from tests.agents.terminal_kit import script, step, terminal
from tests.waiting import DEADLINE_S


@dataclass
class Desk:
    """A terminal with somebody at it: what the program writes there, and keys."""

    keys: int
    console: Console
    seen: bytearray = field(default_factory=bytearray)

    def type(self, text: str) -> None:
        os.write(self.keys, text.encode())

    def shows(self, text: str) -> Callable[[], bool]:
        return lambda: text.encode() in self.seen


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    ours, theirs = pty.openpty()
    made = Desk(ours, Console(theirs, theirs))
    loop = asyncio.get_running_loop()
    loop.add_reader(ours, lambda: made.seen.extend(os.read(ours, 65536)))
    try:
        yield made
    finally:
        loop.remove_reader(ours)
        os.close(ours)
        os.close(theirs)


async def test_N42_a_conversation_can_be_joined(tmp_path: Path) -> None:
    """Over ACP what is said is shown as it comes, and a typed line is a message."""
    async with bridge(tmp_path) as client, desk() as made, asyncio.TaskGroup() as tasks:
        await stable(client)
        attached = tasks.create_task(
            attach(BridgeClient.at(f"localhost:{port_of(client)}"), made.console)
        )
        made.type("updates 3\n")
        await until(made.shows("> updates 3"))
        await until(made.shows("012"))
        attached.cancel()


async def test_what_is_said_moves_no_terminal(tmp_path: Path) -> None:
    """Escapes in a conversation are left out: what a coding agent has read somewhere it may say."""
    async with bridge(tmp_path) as client, desk() as made, asyncio.TaskGroup() as tasks:
        await stable(client)
        attached = tasks.create_task(
            attach(BridgeClient.at(f"localhost:{port_of(client)}"), made.console)
        )
        said = {"content": "a\x1b]52;c;eA==\x07\x9b6n b", "type": "user"}
        async with client.post("/message", json=said) as answer:
            assert answer.status == 200
        await until(made.shows("> a]52;c;eA==6n b"))
        attached.cancel()


async def test_N42_a_refusal_is_shown(tmp_path: Path) -> None:
    """A message that the coding agent does not take now leaves one attached, with the reason."""
    async with bridge(tmp_path) as client, desk() as made, asyncio.TaskGroup() as tasks:
        await stable(client)
        attached = tasks.create_task(
            attach(BridgeClient.at(f"localhost:{port_of(client)}"), made.console)
        )
        made.type("wait\n")
        await until(made.shows("> wait"))
        made.type("another\n")
        await until(made.shows("! "))
        assert not attached.done()
        attached.cancel()


async def test_A13_a_terminal_is_watched_and_typed_to(tmp_path: Path) -> None:
    """The screen is shown, keys reach the program as they are; Ctrl-C alone leaves it, and all is as before."""
    log = tmp_path / "read"
    played = script(step("hello", "hello yourself"), log=str(log))
    async with terminal(tmp_path, played) as there, desk() as made, asyncio.TaskGroup() as tasks:
        await there.stable()
        before = termios.tcgetattr(made.console.stdin)
        attached = tasks.create_task(
            attach(BridgeClient.at(f"localhost:{port_of(there.client)}"), made.console)
        )
        await until(made.shows("Hello! I am ready."))
        assert termios.tcgetattr(made.console.stdin) != before
        made.type("hel")
        await until(made.shows("> hel"))
        made.type("lo\r")
        await until(made.shows("hello yourself"))
        made.type("\x03")
        async with asyncio.timeout(DEADLINE_S):
            assert await attached == 0
        assert termios.tcgetattr(made.console.stdin) == before
        await until(lambda: made.seen.endswith(b"\x1b[?1049l"))
        assert b"".join(bytes.fromhex(line) for line in log.read_text().split()) == b"hello\r"
        assert not there.data(ItemKind.USER_MESSAGE)


@asynccontextmanager
async def without_status() -> AsyncIterator[str]:
    """The URL of a server that hangs up when it is asked for its status, and shows one screen."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if request.startswith(b"GET /internal/screen "):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            writer.write(b'event: screen\ndata: {"screen": "a screen"}\n\n')
            await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_A13_a_status_out_of_reach_is_only_a_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A bridge that does not tell its status is attached to all the same, as a terminal."""
    async with without_status() as url, desk() as made, asyncio.TaskGroup() as tasks:
        attached = tasks.create_task(attach(BridgeClient.at(url), made.console))
        await until(made.shows("a screen"))
        assert "does not tell its status" in capsys.readouterr().err
        made.type("\x03")
        async with asyncio.timeout(DEADLINE_S):
            assert await attached == 0


async def test_A13_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    """A bridge that does not answer is told by its address, and the exit code is 1."""
    async with desk() as made:
        before = termios.tcgetattr(made.console.stdin)
        assert await attach(BridgeClient.at("127.0.0.1:9"), made.console) == 1
        assert "127.0.0.1:9" in capsys.readouterr().err
        assert termios.tcgetattr(made.console.stdin) == before


async def test_nobody_types(tmp_path: Path) -> None:
    """An input that is a file is read to its end and leaves then, as a pipe does."""
    words = tmp_path / "words"
    words.write_bytes(b"hi")
    for path, typed in ((words, [b"hi"]), (Path(os.devnull), [])):
        with path.open("rb") as keys:
            console = Console(keys.fileno(), keys.fileno())
            assert [piece async for piece in console.typed()] == typed


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "x:y", "host:0"])
def test_a_url_that_is_none(url: str) -> None:
    """What cannot be the address of a bridge is refused."""
    with pytest.raises(BridgeFailed, match="no URL"):
        BridgeClient.at(url)


@pytest.mark.parametrize("url", ["localhost:1", "http://localhost:1/", "localhost:1/a/b"])
def test_A13_the_scheme_may_be_left_out(url: str) -> None:
    """A URL needs no scheme, and may have a path."""
    assert BridgeClient.at(url).url.startswith("http://localhost:1")
