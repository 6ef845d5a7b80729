"""How quick everybody who follows a task hears of an item."""

import asyncio
import time
from functools import partial
from urllib.parse import quote

from bench.crowd import FEW, crowded, identify
from bench.measure import Figure, figure
from taskyard.daemon.guard import raise_file_limit
from taskyard.sdk import Client
from taskyard.wire.identity import CreateTokenRequest, UpdateRolesRequest

QUESTION = (
    "How long from a call that stores an item until the last of those who follow the task has it, "
    "beside a handler that writes the same bytes to as many sockets and stores nothing?"
)

CROWDS = (200, 1000)
"""How many follow: a team's screens, and more than anybody has."""

EACH = 100
"""Streams of one user; a server gives nobody more than 128."""

WARM = 5

TASK = identify("task7")


class Follower(asyncio.Protocol):
    """A client that counts what it is sent."""

    def __init__(self, crowd: "Crowd", path: str, token: str) -> None:
        self._crowd = crowd
        self._head = f"GET {path} HTTP/1.1\r\nHost: bench\r\nCoder-Session-Token: {token}\r\n\r\n"
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asks."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._head.encode())

    def data_received(self, data: bytes) -> None:
        """Counts events; ends nowhere within one, as they are small."""
        if data.startswith(b"HTTP/1.1"):
            if not data.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(data.decode())
            self._crowd.came()
        self._crowd.got(data.count(b"event: item"))


class Crowd:
    """As many followers as there are to be, and one line to let something happen."""

    def __init__(self, size: int) -> None:
        self._joined = 0
        self._size = size
        self._full = asyncio.Event()
        self._seen = 0
        self._all = asyncio.Event()
        self._followers: list[Follower] = []

    async def join(self, port: int, path: str, tokens: list[str]) -> None:
        """Returns once all follow."""
        loop = asyncio.get_running_loop()
        for number in range(self._size):
            made = partial(Follower, self, path, tokens[number // EACH])
            _, follower = await loop.create_connection(made, "127.0.0.1", port)
            self._followers.append(follower)
        async with asyncio.timeout(60):
            await self._full.wait()
        await asyncio.sleep(0.5)  # whoever has just come may still be reading what was

    def came(self) -> None:
        """One more follows."""
        self._joined += 1
        if self._joined == self._size:
            self._full.set()

    def got(self, count: int) -> None:
        """Somebody got so many events."""
        self._seen += count
        if self._seen >= self._size:
            self._all.set()

    async def time(self, port: int, path: str) -> float:
        """Seconds from a call until all have what it led to."""
        self._seen = 0
        self._all.clear()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = time.perf_counter()
        writer.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
        async with asyncio.timeout(30):
            await self._all.wait()
        took = time.perf_counter() - began
        await reader.read()
        writer.close()
        return took

    def leave(self) -> None:
        """All hang up."""
        for follower in self._followers:
            if follower.transport is not None:
                follower.transport.abort()


def measure(*, quick: bool) -> list[Figure]:
    """Times for each size of a crowd, the floor in turns with the stream."""
    raise_file_limit()
    with crowded(FEW) as (port, owner, _):
        tokens = _tokens(f"http://127.0.0.1:{port}", owner, max(CROWDS) // EACH)
        found: list[Figure] = []
        for size in CROWDS[: 1 if quick else None]:
            found += asyncio.run(_compare(port, tokens, size, 10 if quick else 200))
    return found


async def _compare(port: int, tokens: list[str], size: int, samples: int) -> list[Figure]:
    floor, stream = Crowd(size), Crowd(size)
    await floor.join(port, "/fan", tokens)
    await stream.join(port, f"/api/v2/tasks/me/{TASK}/events?tail=0", tokens)
    times: dict[str, list[float]] = {"floor": [], "stream": []}
    for number in range(WARM + samples):
        took = await floor.time(port, "/fan-out")
        both = took, await stream.time(port, f"/emit?task={quote(str(TASK))}")
        if number >= WARM:
            times["floor"].append(both[0])
            times["stream"].append(both[1])
    floor.leave()
    stream.leave()
    name = f"bare fan-out to {size} sockets"
    return [
        figure(name, times["floor"]),
        figure(f"item to the last of {size} followers", times["stream"], (name, times["floor"])),
    ]


def _tokens(url: str, owner: str, count: int) -> list[str]:
    """Tokens of so many people who see every task."""
    with Client(url, owner) as client:
        for number in range(1, count):
            client.update_user_roles(f"crowd-{number}", UpdateRolesRequest(roles=["owner"]))
        return [
            owner,
            *(
                client.create_token(f"crowd-{number}", CreateTokenRequest()).key
                for number in range(1, count)
            ),
        ]
