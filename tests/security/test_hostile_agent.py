"""What a workspace can do with its own, good agent token: be refused, be late, be cut off; never touch another task."""

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from taskyard.control import fullness
from taskyard.control.services import Services
from taskyard.control.throttle import AT_ONCE, AT_ONCE_UNKNOWN, LINKS, Throttle
from taskyard_agent.link import LinkTarget
from taskyard_agent.protocol import (
    MAX_FRAME_BYTES,
    PROTOCOL,
    Call,
    Close,
    Credit,
    Data,
    Frame,
    Hello,
    ItemKind,
    Items,
    ItemsStored,
    Nothing,
    Open,
    Opened,
    Reply,
    SentItem,
    Welcome,
)
from tests.api.agent_seat import AgentSeat, started
from tests.api.conftest import serving
from tests.api.link_kit import dialed, item
from tests.api.seed import Api, connected

pytestmark = pytest.mark.anyio

DEADLINE_S = 60.0
packed = msgspec.msgpack.encode
NOW = datetime.now(UTC)


@pytest.fixture
async def api(services: Services) -> AsyncIterator[Api]:
    """A running server without workers."""
    async with serving(services) as url, connected(services, url) as connection:
        yield connection


class Raw:
    """A link of which every byte is the test's."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self._ids = iter(range(1, 1_000_000))

    async def ask(self, method: str, params: bytes) -> str:
        """The code by which a call was refused, `ok` when it was not, `gone` when the link ended."""
        call = Call(next(self._ids), method, params)
        try:
            await self.socket.send(packed(call))
            while True:
                frame = msgspec.msgpack.decode(await self.socket.recv(), type=Frame)
                if isinstance(frame, Reply) and frame.id == call.id:
                    return "ok" if frame.error is None else frame.error.code
        except ConnectionClosed:
            return "gone"

    async def hello(self) -> Welcome:
        """The link is one from now on."""
        await self.socket.send(packed(Call(0, "hello", packed(Hello(PROTOCOL, "1")))))
        frame = msgspec.msgpack.decode(await self.socket.recv(), type=Frame)
        assert isinstance(frame, Reply)
        return msgspec.msgpack.decode(frame.result, type=Welcome)


@contextlib.asynccontextmanager
async def raw(seat: AgentSeat) -> AsyncIterator[Raw]:
    async with asyncio.timeout(DEADLINE_S):
        async with LinkTarget(seat.api.url, seat.token).dial() as socket:
            yield Raw(socket)


STATE = """select jsonb_build_object(
    'task', (select to_jsonb(t) from tasks t where t.id = $1),
    'workspace', (select to_jsonb(w) - 'last_used_at' from workspaces w join tasks t on t.workspace_id = w.id where t.id = $1),
    'agents', (select jsonb_agg(to_jsonb(a) order by a.id) from workspace_agents a join tasks t using (workspace_id) where t.id = $1),
    'items', (select jsonb_agg(to_jsonb(i) order by i.number) from task_items i where i.task_id = $1),
    'prompts', (select jsonb_agg(to_jsonb(p) order by p.id) from task_prompts p where p.task_id = $1),
    'permissions', (select jsonb_agg(to_jsonb(p) order by p.id) from task_permissions p where p.task_id = $1),
    'snapshot', (select to_jsonb(s) from task_snapshots s where s.task_id = $1),
    'statuses', (select jsonb_agg(to_jsonb(s) order by s.id) from workspace_app_statuses s join tasks t using (workspace_id) where t.id = $1),
    'logs', (select jsonb_agg(to_jsonb(l) order by l.id) from workspace_agent_logs l
        join workspace_agents a on a.id = l.agent_id join tasks t using (workspace_id) where t.id = $1)
)"""


async def state(seat: AgentSeat) -> object:
    """All that is stored of a task."""
    async with seat.api.services.db.connection() as conn:
        return json.loads(await conn.fetchval(STATE, seat.task["id"]))


async def victim_of(api: Api) -> AgentSeat:
    """Somebody else's task, with something of everything."""
    seat = await started(api)
    asked = {"id": "ask-1", "title": "May I?", "options": [{"option_id": "yes", "name": "Yes"}]}
    async with dialed(seat) as (_, mux):
        sent = [
            item(1, ItemKind.STATE, b'{"state": "waiting", "session": "turn"}'),
            item(2, ItemKind.PERMISSION_REQUEST, json.dumps(asked).encode()),
        ]
        await mux.call("items", Items(sent), ItemsStored)
    assert (await seat.report(message="mine")).status_code == 200
    return seat


