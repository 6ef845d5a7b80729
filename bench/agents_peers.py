"""`python -m bench.agents_peers links PORT COUNT | sockets PORT COUNT | server`: the ends of many connections.

links: agents that beat as real ones do, and report once a minute after a line of input. sockets: WebSockets on which
something is said and answered as often as agents beat. Both print how many seconds it took until all were there.
server: answers such sockets; prints its port.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

import msgspec
import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from bench.linked import linked, running
from taskyard.daemon.guard import raise_file_limit
from taskyard_agent.link import Link
from taskyard_agent.protocol import ItemKind, Items, ItemsStored, SentItem, Welcome

AT_ONCE = 32
"""Connections that are begun at the same time."""

BEAT_S = 20.0
"""Seconds between two heartbeats, as the server's own settings make them."""

REPORT_S = 60.0
"""Seconds between two reports of one agent."""


class Ends:
    """So many connections, which go on when all of them are there and somebody says so."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._missing = count
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._complete = asyncio.Event()
        self._told = asyncio.Event()

    async def run(self, live: Callable[["Ends", int], Awaitable[None]]) -> None:
        """Lets each of them live, by its number, until the process is ended."""
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(self._count):
                group.create_task(self._live(live, number))
            await self._complete.wait()
            print(time.perf_counter() - began, flush=True)
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
            self._told.set()

    async def _live(self, live: Callable[["Ends", int], Awaitable[None]], number: int) -> None:
        await self._gate.acquire()
        await live(self, number)

    async def arrived(self) -> None:
        """One is there; returns when somebody has spoken."""
        self._gate.release()
        self._missing -= 1
        if not self._missing:
            self._complete.set()
        await self._told.wait()


async def links(port: int, count: int) -> None:
    """Agents of a crowd of twice as many tasks."""
    tasks = running(2 * count)

    async def live(ends: Ends, number: int) -> None:
        async with linked(port, tasks[number]) as (link, welcome):
            await ends.arrived()
            await asyncio.sleep(REPORT_S * number / count)
            await _report(link, welcome)

    await Ends(count).run(live)


async def _report(link: Link, welcome: Welcome) -> None:
    """Says what its coding agent says of itself, for ever; what is stored becomes the status of its app."""
    seq = welcome.acked_seq
    while True:
        seq += 1
        said = {"summary": f"Waits, {seq} so far.", "link": None, "outcome": "working"}
        item = SentItem(seq, datetime.now(UTC), 1, ItemKind.REPORT, msgspec.json.encode(said))
        await link.call("items", Items([item]), ItemsStored)
        await asyncio.sleep(REPORT_S)


async def sockets(port: int, count: int) -> None:
    """As many connections, and nothing behind them."""
    dial = partial(
        connect, f"ws://127.0.0.1:{port}", compression=None, ping_interval=None, proxy=None
    )

    async def live(ends: Ends, _number: int) -> None:
        async with dial() as connection, asyncio.TaskGroup() as group:
            group.create_task(_beat(connection))
            await ends.arrived()

    await Ends(count).run(live)


async def _beat(connection: ClientConnection) -> None:
    while True:
        await asyncio.sleep(BEAT_S)
        await connection.send(b"about as long as a heartbeat")
        await connection.recv()


async def server() -> None:
    """Sends back whatever comes."""

    async def answer(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            async for message in connection:
                await connection.send(message)

    async with serve(answer, "127.0.0.1", 0, compression=None, ping_interval=None) as listening:
        print(next(iter(listening.sockets)).getsockname()[1], flush=True)
        await listening.serve_forever()


if __name__ == "__main__":
    raise_file_limit()
    match sys.argv[1:]:
        case ["links", port, count]:
            ends = links(int(port), int(count))
        case ["sockets", port, count]:
            ends = sockets(int(port), int(count))
        case _:
            ends = server()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(ends)
