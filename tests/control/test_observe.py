"""What items of state, report and permission come to in the database, and what clients are told of them."""

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from taskyard.control.prompts import deliver_input
from taskyard.control.transcript import end_observation
from taskyard.db import observed as db
from taskyard.wire.enums import Transition
from taskyard.wire.link import AgentState, ItemKind, SentItem, StateNews
from tests.control.agent_kit import Seat, finish, item, raw, says, seat, turn_end, user
from tests.control.world_kit import World

pytestmark = pytest.mark.anyio

IDLE = ("idle", "Waiting for input.")
WORKING = ("working", "Working on the input.")


def state(
    seq: int,
    word: str,
    session: str = "",
    reason: str | None = None,
    waiting: tuple[str, str, str] | None = None,
) -> SentItem:
    """What the bridge sees."""
    asked = waiting and dict(zip(("kind", "id", "title"), waiting, strict=True))
    return item(
        seq, ItemKind.STATE, state=word, session=session or word, reason=reason, waiting=asked
    )


def report(seq: int, summary: str, outcome: str = "working", link: str | None = None) -> SentItem:
    """What the coding agent says of itself."""
    return item(seq, ItemKind.REPORT, summary=summary, outcome=outcome, link=link)


def asks(seq: int, permission_id: str, title: str = "Run make") -> SentItem:
    """A request for permission."""
    options = [
        {"option_id": "once", "name": "Allow once", "kind": "allow_once"},
        {"option_id": "no", "name": "Reject", "kind": "reject_once"},
    ]
    return item(
        seq,
        ItemKind.PERMISSION_REQUEST,
        id=permission_id,
        title=title,
        options=options,
        expires_at=None,
    )


def answers(
    seq: int, permission_id: str, *, by: str = "person", name: str | None = "ada"
) -> SentItem:
    """Its answer."""
    return item(
        seq,
        ItemKind.PERMISSION_RESPONSE,
        id=permission_id,
        option_id="once",
        outcome="selected",
        by=by,
        name=name,
    )


async def observation(place: Seat) -> db.ObservationRow:
    """What is known of the task's coding agent."""
    assert place.place.task_id is not None
    async with place.world.services.db.connection() as conn:
        return await db.get_observation_as_system(conn, place.place.task_id)


async def permissions(place: Seat, *, answered: bool = True) -> list[db.PermissionRow]:
    """What it asked, newest first."""
    assert place.place.task_id is not None
    async with place.world.services.db.connection() as conn:
        return await db.list_permissions_as_system(
            conn, place.place.task_id, answered=answered, limit=10
        )


async def quiet(world: World) -> Seat:
    """A workspace whose task has no input."""
    return await seat(world, text="")


async def test_a_turn_is_told_from_its_states(world: World) -> None:
    """Working, waiting and idle come from the states; of messages and ends of turns comes nothing more."""
    place = await quiet(world)
    await place.store(state(1, "starting"))
    await place.store(state(2, "idle"))
    await place.store(state(3, "working", "running"), user(4, "x"))
    waiting = ("permission", "p1", "Run make")
    await place.store(asks(5, "p1"), state(6, "waiting", "awaiting_permission", None, waiting))
    await place.store(answers(7, "p1"), state(8, "working", "running"), says(9, "hm"))
    await place.store(turn_end(10), state(11, "idle", "idle", "end_turn"))
    told = [IDLE, WORKING, ("working", "Waiting for you: Run make"), WORKING, IDLE]
    assert await place.states() == told


async def test_a_batch_never_shows_a_rest_between_two_steps(world: World) -> None:
    """However items are batched, nothing but working is told from a prompt to the end of its turn."""
    place = await seat(world)
    items = [
        state(1, "starting"), state(2, "idle"), state(3, "working"), user(4, "go", uuid4()),
        asks(5, "p1"), state(6, "waiting", "awaiting_permission", None, ("permission", "p1", "x")),
        answers(7, "p1"), state(8, "working"), report(9, "half of it"), says(10, "hm"),
    ]  # fmt: skip
    for one in items:
        await place.store(one)
        assert {word for word, _ in await place.states()} <= {"working"}
    await place.store(turn_end(11), state(12, "idle", "idle", "end_turn"))
    assert [word for word, _ in await place.states()][-1] == "idle"