def sent(data: bytes = b"{}", *, kind: str = "log", seq: Any = 1, **other: Any) -> bytes:
    """One item as the parameters of a call, with whatever the test puts into it."""
    one = {"seq": seq, "time": NOW, "turn": 1, "kind": kind, "data": data}
    return packed({"items": [one | other]})


def lines(**other: Any) -> bytes:
    line = {"at": NOW, "level": "info", "text": "x"} | other
    return packed({"source": "agent", "lines": [line]})


CALLS: dict[str, tuple[str, bytes, set[str]]] = {
    "a method that is none": ("drop_table", b"\x80", {"unknown_method"}),
    "a method of the server's": ("repository_push", b"\x80", {"unknown_method"}),
    "parameters that are none": ("items", b"\xc1", {"bad_params"}),
    "parameters of another shape": ("items", packed([1]), {"bad_params"}),
    "parameters that nest": ("items", b"\x91" * 100_000, {"bad_params"}),
    "a map of a billion": ("items", b"\xdf\x3b\x9a\xca\x00", {"bad_params"}),
    "an item below zero": ("items", sent(seq=-5), {"ok"}),
    "an item far ahead": ("items", sent(seq=2**63 - 1), {"items_missing"}),
    "an item beyond counting": ("items", sent(seq=2**64 - 1), {"items_missing", "bad_params"}),
    "an item of no number": ("items", sent(seq=float("nan")), {"bad_params"}),
    "a gap": ("items", sent(seq=3), {"items_missing"}),
    "a turn below zero": ("items", sent(turn=-1), {"bad_params"}),
    "a turn beyond the column": ("items", sent(turn=2**31), {"bad_params"}),
    "a kind that is none": ("items", sent(kind="x"), {"bad_params"}),
    "a kind of the server's": ("items", sent(kind="phase"), {"bad_params"}),
    "data that is no JSON": ("items", sent(b"{"), {"bad_params"}),
    "data that is no object": ("items", sent(b"[]"), {"bad_params"}),
    "data that is no number": ("items", sent(b'{"a":NaN}'), {"bad_params"}),
    "data that is no text": ("items", sent(b"\xff\xfe"), {"bad_params"}),
    "data that nests": ("items", sent(b'{"a":' * 50_000), {"bad_params"}),
    "data with NUL": ("items", sent(b'{"a":"\0"}'), {"bad_params"}),
    "a time of no zone": ("items", sent(time="2026-01-01T00:00:00"), {"bad_params"}),
    "a time before the first": ("items", sent(time="0001-01-01T00:00:00+23:59"), {"bad_params"}),
    "a time after the last": ("items", sent(time="9999-12-31T23:59:59-23:59"), {"bad_params"}),
    "six thousand items": ("items", packed({"items": [item(1)] * 6000}), {"bad_params"}),
    "a state of no kind": ("items", sent(b'{"state": "root"}', kind="state"), {"ok"}),
    "half a character": ("items", sent(b'{"text":"\\ud800"}', kind="user_message", seq=2), {"ok"}),
    "an escaped NUL": ("items", sent(b'{"text":"\\u0000"}', kind="user_message", seq=3), {"ok"}),
    "a number of a thousand digits": ("items", sent(b'{"a":' + b"9" * 1000 + b"}", seq=4), {"ok"}),
    "a question without end": (
        "items",
        sent(b'{"id":"' + b"q" * 5000 + b'"}', kind="permission_request", seq=5),
        {"ok"},
    ),
    "an answer to another's question": (
        "items",
        sent(b'{"id":"ask-1","option_id":"yes"}', kind="permission_response", seq=6),
        {"ok"},
    ),
    "the same once more": ("items", sent(seq=1), {"ok"}),
    "a life of no kind": ("lifecycle", packed({"state": "root", "at": NOW}), {"bad_params"}),
    "a life at no time": ("lifecycle", packed({"state": "ready", "at": "x"}), {"bad_params"}),
    "a life in the year 9999": (
        "lifecycle",
        packed({"state": "ready", "at": "9999-12-31T23:59:59Z"}),
        {"ok"},
    ),
    "a health of no kind": ("app_health", packed({"slug": "s", "health": "x"}), {"bad_params"}),
    "an app with NUL": ("app_health", packed({"slug": "\0", "health": "healthy"}), {"ok"}),
    "an app without end": (
        "app_health",
        packed({"slug": "s" * 500_000, "health": "healthy"}),
        {"ok"},
    ),
    "a line in the year 1": ("logs", lines(at="0001-01-01T00:00:00Z"), {"ok"}),
    "a line before it": ("logs", lines(at="0001-01-01T00:00:00+23:59"), {"bad_params"}),
    "a line of no level": ("logs", lines(level="\0" * 1000), {"ok"}),
    "a line with all that is odd": ("logs", lines(text="\0\x1b[2J\u202e\ufeff\U0010ffff"), {"ok"}),
    "a source with NUL": ("logs", packed({"source": "\0" * 999, "lines": []}), {"ok"}),
    "a hello of another release": ("hello", packed(Hello(-1, "x")), {"protocol_mismatch"}),
    "a release beyond counting": ("hello", packed(Hello(2**63, "x")), {"protocol_mismatch"}),
    "a hello with NUL": ("hello", packed(Hello(PROTOCOL, "\0" * 1000)), {"ok"}),
    "a hello without end": ("hello", packed(Hello(PROTOCOL, "v" * 900_000)), {"ok"}),
}
"""A call over a good link, and how it may be answered. The link goes on after each."""


