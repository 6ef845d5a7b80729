"""Queued prompts reach the coding agent in order, each once, whenever it is idle and nothing else is on its way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest

from taskyard.control.prompts import deliver_input
from taskyard.control.queue import deliver_queue
from taskyard.db import inbox as db
from taskyard.lifecycle.template_model import Template
from taskyard.wire.enums import Transition
from taskyard.wire.link import ItemKind, SentItem
from tests.control.agent_kit import Seat, finish, foreign, item, seat, turn_end, user
from tests.control.app_kit import HANG_UP, ScriptedApp, reached
from tests.control.world_kit import BRIDGED, World
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

EACH = [BRIDGED, foreign()]
"""Our bridge, and somebody else's server."""


def idle(seq: int) -> SentItem:
    """The coding agent takes a prompt."""
    return item(seq, ItemKind.STATE, state="idle", session="idle", waiting=None, reason="end_turn")


def state(seq: int, word: str) -> SentItem:
    """The coding agent does something else."""
    waiting = {"kind": "permission", "id": "p", "title": "rm"} if word == "waiting" else None
    return item(seq, ItemKind.STATE, state=word, session="x", waiting=waiting, reason=None)


async def queued(place: Seat, *texts: str) -> list[UUID]:
    """The ids of prompts that were put behind those that wait."""
    ids = []
    async with place.world.services.db.transaction() as conn:
        user_id = await conn.fetchval(
            "select owner_id from tasks where id = $1", place.place.task_id
        )
        for text in texts:
            prompt = db.NewPrompt(id=uuid4(), content=text, created_by=user_id)
            await db.insert_queued_as_system(conn, place.place.task_id, prompt, place.world.now)
            ids.append(prompt.id)
    return ids


async def deliver(place: Seat) -> bool:
    """What the server does whenever something changed at the agent; whether anything is left."""
    async with asyncio.timeout(DEADLINE_S):
        await deliver_input(place.world.services, place.actor)
        return await deliver_queue(place.world.services, place.actor)


