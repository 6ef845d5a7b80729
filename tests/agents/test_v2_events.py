"""Streams of `/v2`: everything once and in order, whatever breaks in between, and never behind a stuck reader."""

import asyncio
import os
import random
import socket
from collections import Counter
from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from taskyard_agent.bridge.options import Limits, Options
from taskyard_agent.bridge.record import Record
from taskyard_agent.bridge.v2 import follow
from taskyard_agent.bridge.v2.follow import ItemFeed
from taskyard_agent.journal import Journal
from taskyard_agent.protocol import ItemKind
from tests.agents.bridge_kit import bridge, exchange, port_of, say, stable
from tests.agents.v2_kit import (
    Event,
    Running,
    events,
    get,
    items_on_disk,
    post,
    process,
    prompt,
    refused,
    until_idle,
)
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio


MANY = "unknown\n" * 300 + "big 100000\nwait"
"""A prompt whose answer has six hundred items, and no end."""


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


def numbers(found: list[Event]) -> list[int]:
    return [one.id for one in found]


async def test_N38_replay_and_live(tmp_path: Path) -> None:
    """A stream begins with what is on disk and goes on with what comes: each item once, in order, as stored."""
    async with bridge(tmp_path) as client:
        await say(client, "updates 3")
        await stable(client)
        async with events(client) as stream:
            found = await stream.until("turn_end")
            await say(client, "updates 3")
            found += await stream.until("turn_end")
        assert numbers(found) == list(range(1, len(found) + 1))
        on_disk = items_on_disk(tmp_path)
        assert [one.data for one in found] == on_disk[: len(found)]
        assert [one.name for one in found] == [item["kind"] for item in on_disk[: len(found)]]


async def test_N38_from_a_number_on(tmp_path: Path) -> None:
    """`after` and Last-Event-ID both say where to go on; the header wins, since browsers repeat the query."""
    async with bridge(tmp_path) as client:
        await say(client, "updates 3")
        await stable(client)
        async with events(client, after=3) as stream:
            assert (await stream.next()).id == 4
        async with events(client, after=1, last_id=5) as stream:
            assert (await stream.next()).id == 6
        last = items_on_disk(tmp_path)[-1]["seq"]
        async with events(client, last_id=int(str(last))) as stream:
            await say(client, "updates 1")
            assert (await stream.next()).id == int(str(last)) + 1
        for headers in ({"Last-Event-ID": "x"}, {"Last-Event-ID": "-1"}):
            async with client.get("/v2/events", headers=headers) as answer:
                await refused(answer, 422, "invalid")


async def test_N41_a_gap(tmp_path: Path) -> None:
    """Where the oldest items were dropped, or a number is not there yet, the first event says so."""
    options = Options(limits=Limits(transcript_bytes=64 * 1024))
    async with bridge(tmp_path, options) as client:
        for _ in range(4):
            await say(client, "big 30000")
            await stable(client)
        first = (await get(client, "/v2/transcript"))["first_seq"]
        assert isinstance(first, int)
        assert first > 5
        for after in (0, first - 2, 10**9):
            async with events(client, after=after) as stream:
                gap, item = await stream.next(), await stream.next()
                assert (gap.name, gap.id) == ("gap", first - 1)
                assert gap.data == {"after": after, "first_seq": first}
                assert item.id == first
        async with events(client, after=first - 1) as stream:
            assert (await stream.next()).id == first


async def test_N38_resume_across_a_restart(tmp_path: Path) -> None:
    """With its last id a reader misses nothing and gets nothing twice, though the bridge is killed in between."""
    seen: list[Event] = []
    dice = random.Random(7)
    for _ in range(4):
        async with process(tmp_path) as running:
            await until_idle(running.client)
            await prompt(running.client, MANY)
            last = seen[-1].id if seen else None
            async with events(running.client, last_id=last) as stream:
                wanted = len(seen) + dice.randrange(5, 300)
                while len(seen) < wanted:
                    seen.append(await stream.next())
                await running.kill()
                with suppress(EOFError, aiohttp.ClientError):
                    while True:
                        seen.append(await stream.next())
    assert numbers(seen) == list(range(1, len(seen) + 1))
    on_disk = items_on_disk(tmp_path)
    assert [one.data for one in seen] == on_disk[: len(seen)]
    assert all(one.name != "gap" for one in seen)


