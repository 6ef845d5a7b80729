"""What a workspace that means harm can make the server keep and do: no more than it may."""

from datetime import UTC, datetime

import msgspec
import pytest

from taskyard.control import agent_requests, agents, transcript
from taskyard.db import agents as agents_db
from taskyard.db import workspaces as workspaces_db
from taskyard.errors import Invalid, RequestRefused
from taskyard.wire import link
from taskyard.wire.tasks import SnapshotUpload
from taskyard.wire.workspaces import CreateLogSourceRequest, PatchAppStatus
from tests.control.agent_kit import Seat, item, said, seat, user
from tests.control.world_kit import World

pytestmark = pytest.mark.anyio


async def log(place: Seat, source: str, texts: list[str]) -> None:
    """The agent's log gets these lines by the link."""
    lines = [link.LogLine(datetime.now(UTC), "info", text) for text in texts]
    await agents.append_logs(
        place.world.services, place.actor, link.LogLines(source, lines), place.world.now
    )


async def test_a_flood_of_tiny_items_is_refused(world: World) -> None:
    """More items than an agent ever sends at once are not even looked at."""
    place = await seat(world)
    with pytest.raises(ValueError, match=str(transcript.MAX_ITEMS)):
        await place.store(*(item(seq) for seq in range(1, transcript.MAX_ITEMS + 2)))
    assert await place.items() == []


@pytest.mark.all_tier
async def test_empty_lines_fill_a_log(world: World) -> None:
    """Lines count even when they are empty, so that a log cannot have any number of them."""
    place = await seat(world)
    for _ in range(5):
        await log(place, "start", [""] * 40_000)
    count = await world.value("select count(*) from workspace_agent_logs")
    assert isinstance(count, int)
    assert count <= agents.MAX_LOG_BYTES / agents_db.LEAST_LINE_BYTES + 1
    assert await world.value("select logs_overflowed from workspace_agents")


async def test_writers_of_a_log_are_limited(world: World) -> None:
    """Names of writers are cut, and beyond a number there is no new one; known ones go on."""
    place = await seat(world)
    for number in range(agents_db.MAX_LOG_SOURCES):
        await log(place, f"{number} " + "x" * 10_000, ["line"])
    with pytest.raises(ValueError, match="writers"):
        await log(place, "one more", ["line"])
    with pytest.raises(RequestRefused):
        await agent_requests.create_log_source(
            world.services, place.actor, CreateLogSourceRequest(display_name="more"), world.now
        )
    await log(place, "7 " + "x" * 10_000, ["again"])
    assert (
        await world.value("select max(length(display_name)) from workspace_agent_log_sources")
        == agents.MAX_SOURCE_CHARS
    )


async def test_reports_are_not_kept_for_ever(world: World) -> None:
    """However often a program reports, what is kept is what is shown, the newest of it."""
    place = await seat(world)
    for number in range(workspaces_db.MAX_APP_STATUSES + 5):
        report = PatchAppStatus(app_slug="agent", state="working", message=f"step {number}", uri="")
        await agent_requests.report_status(world.services, place.actor, report, world.now)
    rows = "from workspace_app_statuses"
    assert await world.value(f"select count(*) {rows}") == workspaces_db.MAX_APP_STATUSES
    assert await world.value(f"select message {rows} order by place limit 1") == "step 5"


async def test_long_texts_are_refused(world: World) -> None:
    """Names, icons and URIs that every list would repeat are short."""
    place = await seat(world)
    long = "y" * (agent_requests.MAX_TEXT_BYTES + 1)
    with pytest.raises(Invalid):
        await agent_requests.create_log_source(
            world.services, place.actor, CreateLogSourceRequest(display_name=long), world.now
        )
    report = PatchAppStatus(app_slug="agent", state="working", message="m", uri=long)
    with pytest.raises(Invalid):
        await agent_requests.report_status(world.services, place.actor, report, world.now)


async def test_a_snapshot_is_made_of_the_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the transcript, the server reads its end only; messages keep their numbers."""
    monkeypatch.setattr(transcript, "SNAPSHOT_READ_BYTES", 1000)
    place = await seat(world)
    for turn in range(50):
        await place.store(
            user(2 * turn + 1, f"question {turn}"), said(2 * turn + 2, f"answer {turn}")
        )
    async with world.services.db.transaction() as conn:
        await transcript.snapshot_from_items(conn, place.place.task_id, world.now)
    data = await world.value("select data from task_snapshots")
    assert isinstance(data, bytes)
    messages = msgspec.json.decode(data, type=SnapshotUpload).messages or []
    assert (messages[-1].content, messages[-1].id) == ("answer 49", 99)
    assert 2 <= len(messages) < 40
