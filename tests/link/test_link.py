"""The agent's Link against a server on a real socket: hello, lease, reconnect with resume, refusals, ports."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from websockets.asyncio.server import Server, ServerConnection, serve, unix_serve
from websockets.http11 import Request, Response

from taskyard_agent.link import (
    FIRST_LEASE_S,
    REFUSED_AFTER_S,
    LeaseLapsed,
    Link,
    LinkTarget,
    ProtocolMismatch,
    TokenRefused,
)
from taskyard_agent.mux import (
    CallFailed,
    Handlers,
    LinkError,
    LinkLost,
    Mux,
    StreamClosed,
    StreamRefused,
)
from taskyard_agent.protocol import (
    AUTH_HEADER,
    LINK_PATH,
    PROTOCOL,
    PROTOCOL_MISMATCH,
    Hello,
    ItemsStored,
    Manifest,
    Nothing,
    Welcome,
)
from tests.link.pair import attend, sender, until
from tests.waiting import DEADLINE_S

TOKEN = "4b3c2d1e-0000-4000-8000-000000000000"


class Batch(msgspec.Struct, frozen=True):
    """Stands for Items: what resuming needs of them is their numbers."""

    seqs: list[int]


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


class LinkServer:
    """Answers hello, heartbeat and items as ours does; can be stopped, restarted, muted, and can refuse."""

    def __init__(self, path: Path, *, tcp: bool = False) -> None:
        self.path = path
        self.tcp = tcp
        self.items: list[int] = []
        self.muxes: list[Mux] = []
        self.sockets: list[ServerConnection] = []
        self.hellos: list[Hello] = []
        self.tokens: list[str] = []
        self.paths: set[str] = set()
        self.refuse: HTTPStatus | None = None
        self.refused = 0
        self.reject: CallFailed | None = None
        self.heartbeats = 0
        self.answered: list[float] = []
        self.mute = False
        self.heartbeat_s = 30.0
        self.lease_s = 120.0
        self.speak: bytes | str | None = None
        self._server: Server | None = None

    @property
    def url(self) -> str:
        if self.tcp:
            assert self._server is not None
            return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"
        return f"unix:{self.path}"

    async def start(self) -> None:
        listen = partial(unix_serve, path=str(self.path))
        if self.tcp:
            listen = partial(serve, host="127.0.0.1", port=0)
        self._server = await listen(
            self._handle,
            process_request=self._judge,
            compression=None,
            ping_interval=None,
            close_timeout=0.2,
        )

    async def stop(self) -> None:
        assert self._server is not None
        # A connection may be taken that the server does not know of yet, and would never close.
        while any("accept_connection" in repr(task.get_coro()) for task in asyncio.all_tasks()):
            await asyncio.sleep(0)
        self._server.close()
        await self._server.wait_closed()
        self.path.unlink(missing_ok=True)

    async def linked(self, connections: int = 1) -> Mux:
        """The Mux of that connection, once its hello was answered."""
        await until(lambda: len(self.hellos) >= connections)
        return self.muxes[-1]

    def _judge(self, connection: ServerConnection, request: Request) -> Response | None:
        self.paths.add(request.path)
        self.tokens.append(request.headers[AUTH_HEADER])
        if self.refuse is not None:
            self.refused += 1
            response = connection.respond(self.refuse, "no\n")
            response.headers["Location"] = "/elsewhere"
            return response
        return None

    async def _handle(self, websocket: ServerConnection) -> None:
        if self.speak is not None:
            await websocket.send(self.speak)
        handlers = Handlers()
        handlers.add("hello", Hello, self._hello)
        handlers.add("heartbeat", Nothing, self._heartbeat)
        handlers.add("items", Batch, self._store, ordered=True)
        try:
            async with asyncio.TaskGroup() as group:
                mux = Mux(sender(websocket), group, handlers)
                self.muxes.append(mux)
                self.sockets.append(websocket)
                await attend(websocket, mux)
        except* LinkError:
            pass

    async def _hello(self, hello: Hello) -> Welcome:
        if self.reject is not None:
            raise self.reject
        self.hellos.append(hello)
        acked_seq = self.items[-1] if self.items else 0
        return Welcome(manifest(), acked_seq, self.heartbeat_s, self.lease_s)

    async def _heartbeat(self, _: Nothing) -> Nothing:
        self.heartbeats += 1
        if self.mute:
            await asyncio.Event().wait()
        self.answered.append(asyncio.get_running_loop().time())
        return Nothing()

    async def _store(self, batch: Batch) -> ItemsStored:
        self.items.extend(batch.seqs)
        return ItemsStored(self.items[-1])


def manifest() -> Manifest:
    return Manifest(
        workspace_id=UUID(int=1),
        workspace_name="w",
        owner_name="o",
        task_id=None,
        generation=1,
        env={},
        start_script=None,
        stop_script=None,
        apps=[],
        bridge_slug=None,
        task_slug=None,
        coding_agent=None,
    )


async def ignore(_: Welcome) -> None:
    """What an agent does that has nothing to send."""


@asynccontextmanager
async def serving(tmp_path: Path, *, tcp: bool = False) -> AsyncIterator[LinkServer]:
    server = LinkServer(tmp_path / "agent.sock", tcp=tcp)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def running(link: Link) -> AsyncIterator[Link]:
    """The link, up until the block is left."""
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        group.create_task(link.run())
        try:
            yield link
        finally:
            await link.close()


async def ends(link: Link, error: type[LinkError], message: str) -> None:
    """Nothing, when the link ends itself with that error."""
    with pytest.raises(error, match=message):
        await link.run()


def link_to(
    server: LinkServer,
    *,
    refused_after_s: float = REFUSED_AFTER_S,
    first_lease_s: float = FIRST_LEASE_S,
) -> Link:
    return Link(
        LinkTarget(server.url, TOKEN),
        "1.2.3",
        Handlers(),
        ignore,
        refused_after_s=refused_after_s,
        first_lease_s=first_lease_s,
    )


class Journal:
    """An agent's unsent items: pushes what the server does not hold, again on each connection."""

    def __init__(self, server: LinkServer) -> None:
        self.items: list[int] = []
        self.added = asyncio.Event()
        self.link = Link(LinkTarget(server.url, TOKEN), "1", Handlers(), self.push)

    def add(self, count: int) -> None:
        self.items += range(len(self.items) + 1, len(self.items) + count + 1)
        self.added.set()

    async def push(self, welcome: Welcome) -> None:
        acked_seq = welcome.acked_seq
        while True:
            while batch := self.items[acked_seq : acked_seq + 7]:
                stored = await self.link.call("items", Batch(batch), ItemsStored)
                acked_seq = stored.acked_seq
            self.added.clear()
            await self.added.wait()


