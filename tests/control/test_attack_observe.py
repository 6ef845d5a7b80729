"""Items of a hostile workspace that tell of its coding agent."""

import msgspec
import pytest

from taskyard.control.task_permissions import permission_view
from taskyard.db import observed as db
from taskyard.wire.link import ItemKind, SentItem
from tests.control.agent_kit import item
from tests.control.test_observe import answers, asks, permissions, quiet, state
from tests.control.world_kit import World

pytestmark = pytest.mark.anyio


def asks_until(seq: int, expires_at: str) -> SentItem:
    """A request for permission with a time of its own."""
    options = [{"option_id": "once", "name": "Allow", "kind": "allow_once"}]
    return item(
        seq,
        ItemKind.PERMISSION_REQUEST,
        id="p1",
        title="Run make",
        options=options,
        expires_at=expires_at,
    )


@pytest.mark.parametrize(
    "moment",
    ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01T00:00:00", "soon"],
)
async def test_a_time_that_nobody_can_read(world: World, moment: str) -> None:
    """A request that ends outside of all years, or no time at all, breaks no list of requests."""
    place = await quiet(world)
    await place.store(asks_until(1, moment), asks(2, "p2"))
    shown = [permission_view(row) for row in await permissions(place)]
    assert shown[0].id == "p2"
    assert all(one.expires_at is None for one in shown)
    assert msgspec.json.encode(shown)


async def test_a_workspace_answers_in_nobody_s_name(world: World) -> None:
    """It may say that a person answered, but not who; the server adds the name of who answered through it."""
    place = await quiet(world)
    await place.store(state(1, "working"), asks(2, "p1"), asks(3, "p2"), asks(4, "p3"))
    await place.store(answers(5, "p1", name="root"), answers(6, "p2", by="policy", name="root"))
    assert {row.answerer for row in await permissions(place)} == {None}

    async def note(permission_id: str, option_id: str) -> None:
        assert place.place.task_id is not None
        answer = db.PermissionAnswer(
            id=permission_id, option_id=option_id, answered_by="person", answerer="ada"
        )
        async with place.world.services.db.transaction() as conn:
            await db.answer_permission_as_system(conn, place.place.task_id, answer, world.now)

    await note("p1", "no")
    assert {row.answerer for row in await permissions(place)} == {None}  # it took another answer
    for permission_id in ("p1", "p2", "p3"):
        await note(permission_id, "once")
    named = {row.id: row.answerer for row in await permissions(place)}
    assert named == {"p1": "ada", "p2": None, "p3": "ada"}
