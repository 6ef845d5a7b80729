"""The server's half of the way out, attacked on its own socket by somebody who holds a workspace's good token.

What is confined inside may speak to this socket as it likes, so every test does: by hand, past the agent.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from taskyard.control.services import Services
from taskyard.daemon.listen import listen_unix
from taskyard.daemon.relay import HEAD_BYTES, Relay
from taskyard.daemon.relay_http import HEAD_BYTES as HTTP_HEAD_BYTES
from taskyard.lifecycle.template_model import Egress
from tests.control.egress_kit import (
    Origin,
    answered,
    asked_http,
    get,
    opened,
    origin,
    reason_of,
    seated,
)
from tests.control.test_egress import Door
from tests.control.world_kit import World, background
from tests.daemon.certificates import ONE, ONE_KEY
from tests.lifecycle.hello_kit import hello, records
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

HEAD_S = 1.0
"""Seconds for a head, in these tests: the product's are ten."""

CCS = records(b"\x01", kind=20)
WARNING = records(b"\x01\x5a", kind=21)
"""Records that servers look past while they wait for a second hello."""

NAMES: dict[str, list[list[str]]] = {
    "model.example": [["127.0.0.1"]],
    "other.example": [["127.0.0.1"]],
    "flips.example": [["127.0.0.1"], ["127.0.0.2"], ["169.254.169.254"], ["::ffff:10.0.0.1"]],
    "mixed.example": [["127.0.0.1", "127.0.0.2"]],
}
"""What the resolver says of a name the first time, the second time and so on, the last for ever."""


@pytest.fixture
async def door(services: Services, tmp_path: Path) -> AsyncIterator[Door]:
    asked: dict[str, int] = {}

    async def resolve(host: str, port: int) -> list[str]:
        if host not in NAMES:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        asked[host] = asked.get(host, -1) + 1
        return NAMES[host][min(asked[host], len(NAMES[host]) - 1)]

    world = World(services, tmp_path / "echo")
    await world.found()
    path = tmp_path / "relay.sock"
    relay = Relay(services, resolve, head_s=HEAD_S)
    async with background(services.doorbell.run(), relay.run(listen_unix(path))):
        await world.idle()
        yield Door(world, path)


@pytest.mark.attack(
    "Connect to what is not listed: loopback, private ranges, metadata, in every spelling of a number or a name",
    wall="targets are read strictly, and only what an entry lists is reached",
)
async def test_places_that_are_not_listed(door: Door) -> None:
    """Nothing comes to a server that listens there; the listed spelling of the same server is reached."""
    async with origin() as server:
        port = server.port
        made = await seated(door, f"model.example:{port}", "*.wild.example:443", "10.9.9.9:1")
        for host in (
            *("127.0.0.1", "localhost", "LOCALHOST.", "127.0.0.2", "0.0.0.0", "127.1", "0x7f.1"),
            *("2130706433", "017700000001", "0x7f000001", "127.0.0.01", "127.0.0.1.", "[::1]"),
            *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::]", "[::1%lo]", "[64:ff9b::7f00:1]"),
            *("10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254"),
            *("[fd00:ec2::254]", "[fe80::1]", "198.18.0.1", "255.255.255.255", "224.0.0.1"),
            *("model.example.evil", "evil-model.example", "x.model.example", "model.example%00"),
            *("model.example\0", "model.example%2e", "mod\u0435l.example", "xn--model.example"),
            *("wild.example", "evilwild.example", "model.example@127.0.0.1", "*", "*.example", ""),
        ):
            assert await door.status(f"{host}:{port}", made.token) in (400, 403), host
        for other in (port + 1, 0, 65536, -1, 443):
            assert await door.status(f"model.example:{other}", made.token) in (400, 403)
        assert server.connections == 0
        both = await seated(door, f"model.example:{port}", f"127.0.0.1:{port}")
        for host in ("model.example", "MODEL.example.", "localhost", "[::ffff:127.0.0.1]"):
            assert await door.status(f"{host}:{port}", both.token) == 200


