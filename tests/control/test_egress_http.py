"""Plain HTTP through the relay: what is listed arrives whole, written anew, and everything is counted."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from taskyard.control.egress_book import ROWS, Attempt, Book
from taskyard.daemon.listen import listen_unix
from taskyard.daemon.relay import Relay
from taskyard.lifecycle.egress import Reason
from taskyard.lifecycle.template_model import Egress
from tests.control.agent_kit import Seat
from tests.control.egress_kit import answered, asked_http, get, opened, origin, reason_of, seated
from tests.control.test_egress import Door, resolve
from tests.control.world_kit import World, background
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio


@pytest.fixture
async def door(world: World, tmp_path: Path) -> AsyncIterator[Door]:
    path = tmp_path / "relay.sock"
    relay = Relay(world.services, resolve, head_s=10 * DEADLINE_S)
    async with background(world.services.doorbell.run(), relay.run(listen_unix(path))):
        await world.idle()
        yield Door(world, path)


async def test_requests_go_on_written_anew(door: Door) -> None:
    """Several on one connection, in one go too; what is between neighbours stays here."""
    async with origin() as server:
        made = await seated(door, server.target)
        stream = await opened(door, server.target, made.token)
        first = get("/a?b", server.target, "X-Kept: 1", "Keep-Alive: 5", "TE: trailers").replace(
            b"Connection: close", b"Connection: keep-alive, X-Gone\r\nX-Gone: 1"
        )
        second = get(f"http://localhost:{server.port}/c", f"localhost:{server.port}")
        answer = await answered(stream, first + second)
        assert answer.count(b"HTTP/1.1 200 ") == 2
        assert answer.endswith(b"hi")
        one, two = server.heads
        assert one.startswith(b"GET /a?b HTTP/1.1\r\n")
        assert b"X-Kept: 1" in one
        assert not any(
            word in one.lower() for word in (b"x-gone", b"keep-alive", b"te:", b"bearer")
        )
        assert two.startswith(b"GET /c HTTP/1.1\r\n")
        assert server.connections == 1


@pytest.mark.parametrize("is_chunked", [True, False])
async def test_bodies_go_both_ways(door: Door, *, is_chunked: bool) -> None:
    """With a length or in chunks, large ones too; chunks are cut anew."""
    body = bytes(range(256)) * 4000
    got = bytearray()

    async def echo(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (b"transfer-encoding: chunked" in head.lower()) == is_chunked
        if is_chunked:
            while size := int(await reader.readline(), 16):
                got.extend(await reader.readexactly(size))
                await reader.readexactly(2)
            await reader.readline()
        else:
            got.extend(await reader.readexactly(len(body)))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(got) + got)

    async with origin(echo) as server:
        made = await seated(door, server.target)
        if is_chunked:
            head = get("/", server.target, "Transfer-Encoding: chunked", method="POST")
            sent = head + b"%x;x=y\r\n" % len(body) + body + b"\r\n0\r\nTrailer: x\r\n\r\n"
        else:
            sent = get("/", server.target, f"Content-Length: {len(body)}", method="POST") + body
        answer = await asked_http(door, server.target, made.token, sent)
        assert answer.partition(b"\r\n\r\n")[2] == body
        assert bytes(got) == body


async def test_answers_of_all_kinds(door: Door) -> None:
    """Without a length up to the end, in chunks, none at all; a word in between first."""

    async def answer(
        head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if b"/end" in head:
            writer.write(b"HTTP/1.0 200 OK\r\n\r\nall of it")
            writer.close()
        elif b"/chunks" in head:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
            writer.write(b"Transfer-Encoding: chunked\r\n\r\n3\r\nall\r\n6\r\n of it\r\n0\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with origin(answer) as server:
        made = await seated(door, server.target)
        for path, wanted in (("/end", b"all of it"), ("/chunks", b"all of it")):
            sent = get(path, server.target).replace(b"HTTP/1.1", b"HTTP/1.0")
            found = await asked_http(door, server.target, made.token, sent)
            assert found.endswith(b"\r\n\r\n" + wanted)
        none = await asked_http(door, server.target, made.token, get("/", server.target))
        assert none.startswith(b"HTTP/1.1 204 ")


async def test_an_answer_may_come_before_the_body_is_over(door: Door) -> None:
    """It is passed on, and the connection ends."""

    async def refuse(
        _head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")

    async with origin(refuse) as server:
        made = await seated(door, server.target)
        head = get("/", server.target, "Content-Length: 1000000", method="POST")
        found = await asked_http(door, server.target, made.token, head + b"x" * 1000)
        assert found.startswith(b"HTTP/1.1 413 ")


async def test_requests_are_judged_one_by_one(door: Door) -> None:
    """The first goes on, the second, on the same connection, does not; a tunnel there is refused."""
    async with origin() as server:
        made = await seated(door, Egress("127.0.0.1", server.port, ["GET"], ["/ok"]))
        stream = await opened(door, server.target, made.token)
        first = get("/%6fk/x", server.target).replace(b"close", b"keep-alive")
        answer = await answered(stream, first + get("/no", server.target))
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"X-Taskyard-Reason: path_not_listed" in answer
        assert [head.split(b" ")[1] for head in server.heads] == [b"/ok/x"]
        assert await door.status(server.target, made.token) == 403
        async with asyncio.timeout(DEADLINE_S):
            while len(found := await kinds(made)) < 3:
                await asyncio.sleep(0.02)
        assert sorted(found) == [
            ("allowed", "127.0.0.1", server.port, "GET", "/ok", "listed", 1),
            ("refused", "127.0.0.1", server.port, "", "", "http_only", 1),
            ("refused", "127.0.0.1", server.port, "GET", "/no", "path_not_listed", 1),
        ]


async def test_what_cannot_be_reached_is_said_in_http(door: Door, closed_port: int) -> None:
    """502 where nobody listens; 502 too where somebody speaks something else."""

    async def babble(
        _head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(b"SSH-2.0-x\r\n\r\n")

    gone = f"127.0.0.1:{closed_port}"
    async with origin(babble) as server:
        made = await seated(door, server.target, gone)
        for target, why in ((gone, "unreachable"), (server.target, "answer_invalid")):
            assert reason_of(await asked_http(door, target, made.token, get("/", target))) == why


async def kinds(made: Seat) -> list[tuple[object, ...]]:
    """What is stored of a workspace's attempts."""
    async with made.world.services.db.connection() as conn:
        rows = await conn.fetch(
            "select verdict, host, port, method, path, reason, count from workspace_network"
            " where workspace_id = $1",
            made.place.id,
        )
    return [tuple(row.values()) for row in rows]