async def test_a_start_with_an_input_is_not_idle_first(world: World) -> None:
    """Until a delivered input has turned up in the transcript, the bridge's being idle is told to nobody."""
    place = await seat(world)
    prompt_id = uuid4()
    await place.store(state(1, "idle"))
    await world.execute(
        "insert into task_prompts (id, task_id, source, workspace_build_id, content, state, created_at,"
        " sent_at, settled_at) values ($1, $2, 'input', $3, 'go', 'delivered', $4, $4, $4)",
        prompt_id, place.place.task_id, place.actor.build_id, world.now,
    )  # fmt: skip
    await place.store(state(2, "starting"), state(3, "idle"))
    assert await place.states() == [("working", "The input is on its way.")]
    await place.store(user(4, "go", prompt_id), state(5, "idle"))
    assert [word for word, _ in await place.states()] == ["working", "idle"]
    numbers = await world.value("select number from task_prompts where id = $1", prompt_id)
    assert numbers == 4


async def test_without_an_input_idle_is_told_once(world: World) -> None:
    """Where nothing is to be delivered, whoever is first says so, bridge or server, and the other adds nothing."""
    for first in ("bridge", "server"):
        place = await quiet(world)
        if first == "bridge":
            await place.store(state(1, "idle"))
        await deliver_input(world.services, place.actor)
        assert await place.states() == [IDLE]
        await place.store(state(2 if first == "bridge" else 1, "idle", "again"))
        assert await place.states() == [IDLE]


async def test_an_input_that_is_given_up_is_on_its_way_no_more(world: World) -> None:
    """Where a delivery ends without a message, what the coding agent does is told in its place."""
    place = await seat(world)
    await place.store(state(1, "idle"))
    assert await place.states() == [("working", "The input is on its way.")]
    await place.change_input("")
    await deliver_input(world.services, place.actor)
    assert (await place.states())[-1] == IDLE


async def test_a_report_gives_words_and_an_outcome(world: World) -> None:
    """While it works only the words are shown; when it is idle, the outcome too; a new message makes it void."""
    place = await quiet(world)
    await place.store(state(1, "working"), user(2, "x"))
    await place.store(report(3, "<b>Wrote</b> it", "complete", "https://example.com/7"))
    await place.store(turn_end(4), state(5, "idle", "idle", "end_turn"))
    assert await place.states() == [WORKING, ("working", "Wrote it"), ("complete", "Wrote it")]
    assert (await observation(place)).shown_uri == "https://example.com/7"
    await place.store(state(6, "working"), user(7, "y"))
    await place.store(turn_end(8), state(9, "idle", "idle", "end_turn"))
    assert (await place.states())[-2:] == [WORKING, IDLE]


async def test_reports_that_make_no_sense(world: World) -> None:
    """Nothing is stored of a report of another shape, or of a state of another word."""
    place = await quiet(world)
    await place.store(
        raw(1, b'{"summary": 5}', kind=ItemKind.REPORT),
        raw(2, b'{"summary": "x", "outcome": "great"}', kind=ItemKind.REPORT),
        raw(3, b'{"state": "dancing", "session": "x"}', kind=ItemKind.STATE),
        raw(4, b"{}", kind=ItemKind.STATE),
        raw(5, b'{"id": 5}', kind=ItemKind.PERMISSION_REQUEST),
        raw(6, b"{}", kind=ItemKind.PERMISSION_RESPONSE),
    )
    found = await observation(place)
    assert (found.state, found.report_number, await permissions(place)) == (None, None, [])
    assert await place.states() == []