@pytest.mark.anyio
@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
async def test_an_agent_connects_says_who_it_is_and_leaves(tmp_path: Path, *, tcp: bool) -> None:
    """The token travels in the header, hello carries protocol and version, close ends run()."""
    async with serving(tmp_path, tcp=tcp) as server:
        async with running(link_to(server)) as link:
            mux = await server.linked()
            assert server.tokens == [TOKEN]
            assert server.hellos == [Hello(PROTOCOL, "1.2.3")]
            await until(lambda: link.connected)
            assert await link.call("heartbeat", Nothing(), Nothing) == Nothing()
        await until(lambda: mux.lost)
        with pytest.raises(LinkLost):
            await link.call("heartbeat", Nothing(), Nothing)
        await link.close()


@pytest.mark.anyio
async def test_items_resume_after_the_server_was_restarted(tmp_path: Path) -> None:
    """Every item arrives exactly once and in order over a restart and a broken connection."""
    async with serving(tmp_path) as server:
        journal = Journal(server)
        async with running(journal.link):
            journal.add(50)
            await until(lambda: len(server.items) > 10)
            await server.stop()
            journal.add(50)
            await server.start()
            await server.linked(2)
            server.sockets[-1].transport.abort()
            journal.add(1)
            await until(lambda: len(server.items) == len(journal.items))
    assert server.items == list(range(1, 102))
    assert len(server.hellos) == 3


