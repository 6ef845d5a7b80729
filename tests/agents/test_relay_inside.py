"""The proxy of a workspace, with a server's relay that the test plays."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec.structs import replace

from taskyard_agent.relay import CONNECTIONS, TAKEN, Relay, start_relay
from taskyard_agent.settings import AgentSettings, child_env
from tests.agents.fake_server import free_port, manifest, until
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

TOKEN = "a-token-that-nobody-sees"
REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\nConnection: close\r\n\r\nnot here\n"


@dataclass
class Played:
    """A relay that says 200 to everything but refused.example, and what it heard."""

    path: Path
    asked: list[bytes] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)
    answer: bytes = b""
    hangs_up: bool = False
    open: int = 0
    most: int = 0
    server: asyncio.Server | None = None

    async def start(self) -> None:
        self.path.unlink(missing_ok=True)
        self.server = await asyncio.start_unix_server(self._serve, str(self.path))

    def stop(self) -> None:
        assert self.server is not None
        self.server.close()
        self.path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most = max(self.most, self.open)
        self.asked.append(await reader.readuntil(b"\r\n\r\n"))
        if b" refused.example:" in self.asked[-1]:
            writer.write(REFUSAL)
        else:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            number = len(self.heard)
            self.heard.append(b"")
            with suppress(ConnectionError):
                while data := await reader.read(65536):
                    self.heard[number] += data
                    writer.write(self.answer or data)
                    await writer.drain()
                    if self.hangs_up:
                        break
        writer.close()
        self.open -= 1

    def targets(self) -> list[str]:
        """What was asked for, in order."""
        return [head.split(b" ")[1].decode() for head in self.asked]


@dataclass
class Kit:
    """A proxy at work, its relay, its log, and the port of the loopback that it offers."""

    relay: Relay
    played: Played
    log: list[tuple[str, str]]
    mirrored: int

    async def dial(
        self, port: int | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the proxy, or to a port inside."""
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)", self.relay.env["http_proxy"])
        assert found is not None
        return await asyncio.open_connection("127.0.0.1", port or int(found[1]))

    async def said(self, sent: bytes) -> bytes:
        """All that is answered to these bytes."""
        reader, writer = await self.dial()
        writer.write(sent)
        async with asyncio.timeout(DEADLINE_S):
            answer = await reader.read()
        writer.close()
        return answer


@asynccontextmanager
async def at_work(
    folder: Path, port: int, *, more: Sequence[str] = (), http_only: Sequence[str] = ()
) -> AsyncIterator[Kit]:
    """A proxy that runs for the block."""
    log: list[tuple[str, str]] = []
    played = Played(folder / "relay.sock")
    await played.start()
    egress = ["api.example:443", f"localhost:{port}", *more, *http_only]
    relay = Relay(played.path, TOKEN, egress, lambda *line: log.append(line), http_only=http_only)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(relay.run())
        await relay.ready.wait()
        yield Kit(relay, played, log, port)
        relay.close()
    if played.server is not None:
        played.server.close()


@pytest.fixture
async def kit(tmp_path: Path) -> AsyncIterator[Kit]:
    async with at_work(tmp_path, free_port()) as made:
        yield made


async def test_connect_is_handed_on(kit: Kit) -> None:
    """The target as it was asked for, with the token; then bytes both ways until both are done."""
    reader, writer = await kit.dial()
    writer.write(
        b"CONNECT api.example:443 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic eDp5\r\n\r\n"
    )
    async with asyncio.timeout(DEADLINE_S):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.write_eof()
        assert await reader.read() == b""
    writer.close()
    sent = f"CONNECT api.example:443 HTTP/1.1\r\nProxy-Authorization: Bearer {TOKEN}\r\n\r\n"
    assert kit.played.asked == [sent.encode()]


async def test_a_refusal_is_handed_back(kit: Kit) -> None:
    """The program reads why, and the workspace's log says it once for each target."""
    for _ in range(3):
        assert await kit.said(b"CONNECT refused.example:1 HTTP/1.1\r\n\r\n") == REFUSAL
    assert await kit.said(b"GET http://refused.example:2/ HTTP/1.1\r\nHost: h\r\n\r\n") == REFUSAL
    assert kit.log == [
        ("warn", "No connection to 'refused.example:1': not here"),
        ("warn", "No connection to 'refused.example:2': not here"),
    ]


