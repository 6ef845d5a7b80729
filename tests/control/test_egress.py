"""The server's relay over real sockets: who may connect where, for how long, and what hostile ones get."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from taskyard.daemon.listen import listen_unix
from taskyard.daemon.relay import HEAD_BYTES, PEER_CONNECTIONS, WORKSPACE_CONNECTIONS, Relay
from taskyard.daemon.relay_seats import HALF_OPEN_IDLE_S, IDLE_S, Line
from taskyard.daemon.relay_tls import Inside
from taskyard.daemon.relay_wire import read_request
from taskyard.lifecycle.egress import read_rule
from taskyard.wire.enums import Transition
from tests.control.agent_kit import Seat, finish, seat
from tests.control.world_kit import BRIDGED, World, background
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

NAMES = {
    "model.example": ["127.0.0.1"],
    "rebound.example": ["127.0.0.1"],
    "metadata.example": ["93.184.216.34", "169.254.169.254"],
}
"""What the resolver of these tests knows."""

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name."""
    if host == "slow.example":
        raise TimeoutError
    if host not in NAMES:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")
    return NAMES[host]


@dataclass
class Door:
    """A relay's socket, in a world of one user."""

    world: World
    path: Path

    async def dial(self) -> Stream:
        """A connection, as a workspace's agent makes it."""
        return await asyncio.open_unix_connection(str(self.path))

    async def said(self, sent: bytes) -> bytes:
        """All that is answered to these bytes."""
        reader, writer = await self.dial()
        writer.write(sent)
        async with asyncio.timeout(DEADLINE_S):
            answer = await reader.read()
        writer.close()
        return answer

    async def connect(self, target: str, token: object) -> tuple[int, Stream]:
        """The status of the answer, and the connection after its head."""
        reader, writer = await self.dial()
        writer.write(asked(target, token))
        async with asyncio.timeout(DEADLINE_S):
            head = await reader.readuntil(b"\r\n\r\n")
        return int(head.split(b" ")[1]), (reader, writer)

    async def status(self, target: str, token: object) -> int:
        """The status of the answer alone."""
        status, (_, writer) = await self.connect(target, token)
        writer.close()
        return status

    async def seat(self, *egress: str) -> Seat:
        """A started workspace whose template lists this."""
        rules = [read_rule(text) for text in egress]
        workspace = replace(BRIDGED.workspace, egress=rules)
        return await seat(self.world, replace(BRIDGED, workspace=workspace))


def asked(target: str, token: object) -> bytes:
    """A request as agents send it."""
    return f"CONNECT {target} HTTP/1.1\r\nProxy-Authorization: Bearer {token}\r\n\r\n".encode()


@pytest.fixture
async def door(world: World, tmp_path: Path) -> AsyncIterator[Door]:
    path = tmp_path / "relay.sock"
    relay = Relay(world.services, resolve)
    async with background(world.services.doorbell.run(), relay.run(listen_unix(path))):
        await world.idle()
        yield Door(world, path)


