"""The state of a task whose AgentAPI server is somebody else's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from taskyard_agent.foreign import watch_status
from tests.agents.fake_server import until

pytestmark = pytest.mark.anyio

PAUSE_S = 0.01


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


@dataclass
class Foreign:
    """A server that answers every request with one text, and what was made of it."""

    body: bytes = b'{"status": "stable", "agent_type": "custom"}'
    first: bytes | None = None
    looks: int = 0
    takes: bool = True
    told: list[tuple[str, str]] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"GET /status ")
        body = self.first if self.first is not None and self.looks == 0 else self.body
        self.looks += 1
        length = f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\n" + length.encode() + body)
        await writer.drain()
        writer.close()

    async def report(self, state: str, message: str) -> bool:
        self.told.append((state, message))
        return self.takes

    async def looked(self, more: int) -> None:
        """Returns after so many more looks."""
        wanted = self.looks + more
        await until(lambda: self.looks >= wanted)

    @property
    def states(self) -> list[str]:
        return [state for state, _ in self.told]


@asynccontextmanager
async def watched(foreign: Foreign) -> AsyncIterator[Foreign]:
    server = await asyncio.start_server(foreign.answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(watch_status(url, foreign.report, PAUSE_S))
        yield foreign
        watching.cancel()
    server.close()
    await server.wait_closed()


async def test_its_status_becomes_the_tasks() -> None:
    """stable is reported as idle and running as working, each change once; nonsense is not reported."""
    async with watched(Foreign()) as foreign:
        await until(lambda: foreign.states == ["idle"])
        foreign.body = b"<html>"
        await foreign.looked(3)
        foreign.body = b'{"status": "sleeping"}'
        await foreign.looked(3)
        foreign.body = b'{"status": "running"}'
        await until(lambda: foreign.states == ["idle", "working"])
        foreign.body = b'{"status": "stable"}'
        await until(lambda: foreign.states == ["idle", "working", "idle"])
        await foreign.looked(3)
    assert foreign.states == ["idle", "working", "idle"]
    assert all(message for _, message in foreign.told)


async def test_idleness_is_seen_twice() -> None:
    """A server that is stable for one look, before the input reaches it, is not reported as idle."""
    first = b'{"status": "stable"}'
    async with watched(Foreign(b'{"status": "running"}', first)) as foreign:
        await until(lambda: foreign.told)
    assert foreign.states == ["working"]


async def test_what_was_not_taken_is_told_again() -> None:
    """A report that did not reach the server is made again."""
    async with watched(Foreign()) as foreign:
        foreign.takes = False
        await until(lambda: len(foreign.told) >= 2)
        foreign.takes = True
        count = len(foreign.told)
        await until(lambda: len(foreign.told) > count)
        count = len(foreign.told)
        await foreign.looked(3)
    assert set(foreign.states) == {"idle"}
    assert len(foreign.told) == count