async def test_plain_http_is_written_anew(kit: Kit) -> None:
    """The address says host and path; what is between neighbours stays there; one request a connection."""
    kit.played.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: x\r\n\r\nhi"
    first = (
        b"GET http://one.example/a?b=c HTTP/1.1\r\nHost: two.example\r\nAccept: */*\r\n"
        b"Proxy-Authorization: Basic eDp5\r\nProxy-Connection: keep-alive\r\nConnection: X-Mine\r\nX-Mine: 1\r\n\r\n"
    )
    second = b"GET http://two.example/secret HTTP/1.1\r\nHost: two.example\r\n\r\n"
    assert (
        await kit.said(first + second)
        == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
    )
    assert kit.played.targets() == ["one.example:80"]
    assert kit.played.heard == [
        b"GET /a?b=c HTTP/1.1\r\nHost: one.example\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    ]


async def test_bodies_go_both_ways(kit: Kit) -> None:
    """In pieces there, without a length back; nothing is lost."""
    kit.played.answer = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n0\r\n\r\n"
    )
    sent = b"POST http://[2001:db8::1]:8080/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    assert b"3\r\nyes\r\n0\r\n\r\n" in await kit.said(sent)
    assert kit.played.targets() == ["[2001:db8::1]:8080"]
    await until(lambda: b"5\r\nhello\r\n" in kit.played.heard[0])


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET https://a.example/ HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET http:///x HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET http://a.example:99999/ HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET http://a.example/\xff HTTP/1.1\r\nHost: h\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
async def test_what_is_nothing_for_a_proxy_is_said(kit: Kit, sent: bytes) -> None:
    """400, and the relay hears nothing of it."""
    assert (await kit.said(sent)).startswith(b"HTTP/1.1 400 ")
    assert kit.played.asked == []


