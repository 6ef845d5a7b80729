"""Following one task: everything once and in order, whatever happens to the connection."""

import asyncio
import random
from dataclasses import replace
from datetime import timedelta
from itertools import count
from uuid import UUID, uuid4

import pytest

from taskyard.control.feeds import Feeds
from taskyard.control.services import Services
from taskyard.db.pool import Database, Doorbell
from taskyard.wire.link import ItemKind
from tests.api.agent_seat import started
from tests.api.conftest import serving
from tests.api.seed import UNKNOWN, Api, fields, reason
from tests.api.stream_kit import Writer, events_of, forget, streaming
from tests.control.world_kit import background
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio


async def test_what_was_then_what_comes(api: Api) -> None:
    """What the task has become and its items from the first, then both as they come, and at last that it is gone."""
    seat = await started(api)
    agent = await Writer.of(seat)
    await agent.thoughts(["one", "two"])
    async with (
        background(api.services.doorbell.run()),
        streaming(api, events_of(seat.task)) as stream,
    ):
        assert stream.status == 200
        assert "text/event-stream" in stream.head
        assert "x-accel-buffering: no" in stream.head.lower()
        one, two, standing = await stream.take(3)
        assert [one.data["number"], two.data["number"]] == [1, 2]
        assert set(one.data) == {"number", "kind", "turn", "time", "stored_at", "data"}
        assert (one.kind, one.data["data"]) == ("item", {"text": "one"})
        assert (standing.kind, standing.data["status"]) == ("status", "active")
        await agent.send((ItemKind.USER_MESSAGE, {"text": "go", "prompt_id": None}))
        prompt, working = await stream.take(2)
        assert (prompt.data["kind"], working.data["status"]) == ("user_message", "active")
        assert working.data["current_state"] == (await api.fresh(seat.task))["current_state"]
        await agent.send((ItemKind.TURN_END, {"reason": "end_turn", "error": None}))
        end, idle = await stream.take(2)
        assert (end.data["number"], idle.data["current_state"]["state"]) == (4, "idle")
        assert (await api.call("DELETE", f"/api/v2/tasks/me/{seat.task['id']}")).status_code == 202
        deleted = await stream.next()
        assert deleted is not None
        assert deleted.kind == "deleted"
        assert await stream.next() is None


async def test_where_a_stream_begins(api: Api) -> None:
    """Behind an id, a number, or so many items before the end; an id beyond the end is the end; else it is refused."""
    seat = await started(api)
    agent = await Writer.of(seat)
    await agent.thoughts([f"{n}" for n in range(1, 6)])
    path = events_of(seat.task)

    async def begun(query: str, after: str = "") -> list[str]:
        async with streaming(api, path + query, after=after) as stream:
            told = await stream.until("status")
            return [t.id.partition(".")[0] for t in told[:-1]]

    assert await begun("?tail=2") == ["4", "5"]
    assert await begun("?tail=0") == []
    assert await begun("?after=3") == ["4", "5"]
    assert await begun("?after=3.0") == ["4", "5"]
    assert await begun("?after=1", after="4.0") == ["5"]
    async with streaming(api, path, after="99.99999") as stream:
        await agent.thoughts(["6"])
        [told] = await stream.take(1)
        assert told.data["number"] == 6
    async with streaming(api, path, after="0.0") as stream:
        every = await stream.take(6)
        known = await api.value("select count(*) from task_events")
        every += await stream.take(known)
        statuses = [t.data["status"] for t in every if t.kind == "status"]
        assert statuses[0] == "pending"
        assert statuses[-1] == "active"
    for query in (
        "?after=x",
        "?after=1.2.3",
        f"?after={2**63}",
        "?after=-1",
        "?tail=-1",
        "?tail=x",
    ):
        refused = await api.get(path + query)
        assert refused.status_code == 400
        assert fields(refused) <= {"after", "tail"}


async def test_cuts_lose_and_double_nothing(api: Api) -> None:
    """A client whose connection breaks anywhere, also within an event, has each event once, in order, by its last id."""
    chance = random.Random(5)
    seat = await started(api)
    agent = await Writer.of(seat)
    whole = 400
    numbers: list[int] = []
    ids: list[str] = []

    async def write() -> None:
        for first in range(0, whole, 8):
            await agent.thoughts(
                [f"{n} {'x' * chance.randrange(900)}" for n in range(first, first + 8)]
            )
            await asyncio.sleep(0)
            if first % 80 == 0:
                await api.report(seat.task, "working", f"at {first}")

    async def follow() -> None:
        after = ""
        while not numbers or numbers[-1] < whole:
            async with streaming(api, events_of(seat.task), after=after) as stream:
                for _ in range(chance.randrange(60)):
                    told = await stream.next()
                    assert told is not None
                    after = told.id
                    if told.kind == "item":
                        numbers.append(told.data["number"])
                    else:
                        ids.append(told.id.partition(".")[2])
                    if numbers and numbers[-1] == whole:
                        break

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        group.create_task(write())
        group.create_task(follow())
    assert numbers == list(range(1, whole + 1))
    assert len(ids) == len(set(ids))
    assert [int(i) for i in ids] == sorted(int(i) for i in ids)


def another(services: Services, database: Database, url: str) -> Services:
    """A second server on the same database."""
    return replace(services, db=database, doorbell=Doorbell(url), feeds=Feeds(), server_id=uuid4())


