"""Transcript items: stored once whatever is sent, in an order without gaps, and the snapshot made of them."""

import asyncio
import json
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
import pytest

from taskyard.control.transcript import append_server_item, snapshot_from_items
from taskyard.errors import ItemsMissing, StaleGeneration
from taskyard.wire.link import ItemKind, SentItem
from taskyard.wire.tasks import SnapshotMessage, SnapshotUpload
from tests.control.agent_kit import Seat, item, raw, said, says, seat, turn_end, user
from tests.control.world_kit import World
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

SNAPSHOT_BYTES = 65536
"""The limit of N21."""


class Note(msgspec.Struct):
    """Data of an item of the server's own."""

    message: str


async def held(seat: Seat) -> object:
    """How far the server says it holds the workspace's items."""
    return await seat.world.value("select acked_seq from workspaces where id = $1", seat.place.id)


async def test_items_are_numbered_as_they_come(world: World) -> None:
    """Numbers count from 1 in the order of arrival, and data come back byte for byte."""
    place = await seat(world)
    assert await place.store(raw(1, b'{ "text":  "a" }'), item(2)) == 2
    assert await place.store(item(3)) == 3
    stored = await place.items()
    assert [(number, seq) for number, seq, _, _ in stored] == [(1, 1), (2, 2), (3, 3)]
    assert stored[0][3] == b'{ "text":  "a" }'
    assert await held(place) == 3


async def test_what_is_sent_again_is_stored_once(world: World) -> None:
    """The same batch, an older one, and one that overlaps change nothing of what is held."""
    place = await seat(world)
    await place.store(item(1, text="a"), item(2, text="b"))
    before = await place.items()
    assert await place.store(item(1, text="other"), item(2, text="other")) == 2
    assert await place.store(item(1, text="other")) == 2
    assert await place.store(item(2, text="other"), item(3, text="c")) == 3
    assert (await place.items())[:2] == before
    assert [row[1] for row in await place.items()] == [1, 2, 3]


async def test_an_empty_batch_tells_what_is_held(world: World) -> None:
    """Sending nothing is no mistake."""
    place = await seat(world)
    await place.store(item(1))
    assert await place.store() == 1


@pytest.mark.parametrize("seqs", [(3,), (2, 4), (2, 2), (3, 2)])
async def test_gaps_are_refused(world: World, seqs: tuple[int, ...]) -> None:
    """A gap, a repetition or another order within a batch stores nothing and tells what is held."""
    place = await seat(world)
    await place.store(item(1))
    with pytest.raises(ItemsMissing) as caught:
        await place.store(*(item(seq) for seq in seqs))
    assert caught.value.acked_seq == 1
    assert len(await place.items()) == 1


async def test_an_older_generation_stores_nothing(world: World) -> None:
    """Once a newer generation of the workspace was begun, items of the one before are refused."""
    place = await seat(world)
    newer = await place.restarted()
    with pytest.raises(StaleGeneration):
        await place.store(item(1))
    assert await newer.store(item(1)) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"[1]",
        b'"text"',
        b"1",
        b"null",
        b"",
        b"{",
        b"{} {}",
        b'{"a": NaN}',
        b'{"a": "\x01"}',
        b'{"a": "\xff"}',
        b'\xef\xbb\xbf{"a": 1}',
        b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)
async def test_data_that_are_no_object_are_refused(world: World, data: bytes) -> None:
    """Only one JSON object in UTF-8 is taken, and a batch with anything else stores nothing."""
    place = await seat(world)
    with pytest.raises(ValueError, match=r"."):
        await place.store(item(1), raw(2, data))
    assert await place.items() == []
    assert await held(place) == 0


@pytest.mark.parametrize(
    "data",
    [
        rb'{"text":"a\u0000b"}',
        rb'{"text":"\ud83d"}',
        rb'{"text":"\ude00 \ud83d\ude00"}',
        b'{"n":1' + b"0" * 6000 + b"}",
        '{"text":"\u20ac \U0001f600"}'.encode(),
        b'{"a":1,"a":2}',
        b'{"a":' + b"[" * 300 + b"]" * 300 + b"}",
    ],
)
async def test_strange_objects_are_kept_as_they_came(world: World, data: bytes) -> None:
    """NUL and half characters as escapes, huge numbers, and keys that stand twice are stored untouched."""
    place = await seat(world)
    assert await place.store(raw(1, data, kind=ItemKind.AGENT_TEXT)) == 1
    assert (await place.items())[0][3] == data


