"""Workspace agents reduced to their link, against a served application."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection

from taskyard_agent.link import Link, LinkTarget
from taskyard_agent.mux import Handlers, LinkError, Mux
from taskyard_agent.protocol import (
    PROTOCOL,
    AppHealthReport,
    Hello,
    ItemKind,
    Items,
    ItemsStored,
    LifecycleReport,
    Nothing,
    SentItem,
    Welcome,
)
from tests.api.agent_seat import AgentSeat
from tests.link.pair import attend, sender
from tests.waiting import DEADLINE_S


async def until(check: Callable[[], Awaitable[object]]) -> None:
    """Returns once the check holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not await check():
            await asyncio.sleep(0.005)


class Agent:
    """A workspace agent reduced to its link."""

    def __init__(self, seat: AgentSeat, url: str, ports: dict[int, int]) -> None:
        self.seat = seat
        self.welcomes: list[Welcome] = []
        self.link = Link(
            LinkTarget(url, seat.token),
            "1.2.3",
            Handlers(),
            self._connected,
            refused_after_s=0.2,
            moved_ports=ports,
        )

    async def _connected(self, welcome: Welcome) -> None:
        self.welcomes.append(welcome)

    async def tell(self, method: str, params: msgspec.Struct) -> None:
        """Returns once the server has answered. Raises CallFailed, LinkLost."""
        await self.link.call(method, params, Nothing)

    async def lifecycle(self, state: str) -> None:
        """The agent is in that state."""
        await self.tell("lifecycle", LifecycleReport(state, self.seat.api.now))

    async def health(self, health: str, slug: str = "shell") -> None:
        """The app is in that health."""
        await self.tell("app_health", AppHealthReport(slug, health))

    async def items(self, *items: SentItem) -> int:
        """How far the server holds the items."""
        return (await self.link.call("items", Items(list(items)), ItemsStored)).acked_seq


@asynccontextmanager
async def running(
    seat: AgentSeat, *, url: str | None = None, ports: dict[int, int] | None = None
) -> AsyncIterator[Agent]:
    """A linked agent, until the block ends."""
    agent = Agent(seat, url or seat.api.url, ports or {})
    async with asyncio.TaskGroup() as group:
        group.create_task(agent.link.run())
        try:
            await until(lambda: _linked(agent))
            yield agent
        finally:
            await agent.link.close()


async def _linked(agent: Agent) -> bool:
    return bool(agent.welcomes)


@asynccontextmanager
async def dialed(
    seat: AgentSeat, *, hello: bool = True
) -> AsyncIterator[tuple[ClientConnection, Mux]]:
    """A bare connection that nothing makes again, after its hello unless told."""
    over = False

    async def read(socket: ClientConnection, mux: Mux) -> None:
        try:
            await attend(socket, mux)
        except LinkError:
            if not over:  # what the test found wrong would be lost for this
                raise

    async with LinkTarget(seat.api.url, seat.token).dial() as socket:
        try:
            async with asyncio.TaskGroup() as group:
                mux = Mux(sender(socket), group, Handlers(), accept=_hold_open)
                group.create_task(read(socket, mux))
                if hello:
                    await mux.call("hello", Hello(PROTOCOL, "1"), Welcome)
                try:
                    yield socket, mux
                finally:
                    over = True
                    mux.end("the test is over")
                    await socket.close()
        except* LinkError:
            pass


async def _hold_open(stream: Any) -> None:
    await stream.accept()
    await stream.wait_closed()


def item(seq: int, kind: ItemKind = ItemKind.LOG, data: bytes = b"{}") -> SentItem:
    """An item sent just now."""
    return SentItem(seq, datetime.fromisoformat("2026-01-31T12:00:00Z"), 1, kind, data)


async def row(seat: AgentSeat) -> Any:
    """The stored agent."""
    async with seat.api.services.db.connection() as conn:
        return await conn.fetchrow("select * from workspace_agents where id = $1", seat.agent_id)


async def gone(seat: AgentSeat) -> bool:
    """Whether the server has noted that the agent is not connected."""
    found = await row(seat)
    return found["server_id"] is None and found["disconnected_at"] is not None