async def hammer(running: Running, seen: list[Event], dice: random.Random) -> None:
    """Talks with the bridge until it is killed; everything that any stream showed is in seen."""

    async def listen() -> None:
        with suppress(EOFError, aiohttp.ClientError):
            async with events(running.client) as stream:
                while True:
                    seen.append(await stream.next())

    async with asyncio.TaskGroup() as tasks:
        listening = [tasks.create_task(listen()) for _ in range(3)]
        await prompt(running.client, MANY)
        wanted = dice.randrange(5, 900)
        async with asyncio.timeout(DEADLINE_S):
            while len(seen) < wanted:
                await asyncio.sleep(0)
        await running.kill()
        await asyncio.wait(listening)


async def test_N15_N38_killed_at_random(tmp_path: Path) -> None:
    """After kill -9 at any moment what any client saw is on disk, and the numbers have no hole."""
    dice = random.Random(11)
    for _ in range(5):
        seen: list[Event] = []
        async with process(tmp_path, transcript_bytes=512 * 1024) as running:
            await until_idle(running.client)
            await hammer(running, seen, dice)
        on_disk = {int(str(item["seq"])): item for item in items_on_disk(tmp_path)}
        assert sorted(on_disk) == list(range(min(on_disk), max(on_disk) + 1))
        for one in seen:
            if one.name != "gap" and one.id >= min(on_disk):
                assert on_disk[one.id] == one.data
    assert len(list((tmp_path / ".taskyard").glob("transcript*.jsonl"))) > 1