@pytest.mark.anyio
async def test_a_token_that_becomes_valid_a_moment_later_is_enough(tmp_path: Path) -> None:
    """401 at first is tolerated; the agent is in soon after the token became valid."""
    async with serving(tmp_path) as server:
        server.refuse = HTTPStatus.UNAUTHORIZED
        async with running(link_to(server)):
            await until(lambda: server.refused >= 3)
            server.refuse = None
            await server.linked()


@pytest.mark.anyio
async def test_a_dead_token_ends_the_agent(tmp_path: Path) -> None:
    """401 for the whole time allowed is TokenRefused, before the first connection and after it."""
    async with serving(tmp_path) as server, asyncio.timeout(DEADLINE_S):
        server.refuse = HTTPStatus.UNAUTHORIZED
        with pytest.raises(TokenRefused, match="refused the agent token"):
            await link_to(server, refused_after_s=0.05).run()
        assert server.refused >= 2
        server.refuse = None
        link = link_to(server, refused_after_s=0.05)
        async with asyncio.TaskGroup() as group:
            group.create_task(ends(link, TokenRefused, "refused the agent token"))
            await server.linked()
            server.refuse = HTTPStatus.UNAUTHORIZED
            server.sockets[-1].transport.abort()


@pytest.mark.anyio
async def test_other_refusals_are_tried_again(tmp_path: Path) -> None:
    """A busy server, a wrong path and a redirect (never followed: it would leak the token) pass with time."""
    async with serving(tmp_path) as server:
        server.refuse = HTTPStatus.SERVICE_UNAVAILABLE
        async with running(link_to(server, refused_after_s=0)):
            for status in (HTTPStatus.NOT_FOUND, HTTPStatus.FOUND):
                server.refuse, server.refused = status, 0
                await until(lambda: server.refused > 0)
            server.refuse = None
            await server.linked()
        assert server.paths == {LINK_PATH}


@pytest.mark.anyio
async def test_another_protocol_is_final(tmp_path: Path) -> None:
    """426 and a hello refused for its protocol number are ProtocolMismatch at once, with the reason."""
    async with serving(tmp_path) as server, asyncio.timeout(DEADLINE_S):
        server.refuse = HTTPStatus.UPGRADE_REQUIRED
        with pytest.raises(ProtocolMismatch, match="does not take this agent"):
            await link_to(server).run()
        server.refuse = None
        server.reject = CallFailed(PROTOCOL_MISMATCH, "this server speaks protocol 2")
        with pytest.raises(ProtocolMismatch, match="speaks protocol 2"):
            await link_to(server).run()


@pytest.mark.anyio
async def test_a_lease_without_heartbeats_ends_the_agent(tmp_path: Path) -> None:
    """Heartbeats keep it alive past its lease; when they are not answered it ends after lease_s, no earlier."""
    async with serving(tmp_path) as server:
        server.heartbeat_s, server.lease_s = 0.04, 1.0
        link = link_to(server)
        async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
            group.create_task(ends(link, LeaseLapsed, "no heartbeat for 1 s"))
            await until(lambda: server.heartbeats > 25)
            server.mute = True
        # The lease counts from the sending of the last one answered: after the arrival of the one before.
        assert asyncio.get_running_loop().time() - server.answered[-2] > server.lease_s


@pytest.mark.anyio
async def test_a_server_that_never_came_ends_the_agent(tmp_path: Path) -> None:
    """Without any Welcome the first lease counts, and the error names the last failure."""
    link = Link(
        LinkTarget(f"unix:{tmp_path}/none.sock", TOKEN), "1", Handlers(), ignore, first_lease_s=0.1
    )
    with pytest.raises(LeaseLapsed, match="No such file"):
        await link.run()