async def test_strange_text_is_kept_fit(world: World) -> None:
    """NUL, controls and lengths without end neither fail nor reach a page."""
    place = await quiet(world)
    title = "rm -rf \0\x1b[2K\u202e" + "x" * 9000
    await place.store(
        state(1, "working", "run\0ning"),
        asks(2, "p1", title),
        asks(3, "p\0", title),
        state(4, "waiting", "s" * 900, "r\0", ("permission", "p1", title)),
        report(5, "done\0", "complete", "https://x/\0"),
    )
    found, [asked] = await observation(place), await permissions(place)
    assert found.waiting_title is not None
    assert found.waiting_title == asked.title
    assert asked.title.isprintable()
    assert (found.summary, found.link) == ("done", "")


async def test_a_lower_number_never_overwrites(world: World) -> None:
    """Observed state and report are of the item with the highest number, in whatever order they are written."""
    place = await quiet(world)
    await place.store(state(1, "idle"), report(2, "a"), state(3, "working"), report(4, "b"))
    before = await observation(place)
    assert place.place.task_id is not None
    async with world.services.db.transaction() as conn:
        assert before.observed is not None
        await db.upsert_observed_as_system(
            conn, place.place.task_id, 3, before.observed, generation=9, now=world.now
        )
        await db.upsert_report_as_system(conn, place.place.task_id, 1, None, now=world.now)
    assert await observation(place) == before


async def test_since_is_when_the_state_began(world: World) -> None:
    """A finer word, a reason or another title changes nothing of how long the state lasts."""
    place = await quiet(world)
    await place.store(state(1, "idle"))
    began = await world.value("select since from task_observed")
    await place.store(state(2, "idle", "idle", "end_turn"))
    assert await world.value("select since from task_observed") == began
    await place.store(state(3, "working"))
    assert await world.value("select since from task_observed") != began


async def test_an_older_bridge_tells_by_its_turns(world: World) -> None:
    """Where no state was told in a generation, messages and ends of turns tell; a state makes that stop."""
    place = await quiet(world)
    await place.store(user(1, "x"))
    await place.store(turn_end(2))
    assert await place.states() == [WORKING, IDLE]
    await place.store(state(3, "working"))
    await place.store(user(4, "y"), turn_end(5))
    assert await place.states() == [WORKING, IDLE, WORKING]
    older = await place.restarted()
    await older.store(user(6, "z"))
    await older.store(turn_end(7, "error", "no key"))
    assert (await older.states())[-2:] == [WORKING, ("failure", "The turn failed: no key")]


async def test_a_repair_leaves_the_word_to_the_new_bridge(world: World) -> None:
    """After the agent was lost in a turn, `working` stays until the new bridge says what is."""
    place = await quiet(world)
    await place.store(state(1, "working"), user(2, "x"))
    await world.execute("update workspaces set generation = generation + 1")
    await world.execute("update workspace_agents set generation = generation + 1")
    actor = place.actor
    again = Seat(world, place.place, type(actor)(
        actor.agent_id, actor.workspace_id, actor.build_id, actor.generation + 1, actor.task_id
    ), place.app_id, place.token)  # fmt: skip
    await again.store(state(3, "starting"), turn_end(4, "interrupted"))
    assert await again.states() == [WORKING]
    await again.store(state(5, "idle"))
    assert await again.states() == [WORKING, IDLE]


async def test_after_a_resume_all_is_told_anew(world: World) -> None:
    """What was told before a start counts no more, even when the same is to be told again."""
    place = await quiet(world)
    await place.store(state(1, "idle"), state(2, "stopped"))
    assert await place.states() == [IDLE]
    again = await place.restarted()
    await again.store(state(3, "starting"), state(4, "idle"))
    assert await again.states() == [IDLE, IDLE]