@pytest.mark.parametrize(
    "answer", [b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi"]
)
async def test_a_server_that_breaks_off_ends_one_connection(kit: Kit, answer: bytes) -> None:
    """The program sees the end, the proxy goes on."""
    kit.played.answer, kit.played.hangs_up = answer, True
    await kit.said(b"GET http://a.example/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    kit.played.answer = b"HTTP/1.1 204 No Content\r\n\r\n"
    said = await kit.said(b"GET http://a.example/ HTTP/1.1\r\nHost: h\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 204 ")


@pytest.mark.parametrize(
    ("target", "verb"),
    [
        ("only.example:80", b"HTTP"),
        ("Only.Example:80", b"HTTP"),
        ("x.below.example:80", b"HTTP"),
        ("both.below.example:80", b"CONNECT"),
        ("only.example:443", b"CONNECT"),
        ("api.example:443", b"CONNECT"),
    ],
)
async def test_the_server_reads_requests_where_it_judges_them(
    tmp_path: Path, target: str, verb: bytes
) -> None:
    """Where nothing but HTTP is listed the server is asked for that, however the program asked."""
    listed = ("only.example:80", "*.below.example:80")
    async with at_work(
        tmp_path, free_port(), more=["both.below.example:80"], http_only=listed
    ) as kit:
        reader, writer = await kit.dial()
        writer.write(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
        async with asyncio.timeout(DEADLINE_S):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.close()
        assert kit.played.asked[0].split(b" ")[:2] == [verb, target.encode()]


async def test_more_connections_than_can_wait_are_ended(kit: Kit) -> None:
    """A program that opens them without end gets an end, and others go on when it is gone."""
    held = [await kit.dial() for _ in range(TAKEN + 20)]
    async with asyncio.timeout(DEADLINE_S):
        for reader, _ in held[TAKEN:]:
            with suppress(ConnectionError):
                assert await reader.read() == b""
    for _, writer in held:
        writer.close()

    async def again() -> bool:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            return await kit.said(b"CONNECT refused.example:1 HTTP/1.1\r\n\r\n") == REFUSAL
        return False

    async with asyncio.timeout(DEADLINE_S):
        while not await again():
            await asyncio.sleep(0)


async def test_who_does_not_wait_for_the_answer_is_gone(kit: Kit) -> None:
    """A program that leaves in the middle leaves nothing open."""
    kit.played.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi"
    reader, writer = await kit.dial()
    writer.write(b"GET http://a.example/ HTTP/1.1\r\nHost: h\r\n\r\n")
    async with asyncio.timeout(DEADLINE_S):
        await reader.readuntil(b"hi")
    writer.close()
    await until(lambda: kit.played.open == 0)


@pytest.mark.parametrize(
    "sent",
    [
        b"CONNECT a:1\rX:y HTTP/1.1\r\n\r\n",
        b"CONNECT a:1\nX:y HTTP/1.1\r\n\r\n",
        b"CONNECT a:1 b HTTP/1.1\r\n\r\n",
        b"CONNECT \xe4:1 HTTP/1.1\r\n\r\n",
        b"GET http://a.example\t/ HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET http://a.example\\@b.example/ HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET http://a%20b/ HTTP/1.1\r\nHost: h\r\n\r\n",
    ],
)
async def test_a_target_cannot_carry_more(kit: Kit, sent: bytes) -> None:
    """A request of a program has no way to put anything into ours."""
    reader, writer = await kit.dial()
    writer.write(sent)
    writer.write_eof()
    async with asyncio.timeout(DEADLINE_S):
        await reader.read()
    writer.close()
    for head in kit.played.asked:
        assert re.fullmatch(
            rb"CONNECT [!-~]+ HTTP/1\.1\r\nProxy-Authorization: [^\r\n]+\r\n\r\n", head
        )


async def test_the_loopback_of_the_server_is_offered_inside(kit: Kit) -> None:
    """The same port, without any proxy; a refusal there is the end of the connection."""
    reader, writer = await kit.dial(kit.mirrored)
    writer.write(b"hello")
    async with asyncio.timeout(DEADLINE_S):
        assert await reader.readexactly(5) == b"hello"
    writer.close()
    assert kit.played.targets() == [f"127.0.0.1:{kit.mirrored}"]


async def test_a_port_that_is_taken_inside_is_said(tmp_path: Path) -> None:
    """The log says so; the rest works."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with at_work(tmp_path, port) as kit:
            assert [level for level, _ in kit.log] == ["warn"]
            assert str(port) in kit.log[0][1]
            assert await kit.said(b"CONNECT refused.example:1 HTTP/1.1\r\n\r\n") == REFUSAL


async def test_a_server_that_restarts_is_waited_for(kit: Kit) -> None:
    """A connection that is asked for while the relay's socket is away is made when it is back."""
    kit.played.stop()
    reader, writer = await kit.dial()
    writer.write(b"CONNECT api.example:443 HTTP/1.1\r\n\r\n")
    await kit.played.start()
    async with asyncio.timeout(DEADLINE_S):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_too_many_wait_for_their_turn(kit: Kit) -> None:
    """More connections than a workspace may have are not refused: some are made when others end."""
    dialed = [await kit.dial() for _ in range(CONNECTIONS + 20)]
    for _, writer in dialed:
        writer.write(b"CONNECT api.example:443 HTTP/1.1\r\n\r\n")
    await until(lambda: len(kit.played.asked) == CONNECTIONS)
    for reader, writer in dialed:
        async with asyncio.timeout(DEADLINE_S):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.close()
    await until(lambda: kit.played.open == 0)
    assert kit.played.most <= CONNECTIONS + 1


def settings(folder: Path, *, confined: bool = True, url: str = "") -> AgentSettings:
    return AgentSettings(
        url=url or f"unix:{folder}/agent.sock",
        token=TOKEN,
        home=folder,
        template_dir=folder,
        stop_grace_s=1,
        confined=confined,
    )


async def started(given: AgentSettings, egress: list[str]) -> tuple[Relay | None, list[str]]:
    """The proxy of a workspace that lists this, and what its log says."""
    lines: list[str] = []
    async with asyncio.TaskGroup() as tasks:
        wanted = replace(manifest(), egress=egress)
        relay = await start_relay(given, wanted, lambda *line: lines.append(line[1]), tasks)
        if relay is not None:
            relay.close()
    return relay, lines


async def test_there_is_no_proxy_where_nothing_is_confined(tmp_path: Path) -> None:
    """No port of the machine is listened on, and the log says that the list confines nothing."""
    port = free_port()
    relay, lines = await started(settings(tmp_path, confined=False), [f"127.0.0.1:{port}"])
    assert relay is None
    assert [line for line in lines if "Nothing is confined" in line]


async def test_a_stop_in_the_middle_of_the_start_ends_it(tmp_path: Path) -> None:
    """A proxy that nobody waits for any more is closed, so the agent can end."""
    wanted = replace(manifest(), egress=["a.example:1"])
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as tasks:
        starting = tasks.create_task(
            start_relay(settings(tmp_path), wanted, lambda *_: None, tasks)
        )
        await asyncio.sleep(0)
        starting.cancel()


async def test_there_is_no_proxy_where_nothing_is_listed(tmp_path: Path) -> None:
    """Not even a line in the log."""
    assert await started(settings(tmp_path), []) == (None, [])


async def test_programs_are_led_to_the_proxy(kit: Kit, tmp_path: Path) -> None:
    """By the usual names in both spellings, but not for what is inside; the template has the last word."""
    env = {"TASKYARD_AGENT_TOKEN": TOKEN, **kit.relay.env}
    wanted = replace(manifest(), env={"HTTPS_PROXY": "http://127.0.0.1:1"})
    found = child_env(env, settings(tmp_path), wanted)
    url = kit.relay.env["http_proxy"]
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        assert found[name] == url
    assert found["HTTPS_PROXY"] == "http://127.0.0.1:1"
    assert found["NO_PROXY"] == found["no_proxy"] == "localhost,127.0.0.1,::1"
    assert found["NODE_USE_ENV_PROXY"] == "1"
    assert TOKEN not in "".join(found.values())
