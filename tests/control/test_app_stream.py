"""Answers that come bit by bit, over streams of a link: in order, never faster than they are read, over when left."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from taskyard.control.appclient import AppAddress, app_stream
from taskyard.control.attach import MAX_EVENT_BYTES, items_of
from taskyard.control.links import Links
from taskyard.errors import AgentUnreachable, AppFailed
from taskyard_agent.protocol import STREAM_WINDOW_BYTES
from tests.control.test_appclient import AGENT, reaching, says
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

HEAD = b"HTTP/1.1 200 OK\r\nX-Log-End: 7\r\n\r\n"
"""The head of an answer without an end."""


@pytest.fixture
def anyio_backend() -> str:
    """The standard loop, which the workspace's end of a stream runs on."""
    return "asyncio"


async def test_pieces_come_as_they_are_sent(tmp_path: Path) -> None:
    """A piece is there before the next one is sent; headers are told; the end of the answer ends it."""
    go_on = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + b"one")
        await go_on.wait()
        writer.write(b"two")
        await writer.drain()

    async with (
        reaching(tmp_path, serve) as (links, address),
        app_stream(links, address, "x") as stream,
    ):
        assert (stream.status, stream.headers["x-log-end"]) == (200, "7")
        pieces = stream.pieces()
        assert await anext(pieces) == b"one"
        go_on.set()
        assert [piece async for piece in pieces] == [b"two"]


async def test_who_does_not_read_holds_up_the_app_alone(tmp_path: Path) -> None:
    """An app that writes without end is stopped by the window of its stream while nobody reads."""
    written = 0
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        try:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
                written += 65536
        finally:
            gone.set()

    async with reaching(tmp_path, serve) as (links, address):
        async with app_stream(links, address, "x") as stream:
            pieces = stream.pieces()
            await anext(pieces)
            before = -1
            async with asyncio.timeout(DEADLINE_S):
                while before != written:
                    before = written
                    await asyncio.sleep(0.05)
            # The window of the stream, and what sockets hold on both sides of the workspace's port.
            assert written < STREAM_WINDOW_BYTES + 16 * 1024 * 1024
        async with asyncio.timeout(DEADLINE_S):
            await gone.wait()


async def test_what_breaks_off_is_an_error(tmp_path: Path) -> None:
    """No head in time, no HTTP, a link that is lost in the middle: errors that say so."""

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with reaching(_folder(tmp_path, "a"), silent) as (links, address):
        with pytest.raises(AppFailed, match="did not answer"):
            async with app_stream(links, address, "x", timeout_s=0.05):
                pass
    async with reaching(_folder(tmp_path, "b"), says(b"hello\r\n\r\n")) as (links, address):
        with pytest.raises(AppFailed, match="HTTP"):
            async with app_stream(links, address, "x"):
                pass

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + b"one")
        await reader.read()

    async with reaching(_folder(tmp_path, "c"), endless) as (links, address):
        with pytest.raises(AgentUnreachable):
            await _cut_off(links, address)


def _folder(parent: Path, name: str) -> Path:
    """A new folder of that name."""
    (parent / name).mkdir()
    return parent / name


async def _cut_off(links: Links, address: AppAddress) -> None:
    """Reads for ever, while the link ends after the first piece."""
    async with app_stream(links, address, "x") as stream:
        async for _ in stream.pieces():
            (await links.get(AGENT)).end("gone")


async def events(*pieces: bytes) -> AsyncIterator[bytes]:
    """A stream of these pieces."""
    for piece in pieces:
        yield piece


STREAM = (
    b':\n\nid: 1\nevent: log\ndata: {"seq": 1}\n\n:\n\nevent: gap\ndata: {"seq":\ndata: 2}\n\n'
    b"data: [1]\n\ndata: {\n\n"
)


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
async def test_events_are_read_however_they_are_cut(size: int, end: bytes) -> None:
    """Signs of life and what is no object are passed over; data of several lines belongs together."""
    stream = STREAM.replace(b"\n", end)
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    found = [msgspec.json.decode(item) async for item in items_of(events(*pieces))]
    assert found == [{"seq": 1}, {"seq": 2}]


async def test_an_event_without_an_end() -> None:
    """A bridge cannot make the server keep an event that never ends."""
    pieces = [b"data: " + b"x" * 65536] * (MAX_EVENT_BYTES // 65536 + 1)
    with pytest.raises(AppFailed, match="event"):
        async for _ in items_of(events(*pieces)):
            pass