async def test_a_stop_ends_what_the_bridge_could_not(world: World) -> None:
    """A bridge that was killed in a turn is stopped all the same; what it asked is closed. Source: T82."""
    place = await quiet(world)
    await place.store(state(1, "working"), user(2, "x"), asks(3, "p1"))
    async with world.services.db.transaction() as conn:
        stopped = StateNews(AgentState.STOPPED, "stopped")
        await end_observation(conn, place.place.id, stopped, world.now)
        await end_observation(conn, place.place.id, stopped, world.now)
    assert await place.states() == [WORKING, ("idle", "Stopped before the turn was over.")]
    assert (await observation(place)).state is AgentState.STOPPED
    [asked] = await permissions(place)
    assert (asked.outcome, asked.answered_by) == ("cancelled", "cancel")
    stored = [json.loads(data) for _, _, kind, data in await place.items() if kind == "state"]
    assert [data["state"] for data in stored] == ["working", "stopped"]


async def test_a_stop_of_what_nobody_observed_tells_nothing(world: World) -> None:
    """Somebody else's server keeps its last status over a pause. Source: T82."""
    place = await quiet(world)
    await world.execute(
        "insert into workspace_app_statuses (id, workspace_id, agent_id, app_id, state, message, uri, created_at)"
        " values (gen_random_uuid(), $1, $2, $3, 'working', 'theirs', '', now())",
        place.place.id, place.actor.agent_id, place.app_id,
    )  # fmt: skip
    async with world.services.db.transaction() as conn:
        stopped = StateNews(AgentState.STOPPED, "stopped")
        await end_observation(conn, place.place.id, stopped, world.now)
    assert await place.states() == [("working", "theirs")]
    assert await place.items() == []


async def test_permissions_are_kept_with_their_answers(world: World) -> None:
    """Each request is open until its answer; a second one changes nothing, and a name is only believed of the server."""
    place = await quiet(world)
    await place.store(state(1, "working"), asks(2, "p1", "Run make"), asks(3, "p2", "Run tests"))
    assert [row.id for row in await permissions(place, answered=False)] == ["p2", "p1"]
    await place.store(answers(4, "p1"), answers(5, "p1", by="cancel"), answers(6, "none"))
    [second, first] = await permissions(place)
    assert (first.outcome, first.option_id) == ("selected", "once")
    assert (first.answered_by, first.answerer) == ("person", None)
    assert second.answered_at is None
    assert [o.option_id for o in first.read_options()] == ["once", "no"]


@pytest.mark.parametrize("word", ["starting", "idle", "failed", "stopped"])
async def test_what_is_over_asks_nothing(world: World, word: str) -> None:
    """The end of a turn, or of the program, closes what is open; being at work does not."""
    place = await quiet(world)
    await place.store(asks(1, "p1"), state(2, "working"))
    assert len(await permissions(place, answered=False)) == 1
    await place.store(state(3, word))
    assert await permissions(place, answered=False) == []
    await place.store(asks(4, "p2"), turn_end(5))
    assert await permissions(place, answered=False) == []


async def test_ids_may_come_again(world: World) -> None:
    """A coding agent that counts from 1 after each start asks anew under an old id."""
    place = await quiet(world)
    await place.store(asks(1, "1"), answers(2, "1"), asks(3, "1", "Again"))
    [newer, older] = await permissions(place)
    assert (newer.title, newer.answered_at, older.answered_at is None) == ("Again", None, False)


async def test_waiting_is_shown_of_what_runs_only(world: World) -> None:
    """What a task waits for is told while the workspace runs that asked, and not after it was replaced."""
    place = await quiet(world)
    asked = ("permission", "p1", "Run make")
    await place.store(asks(1, "p1"), state(2, "waiting", "awaiting_permission", None, asked))
    title = "select waiting_title from task_facts where id = $1"
    assert await world.value(title, place.place.task_id) == "Run make"
    await finish(world, await world.build(place.place, Transition.STOP))
    await world.execute("update workspaces set generation = generation + 1")
    assert await world.value(title, place.place.task_id) is None


async def test_work_moves_the_deadline(world: World) -> None:
    """The states that are told count as reports of work. Source: T161."""
    place = await quiet(world)
    late = datetime.now(UTC) - timedelta(minutes=5)
    await world.execute("update workspace_builds set deadline = $1", late)
    await place.store(state(1, "working"))
    moved = await world.value("select max(deadline) from workspace_builds")
    assert isinstance(moved, datetime)
    assert moved > late