@pytest.mark.attack(
    "calls over the agent link that make no sense, or speak of another task",
    wall="each message is read by its type, with limits of size, number and time; rows are found by the token's workspace",
)
async def test_calls_of_a_hostile_agent(api: Api) -> None:
    """Each gets an answer of its own and the link goes on; nothing of another task changes."""
    victim, hostile = await victim_of(api), await started(api)
    before, found = await state(victim), {}
    async with raw(hostile) as link:
        await link.hello()
        for name, (method, params, _) in CALLS.items():
            found[name] = await link.ask(method, params)
        assert await link.ask("heartbeat", packed(Nothing())) == "ok"
    wrong = {name: code for name, code in found.items() if code not in CALLS[name][2]}
    assert wrong == {}
    assert await state(victim) == before


FRAMES: dict[str, list[bytes | str]] = {
    "a text": ["{}"],
    "garbage": [b"\xc1"],
    "nothing": [b""],
    "more than a frame": [b"x" * (MAX_FRAME_BYTES + 1)],
    "a frame that nests": [b"\x91" * 100_000],
    "a stream to the server": [packed(Open(1, 22))],
    "a stream that nobody opened": [packed(Opened(7))],
    "data for nobody": [packed(Data(1, b"x"))],
    "credit for nobody": [packed(Credit(1, 2**60))],
    "credit below zero": [packed(Credit(1, -1))],
    "the end of nothing": [packed(Close(-1, None))],
    "an answer to nothing": [packed(Reply(1, b"", None))],
    "one call twice": [packed(Call(1, "heartbeat", b"\x80"))] * 2,
    "more calls than there may be": [packed(Call(n, "items", sent(b"{}"))) for n in range(1000)],
    "a call below zero": [packed({"type": "call", "id": -(2**63), "method": "x"})],
}
"""Frames that break the link's rules."""


@pytest.mark.attack(
    "frames that break the rules of the agent link",
    wall="the link ends at once; nothing of it stays, and the agent may dial again",
)
async def test_frames_of_a_hostile_agent(api: Api) -> None:
    """Whatever breaks the rules ends that link alone; another task's stays, and a new one is taken."""
    victim, hostile = await victim_of(api), await started(api)
    left = []
    async with raw(victim) as mine:
        await mine.hello()
        before = await state(victim)
        for name, frames in FRAMES.items():
            async with raw(hostile) as link:
                with contextlib.suppress(ConnectionClosed):
                    await link.hello()
                    for frame in frames:
                        await link.socket.send(frame)
                    async with asyncio.timeout(DEADLINE_S / 2):
                        while True:
                            await link.socket.recv()
                if link.socket.state.name == "OPEN":
                    left.append(name)
        assert left == []
        assert await state(victim) == before
        assert await mine.ask("heartbeat", packed(Nothing())) == "ok"
    async with raw(hostile) as link:
        assert (await link.hello()).manifest.workspace_id is not None


