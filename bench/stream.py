"""How quick everybody who follows a task hears of an item, and what each who follows costs."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from itertools import islice, pairwise
from uuid import UUID

from bench.bridged import pss_mb
from bench.crowd import FEW, Site, crowded_site
from bench.measure import Figure, amount, figure
from bench.seed import identify
from taskyard.daemon.guard import raise_file_limit
from taskyard.sdk import Client
from taskyard.wire.identity import CreateTokenRequest, UpdateRolesRequest

QUESTION = (
    "How long from a call that stores an item until the last of those who follow the task has it, and how much memory "
    "does the server need for each of them, beside a handler that writes the same bytes to as many sockets and stores "
    "nothing? Of many tasks, each gets an item a second."
)

SHAPES = ((1, 200), (1, 1000), (100, 10))
"""Tasks, and how many follow each: a team's screens, more than anybody has, and a busy site."""

EACH = 100
"""Streams of one user; a server gives nobody more than 128."""

ITEMS = 200
"""Items of a single task, one after the other; of many tasks, 20 of each."""

WARM = 2
"""Rounds before any is counted."""

SETTLE_S = 0.5
"""Whoever has just come may still be reading what was."""

FIRST_TASK = 7


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
        """Returns once all follow, each with its token."""
        loop = asyncio.get_running_loop()
        for token in tokens:
            made = partial(Follower, self, path, token)
            _, follower = await loop.create_connection(made, "127.0.0.1", port)
            self._followers.append(follower)
        async with asyncio.timeout(60):
            await self._full.wait()

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
    """Times and memory for each shape, the floor in turns with the stream, on a server of its own."""
    raise_file_limit()
    found: list[Figure] = []
    for tasks, followers in ((1, 200), (10, 10)) if quick else SHAPES:
        with crowded_site(FEW) as site:
            tokens = _tokens(f"http://127.0.0.1:{site.port}", site.owner, tasks * followers)
            run = _Run(site, tasks, followers, tokens)
            found += asyncio.run(run.measure(1 if quick else ITEMS // min(tasks, 10)))
    return found


class _Run:
    def __init__(self, site: Site, tasks: int, followers: int, tokens: list[str]) -> None:
        self._site = site
        self._tasks = [identify(f"task{FIRST_TASK + number}") for number in range(tasks)]
        self._followers = followers
        self._tokens = tokens

    async def measure(self, rounds: int) -> list[Figure]:
        weights = [pss_mb(self._site.pid)]
        floor = await self._join(lambda task: f"/fan?{task}")
        weights.append(pss_mb(self._site.pid))
        stream = await self._join(lambda task: f"/api/v2/tasks/me/{task}/events?tail=0")
        bare: list[float] = []
        times: list[float] = []
        for number in range(WARM + rounds):
            both = (
                await self._round(floor, lambda task: f"/fan-out?{task}"),
                await self._round(stream, lambda task: f"/emit?task={task}"),
            )
            if number >= WARM:
                bare += both[0]
                times += both[1]
        weights.append(pss_mb(self._site.pid))
        for crowd in (*floor, *stream):
            crowd.leave()
        count = self._followers * len(self._tasks)
        bare_kib, kib = ([1024 * (now - then) / count] for then, now in pairwise(weights))
        return self._figures(bare, times, bare_kib, kib)

    def _figures(
        self, bare: list[float], times: list[float], bare_kib: list[float], kib: list[float]
    ) -> list[Figure]:
        all_, many = f"{self._followers:,}", len(self._tasks)
        if many > 1:
            all_ = f"{all_}, of each of {many} tasks"
        fan, socket = f"bare fan-out to the last of {all_}", f"memory of a bare socket, {all_}"
        return [
            figure(fan, bare),
            figure(f"item to the last follower of {all_}", times, (fan, bare)),
            amount(socket, "KiB", bare_kib),
            amount(f"memory of a follower, {all_}", "KiB", kib, (socket, bare_kib)),
        ]

    async def _join(self, path: Callable[[UUID], str]) -> list[Crowd]:
        """Who follows each task, once all do."""
        crowds = []
        tokens = iter(self._tokens)
        for task in self._tasks:
            crowd = Crowd(self._followers)
            mine = list(islice(tokens, self._followers))
            crowds.append(crowd)
            await crowd.join(self._site.port, path(task), mine)
        await asyncio.sleep(SETTLE_S)
        return crowds

    async def _round(self, crowds: list[Crowd], path: Callable[[UUID], str]) -> list[float]:
        """Seconds until all who follow a task have its item: one of each task, evenly within a second."""
        pause_s = 1 / len(crowds) if len(crowds) > 1 else 0.0
        async with asyncio.TaskGroup() as group:
            timed = []
            for crowd, task in zip(crowds, self._tasks, strict=True):
                timed.append(group.create_task(crowd.time(self._site.port, path(task))))
                await asyncio.sleep(pause_s)
        return [each.result() for each in timed]


def _tokens(url: str, owner: str, count: int) -> list[str]:
    """A token for each of so many followers, of as few people as may be; all of them see every task."""
    people = -(-count // EACH)
    with Client(url, owner) as client:
        keys = [owner]
        for number in range(1, people):
            client.update_user_roles(f"crowd-{number}", UpdateRolesRequest(roles=["owner"]))
            keys.append(client.create_token(f"crowd-{number}", CreateTokenRequest()).key)
    return [keys[number // EACH] for number in range(count)]