@pytest.mark.parametrize(
    "strange",
    [
        SentItem(1, datetime(2026, 1, 1, tzinfo=UTC), 2**31, ItemKind.LOG, b"{}"),
        SentItem(1, datetime(2026, 1, 1, tzinfo=UTC), -1, ItemKind.LOG, b"{}"),
        SentItem(1, datetime(2026, 1, 1), 1, ItemKind.LOG, b"{}"),  # noqa: DTZ001 - the time of no zone is the case
        SentItem(1, datetime.fromisoformat("0001-01-01T00:00:00+14:00"), 1, ItemKind.LOG, b"{}"),
    ],
)
async def test_turns_and_times_that_are_none(world: World, strange: SentItem) -> None:
    """Numbers that no column takes and times that mean nothing are refused, not a crash."""
    place = await seat(world)
    with pytest.raises(ValueError, match=r"turn|zone|years"):
        await place.store(strange)


async def test_items_without_task_are_dropped(world: World) -> None:
    """A workspace of no task may send items; they count as held, so that it does not send them for ever."""
    place = await seat(world)
    await world.execute("delete from tasks where id = $1", place.place.task_id)
    assert await place.store(user(1, "x"), turn_end(2)) == 2
    assert await world.value("select count(*) from task_items") == 0
    assert await held(place) == 2


async def test_items_of_a_deleted_task_are_kept(world: World) -> None:
    """What is said between the deletion of a task and the end of its workspace is not lost."""
    place = await seat(world)
    await world.execute("update tasks set deleted_at = now()")
    assert await place.store(user(1, "x")) == 1
    assert len(await place.items()) == 1


async def test_numbers_have_no_gaps_when_all_write_at_once(world: World) -> None:
    """Workspace and server write side by side: every item is there once, numbered without gaps."""
    place = await seat(world)

    async def sender(first: int) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while await held(place) != first - 1:
                await asyncio.sleep(0.001)
            await place.store(*(item(seq) for seq in range(first, first + 5)))

    async def server() -> None:
        async with world.services.db.transaction() as conn:
            await append_server_item(conn, place.place.id, ItemKind.ERROR, Note("x"), now=world.now)

    async with asyncio.TaskGroup() as group:
        for n in range(8):
            group.create_task(sender(1 + 5 * n))
            group.create_task(server())
            group.create_task(server())
    stored = await place.items()
    assert [number for number, _, _, _ in stored] == list(range(1, 57))
    assert [seq for _, seq, _, _ in stored if seq is not None] == list(range(1, 41))


async def test_the_same_batch_from_two_connections(world: World) -> None:
    """An old and a new connection that send the same items at once store them once."""
    place = await seat(world)
    batch = [item(seq) for seq in range(1, 51)]
    async with asyncio.TaskGroup() as group:
        answers = [group.create_task(place.store(*batch)) for _ in range(6)]
    assert {answer.result() for answer in answers} == {50}
    assert [row[1] for row in await place.items()] == list(range(1, 51))


async def test_nothing_is_left_of_a_batch_that_fails(world: World) -> None:
    """Numbers that were taken for items which then cannot be stored are given back."""
    place = await seat(world)
    with pytest.raises(ValueError, match="turn"):
        await place.store(item(1), item(2, turn=-1))
    assert await place.store(item(1)) == 1
    assert [row[0] for row in await place.items()] == [1]


async def test_a_prompt_is_work_and_its_end_is_rest(world: World) -> None:
    """The state that clients see is working as soon as a prompt is stored, and idle at the turn's end."""
    place = await seat(world)
    await place.store(user(1, "x"))
    assert [state for state, _ in await place.states()] == ["working"]
    await place.store(says(2, "hm"))
    await place.store(turn_end(3))
    await place.store(user(4, "y"), turn_end(5, "interrupted"))
    assert [state for state, _ in await place.states()] == ["working", "idle", "idle"]