async def requests(hostile: AgentSeat, victim: AgentSeat) -> dict[str, int]:
    """The status of each hostile request of a program in the workspace."""
    body = b'{"messages": []}'
    agent = uuid4()
    return {
        "another's snapshot": (await hostile.upload(body, task=victim.task["id"])).status_code,
        "a snapshot of no task": (await hostile.upload(body, task="../../x")).status_code,
        "a snapshot without end": (await hostile.upload(b" " * 70_000)).status_code,
        "a snapshot that nests": (
            await hostile.upload(b'{"messages":' + b"[" * 60_000)
        ).status_code,
        "a status with NUL": (await hostile.report(message="\0", uri="\0")).status_code,
        "a status of another's app": (await hostile.report(app_slug="\0" * 99)).status_code,
        "a status of a megabyte": (await hostile.report(message="m" * 2**20)).status_code,
        "a link of a megabyte": (await hostile.report(uri="u" * 2**20)).status_code,
        "a state of no kind": (await hostile.report(state="root")).status_code,
        "half a character": (
            await hostile.call("PATCH", "app-status", content=b'{"message":"\\ud800"}')
        ).status_code,
        "a log of no source": (
            await hostile.call(
                "PATCH", "logs", {"log_source_id": str(agent), "logs": [{"output": "x"}]}
            )
        ).status_code,
        "a line in the year 9999": (
            await hostile.call(
                "PATCH",
                "logs",
                {"logs": [{"created_at": "9999-12-31T23:59:59-23:59", "output": "x"}]},
            )
        ).status_code,
        "a source with NUL": (
            await hostile.call("POST", "log-source", {"display_name": "\0", "icon": "\0"})
        ).status_code,
        "a person's route": (
            await hostile.api.call(
                "GET",
                f"/api/v2/tasks/me/{victim.task['id']}",
                headers={"Coder-Session-Token": hostile.token},
            )
        ).status_code,
    }


@pytest.mark.attack(
    "requests with an agent's token about another task, or that make no sense",
    wall="an agent's token opens the routes of its own workspace; bodies have a size and a shape",
)
async def test_requests_of_a_hostile_agent(api: Api) -> None:
    """Each is refused, or is about the sender's own task; nothing of another one changes."""
    victim, hostile = await victim_of(api), await started(api)
    before = await state(victim)
    answers = await requests(hostile, victim)
    assert {name: code for name, code in answers.items() if code >= 500} == {}
    refused = {name for name, code in answers.items() if 400 <= code < 500}
    assert refused >= {
        "another's snapshot",
        "a snapshot of no task",
        "a snapshot without end",
        "a snapshot that nests",
        "a status of another's app",
        "a status of a megabyte",
        "a link of a megabyte",
        "a state of no kind",
        "a log of no source",
        "a person's route",
    }, answers
    assert await state(victim) == before


@contextlib.asynccontextmanager
async def api_with(services: Services, throttle: Throttle) -> AsyncIterator[Api]:
    services = dataclasses.replace(services, throttle=throttle)
    async with serving(services) as url, connected(services, url) as connection:
        yield connection


async def most_in_use(services: Services, allowed: int, walls: str) -> int:
    """The connections to the database that are in use: without walls once they are more than allowed, else after a moment."""
    most = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1 if walls == "walls" else DEADLINE_S / 2):
            while most <= allowed:
                most = max(most, services.db.connections[0])
                await asyncio.sleep(0.005)
    return most


WALLS = {"walls": Throttle, "none": lambda: Throttle(at_once=1000, unknown=1000)}


@pytest.mark.attack(
    "calls that hold the database up, over many links with one token",
    wall="a workspace has two turns at the database at once",
)
@pytest.mark.parametrize("walls", WALLS)
async def test_one_workspace_cannot_take_the_database(services: Services, walls: str) -> None:
    """However long each of its calls takes, others are served by what is left; without the wall little is."""
    async with api_with(services, WALLS[walls]()) as api, contextlib.AsyncExitStack() as stack:
        hostile, victim = await started(api), await started(api)
        links = [await stack.enter_async_context(raw(hostile)) for _ in range(LINKS)]
        async with asyncio.TaskGroup() as group:
            async with services.db.transaction() as conn:
                await conn.execute(
                    "select from workspaces where id = $1 for update", hostile.task["workspace_id"]
                )
                calls = [group.create_task(link.ask("items", sent())) for link in links]
                most = await most_in_use(services, AT_ONCE + 1, walls) - 1
                if walls == "walls":
                    async with raw(victim) as link:
                        await link.hello()
            async with asyncio.timeout(DEADLINE_S):
                assert {await call for call in calls} <= {"ok", "gone", "items_missing"}
    assert (most <= AT_ONCE) is (walls == "walls"), most


