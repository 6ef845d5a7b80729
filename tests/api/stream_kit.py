"""Streams over bare sockets, which tests cut where they like, and items put where a workspace would put them."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

from taskyard.control.actors import AgentActor
from taskyard.control.transcript import store_items
from taskyard.db.retention import EVENTS, reap_scanned_as_system
from taskyard.wire.link import ItemKind, SentItem
from tests.api.agent_seat import AgentSeat
from tests.api.seed import Api, Json, Person
from tests.waiting import DEADLINE_S


@dataclass
class Told:
    """One event as it came."""

    kind: str
    id: str
    data: Json


@dataclass
class Stream:
    """A stream over a socket of its own. id is that of the last event that came whole."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    status: int = 0
    head: str = ""
    id: str = ""
    comments: int = 0
    _over: bool = False
    _raw: bytearray = field(default_factory=bytearray)
    _text: bytearray = field(default_factory=bytearray)

    async def next(self) -> Told | None:
        """The next event; None at the end."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                while (end := self._text.find(b"\n\n")) >= 0:
                    block = bytes(self._text[:end]).decode()
                    del self._text[: end + 2]
                    if (told := self._event(block)) is not None:
                        return told
                if self._over:
                    return None
                self._over = not await self._more()

    async def take(self, count: int) -> list[Told]:
        """The next so many events."""
        found: list[Told] = []
        for _ in range(count):
            told = await self.next()
            assert told is not None, f"the stream ended after {len(found)} of {count} events"
            found.append(told)
        return found

    async def until(self, kind: str) -> list[Told]:
        """Events up to the next of this kind."""
        found: list[Told] = []
        while not found or found[-1].kind != kind:
            found += await self.take(1)
        return found

    def _event(self, block: str) -> Told | None:
        parts = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        self.comments += block.startswith(":")
        self.id = parts.get("id", self.id)
        if "event" not in parts:
            return None
        return Told(parts["event"], parts["id"], json.loads(parts["data"]))

    async def _more(self) -> bool:
        """Whether there was more; takes chunks apart, of which the last may be cut."""
        if not (more := await self.reader.read(1 << 16)):
            return False
        self._raw += more
        while (line := self._raw.find(b"\r\n")) >= 0:
            size = int(self._raw[:line], 16)
            if len(self._raw) < line + size + 4:
                break
            if not size:
                return False
            self._text += self._raw[line + 2 : line + 2 + size]
            del self._raw[: line + size + 4]
        return True


@asynccontextmanager
async def streaming(
    api: Api,
    path: str,
    *,
    by: Person | None = None,
    after: str = "",
    url: str = "",
    limit: int = 1 << 20,
) -> AsyncIterator[Stream]:
    """A stream, begun behind this id; the connection is cut at the end."""
    place = urlsplit(url or api.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port, limit=limit)
    lines = [f"GET {path} HTTP/1.1", "Host: test"]
    lines += [f"Coder-Session-Token: {(by or api.owner).token}"]
    lines += [f"Last-Event-ID: {after}"] if after else []
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode())
        async with asyncio.timeout(DEADLINE_S):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        yield Stream(reader, writer, int(head.split()[1]), head, after)
    finally:
        with suppress(OSError):
            writer.transport.abort()


def events_of(task: Json) -> str:
    """Where the stream of a task is."""
    return f"/api/v2/tasks/me/{task['id']}/events"


def transcript_of(task: Json, query: str = "") -> str:
    """Where the transcript of a task is."""
    return f"/api/v2/tasks/me/{task['id']}/transcript{query}"


async def forget(api: Api, before: datetime) -> int:
    """How many events went that were too old to be kept."""
    async with api.services.db.connection() as conn:
        row = await reap_scanned_as_system(conn, EVENTS, before, after=0, batch=10_000)
    return row.gone


class Writer:
    """The agent of a started task, as far as it sends items, through any server of the database."""

    def __init__(self, seat: AgentSeat, actor: AgentActor) -> None:
        self._seat = seat
        self._actor = actor
        self._seq = 0

    @classmethod
    async def of(cls, seat: AgentSeat) -> "Writer":
        """The agent of this seat."""
        api = seat.api
        async with api.services.db.connection() as conn:
            row = await conn.fetchrow(
                "select workspace_id, workspace_build_id, generation from workspace_agents where id = $1",
                seat.agent_id,
            )
        assert row is not None
        task_id = UUID(seat.task["id"])
        actor = AgentActor(
            seat.agent_id,
            row["workspace_id"],
            row["workspace_build_id"],
            row["generation"],
            task_id,
        )
        return cls(seat, actor)

    async def send(self, *items: tuple[ItemKind, object], turn: int = 1) -> None:
        """Stores items as if the agent had sent them together."""
        services = self._seat.api.services
        sent = []
        for kind, data in items:
            self._seq += 1
            raw = data if isinstance(data, bytes) else json.dumps(data).encode()
            sent.append(SentItem(self._seq, services.now(), turn, kind, raw))
        await store_items(services, self._actor, sent, services.now())

    async def thoughts(self, texts: Sequence[str]) -> None:
        """Stores thoughts, together."""
        await self.send(*((ItemKind.THOUGHT, {"text": text}) for text in texts))