async def test_a_turn_that_fails_is_a_failure(world: World) -> None:
    """The cause is told on one line of at most 160 bytes, whatever the coding agent wrote."""
    place = await seat(world)
    await place.store(turn_end(1, "error", "no\0 \x1b[31mkey\n" + "\u20ac" * 200))
    [(state, message)] = await place.states()
    assert state == "failure"
    assert message.startswith("The turn failed: no key \u20ac")
    assert len(message.encode()) in range(157, 161)


@pytest.mark.parametrize(
    "data", [b"{}", b'{"reason": 5}', b'{"error": {}}', rb'{"error":"\ud800"}']
)
async def test_turn_ends_that_make_no_sense(world: World, data: bytes) -> None:
    """A turn is over even if nobody understands why."""
    place = await seat(world)
    assert await place.store(raw(1, data, kind=ItemKind.TURN_END)) == 1
    assert [state for state, _ in await place.states()] == ["idle"]


async def test_a_prompt_in_the_transcript_has_arrived(world: World) -> None:
    """An input whose delivery was never confirmed is delivered once its message is stored."""
    place = await seat(world)
    prompts = [uuid4(), uuid4()]
    states = ("sending", "uncertain")
    for prompt_id, state in zip(prompts, states, strict=True):
        await world.execute(
            "insert into task_prompts (id, task_id, source, workspace_build_id, content, state,"
            " created_at, sent_at, settled_at) values ($1, $2, 'input', $3, 'go', $4, $5, $5, $6)",
            prompt_id,
            place.place.task_id,
            place.actor.build_id,
            state,
            world.now,
            world.now if state == "uncertain" else None,
        )
        await world.execute("drop index if exists task_prompts_one_input")
    await place.store(user(1, "go", prompts[0]), user(2, "go", prompts[1]), user(3, "x", uuid4()))
    assert await place.prompts() == [("go", "delivered"), ("go", "delivered")]


async def test_only_prompts_of_the_same_task_are_confirmed(world: World) -> None:
    """A workspace that names another task's prompt changes nothing of it."""
    place, other = await seat(world), await seat(world)
    prompt_id = uuid4()
    await world.execute(
        "insert into task_prompts (id, task_id, source, workspace_build_id, content, state,"
        " created_at, sent_at) values ($1, $2, 'input', $3, 'go', 'sending', $4, $4)",
        prompt_id,
        other.place.task_id,
        other.actor.build_id,
        world.now,
    )
    await place.store(user(1, "go", prompt_id))
    assert await other.prompts() == [("go", "sending")]


async def snapshot(seat: Seat) -> tuple[bytes, list[SnapshotMessage]]:
    """The snapshot made from the items so far, as it is stored and as its reader sees it."""
    world = seat.world
    async with world.services.db.transaction() as conn:
        await snapshot_from_items(conn, seat.place.task_id, world.now)
    data = await world.value(
        "select data from task_snapshots where task_id = $1", seat.place.task_id
    )
    assert isinstance(data, bytes)
    return data, msgspec.json.decode(data, type=SnapshotUpload).messages or []


def spoken(messages: list[SnapshotMessage]) -> list[tuple[str, str]]:
    """Role and content of messages."""
    return [(message.role, message.content) for message in messages]


async def test_a_snapshot_shows_the_conversation(world: World) -> None:
    """Each prompt is a message with the agent's after it; pieces make way for the whole."""
    place = await seat(world)
    await place.store(
        user(1, "count"),
        says(2, "I c"),
        says(3, "ount"),
        said(4, "I count"),
        item(5, ItemKind.THOUGHT, text="secret"),
        item(6, ItemKind.TOOL_CALL, tool_call_id="t", title="wc -w", kind="execute"),
        says(7, "42", 2),
        said(8, "42", 2),
        turn_end(9),
        user(10, "sure?"),
    )
    _, messages = await snapshot(place)
    assert spoken(messages) == [
        ("user", "count"),
        ("agent", "I count\n\n[Tool: execute] wc -w\n\n42"),
        ("user", "sure?"),
        ("agent", ""),
    ]
    assert [message.id for message in messages] == [0, 1, 2, 3]
    assert messages[0].time == datetime.fromisoformat("2026-01-31T12:00:01.123456Z")
    assert messages[1].time > messages[0].time


async def test_nothing_said_makes_no_snapshot(world: World) -> None:
    """A workspace that never spoke has none; one that was there stays."""
    place = await seat(world)
    await place.store(item(1), turn_end(2))
    async with world.services.db.transaction() as conn:
        await snapshot_from_items(conn, place.place.task_id, world.now)
    assert await world.value("select count(*) from task_snapshots") == 0