@pytest.mark.attack(
    "guessed agent tokens by the hundred",
    wall="three are looked up at once, all others wait for those",
)
@pytest.mark.parametrize("walls", WALLS)
async def test_guesses_cannot_take_the_database(services: Services, walls: str) -> None:
    """However slow the lookup is, people are served; without the wall the lookups have every connection."""
    async with api_with(services, WALLS[walls]()) as api:
        hostile = await started(api)
        async with asyncio.TaskGroup() as group:
            async with services.db.transaction() as conn:
                await conn.execute("lock table workspace_agents in access exclusive mode")
                guesses = [
                    group.create_task(hostile.call("PATCH", "logs", {}, token=str(uuid4())))
                    for _ in range(20)
                ]
                most = await most_in_use(services, AT_ONCE_UNKNOWN + 1, walls) - 1
                if walls == "walls":
                    assert (await api.get("/api/v2/users/me")).status_code == 200
            assert {(await guess).status_code for guess in guesses} <= {401, 503}
    assert (most <= AT_ONCE_UNKNOWN) is (walls == "walls"), most


@pytest.mark.attack(
    "a thousand links with one token",
    wall="a workspace has eight; one more is closed before it is taken",
)
async def test_too_many_links(api: Api) -> None:
    """Those beyond are refused, the first ones live on, and what ends makes room again."""
    hostile = await started(api)
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(raw(hostile))
        await first.hello()
        for _ in range(LINKS - 1):
            last = await stack.enter_async_context(raw(hostile))
        for _ in range(20):
            with pytest.raises((InvalidStatus, ConnectionClosed)):
                async with raw(hostile) as more:
                    await more.hello()
        assert await first.ask("heartbeat", packed(Nothing())) == "ok"
        await last.socket.close()
        async with asyncio.timeout(DEADLINE_S):
            while True:
                with contextlib.suppress(InvalidStatus, ConnectionClosed):
                    async with raw(hostile) as again:
                        await again.hello()
                        break


@pytest.mark.attack(
    "a transcript without end",
    wall="a task's transcript is full at some size; it says so once, and tells the state from then on",
)
async def test_a_transcript_is_full_at_last(api: Api) -> None:
    """One item says that it is full; big ones are passed over, the state is still told, the workspace goes on."""
    hostile = await started(api)
    api_sql = "update tasks set item_bytes = $2 where id = $1"
    await api.execute(api_sql, hostile.task["id"], fullness.FULL_BYTES - 1000)
    noise = item(0, ItemKind.AGENT_TEXT, json.dumps({"message_id": 1, "text": "x" * 500}).encode())
    told = item(0, ItemKind.STATE, b'{"state": "idle", "session": "idle"}')
    async with dialed(hostile) as (_, mux):
        for first in (1, 5):
            batch = [
                msgspec.structs.replace(one, seq=first + place)
                for place, one in enumerate((noise, noise, noise, told))
            ]
            answer = await mux.call("items", Items(batch), ItemsStored)
            assert answer.acked_seq == first + 3
    async with api.services.db.connection() as conn:
        rows = await conn.fetch(
            "select kind from task_items where task_id = $1 order by number", hostile.task["id"]
        )
    assert [row["kind"] for row in rows] == ["gap", "state", "state"]


def test_the_reserve_has_an_end() -> None:
    """What may come behind a full transcript ends too: then nothing is stored any more."""
    small = SentItem(1, NOW, 1, ItemKind.STATE, b"{}")
    assert fullness.fitting([small], fullness.LAST_BYTES) == ([], fullness.LAST_BYTES)
    large = SentItem(1, NOW, 1, ItemKind.USER_MESSAGE, b"x" * fullness.SMALL_BYTES * 2)
    kept, whole = fullness.fitting([large], fullness.FULL_BYTES + 1)
    assert (kept, whole) == ([], fullness.FULL_BYTES + 1)
    kept, whole = fullness.fitting([small, small], fullness.FULL_BYTES)
    assert [one.kind for one in kept] == [ItemKind.GAP, ItemKind.STATE]
    assert whole == fullness.FULL_BYTES + 1 + fullness.size_of([small])


async def test_a_sender_waits_for_itself() -> None:
    """Who has sent more than a burst is late; another workspace is not, and after a while nothing is owed."""
    throttle = Throttle()
    greedy, modest = uuid4(), uuid4()
    loop = asyncio.get_running_loop()
    now = loop.time()
    door = throttle._door(greedy, now)
    assert door.owe(64 * 1024 * 1024, now) == 0
    assert 0 < door.owe(4 * 1024 * 1024, now) <= 2
    assert door.owe(10**12, now) == 10
    assert door.owed_at(now + 10**6) == 0
    async with asyncio.timeout(30), throttle.turn(modest, 1000):
        pass
