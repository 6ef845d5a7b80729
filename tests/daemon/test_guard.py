"""What strangers and workspaces can do to a listener: lose their connection, and nothing else."""

import asyncio
import contextlib
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import unix_connect
from websockets.frames import Frame, Opcode

from taskyard.daemon import guard
from taskyard.daemon.listen import Listener, listen_tcp, listen_unix
from taskyard.drivers.sandbox.uids import FIRST_UID, INNER_ROOT
from tests.waiting import DEADLINE_S

LARGE = 16_000_000
"""Bytes of a large answer: more than the kernel takes."""


async def _ok(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"read {len(await request.body())}")


async def _large(_: Request) -> Response:
    """A plain answer, of which the handler is done at once."""
    return Response(b"z" * LARGE)


async def _hold(websocket: WebSocket) -> None:
    await websocket.accept()
    with contextlib.suppress(Exception):
        while True:
            await websocket.receive()


@contextlib.asynccontextmanager
async def listening(
    sock: socket.socket, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Listener]:
    """A listener on the socket with an application that takes everything."""
    plain = [Route("/", _ok, methods=["GET", "POST"]), Route("/large", _large)]
    app = Starlette(routes=[*plain, WebSocketRoute("/ws", _hold)])
    listener = Listener(app, tls=tls)
    async with asyncio.TaskGroup() as group, asyncio.timeout(DEADLINE_S):
        group.create_task(listener.serve([sock]))
        await listener.ready.wait()
        try:
            yield listener
        finally:
            listener.should_exit = listener.force_exit = True


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """The port of a listener."""
    sock = listen_tcp("127.0.0.1", 0)
    async with listening(sock):
        yield sock.getsockname()[1]


@pytest.fixture
async def path(tmp_path: Path) -> AsyncIterator[Path]:
    """The Unix socket of a listener."""
    async with listening(listen_unix(tmp_path / "link" / "agent.sock")):
        yield tmp_path / "link" / "agent.sock"


async def _flood(port: int, begin: bytes, piece: bytes) -> int:
    """Bytes that were taken until the server hung up, of at most 20 MB."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sent = len(begin)
    writer.write(begin)
    with contextlib.suppress(ConnectionError):
        while sent < 20_000_000 and not reader.at_eof():
            writer.write(piece)
            await writer.drain()
            sent += len(piece)
            await asyncio.sleep(0)
    writer.close()
    return sent


HEADER = b"x-long: " + b"y" * 4000 + b"\r\n"
FLOODS = {
    "headers": (b"GET / HTTP/1.1\r\nHost: x\r\n", HEADER),
    "one header": (b"GET / HTTP/1.1\r\nHost: x\r\nx: ", b"y" * 4000),
    "a path": (b"GET /", b"y" * 4000),
    "trailers": (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n",
        HEADER,
    ),
    "a chunk's extension": (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;",
        b"y" * 4000,
    ),
}


@pytest.mark.anyio
@pytest.mark.parametrize("name", FLOODS)
@pytest.mark.attack("A head of a request without end", wall="64 KiB")
async def test_an_endless_head_is_cut_off(port: int, name: str) -> None:
    """Whatever of a request has no natural end, the server keeps little of it and hangs up."""
    begin, piece = FLOODS[name]
    # What is in the kernel's buffers between the two is taken by nobody.
    assert await _flood(port, begin, piece) < 15_000_000


@pytest.mark.anyio
@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
async def test_bodies_pass(port: int, size: int) -> None:
    """A body is not a head: plain and chunked ones come through whole, several on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    plain = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (size, b"z" * size)
    chunk = b"%x\r\n%s\r\n" % (size, b"z" * size) if size else b""
    chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%s0\r\n\r\n" % chunk
    for request in (plain, chunked, plain):
        writer.write(request)
        await writer.drain()
        assert f"read {size}".encode() in await reader.readuntil(f"read {size}".encode())
    writer.close()


