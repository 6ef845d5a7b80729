"""Requests to an app in a workspace, over streams of a link: whatever the app does ends in an answer or an error."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from taskyard.control.appclient import MAX_ANSWER_BYTES, AppAddress, app_request
from taskyard.control.links import Links
from taskyard.errors import (
    AgentUnreachable,
    AppFailed,
    AppUnconnected,
    AppUrlEmpty,
    AppUrlScheme,
)
from taskyard_agent.ports import serve_port
from taskyard_agent.stream import Stream
from tests.link.pair import linked

pytestmark = pytest.mark.anyio

AGENT = UUID(int=1)

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def anyio_backend() -> str:
    """The standard loop, which the workspace's end of a stream runs on."""
    return "asyncio"


@asynccontextmanager
async def reaching(folder: Path, serve: Serve) -> AsyncIterator[tuple[Links, AppAddress]]:
    """Links with one agent, in whose workspace this app listens, and the app's address."""
    links, serving = Links(), set[asyncio.Task[None]]()

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await serve(reader, writer)
        writer.close()
        serving.discard(task)

    server = await asyncio.start_server(attend, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def accept(stream: Stream) -> None:
        await serve_port(stream)

    async with linked(folder, accept=accept) as pair:
        await links.put(AGENT, pair.server)
        try:
            yield links, AppAddress(AGENT, f"http://localhost:{port}/base/")
        finally:
            server.close()
            for task in serving:
                task.cancel()
            if serving:
                await asyncio.wait(serving)


def says(answer: bytes, *, after: bytes = b"\r\n\r\n") -> Serve:
    """An app that reads until it has seen these bytes, gives this answer, and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(after)
        writer.write(answer)
        await writer.drain()

    return serve


async def mute(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """An app that takes everything and says nothing."""
    while await reader.read(65536):
        pass


OK = b"HTTP/1.1 200 OK\r\nContent-Type: Application/JSON; charset=x\r\nContent-Length: 2\r\n\r\n{}"


async def test_what_is_asked_and_answered(tmp_path: Path) -> None:
    """The request goes to the path below the app's URL with its host, headers and body; the answer comes whole."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"end"))
        writer.write(OK.replace(b"\r\n\r\n", b"\r\nX-AgentAPI-Code: busy\r\n\r\n"))

    async with reaching(tmp_path, serve) as (links, address):
        answer = await app_request(
            links, address, "POST", "message", body=b"the end", headers={"X-Mine": "1"}
        )
    head, _, body = seen[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /base/message HTTP/1.1"
    assert {b"X-Mine: 1", b"Content-Length: 7", b"Host: " + address.url[7:-6].encode()} <= set(
        lines
    )
    assert body == b"the end"
    assert (answer.status, answer.content_type, answer.code, answer.body) == (
        200,
        "application/json",
        "busy",
        b"{}",
    )


@pytest.mark.parametrize("status", [201, 302, 404, 500, 503])
async def test_every_status_is_an_answer(tmp_path: Path, status: int) -> None:
    """What a status means is for the caller to say; redirects are not followed."""
    raw = (
        f"HTTP/1.1 {status} x\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n".encode()
    )
    async with reaching(tmp_path, says(raw)) as (links, address):
        answer = await app_request(links, address, "GET", "status")
    assert (answer.status, answer.body, answer.content_type, answer.code) == (status, b"", "", "")


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"{}"),
        (b"HTTP/1.0 200 OK\r\n\r\nto the end", b"to the end"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            b"abc",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nX: \xff\xfe\r\nContent-Length: 1\r\n\r\nx and more", b"x"),
    ],
)
async def test_ways_to_answer(tmp_path: Path, raw: bytes, body: bytes) -> None:
    """Bodies with a length, in chunks, or up to the end of the connection are all read."""
    async with reaching(tmp_path, says(raw)) as (links, address):
        assert (await app_request(links, address, "GET", "status")).body == body


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01" * 20,
        b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_answer(tmp_path: Path, raw: bytes) -> None:
    """An app that hangs up early, or does not speak HTTP, has failed; it is not taken for unconnected."""
    async with reaching(tmp_path, says(raw)) as (links, address):
        with pytest.raises(AppFailed) as caught:
            await app_request(links, address, "GET", "status")
    assert not isinstance(caught.value, AppUnconnected)


async def test_an_app_that_never_answers(tmp_path: Path) -> None:
    """After the time that it has, the app has failed; the link is fine for the next request."""
    async with reaching(tmp_path, mute) as (links, address):
        for _ in range(2):
            with pytest.raises(AppFailed, match=r"0\.05 s"):
                await app_request(links, address, "GET", "status", timeout_s=0.05)