async def test_two_servers_are_one(api: Api, database: Database, database_url: str) -> None:
    """What is stored through one server is told by the other at once, and a client may change over with its id."""
    other = another(api.services, database, database_url)
    seat = await started(api)
    agent = await Writer.of(seat)
    numbers: list[int] = []
    async with (
        background(api.services.doorbell.run(), other.doorbell.run()),
        serving(other) as url,
        asyncio.timeout(DEADLINE_S),
    ):
        after = ""
        for turn in range(6):
            place = (api.url, url)[turn % 2]
            async with streaming(api, events_of(seat.task), after=after, url=place) as stream:
                await agent.thoughts([f"{turn}-{n}" for n in range(10)])
                while len(numbers) < 10 * (turn + 1) - 3:
                    [told] = await stream.take(1)
                    after = told.id
                    if told.kind == "item":
                        numbers.append(told.data["number"])
        async with streaming(api, events_of(seat.task), after=after, url=url) as stream:
            numbers += [t.data["number"] for t in await stream.take(60 - len(numbers))]
    assert numbers == list(range(1, 61))


async def test_a_slow_reader_costs_others_nothing(api: Api) -> None:
    """One client reads nothing while twenty get everything; what it missed it reads later, from the store."""
    seat = await started(api)
    agent = await Writer.of(seat)
    batches, size = 60, 40_000  # more than the kernel's buffers and what a feed keeps

    async def read(stream_after: str = "") -> list[int]:
        async with streaming(api, events_of(seat.task) + "?tail=0", after=stream_after) as stream:
            ready.release()
            found: list[int] = []
            while len(found) < batches:
                [told] = await stream.take(1)
                if told.kind == "item":
                    found.append(told.data["number"])
            return found

    ready = asyncio.Semaphore(0)
    async with streaming(api, events_of(seat.task) + "?tail=0", limit=1024) as slow:
        async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
            readers = [group.create_task(read()) for _ in range(20)]
            for _ in readers:
                await ready.acquire()
            for n in range(batches):
                await agent.thoughts([f"{n}" * size])
        assert all(reader.result() == list(range(1, batches + 1)) for reader in readers)
        late: list[int] = []
        while len(late) < batches:
            [told] = await slow.take(1)
            late += [told.data["number"]] if told.kind == "item" else []
        assert late == list(range(1, batches + 1))


async def test_many_cost_one_read(api: Api) -> None:
    """However many follow a task, what is new is read from the store once; the feed goes with its last client."""
    seat = await started(api)
    agent = await Writer.of(seat)
    feeds = api.services.feeds
    async with asyncio.TaskGroup() as group:
        done = asyncio.Event()
        ready = asyncio.Semaphore(0)
        got = asyncio.Semaphore(0)

        async def read() -> None:
            async with streaming(api, events_of(seat.task)) as stream:
                await stream.until("status")
                ready.release()
                await stream.take(1)
                got.release()
                await done.wait()

        for _ in range(30):
            group.create_task(read())
        for _ in range(30):
            await ready.acquire()
        [feed] = feeds.opened
        before = feed.reads
        await agent.thoughts(["for all"])
        for _ in range(30):
            await got.acquire()
        assert feed.reads - before == 1
        done.set()
    async with asyncio.timeout(DEADLINE_S):
        while feeds.opened:
            await asyncio.sleep(0.01)


async def test_who_may_not_follow(api: Api) -> None:
    """Who may not see a task gets 404; who loses the right is told nothing more."""
    ada, bob = await api.person("ada"), await api.person("bob")
    task = (await started(api, task=await api.task(await api.template(), by=ada))).task
    assert reason(await api.get(events_of(task), by=bob)) == (404, "not_found")
    assert reason(await api.get(f"/api/v2/tasks/me/{UNKNOWN}/events")) == (404, "not_found")
    async with streaming(api, events_of(task), by=ada) as stream:
        await stream.until("status")
        await api.execute("delete from api_keys where user_id = $1", ada.id)
        texts = (f"said {n}" for n in count())
        await api.report(task, "working", next(texts))
        async with asyncio.timeout(DEADLINE_S):
            while await stream.next() is not None:
                await api.report(task, "working", next(texts))


async def test_a_deleted_task_by_its_id(api: Api) -> None:
    """Who could see it reads its stream to the end by its id, once more, also when its events are gone; by name nobody."""
    seat = await started(api)
    agent = await Writer.of(seat)
    await agent.thoughts(["one"])
    assert (await api.call("DELETE", f"/api/v2/tasks/me/{seat.task['id']}")).status_code == 202
    bob = await api.person("bob")
    name = events_of({"id": seat.task["name"]})
    assert reason(await api.get(name)) == (404, "not_found")
    assert reason(await api.get(events_of(seat.task), by=bob)) == (404, "not_found")
    for _ in range(2):
        async with streaming(api, events_of(seat.task)) as stream:
            assert [t.kind for t in await stream.take(2)] == ["item", "deleted"]
            assert await stream.next() is None
        await forget(api, api.now + timedelta(seconds=1))


async def test_a_deleted_task_that_somebody_still_follows(api: Api) -> None:
    """Whoever comes after the deletion gets all items before `deleted`, also where those who follow know less yet."""
    seat = await started(api)
    await (await Writer.of(seat)).thoughts(["one"])
    async with streaming(api, events_of(seat.task)) as stream:
        await stream.until("status")
        # As another server does it, whose bells have not come yet.
        await api.execute(
            "with t as (update tasks set last_number = 3, deleted_at = now() where id = $1)"
            " insert into task_items (task_id, number, kind, turn, data, time, stored_at)"
            " select $1, n, 'thought', 1, '{}', now(), now() from generate_series(2, 3) n",
            UUID(seat.task["id"]),
        )
        async with streaming(api, events_of(seat.task)) as late:
            assert [t.id.partition(".")[0] for t in await late.take(4)] == ["1", "2", "3", "3"]
            assert await late.next() is None
        told = await stream.take(3)
        assert [t.kind for t in told] == ["item", "item", "deleted"]