@pytest.mark.anyio
@pytest.mark.attack("A head of a request that never comes to its end", wall="a bound of time")
async def test_a_slow_head_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that does not say what it wants ends, also after it had said so once."""
    monkeypatch.setattr(guard, "HEAD_S", 0.05)
    for begin in (b"", b"GET / HTTP/1.1\r\nHost", b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HT"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begin)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()


@pytest.mark.anyio
@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.attack(
    "An answer that nobody reads",
    wall="who reads more slowly than a bound is cut off",
)
async def test_an_answer_that_nobody_reads_is_dropped(
    port: int, monkeypatch: pytest.MonkeyPatch, *, ends: bool
) -> None:
    """Who asks for a large answer and does not read it loses the connection, also where that was to be its last."""
    monkeypatch.setattr(guard, "ANSWER_S", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**16)
    how = b"close" if ends else b"keep-alive"
    writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: %b\r\n\r\n" % how)
    await reader.readuntil(b"\r\n\r\n")
    while not reader.at_eof() and reader.exception() is None:
        writer.write(b"G")  # what is sent to a connection that is gone, tells so
        await asyncio.sleep(0.01)
    with contextlib.suppress(ConnectionError):
        assert len(await reader.read()) < LARGE
    writer.close()


@pytest.mark.anyio
async def test_an_answer_that_is_read_steadily_comes_whole(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that goes on reading has all the time it needs, whatever waits for it."""
    monkeypatch.setattr(guard, "ANSWER_S", 1.5)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**16)
    writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    for _ in range(10):
        await reader.readexactly(LARGE // 10)
        await asyncio.sleep(0.2)  # nothing to wait for: this is how slowly it reads
    writer.close()


@pytest.mark.anyio
@pytest.mark.attack(
    "More connections than there is room for",
    wall="a bound for all and for one address",
)
async def test_too_many_connections(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections beyond the limit are hung up on; when others have left there is room again."""
    monkeypatch.setattr(guard, "max_connections", lambda: 3)
    held = [await _connected(port) for _ in range(3)]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()
    for other in held:
        other.close()
        await other.wait_closed()
    (await _connected(port)).close()


async def _connected(port: int) -> asyncio.StreamWriter:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"read 0")
    return writer


CROWD = """
import os, socket, sys
os.chdir(sys.argv[1])
os.setuid(int(sys.argv[2]))
held = []
for _ in range(100):
    s = socket.socket(socket.AF_UNIX)
    s.connect("agent.sock")
    s.settimeout(60)
    try:
        s.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
        if s.recv(1000):
            held.append(s)
    except OSError:
        pass
print(len(held), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def crowd(path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process of a workspace's user that holds as many connections as it gets."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", CROWD, str(path.parent), str(FIRST_UID)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    yield process
    process.communicate()


@pytest.mark.anyio
@pytest.mark.skipif(os.geteuid() != 0, reason="another user's process needs root")
@pytest.mark.attack(
    "A workspace opens all connections of the agents' socket",
    wall="a bound for each workspace",
)
async def test_one_workspace_cannot_take_all_connections(
    path: Path, crowd: "subprocess.Popen[bytes]"
) -> None:
    """A workspace gets so many connections and no more, WebSockets included; others still get theirs."""
    assert crowd.stdout is not None
    line = await asyncio.get_running_loop().run_in_executor(None, crowd.stdout.readline)
    assert int(line) == guard.PEER_CONNECTIONS
    async with unix_connect(str(path), "ws://localhost/ws"):
        pass


@pytest.mark.anyio
@pytest.mark.skipif(os.geteuid() != 0, reason="another user's process needs root")
@pytest.mark.attack(
    "Another user of the machine speaks to the agents' socket",
    wall="the kernel says who connects: only users of workspaces are heard",
)
async def test_other_users_of_the_machine_are_not_heard(path: Path) -> None:
    """A user who is no workspace's gets no answer at all; one who is gets theirs."""
    command = [sys.executable, "-I", "-c", CROWD, str(path.parent)]
    for uid, heard in ((FIRST_UID, True), (1000, False), (65534, False), (INNER_ROOT, False)):
        done = await anyio.run_process([*command, str(uid)], input=b"")
        assert (int(done.stdout) > 0) is heard, uid


@pytest.mark.anyio
async def test_pings_whose_answers_nobody_reads(path: Path) -> None:
    """A peer that sends pings and reads nothing loses its connection before the answers fill the memory."""
    async with unix_connect(str(path), "ws://localhost/ws", ping_interval=None) as websocket:
        transport = websocket.transport
        transport.pause_reading()
        frame = Frame(Opcode.PING, b"p" * 125).serialize(mask=True) * 500
        sent = 0
        while sent < 50_000_000 and not transport.is_closing():
            transport.write(frame)
            sent += len(frame)
            while transport.get_write_buffer_size() and not transport.is_closing():
                await asyncio.sleep(0.001)
        assert sent < 50_000_000


@pytest.mark.anyio
async def test_a_message_of_endless_empty_fragments(path: Path) -> None:
    """A message that never ends and never grows loses its connection."""
    async with unix_connect(str(path), "ws://localhost/ws", ping_interval=None) as websocket:
        websocket.transport.write(Frame(Opcode.BINARY, b"", fin=False).serialize(mask=True))
        empty = Frame(Opcode.CONT, b"", fin=False).serialize(mask=True)
        websocket.transport.write(empty * (guard.MAX_FRAGMENTS + 1))
        await websocket.wait_closed()