async def test_strange_items_do_not_stop_a_snapshot(world: World) -> None:
    """Half characters are replaced, NUL is kept, and what makes no sense is passed over."""
    place = await seat(world)
    await place.store(
        raw(1, rb'{"text":"a\u0000\ud83d"}', kind=ItemKind.USER_MESSAGE),
        raw(2, b'{"text":5,"message_id":1}', kind=ItemKind.AGENT_TEXT),
        raw(3, b'{"text":"x","message_id":"one"}', kind=ItemKind.AGENT_MESSAGE),
        raw(4, rb'{"text":"\ud83d\ude00","message_id":1}', kind=ItemKind.AGENT_TEXT),
    )
    _, messages = await snapshot(place)
    assert spoken(messages) == [("user", "a\0\ufffd"), ("agent", "\U0001f600")]


async def test_the_newest_messages_that_fit_exactly(world: World) -> None:
    """65,536 bytes of JSON are kept whole; with one byte more the oldest message goes. Source: N21."""
    place = await seat(world)
    await place.store(user(1, "first"), said(2, "a"), user(3, "second"), said(4, "b", 2))
    data, _ = await snapshot(place)
    fill = SNAPSHOT_BYTES - len(data)
    await place.store(says(5, "x" * fill, 2))
    data, messages = await snapshot(place)
    assert (len(data), len(messages)) == (SNAPSHOT_BYTES, 4)
    await place.store(says(6, "y", 2))
    data, messages = await snapshot(place)
    assert [message.id for message in messages] == [1, 2, 3]
    assert len(data) < SNAPSHOT_BYTES


@pytest.mark.parametrize("letter", ["x", "\u20ac", "\U0001f600", '"', "\0"])
async def test_one_message_that_is_too_long(world: World, letter: str) -> None:
    """Of a message that does not fit alone its end stays, cut between two characters, and is marked."""
    place = await seat(world)
    text = letter * 70_000 + "the end"
    await place.store(user(1, "go"), said(2, text))
    data, [message] = await snapshot(place)
    marker, _, rest = message.content.partition("] ")
    assert (marker, rest) == ("[cut", text[-len(rest) :])
    size = len(json.dumps(letter, ensure_ascii=False).encode()) - 2
    assert len(data) in range(SNAPSHOT_BYTES - size + 1, SNAPSHOT_BYTES + 1)


async def test_a_big_transcript(world: World) -> None:
    """A conversation over many pages of items is read whole, and its end is what stays."""
    place = await seat(world)
    await place.store(user(1, "go"))
    pieces = [says(n, f"{n:06d} words and more\n", n // 10) for n in range(2, 4002)]
    for first in range(0, len(pieces), 1000):
        await place.store(*pieces[first : first + 1000])
    data, [message] = await snapshot(place)
    assert message.content.endswith("004001 words and more\n")
    assert len(data) in (SNAPSHOT_BYTES - 1, SNAPSHOT_BYTES)


async def test_a_snapshot_replaces_the_one_before(world: World) -> None:
    """There is one snapshot a task, of the newest making."""
    place = await seat(world)
    await place.store(user(1, "a"))
    await snapshot(place)
    first = await world.value("select created_at from task_snapshots")
    await place.store(said(2, "b"))
    _, messages = await snapshot(place)
    assert spoken(messages) == [("user", "a"), ("agent", "b")]
    second = await world.value("select created_at from task_snapshots")
    assert isinstance(first, datetime)
    assert isinstance(second, datetime)
    assert second > first


async def test_server_items_stand_in_order(world: World) -> None:
    """An item of the server's own gets the next number and disturbs no numbers of the workspace."""
    place = await seat(world)
    await place.store(item(1))
    async with world.services.db.transaction() as conn:
        await append_server_item(conn, place.place.id, ItemKind.ERROR, Note("x"), now=world.now)
        await append_server_item(conn, UUID(int=1), ItemKind.ERROR, Note("x"), now=world.now)
    await place.store(item(2))
    assert [(row[0], row[1], row[2]) for row in await place.items()] == [
        (1, 1, "log"),
        (2, None, "error"),
        (3, 2, "log"),
    ]
