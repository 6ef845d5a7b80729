"""Plain HTTP through the relay, for tests: a server that keeps every byte it gets, and a client of raw bytes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from msgspec.structs import replace

from taskyard.lifecycle.egress import read_rule
from taskyard.lifecycle.template_model import Egress
from tests.control.agent_kit import Seat, seat
from tests.control.test_egress import Door, Stream
from tests.control.world_kit import BRIDGED
from tests.waiting import DEADLINE_S

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

Answer = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Takes the head of a request, and what to read its body from and answer to."""


@dataclass
class Origin:
    """A server on the loopback. heads: of the requests that came, as they came; connections: how many."""

    port: int
    heads: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def target(self) -> str:
        """Where it is, as agents ask for it."""
        return f"127.0.0.1:{self.port}"


async def say_ok(_head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Two bytes, whatever was asked."""
    writer.write(OK)


@asynccontextmanager
async def origin(answer: Answer = say_ok) -> AsyncIterator[Origin]:
    """A server that takes requests without a body, or leaves bodies to the answer."""
    found = Origin(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                found.heads.append(head)
                await answer(head, reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    yield found
    server.close()


async def seated(door: Door, *rules: Egress | str) -> Seat:
    """A started workspace whose template lists this."""
    listed = [read_rule(rule) if isinstance(rule, str) else rule for rule in rules]
    workspace = replace(BRIDGED.workspace, egress=listed)
    return await seat(door.world, replace(BRIDGED, workspace=workspace))


async def opened(door: Door, target: str, token: object) -> Stream:
    """A connection for requests to a target."""
    reader, writer = await door.dial()
    writer.write(f"HTTP {target} HTTP/1.1\r\nProxy-Authorization: Bearer {token}\r\n\r\n".encode())
    async with asyncio.timeout(DEADLINE_S):
        head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    return reader, writer


async def answered(stream: Stream, sent: bytes) -> bytes:
    """All that is answered until the connection ends."""
    reader, writer = stream
    writer.write(sent)
    async with asyncio.timeout(DEADLINE_S):
        found = await reader.read()
    writer.close()
    return found


async def asked_http(door: Door, target: str, token: object, sent: bytes) -> bytes:
    """All that is answered to these bytes, sent on a connection of their own."""
    return await answered(await opened(door, target, token), sent)


def get(path: str, host: str, *headers: str, method: str = "GET") -> bytes:
    """A request after whose answer the connection ends."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers, "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1")


def reason_of(answer: bytes) -> str:
    """The code word of a refusal, else its status."""
    head = answer.partition(b"\r\n\r\n")[0].decode()
    lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
    return lines.get("X-Taskyard-Reason") or head.split(" ")[1]


def hosts(seen: Sequence[bytes]) -> list[bytes]:
    """First line of each request that came."""
    return [head.split(b"\r\n")[0] for head in seen]