@asynccontextmanager
async def delivering(place: Seat) -> AsyncIterator[None]:
    """The delivery under way beside the block, which ends it as a broken link does."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(deliver(place))
        try:
            yield
        finally:
            task.cancel()


async def test_one_a_turn_in_order(world: World, tmp_path: Path) -> None:
    """Each goes out when the turn before it is over, in order, under its own id; the transcript names it."""
    place, app = await seat(world, text=""), ScriptedApp()
    ids = await queued(place, "one", "two", "two")
    async with reached(place, app, tmp_path):
        assert await deliver(place)  # nobody has said yet that the coding agent is idle
        assert app.got == []
        await place.store(idle(1))
        for turn, prompt_id in enumerate(ids):
            await deliver(place)
            assert len(app.got) == turn + 1
            await deliver(place)  # it was taken, and no item says yet what comes of it
            seq = 10 * turn + 2
            await place.store(state(seq, "working"))
            await deliver(place)
            await place.store(user(seq + 1, "x", prompt_id))
            await deliver(place)
            assert len(app.got) == turn + 1
            await place.store(*[log(n) for n in range(seq + 2, seq + 9)], idle(seq + 9))
        assert not await deliver(place)
    assert app.got == [(text, str(i)) for text, i in zip(["one", "two", "two"], ids, strict=True)]
    assert app.after == ["", "", ""]
    assert await place.prompts() == [(t, "delivered") for t in ("one", "two", "two")]


def log(seq: int) -> SentItem:
    """Something that says nothing of the coding agent."""
    return item(seq, ItemKind.THOUGHT, text="hm")


@pytest.mark.parametrize("word", ["starting", "working", "waiting", "failed", "stopped"])
async def test_never_while_it_is_not_idle(world: World, tmp_path: Path, word: str) -> None:
    """While it works, asks, has failed or is gone, a prompt waits."""
    place, app = await seat(world, text=""), ScriptedApp()
    await queued(place, "one")
    async with reached(place, app, tmp_path):
        await place.store(idle(1), state(2, word))
        assert await deliver(place)
    assert (app.got, await place.prompts()) == ([], [("one", "waiting")])


@pytest.mark.parametrize(("reason", "became"), [("agent_exit", "delivered"), ("error", "waiting")])
async def test_after_a_turn_that_failed(
    world: World, tmp_path: Path, reason: str, became: str
) -> None:
    """A coding agent that died and was started again goes on; one that a turn failed in gets nothing more of it."""
    place, app = await seat(world, text=""), ScriptedApp()
    await queued(place, "one")
    failed = item(3, ItemKind.STATE, state="failed", session="idle", waiting=None, reason="why")
    async with reached(place, app, tmp_path):
        await place.store(idle(1), turn_end(2, reason, "why"), failed)
        await deliver(place)
    assert await place.prompts() == [("one", became)]


async def test_idle_in_an_earlier_life_is_not_idle(world: World, tmp_path: Path) -> None:
    """After a resume the coding agent of this start must have said that it is idle."""
    place, app = await seat(world, text=""), ScriptedApp()
    await queued(place, "one")
    await place.store(idle(1))
    place = await place.restarted()
    async with reached(place, app, tmp_path):
        assert await deliver(place)
        assert app.got == []
        await place.store(idle(2))
        assert not await deliver(place)
    assert await place.prompts() == [("one", "delivered")]


@pytest.mark.parametrize("template", EACH)
async def test_the_input_comes_first(world: World, tmp_path: Path, template: Template) -> None:
    """What a start has to say goes before what is queued, also a changed one after a resume."""
    place, app = await seat(world, template, text="input"), ScriptedApp()
    await queued(place, "queued")
    await finish(world, await world.build(place.place, Transition.STOP))
    await place.change_input("changed")
    place = await place.restarted()
    async with reached(place, app, tmp_path):
        await place.store(idle(1))
        await deliver(place)
        if template is BRIDGED:  # it is told by items what comes of the input
            assert [text for text, _ in app.got] == ["changed"]
            await place.store(state(2, "working"), user(3, "changed", UUID(app.got[0][1])), idle(4))
            await deliver(place)
    assert [text for text, _ in app.got] == ["changed", "queued"]


async def test_a_paused_task_delivers_nothing(world: World, tmp_path: Path) -> None:
    """A prompt that is queued while the task is paused waits for a start, and none begins because of it."""
    place, app = await seat(world, text=""), ScriptedApp()
    await place.store(idle(1))
    await finish(world, await world.build(place.place, Transition.STOP))
    await queued(place, "one")
    async with reached(place, app, tmp_path):
        assert await deliver(place)
    assert app.got == []
    assert await world.value("select count(*) from workspace_builds") == 2


async def test_a_deleted_task_delivers_nothing(world: World, tmp_path: Path) -> None:
    """With the task its queue is gone."""
    place, app = await seat(world, text=""), ScriptedApp()
    await queued(place, "one")
    await place.store(idle(1))
    await world.execute("update tasks set deleted_at = now()")
    async with reached(place, app, tmp_path):
        await deliver(place)
    assert (app.got, await place.prompts()) == ([], [("one", "waiting")])


@pytest.mark.parametrize("template", EACH)
async def test_marked_before_anything_leaves(
    world: World, tmp_path: Path, template: Template
) -> None:
    """While a prompt is under way it is marked as that, and nobody else takes it for one that waits."""
    place, app = await seat(world, template, text=""), ScriptedApp(hold=asyncio.Event())
    await queued(place, "one", "two")
    await place.store(idle(1))
    async with reached(place, app, tmp_path), delivering(place):
        await app.arrived.wait()
        assert await place.prompts() == [("one", "sending"), ("two", "waiting")]


@pytest.mark.parametrize("pauses", [False, True])
async def test_a_cut_delivery_is_made_again_under_its_id(
    world: World, tmp_path: Path, *, pauses: bool
) -> None:
    """After a cut link or a pause amid it our bridge gets the same id, and how far its record must reach back."""
    place, app = await seat(world, text=""), ScriptedApp(hold=asyncio.Event())
    await queued(place, "one", "two")
    await place.store(log(1), idle(2))
    async with reached(place, app, tmp_path), delivering(place):
        await app.arrived.wait()
    app.hold = None
    place = await place.restarted() if pauses else place
    async with reached(place, app, tmp_path):
        await deliver(place)
    assert app.got[0] == app.got[1]
    assert app.after == ["", "2"]
    assert await place.prompts() == [("one", "delivered"), ("two", "waiting")]


async def test_the_transcript_confirms_what_no_answer_did(world: World, tmp_path: Path) -> None:
    """Once the message is stored as an item, no later link says it again, and the next one has its turn."""
    place, app = await seat(world, text=""), ScriptedApp(hold=asyncio.Event())
    ids = await queued(place, "one", "two")
    await place.store(idle(1))
    async with reached(place, app, tmp_path), delivering(place):
        await app.arrived.wait()
        await place.store(state(2, "working"), user(3, "one", ids[0]), idle(4))
    app.hold = None
    async with reached(place, app, tmp_path):
        await deliver(place)
    assert [text for text, _ in app.got] == ["one", "two"]


async def test_a_lost_record_is_uncertain(world: World, tmp_path: Path) -> None:
    """A bridge whose record does not reach back says so: the prompt is never sent again, the queue goes on."""
    app = ScriptedApp(answers=[(HANG_UP, ""), (500, "lost"), (200, "")])
    place = await seat(world, text="")
    await queued(place, "one", "two")
    await place.store(idle(1))
    async with reached(place, app, tmp_path):
        await deliver(place)
    assert [text for text, _ in app.got] == ["one", "one", "two"]
    assert app.after == ["", "1", ""]
    assert await place.prompts() == [("one", "uncertain"), ("two", "delivered")]
    assert [(kind, level(data)) for _, seq, kind, data in await place.items() if seq is None] == [
        (ItemKind.ERROR, "warning")
    ]


def level(data: bytes) -> object:
    """How bad an error item is."""
    return msgspec.json.decode(data)["level"]


@pytest.mark.parametrize("cut", [False, True])
async def test_somebody_elses_server_gets_it_never_again(
    world: World, tmp_path: Path, *, cut: bool
) -> None:
    """Where an answer never came nobody can tell: the prompt is uncertain, and the next one is sent."""
    app = (
        ScriptedApp(hold=asyncio.Event())
        if cut
        else ScriptedApp(answers=[(HANG_UP, ""), (200, "")])
    )
    place = await seat(world, foreign(), text="")
    await queued(place, "one", "two")
    if cut:
        async with reached(place, app, tmp_path), delivering(place):
            await app.arrived.wait()
        app.hold = None
    async with reached(place, app, tmp_path):
        assert not await deliver(place)
    assert [text for text, _ in app.got] == ["one", "two"]
    assert await place.prompts() == [("one", "uncertain"), ("two", "delivered")]


@pytest.mark.parametrize("template", EACH)
async def test_what_never_left_waits_again(
    world: World, tmp_path: Path, template: Template
) -> None:
    """Where nobody listened the prompt certainly did not arrive: it waits, and whatever happens then, is sent once."""
    app, is_ours = ScriptedApp(), template is BRIDGED
    place = await seat(world, template, text="")
    await queued(place, "one")
    await place.store(idle(1))
    async with reached(place, app, tmp_path, listens=lambda: not is_ours and app.asked == 0):
        assert await deliver(place)
        assert await place.prompts() == [("one", "waiting")]
    async with reached(place, app, tmp_path):
        assert not await deliver(place)
    assert ([text for text, _ in app.got], app.after) == (["one"], [""])
    assert await place.prompts() == [("one", "delivered")]


async def test_somebody_elses_server_is_asked_first(world: World, tmp_path: Path) -> None:
    """A foreign server gets each prompt once it says that it takes one."""
    app = ScriptedApp(statuses=["running", "stable", "running", "stable"])
    place = await seat(world, foreign(), text="")
    await queued(place, "one", "two")
    async with reached(place, app, tmp_path):
        assert not await deliver(place)
    assert (app.asked, [text for text, _ in app.got]) == (4, ["one", "two"])


@pytest.mark.parametrize("code", ["busy", "not_ready", "dialog_open"])
async def test_what_was_not_taken_waits_again(world: World, tmp_path: Path, code: str) -> None:
    """A bridge that is busy after all has taken nothing: the prompt keeps its place and can be changed."""
    place, app = await seat(world, text=""), ScriptedApp(answers=[(500, code), (200, "")])
    await queued(place, "one", "two")
    await place.store(idle(1))
    async with reached(place, app, tmp_path):
        assert await deliver(place)
        assert await place.prompts() == [("one", "waiting"), ("two", "waiting")]
        await deliver(place)
    assert app.got[0] == app.got[1]
    assert await place.prompts() == [("one", "delivered"), ("two", "waiting")]


@pytest.mark.parametrize(
    ("fate", "became"),
    [
        ((404, "unknown", b"{}"), "waiting"),
        ((200, "", b'{"id":"x","state":"failed","code":null}'), "delivered"),
        ((200, "", b'{"id":"x","state":"failed","code":"lost"}'), "uncertain"),
        ((500, "", b"oh"), "sending"),
        ((200, "", b"nonsense"), "sending"),
    ],
)
async def test_the_bridges_record_decides(
    world: World, tmp_path: Path, fate: tuple[int, str, bytes], became: str
) -> None:
    """When the coding agent died of a prompt or before it, the record of the workspace says which."""
    app = ScriptedApp(answers=[(500, "agent_exited")], fate=fate)
    place = await seat(world, text="")
    await queued(place, "one")
    await place.store(idle(1))
    async with reached(place, app, tmp_path):
        await deliver(place)
    assert await place.prompts() == [("one", became)]


@pytest.mark.parametrize("template", EACH)
async def test_what_no_coding_agent_takes_has_failed(
    world: World, tmp_path: Path, template: Template
) -> None:
    """A prompt that is refused for good is told of in the transcript, and the next one has its turn."""
    place, app = (
        await seat(world, template, text=""),
        ScriptedApp(answers=[(422, "empty"), (200, "")]),
    )
    await queued(place, "one", "two")
    await place.store(idle(1))
    async with reached(place, app, tmp_path):
        await deliver(place)
    assert await place.prompts() == [("one", "failed"), ("two", "delivered")]
    assert [level(data) for _, seq, _, data in await place.items() if seq is None] == ["error"]


async def test_two_couriers_at_once(world: World, tmp_path: Path) -> None:
    """Two links of one agent deliver one prompt, under one id."""
    place, app = await seat(world, text=""), ScriptedApp()
    await queued(place, "one", "two")
    await place.store(idle(1))
    async with reached(place, app, tmp_path), asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(deliver(place))
    assert {text for text, _ in app.got} == {"one"}
    assert len(set(app.got)) == 1
    assert await place.prompts() == [("one", "delivered"), ("two", "waiting")]


async def test_a_workspace_confirms_no_prompt_of_others(world: World, tmp_path: Path) -> None:
    """Ids of other tasks, of prompts that wait and of none change nothing."""
    mine, other = await seat(world, text=""), await seat(world, text="")
    waits = await queued(other, "theirs")
    own = await queued(mine, "own")
    await mine.store(user(1, "x", waits[0]), user(2, "x", own[0]), user(3, "x", uuid4()))
    assert await other.prompts() == [("theirs", "waiting")]
    assert await mine.prompts() == [("own", "waiting")]