async def test_a_flood_of_attempts_stays_small(world: World) -> None:
    """So many rows of each verdict and one for the rest; where something really went is still told, and nothing is lost."""
    made = await seated(Door(world, Path()), "a.example:1")
    book = Book(world.services)
    for number in range(3 * ROWS):
        attempt = Attempt(f"h{number}.example", 443, Reason.HOST_NOT_LISTED)
        book.note(made.actor, attempt, world.now)
        if number % ROWS == 0:
            await book.flush()
    book.note(made.actor, Attempt("a.example", 1, Reason.LISTED), world.now)
    book.note(made.actor, Attempt("\0\x1b[31mé" * 500, 0, Reason.TARGET_INVALID), world.now)
    await book.flush()
    other = Book(world.services)  # as after a restart
    for attempt in (
        Attempt("h1.example", 443, Reason.HOST_NOT_LISTED),
        Attempt("new.example", 443, Reason.HOST_NOT_LISTED),
        Attempt("a.example", 1, Reason.LISTED),
    ):
        other.note(made.actor, attempt, world.now)
    await other.flush()
    found = await kinds(made)
    assert len(found) == ROWS + 2
    assert ("allowed", "a.example", 1, "", "", "listed", 2) in found
    assert ("refused", "h1.example", 443, "", "", "host_not_listed", 2) in found
    assert ("refused", "", 0, "", "", "", 2 * ROWS + 2) in found


async def test_tls_where_only_http_is_listed(door: Door) -> None:
    """It is ended at once, with the reason and what to do, and is counted; nobody waits for a head that never comes."""
    async with origin() as server:
        made = await seated(door, Egress("127.0.0.1", server.port, ["GET"]))
        async with asyncio.timeout(DEADLINE_S):  # a head may take ten times as long
            answer = await asked_http(door, server.target, made.token, b"\x16\x03\x01\x02\x00")
        assert reason_of(answer) == "http_only"
        assert b"list it without methods and paths" in answer
        async with asyncio.timeout(DEADLINE_S):
            while not (found := await kinds(made)):
                await asyncio.sleep(0.02)
        assert found == [("refused", "127.0.0.1", server.port, "", "", "http_only", 1)]
        assert server.connections == 0


@pytest.mark.parametrize(
    ("name", "status"),
    [("evil.example", 403), ("a?b", 403), ("x" * 255, 403), ("store.example", 200)],
)
async def test_names_that_were_asked_for(door: Door, name: str, status: int) -> None:
    """One that is not listed is counted as refused, without a port; one that is listed is nothing to tell."""
    made = await seated(door, Egress("store.example", 80, ["GET"]))
    sent = f"NAME {name} HTTP/1.1\r\nProxy-Authorization: Bearer {made.token}\r\n\r\n"
    assert (await door.said(sent.encode())).startswith(f"HTTP/1.1 {status} ".encode())
    if status == 403:
        async with asyncio.timeout(DEADLINE_S):
            while not (found := await kinds(made)):
                await asyncio.sleep(0.02)
        assert found == [("refused", name[:253], 0, "", "", "host_not_listed", 1)]


@pytest.mark.parametrize(
    ("told", "status", "kind"),
    [
        ("TCP 192.0.2.7:443", 403, ("192.0.2.7", 443, "host_not_listed")),
        ("TCP [2001:db8::7]:443", 403, ("2001:db8::7", 443, "host_not_listed")),
        ("TCP store.example:22", 403, ("store.example", 22, "port_not_listed")),
        ("TCP 192.0.2.7:0", 400, ("192.0.2.7:0", 0, "target_invalid")),
        ("OTHER 192.0.2.7:53", 403, ("192.0.2.7", 53, "not_tcp")),
        ("OTHER 2001:db8::7", 403, ("2001:db8::7", 0, "not_tcp")),
        ("OTHER store.example:80", 403, ("store.example", 80, "not_tcp")),
        ("TCP store.example:80", 200, None),
        ("SCTP 192.0.2.7:443", 400, None),
    ],
)
async def test_attempts_that_ended_in_the_workspace(
    door: Door, told: str, status: int, kind: tuple[str, int, str] | None
) -> None:
    """Each is counted as refused, with the reason; what is listed by now, or no word of ours, is nothing to tell. Nobody connects."""
    made = await seated(door, Egress("store.example", 80, ["GET"]))
    sent = f"{told} HTTP/1.1\r\nProxy-Authorization: Bearer {made.token}\r\n\r\n"
    assert (await door.said(sent.encode())).startswith(f"HTTP/1.1 {status} ".encode())
    if kind is not None:
        async with asyncio.timeout(DEADLINE_S):
            while not (found := await kinds(made)):
                await asyncio.sleep(0.02)
        host, port, reason = kind
        assert found == [("refused", host, port, "", "", reason, 1)]