async def test_an_app_that_answers_by_drops(tmp_path: Path) -> None:
    """The time is for the whole answer, not for each piece of it."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.005)

    async with reaching(tmp_path, serve) as (links, address):
        with pytest.raises(AppFailed):
            await app_request(links, address, "GET", "status", timeout_s=0.1)


async def test_a_port_where_nobody_listens(tmp_path: Path) -> None:
    """Nothing was sent, and that can be told."""
    async with reaching(tmp_path, mute) as (links, _):
        with pytest.raises(AppUnconnected):
            await app_request(links, AppAddress(AGENT, "http://127.0.0.1:1"), "GET", "status")


async def test_an_agent_without_link(tmp_path: Path) -> None:
    """An agent that is not connected, or whose link ends under way, cannot be reached."""
    async with reaching(tmp_path, mute) as (links, address):
        with pytest.raises(AgentUnreachable):
            await app_request(links, AppAddress(UUID(int=2), address.url), "GET", "status")
        async with asyncio.TaskGroup() as group:
            group.create_task(_cut_off(links, address))
            mux = await links.get(AGENT)
            while not mux._streams:
                await asyncio.sleep(0.001)
            mux.end("cut")


async def _cut_off(links: Links, address: AppAddress) -> None:
    with pytest.raises(AgentUnreachable):
        await app_request(links, address, "GET", "status")


async def test_an_answer_before_all_is_read(tmp_path: Path) -> None:
    """An app that refuses a long body at its first bytes is heard, not waited for."""
    refusal = b"HTTP/1.1 413 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    async with reaching(tmp_path, says(refusal)) as (links, address):
        try:
            answer = await app_request(links, address, "POST", "message", body=b"x" * 5_000_000)
        except AppFailed as error:  # the system may throw the answer away with the unread bytes
            assert not isinstance(error, AppUnconnected)  # noqa: PT017 - either end is right
        else:
            assert answer.status == 413


async def test_a_long_message_and_a_long_answer(tmp_path: Path) -> None:
    """Bodies far beyond what is under way at once arrive whole, both ways."""
    size = 3_000_000

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(size)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + body)
        await writer.drain()

    sent = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    async with reaching(tmp_path, serve) as (links, address):
        answer = await app_request(links, address, "POST", "message", body=sent)
    assert answer.body == sent


async def test_an_answer_without_end(tmp_path: Path) -> None:
    """More than 64 MiB are not taken."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        piece = b"x" * 1_000_000
        while True:
            writer.write(piece)
            await writer.drain()

    async with reaching(tmp_path, serve) as (links, address):
        with pytest.raises(AppFailed, match=str(MAX_ANSWER_BYTES)):
            await app_request(links, address, "GET", "messages")


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("", AppUrlEmpty),
        ("https://localhost:1", AppUrlScheme),
        ("localhost:3284", AppUrlScheme),
        ("/just/a/path", AppUrlScheme),
        ("http://example.com", AppFailed),
        ("http://169.254.169.254/", AppFailed),
        ("http://localhost.evil:1", AppFailed),
        ("http://127.0.0.1@evil:1", AppFailed),
        ("http://localhost:port", AppFailed),
        ("http://localhost:99999", AppFailed),
        ("http://[::1", AppFailed),
        ("http://localhost:1/a b", AppFailed),
        ("http://localhost:1/\u00e4", AppFailed),
    ],
)
async def test_urls_that_lead_nowhere(tmp_path: Path, url: str, error: type[Exception]) -> None:
    """Only http on the workspace's own loopback is an app's URL; each other one says what is wrong."""
    async with reaching(tmp_path, mute) as (links, _):
        with pytest.raises(error):
            await app_request(links, AppAddress(AGENT, url), "GET", "status")


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://localhost:3284", (3284, "localhost:3284", "/status")),
        ("http://localhost:3284/", (3284, "localhost:3284", "/status")),
        ("http://127.0.0.1/api/v1", (80, "127.0.0.1", "/api/v1/status")),
        ("http://[::1]:9/?x=1", (9, "[::1]:9", "/status")),
    ],
)
def test_paths_below_the_url(url: str, target: tuple[int, str, str]) -> None:
    """The URL is a directory, whether or not it ends with a slash. Source: tasks-api 8.11."""
    assert AppAddress(AGENT, url).target("status") == target


async def test_a_link_that_comes_in_time(tmp_path: Path) -> None:
    """A caller that is patient gets the link of an agent that connects meanwhile."""
    links = Links(patience_s=10)
    async with linked(tmp_path) as pair, asyncio.TaskGroup() as group:
        waiting = group.create_task(links.get(AGENT))
        await asyncio.sleep(0)
        await links.put(AGENT, pair.server)
        assert await waiting is pair.server


async def test_the_newest_link_is_held(tmp_path: Path) -> None:
    """A newer link hangs up the older one, which then cannot drop it."""
    links, hung_up = Links(), []
    async with linked(tmp_path) as pair:
        older, newer = pair.server, pair.agent
        await links.put(AGENT, older, lambda: hung_up.append("older"))
        await links.put(AGENT, older, lambda: hung_up.append("same"))
        await links.put(AGENT, newer, lambda: hung_up.append("newer"))
        assert hung_up == ["same"]
        assert not links.drop(AGENT, older)
        assert links.holds(AGENT)
        assert links.drop(AGENT, newer)
        assert not links.drop(AGENT, newer)
        assert not links.holds(AGENT)
