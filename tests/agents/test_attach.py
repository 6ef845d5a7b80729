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

from taskyard_agent.standalone.attach import Console, attach
from taskyard_agent.standalone.client import BridgeClient, BridgeFailed
from tests.agents.bridge_kit import bridge, port_of, stable
from tests.agents.fake_server import until


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


async def test_A13_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    """A bridge that does not answer is told by its address, and the exit code is 1."""
    async with desk() as made:
        before = termios.tcgetattr(made.console.stdin)
        assert await attach(BridgeClient.at("127.0.0.1:9"), made.console) == 1
        assert "127.0.0.1:9" in capsys.readouterr().err
        assert termios.tcgetattr(made.console.stdin) == before


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "x:y", "host:0"])
def test_a_url_that_is_none(url: str) -> None:
    """What cannot be the address of a bridge is refused."""
    with pytest.raises(BridgeFailed, match="no URL"):
        BridgeClient.at(url)


@pytest.mark.parametrize("url", ["localhost:1", "http://localhost:1/", "localhost:1/a/b"])
def test_A13_the_scheme_may_be_left_out(url: str) -> None:
    """A URL needs no scheme, and may have a path."""
    assert BridgeClient.at(url).url.startswith("http://localhost:1")