@pytest.mark.anyio
async def test_a_lease_lapses_even_in_the_middle_of_a_failing_connection(tmp_path: Path) -> None:
    """A server that takes connections and drops each at once does not keep a lapsed agent alive."""
    async with serving(tmp_path) as server, asyncio.timeout(DEADLINE_S):
        server.speak = b"garbage"
        with pytest.raises(LeaseLapsed, match="not a frame"):
            await link_to(server, first_lease_s=1.0).run()


@pytest.mark.anyio
@pytest.mark.parametrize("said", ["text", b"\xc1", bytes(2 * 1024 * 1024)])
async def test_a_server_that_talks_nonsense_is_dialed_again(
    tmp_path: Path, said: bytes | str
) -> None:
    """Text, garbage and messages over the limit cost one connection, not the agent."""
    async with serving(tmp_path) as server:
        server.speak = said
        async with running(link_to(server)):
            await until(lambda: len(server.muxes) >= 2)
            server.speak = None
            connections = len(server.muxes)
            await until(lambda: len(server.muxes) > connections)
            await until(lambda: not server.muxes[-1].lost and bool(server.hellos))


@pytest.mark.anyio
async def test_streams_reach_ports_of_the_workspace(tmp_path: Path) -> None:
    """Bytes go both ways, ends are passed on, and a port where nobody listens is refused with the reason."""

    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        writer.write_eof()
        writer.close()

    async with serving(tmp_path) as server, running(link_to(server)):
        mux = await server.linked()
        async with await asyncio.start_server(shout, "127.0.0.1", 0) as program:
            port = program.sockets[0].getsockname()[1]
            async with await mux.open_stream(port) as stream:
                await stream.write(b"quiet" * 100_000)
                await stream.write_eof()
                answer = b""
                while data := await stream.read():
                    answer += data
                assert answer == b"QUIET" * 100_000
        with pytest.raises(StreamRefused, match=f"port {port}: connection refused"):
            await mux.open_stream(port)
        for nonsense in (0, -1, 65536, 2**40):
            with pytest.raises(StreamRefused, match="is not a TCP port"):
                await mux.open_stream(nonsense)


@pytest.mark.anyio
async def test_closing_a_stream_closes_the_connection_to_the_port(tmp_path: Path) -> None:
    """The program in the workspace sees its client go, even while it sends; the agent keeps nothing open."""
    gone = asyncio.Event()

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(bytes(10_000))
                await writer.drain()
        except ConnectionError:
            gone.set()
        finally:
            writer.close()

    async with serving(tmp_path) as server, running(link_to(server)):
        mux = await server.linked()
        async with await asyncio.start_server(pour, "127.0.0.1", 0) as program:
            stream = await mux.open_stream(program.sockets[0].getsockname()[1])
            await stream.read()
            await stream.close()
            await gone.wait()
            await until(lambda: not mux._streams)


@pytest.mark.anyio
async def test_a_program_that_breaks_off_closes_the_stream(tmp_path: Path) -> None:
    """A reset by the program in the workspace ends the stream with an error, not with a clean end."""

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    async with serving(tmp_path) as server, running(link_to(server)):
        mux = await server.linked()
        async with await asyncio.start_server(reset, "127.0.0.1", 0) as program:
            stream = await mux.open_stream(program.sockets[0].getsockname()[1])
            await stream.write(b"x")
            with pytest.raises(StreamClosed, match="broke the connection"):
                await stream.read()
            await stream.close()


@pytest.mark.anyio
async def test_closing_before_and_during_the_first_dial_ends_run(tmp_path: Path) -> None:
    """close() works at any moment: before run(), and while the server is not there yet."""
    target = LinkTarget(f"unix:{tmp_path}/none.sock", TOKEN)
    early = Link(target, "1", Handlers(), ignore)
    await early.close()
    await early.run()
    async with running(Link(target, "1", Handlers(), ignore)):
        await asyncio.sleep(0)


def test_an_address_of_no_known_kind_is_named() -> None:
    """A wrong URL is an error that says which kinds there are."""
    with pytest.raises(ValueError, match="unix:/path"):
        LinkTarget("ftp://x", TOKEN).dial()