@pytest.mark.attack(
    "A listed name that leads to the internet first and to a private address when it is connected to",
    wall="each connection resolves once, judges every address, and goes to a judged address",
)
async def test_rebinding(door: Door) -> None:
    """The first answer is allowed and reached; later ones, and one bad address among good ones, are not."""
    async with origin() as good:
        listed = f"127.0.0.1:{good.port}"
        made = await seated(
            door, f"flips.example:{good.port}", f"mixed.example:{good.port}", listed
        )
        assert await door.status(f"flips.example:{good.port}", made.token) == 200
        for _ in range(3):
            assert await door.status(f"flips.example:{good.port}", made.token) == 403
            target = f"flips.example:{good.port}"
            sent = get("/", target)
            assert (
                reason_of(await asked_http(door, target, made.token, sent)) == "address_not_public"
            )
        assert await door.status(f"mixed.example:{good.port}", made.token) == 403
        assert (good.connections, good.heads) == (1, [])


@pytest.mark.attack(
    "Use the token of another workspace, of an older start, of none; another word than CONNECT",
    wall="one statement finds token, generation and rules, for each connection",
)
async def test_tokens(door: Door) -> None:
    """A token opens what its own workspace's template lists, as long as that start lasts."""
    async with origin() as server:
        mine = await seated(door, server.target)
        other = await seated(door, "127.0.0.1:1")
        assert await door.status(server.target, mine.token) == 200
        assert await door.status(server.target, other.token) == 403
        again = await mine.restarted()
        for token in (mine.token, "", "null", mine.place.id, f"{again.token}0", "' or 1=1 --"):
            for word in (b"CONNECT", b"HTTP"):
                line = b"%s %s HTTP/1.1\r\n" % (word, server.target.encode())
                said = await door.said(
                    line + f"Proxy-Authorization: Bearer {token}\r\n\r\n".encode()
                )
                assert said.startswith(b"HTTP/1.1 407 "), token
        assert await door.status(server.target, again.token) == 200
        held = await opened(door, server.target, again.token)
        await again.restarted()
        async with asyncio.timeout(DEADLINE_S):
            assert await held[0].read() == b""
        held[1].close()


@asynccontextmanager
async def tls_origin(folder: Path) -> AsyncIterator[tuple[int, list[str | None]]]:
    """A TLS server: its port, and the names that it was asked for."""
    pem = folder / "pem"
    pem.write_text(ONE + ONE_KEY)
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    context.sni_callback = lambda _sock, name, _context: asked.append(name)

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"inside")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1], asked
    server.close()


async def tls_through(door: Door, target: str, token: object, name: str | None) -> bytes:
    """What a TLS server behind the tunnel says to who asks for this name; the error's name where it does not."""
    status, (reader, writer) = await door.connect(target, token)
    assert status == 200
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(DEADLINE_S):
            # asyncio sends no name where server_hostname is empty.
            await writer.start_tls(context, server_hostname=name or "")
            return await reader.read()
    except (ssl.SSLError, ConnectionError) as error:
        return (getattr(error, "reason", None) or type(error).__name__).encode()
    finally:
        writer.close()


@pytest.mark.attack(
    "Reach another site of the same machine: TLS for another name through a tunnel to a listed one, or for none",
    wall="the first bytes of a tunnel to a name are read; TLS has to ask for that name",
)
async def test_names_in_tls(door: Door, tmp_path: Path) -> None:
    """The listed name is served; for others the server hears nothing, and the program gets an alert. By address nothing is compared."""
    async with tls_origin(tmp_path) as (port, asked):
        made = await seated(door, f"model.example:{port}", f"127.0.0.1:{port}")
        target = f"model.example:{port}"
        assert await tls_through(door, target, made.token, "model.example") == b"inside"
        # The attack itself works where nobody looks: an entry that lists the address means all that is there.
        by_address = f"127.0.0.1:{port}"
        assert await tls_through(door, by_address, made.token, "other.example") == b"inside"
        heard = len(asked)
        for name in ("other.example", "x.model.example", None):
            said = await tls_through(door, target, made.token, name)
            assert said == b"TLSV1_UNRECOGNIZED_NAME", name
        assert len(asked) == heard