@asynccontextmanager
async def echoing() -> AsyncIterator[int]:
    """The port of a server that says back what it hears, and ends when its peer does."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_what_is_listed_is_reached(door: Door) -> None:
    """Bytes go both ways, the end of what is said is passed on, and so is the end of the answer."""
    async with echoing() as port:
        made = await door.seat(f"127.0.0.1:{port}")
        status, (reader, writer) = await door.connect(f"localhost:{port}", made.token)
        assert status == 200
        writer.write(b"x" * 300_000)
        writer.write_eof()
        async with asyncio.timeout(DEADLINE_S):
            assert await reader.read() == b"x" * 300_000
        writer.close()


async def test_what_was_sent_along_with_the_request_arrives(door: Door) -> None:
    """A program that does not wait for the answer loses nothing."""
    async with echoing() as port:
        made = await door.seat(f"127.0.0.1:{port}")
        reader, writer = await door.dial()
        writer.write(asked(f"127.0.0.1:{port}", made.token) + b"early")
        writer.write_eof()
        async with asyncio.timeout(DEADLINE_S):
            assert (await reader.read()).endswith(b"\r\n\r\nearly")
        writer.close()


async def test_a_name_leads_where_it_may(door: Door) -> None:
    """A listed name is resolved here; it opens the loopback only where that very place is listed too."""
    async with echoing() as port:
        made = await door.seat(f"model.example:{port}", f"127.0.0.1:{port}")
        assert await door.status(f"model.example:{port}", made.token) == 200
        closed = await door.seat(
            f"rebound.example:{port}", "metadata.example:443", "slow.example:1"
        )
        assert await door.status(f"rebound.example:{port}", closed.token) == 403
        assert await door.status("metadata.example:443", closed.token) == 403
        assert await door.status("slow.example:1", closed.token) == 504


async def test_what_cannot_be_reached_is_said(door: Door, closed_port: int) -> None:
    """502 for a port that nobody listens on and for a name that nobody knows; 400 for what is no target."""
    made = await door.seat(f"127.0.0.1:{closed_port}", "nowhere.example:443")
    assert await door.status(f"127.0.0.1:{closed_port}", made.token) == 502
    assert await door.status("nowhere.example:443", made.token) == 502
    assert await door.status("127.1:80", made.token) == 400


async def test_rules_are_those_of_the_token(door: Door, closed_port: int) -> None:
    """One workspace cannot use what another's template lists, and without rules there is nothing."""
    async with echoing() as port:
        target = f"127.0.0.1:{port}"
        one, other, none = (
            await door.seat(target),
            await door.seat(f"127.0.0.1:{closed_port}"),
            await door.seat(),
        )
        assert await door.status(target, one.token) == 200
        assert await door.status(target, other.token) == 403
        assert await door.status(target, none.token) == 403


async def test_a_token_is_needed(door: Door) -> None:
    """None, a wrong one, one of an older generation: 407, with the code that says which."""
    target = "127.0.0.1:80"
    old = await door.seat(target)
    new = await old.restarted()
    for token in ("", "nonsense", door.world.user_id, old.token):
        assert await door.status(target, token) == 407
    assert b"token_missing" in await door.said(b"CONNECT a:1 HTTP/1.1\r\n\r\n")
    assert await door.status("127.0.0.1:81", new.token) == 403


