"""How fast a server stores what coding agents say."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import asyncpg
import msgspec

from bench.crowd import FEW, crowded_site
from bench.linked import admit_agents, linked, running
from bench.measure import Figure, amount
from bench.seed import identify
from taskyard_agent.link import Link
from taskyard_agent.protocol import Item, ItemKind, Items, ItemsStored, SentItem, Welcome
from taskyard_agent.push import BATCH_ITEMS, batch

QUESTION = (
    "How many transcript items a second does a server store that agents send over their links, one call of an agent at "
    "a time, beside a single COPY of the same rows into a table of the same columns and indexes?"
)

TURN = 20_000
"""Updates of one long turn."""

AGENTS = 4
"""Agents that send at once, a share of the turn each."""

FLOOR = "COPY of the same rows"
FLOOR_TABLE = "create table bench_items (like task_items including all)"

COLUMNS = ("task_id", "number", "seq", "generation", "kind", "turn", "data", "time", "stored_at")


def measure(*, quick: bool) -> list[Figure]:
    """Rates of rounds in turns."""
    with crowded_site(FEW) as site:
        return asyncio.run(
            _measure(site.port, site.database, 2_000 if quick else TURN, 1 if quick else 5)
        )


async def _measure(port: int, database: str, count: int, rounds: int) -> list[Figure]:
    await admit_agents(database)
    conn = await asyncpg.connect(database)
    rates: dict[str, list[float]] = {}
    try:
        await conn.execute(FLOOR_TABLE)
        async with AsyncExitStack() as stack:
            agents = [
                _Agent(*(await stack.enter_async_context(linked(port, task))))
                for task in running(FEW)[:AGENTS]
            ]
            works: dict[str, Callable[[], Awaitable[None]]] = {
                FLOOR: lambda: _copy(conn, _rows(count)),
                f"a turn of {count:,} updates of one agent": lambda: _push(agents[:1], count),
                f"as many of {AGENTS} agents at once": lambda: _push(agents, count),
            }
            for _ in range(rounds):
                for name, work in works.items():
                    await conn.execute("truncate bench_items")
                    prepared = work()
                    began = time.perf_counter()
                    await prepared
                    rates.setdefault(name, []).append(count / (time.perf_counter() - began))
    finally:
        await conn.close()
    return [
        amount(name, "items/s", found, None if name == FLOOR else (FLOOR, rates[FLOOR]))
        for name, found in rates.items()
    ]


class _Agent:
    """Sends items as a workspace's agent does: in order, so many a call, the next when the last is stored."""

    def __init__(self, link: Link, welcome: Welcome) -> None:
        self._link = link
        self._seq = welcome.acked_seq

    def say(self, count: int) -> list[Item]:
        """So many items that follow what it has sent."""
        return _updates(self._seq + 1, count)

    async def push(self, items: list[Item]) -> None:
        """Returns once the server holds them. Raises RuntimeError when it does not."""
        sent = 0
        while sent < len(items):
            part = [SentItem.of(item) for item in batch(items[sent : sent + BATCH_ITEMS])]
            stored = await self._link.call("items", Items(part), ItemsStored)
            self._seq = part[-1].seq
            if stored.acked_seq != self._seq:
                raise RuntimeError(f"{stored.acked_seq} is held after {self._seq} was sent")
            sent += len(part)


def _push(agents: list[_Agent], count: int) -> Awaitable[None]:
    """A share of as many updates from each of them; they are made before this is waited for."""
    shares = [(agent, agent.say(count // len(agents))) for agent in agents]

    async def push() -> None:
        async with asyncio.TaskGroup() as group:
            for agent, items in shares:
                group.create_task(agent.push(items))

    return push()


async def _copy(conn: "asyncpg.Connection[asyncpg.Record]", rows: list[tuple[object, ...]]) -> None:
    await conn.copy_records_to_table("bench_items", records=rows, columns=COLUMNS)


def _rows(count: int) -> list[tuple[object, ...]]:
    now, task = datetime.now(UTC), identify("task0")
    return [
        (
            task,
            item.seq,
            item.seq,
            1,
            item.kind,
            item.turn,
            bytes(item.data).decode(),
            item.time,
            now,
        )
        for item in _updates(1, count)
    ]


def _updates(first: int, count: int) -> list[Item]:
    """What a coding agent says in one turn, as the bridge notes it: pieces of text, and every fourth time a tool call."""
    now = datetime.now(UTC)
    return [Item(seq, now, 1, *_said(seq)) for seq in range(first, first + count)]


def _said(seq: int) -> tuple[ItemKind, msgspec.Raw]:
    if seq % 4:
        text = {"message_id": seq // 400, "text": f"and then piece {seq} of what it has to say "}
        return ItemKind.AGENT_TEXT, msgspec.Raw(msgspec.json.encode(text))
    call = {
        "tool_call_id": f"call-{seq}",
        "title": f"Read src/part_{seq}.py",
        "kind": "read",
        "status": "completed",
        "content": [{"type": "content", "content": {"type": "text", "text": "line of it\n" * 40}}],
        "locations": [{"path": f"/home/user/src/part_{seq}.py", "line": 1}],
        "raw_input": {"path": f"src/part_{seq}.py"},
        "raw_output": None,
    }
    return ItemKind.TOOL_CALL, msgspec.Raw(msgspec.json.encode(call))