@pytest.mark.attack(
    "TLS in crumbs, a hello that never ends, one with two names, one of before SSL 3, half of one",
    wall="what begins like TLS and cannot be read is ended, with bounds on bytes and time",
)
async def test_hellos_that_cannot_be_read(door: Door) -> None:
    """None of it arrives at the other side; what is no TLS arrives at once, and who speaks first is heard."""
    got = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        while data := await reader.read(65536):
            got.extend(data)
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    made = await seated(door, f"model.example:{port}", f"127.0.0.1:{port}")
    for sent in (
        hello("evil.example"),
        b"\x16\x02\x00" + hello("model.example")[3:],
        records(b"\x01\x00\xff\xff" + bytes(65535), each=20),
        b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00" + bytes(40),
        b"\x16\x03\x01\x00\x00",
        hello("model.example") + hello("evil.example"),
        hello("model.example") + CCS + WARNING + hello("evil.example"),
        hello("model.example") + WARNING + CCS + hello("evil.example"),
        hello("model.example") + b"\x16\x03\x03\x00\x00" + hello("evil.example"),
        hello("model.example") + records(b"x", kind=24) + hello("evil.example"),
        # What is held up is not let go after a while, for the rest would follow it.
        hello("model.example") + CCS + hello("evil.example")[:5],
        hello("evil.example")[:30],
        b"\x80\x2e\x01",
    ):
        status, (reader, writer) = await door.connect(f"model.example:{port}", made.token)
        assert status == 200
        writer.write(sent)
        async with asyncio.timeout(DEADLINE_S):
            assert (await reader.read()).endswith(b"\x02\x70"), sent[:20]
        writer.close()
    assert b"evil" not in got
    assert b"\x80" not in got
    # The same in the clear, by the address: it does arrive where nobody looks.
    _, (reader, writer) = await door.connect(f"127.0.0.1:{port}", made.token)
    writer.write(hello("model.example") + CCS + WARNING + hello("evil.example"))
    writer.write_eof()
    async with asyncio.timeout(DEADLINE_S):
        await reader.read()
    assert b"evil" in got
    writer.close()
    _, (reader, writer) = await door.connect(f"model.example:{port}", made.token)
    async with asyncio.timeout(DEADLINE_S):
        assert await reader.readline() == b"220 hello\r\n"
        writer.write(b"EHLO x\r\n")
        while not got.endswith(b"EHLO x\r\n"):
            await asyncio.sleep(0.005)
    writer.close()
    server.close()


HIDDEN = "GET /hidden HTTP/1.1\r\nHost: {0}\r\n\r\n"

SMUGGLED = [
    "POST /ok HTTP/1.1\r\nHost: {0}\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + HIDDEN,
    "POST /ok HTTP/1.1\r\nHost: {0}\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"
    + HIDDEN,
    "POST /ok HTTP/1.1\r\nHost: {0}\r\nContent-Length: 0\r\nContent-Length: 45\r\n\r\n" + HIDDEN,
    "POST /ok HTTP/1.1\r\nHost: {0}\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n" + HIDDEN,
    "POST /ok HTTP/1.1\r\nHost: {0}\r\nContent-Length: 0, 45\r\n\r\n" + HIDDEN,
    "POST /ok HTTP/1.1\r\nHost: {0}\r\nContent-Length: +0\r\n\r\n" + HIDDEN,
    "POST /ok HTTP/1.1\r\nHost: {0}\r\nContent-Length : 0\r\n\r\n" + HIDDEN,
    "POST /ok HTTP/1.1\r\nHost: {0}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "POST /ok HTTP/1.1\r\nHost: {0}\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"
    + HIDDEN,
    "POST /ok HTTP/1.1\r\nHost: {0}\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "POST /ok HTTP/1.1\r\nHost: {0}\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "POST /ok HTTP/1.1\r\nHost: {0}\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "POST /ok HTTP/1.1\r\nHost: {0}\r\nX: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + HIDDEN,
    "POST /ok HTTP/1.1\r\nHost: {0}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "POST /ok HTTP/1.1\r\nHost: {0}\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n0\r\n\r\n"
    + HIDDEN,
    "POST /ok HTTP/1.1\r\nHost: {0}\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n"
    + HIDDEN,
    "GET /ok HTTP/1.1\r\nHost: {0}\r\nHost: evil.example\r\n\r\n",
    "GET /ok HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "GET /ok HTTP/1.1\r\n\r\n" + HIDDEN,
    "GET http://evil.example/hidden HTTP/1.1\r\nHost: {0}\r\n\r\n",
    "GET http://{0}/hidden HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "GET http://{0}@evil.example/ok HTTP/1.1\r\nHost: {0}\r\n\r\n",
    "GET /ok HTTP/1.1\r\nHost: {0}\r\nX-Original-URL: /hidden\r\n\r\n",
    "GET /ok HTTP/1.1\r\nHost: {0}\r\nX-HTTP-Method-Override: DELETE\r\n\r\n",
    "GET /ok HTTP/1.1\r\nHost: {0}\r\nX_HTTP_Method_Override: DELETE\r\n\r\n",
    "GET /ok HTTP/1.1\r\nHost: {0}\r\nX_HTTP-Method_Override: DELETE\r\n\r\n",
    "GET /ok HTTP/1.1\r\nHost: {0}\r\nX.HTTP.Method.Override: DELETE\r\n\r\n",
    "GET /ok HTTP/1.1\r\nHost: {0}\r\nX_Original_URL: /evil\r\n\r\n",
    "GET /ok HTTP/1.1\r\nHost: {0}\r\nX-Forwarded-Uri: /evil\r\n\r\n",
    "GET /ok HTTP/1.1\r\nHost: {0}\r\nX-Forwarded-Method: DELETE\r\n\r\n",
    "GET /ok HTTP/1.1\r\nHost: {0}\r\nX-Forwarded-Host: evil.example\r\n\r\n",
    "GET /ok/../hidden HTTP/1.1\r\nHost: {0}\r\n\r\n",
    "GET /ok/%2e%2e/hidden HTTP/1.1\r\nHost: {0}\r\n\r\n",
    "GET /ok/..%2fhidden HTTP/1.1\r\nHost: {0}\r\n\r\n",
    "GET /ok/..;/hidden HTTP/1.1\r\nHost: {0}\r\n\r\n",
    "GET /ok\\..\\hidden HTTP/1.1\r\nHost: {0}\r\n\r\n",
    "GET /ok HTTP/1.1\r\nHost: {0}\r\n\r\n\r\n" + HIDDEN,
    "GET /ok /hidden HTTP/1.1\r\nHost: {0}\r\n\r\n",
    "GET\t/ok HTTP/1.1\r\nHost: {0}\r\n\r\n" + HIDDEN,
    "\r\nGET /hidden HTTP/1.1\r\nHost: {0}\r\n\r\n",
    "GET /hidden\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n\r\n" + HIDDEN,
    "OPTIONS * HTTP/1.1\r\nHost: {0}\r\n\r\n",
    "GET /ok HTTP/1.1\r\nHost: {0}\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n" + HIDDEN,
    "GET /ok HTTP/1.1\r\nHost: {0}\r\nConnection: content-length\r\nContent-Length: 40\r\n\r\n"
    + HIDDEN,
]


