"""How links end: replaced, broken by garbage or by a failure of ours, silent; and who notices."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from taskyard.control.services import Services
from taskyard_agent.link import LinkTarget
from taskyard_agent.mux import LinkError
from taskyard_agent.protocol import (
    MAX_FRAME_BYTES,
    PROTOCOL,
    Data,
    Hello,
    LogLine,
    LogLines,
    Nothing,
    Open,
    Opened,
    Welcome,
)
from tests.api.agent_seat import AgentSeat, started
from tests.api.conftest import serving
from tests.api.link_kit import Agent, dialed, gone, row, running, until
from tests.api.seed import Api, connected
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio


async def test_the_newest_connection_wins(api: Api) -> None:
    """A second connection of an agent takes the place of the first, which is closed and changes nothing."""
    seat = await started(api)
    async with dialed(seat) as (first, _):
        older = await api.services.links.get(seat.agent_id)
        async with dialed(seat) as (_, mux):
            async with asyncio.timeout(DEADLINE_S):
                await first.wait_closed()
            newest = await api.services.links.get(seat.agent_id)
            assert newest is not older
            assert older.lost
            async with await newest.open_stream(1):
                pass
            await mux.call("heartbeat", Nothing(), Nothing)
            assert not await gone(seat)
    await until(partial(gone, seat))


async def test_connecting_again_and_again(api: Api) -> None:
    """However connections of one agent overlap and end, the last one that stays is the one that is stored."""
    seat = await started(api)

    async def brief() -> None:
        async with dialed(seat, hello=False) as (_, mux):
            # A newer connection may win before this is answered: then the block is left with nothing said.
            await mux.call("hello", Hello(PROTOCOL, "1"), Welcome)

    for _ in range(5):
        async with dialed(seat) as (_, mux):
            async with asyncio.TaskGroup() as group:
                for _ in range(3):
                    group.create_task(brief())
            await until(partial(_settled, api, seat))
        async with dialed(seat) as (_, mux):
            assert not await gone(seat)
            await mux.call("heartbeat", Nothing(), Nothing)
            assert (await row(seat))["server_id"] == api.services.server_id


async def _settled(api: Api, seat: AgentSeat) -> bool:
    """Whether links and store agree."""
    return api.services.links.holds(seat.agent_id) != await gone(seat)


LEASE_S = 6.0
"""Seconds of a lease that is renewed each second, and that no busy machine lets lapse."""

GARBAGE: dict[str, bytes | str] = {
    "text": "hello",
    "noise": b"\xc1\xff\x00garbage",
    "empty": b"",
    "stream": msgspec.msgpack.encode(Data(9, b"x")),
    "open": msgspec.msgpack.encode(Open(1, 22)),
    "opened": msgspec.msgpack.encode(Opened(1)),
    "deep": b"\x91" * 5000,
    "large": b"x" * (MAX_FRAME_BYTES + 1),
}


@pytest.mark.parametrize("name", GARBAGE)
@pytest.mark.attack(
    "A workspace sends frames that break the rules of the link",
    wall="that connection ends, and nobody else's",
)
async def test_garbage_ends_only_its_own_link(api: Api, name: str) -> None:
    """A frame that breaks the rules closes that connection; it takes nobody's place and nobody else notices."""
    seat, other = await started(api), await started(api)
    async with dialed(seat) as (_, mux), dialed(other) as (_, neighbour):
        async with LinkTarget(api.url, seat.token).dial() as socket:
            with pytest.raises(ConnectionClosed):
                await _told(socket, GARBAGE[name])
        await mux.call("heartbeat", Nothing(), Nothing)
        await neighbour.call("heartbeat", Nothing(), Nothing)
    async with dialed(seat) as (socket, _), dialed(other) as (_, neighbour):
        async with asyncio.timeout(DEADLINE_S):
            with suppress(ConnectionClosed):
                await socket.send(GARBAGE[name])
            await socket.wait_closed()
        await until(partial(gone, seat))
        await neighbour.call("heartbeat", Nothing(), Nothing)


async def _told(socket: ClientConnection, garbage: bytes | str) -> None:
    """Sends it, which may fail already where it is long, and waits for an answer."""
    async with asyncio.timeout(DEADLINE_S):
        await socket.send(garbage)
        await socket.recv()


async def test_a_failure_of_ours_ends_one_link(api: Api) -> None:
    """What the server cannot store for a reason of its own is not taken for stored: the agent connects again."""
    seat = await started(api)
    async with running(seat) as agent:
        await api.execute("alter table workspace_agent_logs rename to away")
        with pytest.raises(LinkError):
            await agent.tell("logs", LogLines("start", [LogLine(api.now, "info", "x")]))
        await api.execute("alter table away rename to workspace_agent_logs")
        await until(partial(_welcomed, agent, 2))
        await agent.tell("logs", LogLines("start", [LogLine(api.now, "info", "x")]))
    assert await api.value("select count(*) from workspace_agent_logs") == 1


async def _welcomed(agent: Agent, times: int) -> bool:
    return len(agent.welcomes) >= times and agent.link.connected


async def test_a_silent_link_is_closed(services: Services) -> None:
    """Who says nothing for as long as a lease is gone, even if nobody hung up."""
    short, longer = (_leasing(services, lease_s) for lease_s in (0.6, LEASE_S))
    async with serving(short) as url, connected(short, url) as api, serving(longer) as steady:
        seat = await started(api)
        async with dialed(seat) as (socket, _):
            async with asyncio.timeout(DEADLINE_S):
                await socket.wait_closed()
            await until(partial(gone, seat))
        async with running(seat, url=steady) as agent:
            until_ = api.now + timedelta(seconds=LEASE_S + 0.1)
            await until(partial(_leased, seat, until_))
            assert len(agent.welcomes) == 1


def _leasing(services: Services, lease_s: float) -> Services:
    """A server whose agents have so long to say something."""
    settings = msgspec.structs.replace(services.settings, agent_lease_s=lease_s)
    return replace(services, settings=settings)


async def _leased(seat: AgentSeat, until_: datetime) -> bool:
    expires: datetime = (await row(seat))["lease_expires_at"]
    return expires > until_
