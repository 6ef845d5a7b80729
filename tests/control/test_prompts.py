"""A task's input reaches its coding agent once for each start that has something new to say."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from taskyard.control.prompts import deliver_input
from taskyard.errors import AgentUnreachable
from taskyard.lifecycle.template_model import Template
from taskyard.wire.link import ItemKind
from tests.control.agent_kit import Seat, foreign, seat, user
from tests.control.app_kit import HANG_UP, ScriptedApp, reached
from tests.control.world_kit import BRIDGED, World
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

EACH = [BRIDGED, foreign()]
"""Our bridge, and somebody else's server."""


async def deliver(seat: Seat) -> None:
    """What the server does whenever something changed at the agent."""
    async with asyncio.timeout(DEADLINE_S):
        await deliver_input(seat.world.services, seat.actor)


@asynccontextmanager
async def delivering(seat: Seat) -> AsyncIterator[None]:
    """The delivery under way beside the block, which ends it as a broken link does."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(deliver_input(seat.world.services, seat.actor))
        try:
            yield
        finally:
            task.cancel()


@pytest.mark.parametrize("template", EACH)
async def test_the_first_start_delivers_the_input(
    world: World, tmp_path: Path, template: Template
) -> None:
    """The text arrives as it is, once, however often anything changes; it is marked delivered."""
    place, app = await seat(world, template, text=" do\nit "), ScriptedApp()
    async with reached(place, app, tmp_path):
        for _ in range(3):
            await deliver(place)
    [(content, prompt_id)] = app.got
    assert content == " do\nit "
    assert str(UUID(prompt_id)) == prompt_id
    assert await place.prompts() == [(" do\nit ", "delivered")]


@pytest.mark.parametrize("text", ["", "  \n\t"])
async def test_a_blank_input_is_not_delivered(world: World, tmp_path: Path, text: str) -> None:
    """There is nothing to say; the coding agent waits, and clients are told so once."""
    place, app = await seat(world, text=text), ScriptedApp()
    async with reached(place, app, tmp_path):
        await deliver(place)
        await deliver(place)
    assert app.got == []
    assert await place.prompts() == []
    assert [state for state, _ in await place.states()] == ["idle"]


async def test_a_resume_delivers_only_what_changed(world: World, tmp_path: Path) -> None:
    """An equal input is not said again, a changed one is, and one that was changed back is too."""
    place, app = await seat(world, text="one"), ScriptedApp()
    async with reached(place, app, tmp_path):
        await deliver(place)
    for text in ("one", "two", "two", "one", ""):
        await place.change_input(text)
        place = await place.restarted()
        async with reached(place, app, tmp_path):
            await deliver(place)
    assert [content for content, _ in app.got] == ["one", "two", "one"]
    assert len({prompt_id for _, prompt_id in app.got}) == 3


async def test_a_resume_with_nothing_new_is_idle(world: World, tmp_path: Path) -> None:
    """After a start that delivers nothing, clients see that the coding agent waits."""
    place, app = await seat(world), ScriptedApp()
    async with reached(place, app, tmp_path):
        await deliver(place)
    assert await place.states() == []
    place = await place.restarted()
    async with reached(place, app, tmp_path):
        await deliver(place)
        await deliver(place)
    assert [state for state, _ in await place.states()] == ["idle"]


async def test_an_input_that_was_delivered_is_not_idle(world: World, tmp_path: Path) -> None:
    """Between the delivery and the first item nobody says that the coding agent waits."""
    place, app = await seat(world), ScriptedApp()
    async with reached(place, app, tmp_path):
        await deliver(place)
        await deliver(place)
    assert await place.states() == []


async def test_somebody_elses_server_is_not_said_to_be_idle(world: World, tmp_path: Path) -> None:
    """Of a server that is not ours there is no evidence."""
    place, app = await seat(world, foreign(), text=""), ScriptedApp()
    async with reached(place, app, tmp_path):
        await deliver(place)
    assert await place.states() == []


@pytest.mark.parametrize(
    "change",
    [
        "update workspace_agents set lifecycle = 'starting'",
        "update workspace_agents set lifecycle = 'shutting_down'",
        "update workspace_apps set health = 'initializing'",
        "update workspace_apps set health = 'unhealthy'",
        "update workspaces set generation = generation + 1",
        "update tasks set deleted_at = now()",
    ],
)
async def test_not_before_all_is_ready(world: World, tmp_path: Path, change: str) -> None:
    """Nothing is delivered, or said, before the agent is ready and the app well, or to an old generation."""
    place, app = await seat(world), ScriptedApp()
    await world.execute(change)
    async with reached(place, app, tmp_path):
        await deliver(place)
    assert app.got == []
    assert await place.prompts() == []
    assert await place.states() == []


@pytest.mark.parametrize("lifecycle", ["start_error", "start_timeout"])
async def test_a_start_script_that_failed_keeps_no_input_back(
    world: World, tmp_path: Path, lifecycle: str
) -> None:
    """The workspace is usable, so the coding agent gets its input."""
    place, app = await seat(world), ScriptedApp()
    await world.execute("update workspace_agents set lifecycle = $1", lifecycle)
    async with reached(place, app, tmp_path):
        await deliver(place)
    assert len(app.got) == 1


async def test_an_app_without_check_counts_as_well(world: World, tmp_path: Path) -> None:
    """An app that nobody checks gets its input as soon as the agent is ready."""
    place, app = await seat(world, foreign()), ScriptedApp()
    await world.execute("update workspace_apps set health = 'disabled', healthcheck_url = ''")
    async with reached(place, app, tmp_path):
        await deliver(place)
    assert len(app.got) == 1


@pytest.mark.parametrize("template", EACH)
async def test_marked_before_anything_leaves(
    world: World, tmp_path: Path, template: Template
) -> None:
    """While the message is under way the input is marked as being sent."""
    place, app = await seat(world, template), ScriptedApp(hold=asyncio.Event())
    async with reached(place, app, tmp_path), delivering(place):
        await app.arrived.wait()
        assert await place.prompts() == [("go", "sending")]


async def test_our_bridge_gets_the_same_id_again(world: World, tmp_path: Path) -> None:
    """A delivery cut short is made again under the same id by the next link, which our bridge knows."""
    place, app = await seat(world), ScriptedApp(hold=asyncio.Event())
    async with reached(place, app, tmp_path), delivering(place):
        await app.arrived.wait()
    app.hold = None
    async with reached(place, app, tmp_path):
        await deliver(place)
        await deliver(place)
    first, second = app.got
    assert first == second
    assert await place.prompts() == [("go", "delivered")]


async def test_a_pause_in_the_middle_of_a_delivery(world: World, tmp_path: Path) -> None:
    """The next start delivers again under the same id what our bridge may have got already."""
    place, app = await seat(world), ScriptedApp(hold=asyncio.Event())
    async with reached(place, app, tmp_path), delivering(place):
        await app.arrived.wait()
    app.hold = None
    place = await place.restarted()
    async with reached(place, app, tmp_path):
        await deliver(place)
        await deliver(place)
    first, second = app.got
    assert first == second
    assert await place.prompts() == [("go", "delivered")]
    assert await place.states() == []


async def test_a_changed_input_after_a_delivery_cut_short(world: World, tmp_path: Path) -> None:
    """The open delivery is uncertain for good, and the new text is delivered."""
    place, app = await seat(world), ScriptedApp(hold=asyncio.Event())
    async with reached(place, app, tmp_path), delivering(place):
        await app.arrived.wait()
    app.hold = None
    await place.change_input("new")
    place = await place.restarted()
    async with reached(place, app, tmp_path):
        await deliver(place)
    assert [content for content, _ in app.got] == ["go", "new"]
    assert await place.prompts() == [("go", "uncertain"), ("new", "delivered")]


async def test_the_transcript_confirms_what_no_answer_did(world: World, tmp_path: Path) -> None:
    """Once the message is stored as an item, no later link or start says it again."""
    place, app = await seat(world), ScriptedApp(hold=asyncio.Event())
    async with reached(place, app, tmp_path), delivering(place):
        await app.arrived.wait()
        await place.store(user(1, "go", UUID(app.got[0][1])))
    app.hold = None
    for again in (place, await place.restarted()):
        async with reached(again, app, tmp_path):
            await deliver(again)
    assert len(app.got) == 1
    assert await place.prompts() == [("go", "delivered")]


@pytest.mark.parametrize("restarts", [False, True])
async def test_somebody_elses_server_gets_it_never_again(
    world: World, tmp_path: Path, *, restarts: bool
) -> None:
    """A delivery cut short is uncertain: reported, and made by no later link or start."""
    place, app = await seat(world, foreign()), ScriptedApp(hold=asyncio.Event())
    async with reached(place, app, tmp_path), delivering(place):
        await app.arrived.wait()
    app.hold = None
    again = await place.restarted() if restarts else place
    for _ in range(2):
        async with reached(again, app, tmp_path):
            await deliver(again)
    assert len(app.got) == 1
    assert await place.prompts() == [("go", "uncertain")]
    [(_, seq, kind, data)] = await place.items()
    assert (seq, kind) == (None, ItemKind.ERROR)
    assert msgspec.json.decode(data)["level"] == "warning"


async def test_the_link_breaks_while_the_message_is_under_way(world: World, tmp_path: Path) -> None:
    """The courier hears that the agent is gone; the mark stays, for the next link to decide."""
    place, app = await seat(world), ScriptedApp(hold=asyncio.Event())
    async with asyncio.TaskGroup() as group, reached(place, app, tmp_path):
        task = group.create_task(_unreachable(place))
        await app.arrived.wait()
        mux = await world.services.links.get(place.actor.agent_id)
        mux.end("the cable was cut")
        await task
    assert await place.prompts() == [("go", "sending")]


async def _unreachable(place: Seat) -> None:
    with pytest.raises(AgentUnreachable):
        await deliver(place)


async def test_an_answer_that_never_came_from_our_bridge(world: World, tmp_path: Path) -> None:
    """An app that hangs up is asked again; the id keeps it from saying anything twice."""
    place, app = await seat(world), ScriptedApp(answers=[(HANG_UP, ""), (200, "")])
    async with reached(place, app, tmp_path):
        await deliver(place)
    first, second = app.got
    assert first == second
    assert await place.prompts() == [("go", "delivered")]


async def test_an_answer_that_never_came_from_somebody_else(world: World, tmp_path: Path) -> None:
    """Nobody can tell whether the message arrived, so it is not sent again."""
    place, app = await seat(world, foreign()), ScriptedApp(answers=[(HANG_UP, ""), (200, "")])
    async with reached(place, app, tmp_path):
        await deliver(place)
    assert len(app.got) == 1
    assert await place.prompts() == [("go", "uncertain")]


@pytest.mark.parametrize("code", ["busy", "not_ready"])
async def test_refusals_that_pass_are_waited_out(world: World, tmp_path: Path, code: str) -> None:
    """A bridge that is busy or still starting is asked again until it takes the input."""
    app = ScriptedApp(answers=[(500, code), (500, code), (200, "")])
    place = await seat(world)
    async with reached(place, app, tmp_path):
        await deliver(place)
    assert len(app.got) == 3
    assert len(set(app.got)) == 1
    assert await place.prompts() == [("go", "delivered")]


@pytest.mark.parametrize("template", EACH)
@pytest.mark.parametrize(("status", "code"), [(500, "agent_exited"), (422, ""), (302, "")])
async def test_refusals_that_stay(
    world: World, tmp_path: Path, template: Template, status: int, code: str
) -> None:
    """The delivery failed: the transcript says why, waiting clients see it, the next start tries again."""
    place, app = await seat(world, template), ScriptedApp(answers=[(status, code), (200, "")])
    async with reached(place, app, tmp_path):
        await deliver(place)
        await deliver(place)
    assert len(app.got) == 1
    assert await place.prompts() == [("go", "failed")]
    [(_, seq, kind, data)] = await place.items()
    assert (seq, kind) == (None, ItemKind.ERROR)
    assert (code or str(status)) in msgspec.json.decode(data)["message"]
    assert [state for state, _ in await place.states()] == ["failure"]
    place = await place.restarted()
    async with reached(place, app, tmp_path):
        await deliver(place)
    assert await place.prompts() == [("go", "failed"), ("go", "delivered")]
    assert app.got[0][1] != app.got[1][1]


async def test_somebody_elses_server_is_asked_first(world: World, tmp_path: Path) -> None:
    """A foreign server gets its message once it says that it takes one."""
    app = ScriptedApp(statuses=["running", "running", "stable"])
    place = await seat(world, foreign())
    async with reached(place, app, tmp_path):
        await deliver(place)
    assert (app.asked, len(app.got)) == (3, 1)


@pytest.mark.parametrize(
    "url", ["", "https://localhost:1", "http://example.com", "http://localhost:x"]
)
async def test_apps_that_cannot_be_reached_ever(world: World, tmp_path: Path, url: str) -> None:
    """A URL that leads nowhere is a failure that is told, not an endless try."""
    place, app = await seat(world, foreign()), ScriptedApp()
    await world.execute("update workspace_apps set url = $1", url)
    async with reached(place, app, tmp_path):
        await deliver(place)
    assert await place.prompts() == [("go", "failed")]
    assert [state for state, _ in await place.states()] == ["failure"]


async def test_two_couriers_at_once(world: World, tmp_path: Path) -> None:
    """Whoever marks the input first delivers it."""
    place, app = await seat(world), ScriptedApp()
    async with reached(place, app, tmp_path), asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(deliver(place))
    assert len(set(app.got)) == 1
    assert await place.prompts() == [("go", "delivered")]