async def test_A11_N39_a_hundred_with_one_stuck(tmp_path: Path) -> None:
    """A hundred streams all get every item once, though one of them is not read; it gets the rest later."""
    async with bridge(tmp_path) as client:
        url = f"http://127.0.0.1:{port_of(client)}"
        stuck = socket.socket()
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        stuck.connect(("127.0.0.1", port_of(client)))
        reader, writer = await asyncio.open_connection(sock=stuck, limit=1 << 14)
        writer.write(b"GET /v2/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as many:
            async with asyncio.TaskGroup() as tasks:
                all_of_them = [tasks.create_task(whole_turn(many)) for _ in range(99)]
                await until_open(client, 100)
                await say(client, "big 3000000\nupdates 200")
            counted = Counter(tuple(task.result()) for task in all_of_them)
        [(seen, count)] = counted.items()
        assert count == 99
        assert list(seen) == list(range(1, len(seen) + 1))
        raw = b""
        async with asyncio.timeout(DEADLINE_S):
            while b"event: turn_end" not in raw:
                more = await reader.read(1 << 16)
                assert more, "the stream has ended"
                raw += more
        writer.close()
        late = [int(part.split(b"\n")[0]) for part in raw.split(b"id: ")[1:] if b"\n" in part]
        assert late[: len(seen) - 1] == list(seen)[:-1]


async def whole_turn(client: aiohttp.ClientSession) -> list[int]:
    """The numbers of all events up to the end of a turn."""
    async with events(client) as stream:
        return numbers(await stream.until("turn_end"))


async def until_open(client: aiohttp.ClientSession, count: int) -> None:
    """Returns once so many streams are open."""
    line = f"taskyard_bridge_open_streams {count}\n"
    async with asyncio.timeout(DEADLINE_S):
        while line not in await (await client.get("/metrics")).text():
            await asyncio.sleep(0.01)


async def test_N41_streams_are_counted(tmp_path: Path) -> None:
    """One stream too many, of either kind, is refused; one that is closed makes room again."""
    async with bridge(tmp_path, Options(limits=Limits(streams=2))) as client:
        first = await client.get("/events")
        async with events(client):
            await refused(await client.get("/v2/events"), 429, "queue_full")
            third = await client.get("/internal/screen")
            assert third.status == 429
            assert third.headers["X-Agentapi-Code"] == "queue_full"
        await until_open(client, 1)
        async with events(client):
            pass
        first.close()


async def test_A11_the_end(tmp_path: Path) -> None:
    """A bridge that stops ends its streams in order, with all that there was to tell."""
    async with asyncio.TaskGroup() as tasks:
        async with bridge(tmp_path) as client:
            request = b"GET /v2/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
            end = tasks.create_task(exchange(client, request))
            await until_open(client, 1)
        raw = await end
    assert raw.endswith(b"\r\n0\r\n\r\n")
    assert raw.count(b"\nid: ") == len(items_on_disk(tmp_path))


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    """A record without any item."""
    journal = Journal(tmp_path / "t.jsonl")
    yield Record(journal, lambda: datetime.now(UTC))
    if journal._timer is not None:
        journal._timer.cancel()
    os.close(journal._file.fd)


class Sent(list[bytes]):
    """What was sent."""

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        self.append(message["body"])


async def test_heartbeat(record: Record) -> None:
    """A stream that has nothing to tell shows by a comment that it lives; by default every 15 s."""
    assert follow.HEARTBEAT_S == 15
    sent = Sent()
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(ItemFeed(record, 0, heartbeat_s=0.001).feed(sent))
        while len(sent) < 5:
            await asyncio.sleep(0.001)
        record.close()
    assert set(sent) == {b":\n\n"}


async def test_N4_an_idle_stream_waits(record: Record) -> None:
    """A feed without news does nothing until there is an item; then it sends that and waits again."""
    sent = Sent()
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(ItemFeed(record, 0).feed(sent))
        while not record.journal._bell._waiters:
            await asyncio.sleep(0)
        assert sent == [follow.COMMENT]
        record.put(ItemKind.LOG, {"text": "x"})
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(sent) == 2
        assert record.journal._bell._waiters
        record.close()


async def test_N11_permissions(tmp_path: Path) -> None:
    """A request waits for a person: it is listed, answered once, and the transcript says by whom."""
    async with bridge(tmp_path, permissions="ask") as client:
        assert (await get(client, "/v2/permissions"))["permissions"] == []
        await say(client, "ask allow_once,reject_once")
        async with events(client) as stream:
            asked = (await stream.until("permission_request"))[-1].data["data"]
            assert isinstance(asked, dict)
            [found] = listed(await get(client, "/v2/permissions"))
            name = found["id"]
            assert name == asked["id"]
            assert found["options"] == asked["options"]
            assert (await get(client, "/v2/session"))["state"] == "awaiting_permission"
            path = f"/v2/permissions/{name}"
            for body, code in (
                ({}, "invalid"),
                ({"outcome": "selected"}, "invalid"),
                ({"option_id": "o0", "outcome": "cancelled"}, "invalid"),
                ({"option_id": "nope"}, "no_such_option"),
            ):
                async with client.post(path, json=body) as answer:
                    await refused(answer, 422, code)
            headers = {"X-Taskyard-Answered-By": "ada"}
            async with client.post(path, json={"option_id": "o1"}, headers=headers) as answer:
                assert (answer.status, await answer.json()) == (200, {"ok": True})
            said = (await stream.until("permission_response"))[-1].data["data"]
            assert isinstance(said, dict)
            assert (said["option_id"], said["by"], said["name"]) == ("o1", "person", "ada")
        async with client.post(path, json={"option_id": "o1"}) as answer:
            await refused(answer, 409, "answered")
        async with client.post("/v2/permissions/none", json={"option_id": "o1"}) as answer:
            await refused(answer, 404, "unknown")
        await until_idle(client)


async def test_N11_a_permission_cancelled(tmp_path: Path) -> None:
    """A request can be answered with cancelled, by the caller's wish or by the end of its turn."""
    async with bridge(tmp_path, permissions="ask") as client:
        await say(client, "ask allow_once")
        async with events(client) as stream:
            asked = (await stream.until("permission_request"))[-1].data["data"]
            assert isinstance(asked, dict)
            await post(client, f"/v2/permissions/{asked['id']}", {"outcome": "cancelled"})
            said = (await stream.until("permission_response"))[-1].data["data"]
            assert isinstance(said, dict)
            assert said["option_id"] is None
        await until_idle(client)


def listed(found: dict[str, object]) -> list[dict[str, object]]:
    permissions = found["permissions"]
    assert isinstance(permissions, list)
    return permissions


async def test_report(tmp_path: Path) -> None:
    """What the coding agent says of itself is an item; what makes no sense is refused."""
    async with bridge(tmp_path) as client:
        body: dict[str, object] = {"summary": "All green", "outcome": "complete"}
        await post(client, "/v2/report", body)
        await post(client, "/v2/report", body | {"link": "https://example.com/pr/1"})
        reports = [item["data"] for item in items_on_disk(tmp_path) if item["kind"] == "report"]
        assert reports == [
            {"summary": "All green", "link": None, "outcome": "complete"},
            {"summary": "All green", "link": "https://example.com/pr/1", "outcome": "complete"},
        ]
        for change in ({"summary": ""}, {"summary": "x" * 161}, {"outcome": "idle"}, {"more": 1}):
            async with client.post("/v2/report", json=body | change) as answer:
                await refused(answer, 422, "invalid")