def seen_hidden(server: Origin) -> bool:
    """Whether a server was asked for what is not listed, or for somebody else."""
    return any(
        b"hidden" in h.split(b"\r\n")[0] or b"evil" in h or b"DELETE" in h for h in server.heads
    )


@pytest.mark.attack(
    "Hide a request for another path, method or host in a listed one: lengths, chunks, line ends, forms, spellings",
    wall="requests are read, judged one by one and written anew; what can be read in two ways is refused",
)
async def test_smuggling(door: Door) -> None:
    """A server that believes anything never sees it; the same bytes through a tunnel do get there."""

    async def believe(
        _head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with origin(believe) as server:
        made = await seated(door, Egress("127.0.0.1", server.port, ["GET", "POST"], ["/ok"]))
        for text in SMUGGLED:
            stream = await opened(door, server.target, made.token)
            await answered_to_end(stream, text.format(server.target).encode())
            assert not seen_hidden(server), text
        assert server.heads, "the listed part of some of them does arrive"
        plain = await seated(door, server.target)
        _, stream = await door.connect(server.target, plain.token)
        await answered_to_end(stream, SMUGGLED[0].format(server.target).encode())
        assert seen_hidden(server)


async def answered_to_end(
    stream: tuple[asyncio.StreamReader, asyncio.StreamWriter], sent: bytes
) -> None:
    """Says this and that no more comes."""
    reader, writer = stream
    writer.write(sent)
    writer.write_eof()
    async with asyncio.timeout(DEADLINE_S):
        await reader.read()
    writer.close()


@pytest.mark.attack(
    "Get past methods and paths by a tunnel, by a name that leads to the same place, by the address itself",
    wall="what is listed with methods or paths takes no other bytes, by whichever name",
)
async def test_limits_hold_for_every_way_there(door: Door) -> None:
    """A tunnel is refused, and a request has to be allowed by the name's entry and by the address's."""
    async with origin() as server:
        port = server.port
        made = await seated(
            door,
            Egress("127.0.0.1", port, ["GET"], ["/ok"]),
            Egress("model.example", port, None, ["/"]),
            f"other.example:{port}",
        )
        for host in (
            "127.0.0.1",
            "localhost",
            "[::ffff:127.0.0.1]",
            "model.example",
            "other.example",
        ):
            assert await door.status(f"{host}:{port}", made.token) == 403
            target = f"{host}:{port}"
            for path, method, wanted in (
                ("/no", "GET", "path_not_listed"),
                ("/ok", "POST", "method_not_listed"),
                ("/ok", "GET", "200"),
            ):
                sent = get(path, target, method=method)
                assert reason_of(await asked_http(door, target, made.token, sent)) == wanted
        assert {head.split(b" ")[1] for head in server.heads} == {b"/ok"}


@pytest.mark.attack(
    "A listed server sends the program on to a place that is not listed",
    wall="nobody follows for the program; where it goes next is judged like anything else",
)
async def test_redirects(door: Door) -> None:
    """The redirect itself is passed on; following it is refused."""
    async with origin() as secret:

        async def redirect(
            _head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            line = f"Location: http://{secret.target}/\r\n".encode()
            writer.write(b"HTTP/1.1 302 Found\r\n" + line + b"Content-Length: 0\r\n\r\n")

        async with origin(redirect) as server:
            made = await seated(door, server.target)
            found = await asked_http(door, server.target, made.token, get("/", server.target))
            assert secret.target.encode() in found
            stream = await opened(door, server.target, made.token)
            said = await answered(stream, get(f"http://{secret.target}/", secret.target))
            assert reason_of(said) == "host_differs"
            assert await door.status(secret.target, made.token) == 403
            assert secret.connections == 0


@pytest.mark.attack(
    "Heads without end: in bytes, in lines, in time; connections that say nothing or half of it",
    wall="64 KiB and ten seconds for a head; what is half open or silent ends",
)
async def test_endless_and_slow_heads(door: Door) -> None:
    """Each is answered with 400 or ended, and the server goes on answering others."""
    async with origin() as server:
        made = await seated(door, server.target)
        line = b"GET / HTTP/1.1\r\nHost: " + server.target.encode() + b"\r\n"
        for sent in (
            line + b"X: " + b"x" * (HTTP_HEAD_BYTES + 10),
            line + b"X: y\r\n" * (HTTP_HEAD_BYTES // 6 + 10),
            b"GET /" + b"x" * (HTTP_HEAD_BYTES + 10),
            line + b"X: half of it",
        ):
            stream = await opened(door, server.target, made.token)
            assert reason_of(await answered(stream, sent)) == "request_invalid"
        assert (await door.said(b"x" * (HEAD_BYTES + 1))).startswith(b"HTTP/1.1 400 ")
        assert (await door.said(b"HTTP a:1 HT")).startswith(b"HTTP/1.1 400 ")
        reader, writer = await opened(door, server.target, made.token)
        writer.write(line)
        writer.write_eof()
        async with asyncio.timeout(DEADLINE_S):
            assert b"200" not in await reader.read()
        writer.close()
        assert server.heads == []
        good = await asked_http(door, server.target, made.token, get("/", server.target))
        assert good.startswith(b"HTTP/1.1 200 ")


@pytest.mark.attack(
    "Two thousand connections that say nothing, and thousands of attempts at places that are not listed",
    wall="a share of the connections at most; one line of the log and one row for each kind, 200 rows",
)
async def test_floods(door: Door) -> None:
    """Those too many are ended, everybody is served afterwards; log and table stay small, and the count is right."""
    async with origin() as server:
        made = await seated(door, server.target)
        held = [await door.dial() for _ in range(2000)]
        async with asyncio.timeout(DEADLINE_S):
            assert await held[0][0].read() != b"", "whoever waits too long is told"
        for _, writer in held:
            writer.close()
        with capture_logs() as lines:
            for number in range(400):
                assert await door.status(f"h{number % 300}.example:443", made.token) == 403
            for _ in range(100):
                assert await door.status(server.target, made.token) == 200
        decided = [line for line in lines if line["event"] == "egress.decided"]
        assert len(decided) == 200 + 1 + 1
        async with asyncio.timeout(DEADLINE_S):
            while (found := await totals(door, made.place.id))[1] < 500:
                await asyncio.sleep(0.02)
        assert found == (202, 500)


async def totals(door: Door, workspace_id: object) -> tuple[int, int]:
    """Rows of a workspace, and attempts that they count."""
    async with door.world.services.db.connection() as conn:
        row = await conn.fetchrow(
            "select count(*), coalesce(sum(count), 0)::integer from workspace_network where workspace_id = $1",
            workspace_id,
        )
    assert row is not None
    return row[0], row[1]