@pytest.mark.parametrize(
    "sent",
    [
        b"GET http://127.0.0.1/ HTTP/1.1\r\n\r\n",
        b"CONNECT a:1 HTTP/1.0\r\n\r\n",
        b"CONNECT  a:1 HTTP/1.1\r\n\r\n",
        b"CONNECT a:1\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
        b"CONNECT a:1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nX: 1\r\nx: 2\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nX: 1\r\n folded\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\nX: 1\r\n\r\n",
        b"CONNECT \xff:1 HTTP/1.1\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nX: " + b"x" * HEAD_BYTES + b"\r\n\r\n",
        b"x" * (HEAD_BYTES + 1),
        b"\x16\x03\x01\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_refused(door: Door, sent: bytes) -> None:
    """Anything but one plain CONNECT of modest size is a 400, and the connection ends."""
    assert (await door.said(sent)).startswith(b"HTTP/1.1 400 ")


def test_a_request_is_read_once() -> None:
    """The target as it was sent, and the token without its scheme."""
    found = read_request(asked("a.b:443", "t"))
    assert (found.target, found.token) == ("a.b:443", "t")
    assert (
        read_request(b"CONNECT a:1 HTTP/1.1\r\nProxy-Authorization: Basic x\r\n\r\n").token is None
    )


async def test_connections_end_with_their_generation(door: Door) -> None:
    """When the workspace is stopped, its connections end by themselves; those of others go on."""
    async with echoing() as port:
        stopped, other = [await door.seat(f"127.0.0.1:{port}") for _ in range(2)]
        _, (reader, writer) = await door.connect(f"127.0.0.1:{port}", stopped.token)
        _, (others, theirs) = await door.connect(f"127.0.0.1:{port}", other.token)
        await finish(door.world, await door.world.build(stopped.place, Transition.STOP))
        async with asyncio.timeout(DEADLINE_S):
            assert await reader.read() == b""
            theirs.write(b"still here")
            assert await others.readexactly(10) == b"still here"
        writer.close()
        theirs.close()


async def test_a_workspace_has_so_many_connections(door: Door) -> None:
    """One more than the limit is a 503; when one ends there is room again. Others are not concerned."""
    async with echoing() as port:
        target = f"127.0.0.1:{port}"
        made, other = await door.seat(target), await door.seat(target)
        held = [(await door.connect(target, made.token))[1] for _ in range(WORKSPACE_CONNECTIONS)]
        assert await door.status(target, made.token) == 503
        assert await door.status(target, other.token) == 200
        held[0][1].write_eof()
        async with asyncio.timeout(DEADLINE_S):
            assert await held[0][0].read() == b""
            while await door.status(target, made.token) == 503:
                await asyncio.sleep(0.005)
        for _, writer in held:
            writer.close()
    assert PEER_CONNECTIONS > WORKSPACE_CONNECTIONS


async def test_who_does_not_read_is_waited_for(door: Door) -> None:
    """The relay takes from the other side only what it can hand on."""
    sent = 0
    stuck = asyncio.Event()

    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.transport.set_write_buffer_limits(0)
        while True:
            writer.write(b"x" * 65536)
            try:
                async with asyncio.timeout(0.3):
                    await writer.drain()
            except TimeoutError:
                break
            sent += 65536
        stuck.set()
        writer.close()

    server = await asyncio.start_server(pour, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    made = await door.seat(f"127.0.0.1:{port}")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.connect(str(door.path))
    sock.send(asked(f"127.0.0.1:{port}", made.token))
    async with asyncio.timeout(DEADLINE_S):
        await stuck.wait()
    print(f"{sent} bytes under way to somebody who does not read")
    assert (
        sent < 16 * 1024 * 1024
    )  # nearly all of it is the kernel's, for a TCP connection on the loopback
    sock.close()
    server.close()


async def test_each_decision_is_one_line(door: Door) -> None:
    """Workspace, task, host, port, verdict and reason; never the token."""
    async with echoing() as port:
        made = await door.seat(f"127.0.0.1:{port}")
        with capture_logs() as lines:
            for target in (f"127.0.0.1:{port}", "example.org:443", "0x7f.1:80"):
                await door.status(target, made.token)
    decided = [line for line in lines if line["event"] == "egress.decided"]
    assert [(d["host"], d["port"], d["verdict"], d["reason"]) for d in decided] == [
        ("127.0.0.1", port, "allowed", "listed"),
        ("example.org", 443, "refused", "host_not_listed"),
        ("0x7f.1:80", None, "refused", "target_invalid"),
    ]
    assert {d["workspace_id"] for d in decided} == {str(made.place.id)}
    assert {d["task_id"] for d in decided} == {str(made.place.task_id)}
    assert str(made.token) not in repr(lines)


async def test_quiet_connections_end() -> None:
    """After fifteen minutes without a byte; after one where a side has said that it is done."""
    for is_half_open, limit_s in ((False, IDLE_S), (True, HALF_OPEN_IDLE_S)):
        async with connected() as inside, connected() as outside:
            line = Line(inside, outside)
            outside.ended = is_half_open
            line.look(limit_s - 1)
            assert not inside.transport.is_closing()
            outside.moved = True
            line.look(limit_s)
            assert not inside.transport.is_closing()
            line.look(limit_s)
            assert inside.transport.is_closing()


@asynccontextmanager
async def connected() -> AsyncIterator[Inside]:
    """One end of a connection, whose other end is open as long as this one."""
    here, there = socket.socketpair()
    _, end = await asyncio.get_running_loop().create_connection(Inside, sock=here)
    yield end
    end.abort()
    await end.over.wait()
    there.close()
