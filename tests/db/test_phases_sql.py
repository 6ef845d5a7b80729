"""The database writes phases by rules of its own; they must never differ from those in the code."""

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from taskyard.control.services import Services
from taskyard.db import phases as db
from taskyard.lifecycle.phases import ORDER, PLACE, End, Stage, begin, end, skip
from taskyard.wire.phases import FailureCause, Phase, PhaseOutcome
from tests.control.world_kit import World

if TYPE_CHECKING:
    from pathlib import Path

    from taskyard.db.pool import Connection

pytestmark = pytest.mark.anyio

THEN = datetime(2026, 3, 1, 9, tzinfo=UTC)
STARTS = 150
"""Random starts that are compared; some ten events each."""


def anything(chance: random.Random) -> End:
    """Something that ends a phase, in or out of turn, at a time that may lie before the last one."""
    phase = chance.choice([None, *Phase])
    at = THEN + timedelta(milliseconds=chance.randrange(-5000, 100_000))
    match chance.randrange(6):
        case 0:
            reason = chance.choice([None, "why", "another"])
            cause = chance.choice(list(FailureCause))
            return End(phase, at, PhaseOutcome.FAILED, cause, reason)
        case 1 if phase is None:
            return End(phase, at, PhaseOutcome.SKIPPED, reason="stopped")
        case _:
            return End(phase, at)


def in_turn(stages: list[Stage], chance: random.Random) -> End:
    """The end of what goes on, more often than not."""
    running = next((stage.phase for stage in stages if stage.runs), None)
    if running is None or chance.random() < 0.4:
        return anything(chance)
    return End(running, THEN + timedelta(milliseconds=chance.randrange(100_000)))


async def stored(conn: "Connection", build_id: object) -> list[Stage]:
    """The newest round in the database."""
    rows = await db.list_phases_as_system(conn, build_id)  # type: ignore[arg-type]  # of the world
    newest = max(row.round for row in rows)
    stages = [row.stage for row in rows if row.round == newest]
    return sorted(stages, key=lambda stage: PLACE[stage.phase])


async def test_phases_are_the_same_in_both(services: Services, tmp_path: "Path") -> None:
    """Whatever ends, in whatever order: the database's rows are what the code says; each change is one item, in order."""
    world = World(services, tmp_path)
    await world.found()
    place = await world.workspace({})
    build = await world.newest(place)
    seed = 20261
    chance = random.Random(seed)
    async with services.db.connection() as conn:
        for _ in range(STARTS):
            await db.begin_phases_as_system(conn, place.id, build.id, THEN)
            skips = [p for p in ORDER[3:] if chance.random() < 0.15]
            expected = skip(begin(THEN), skips, THEN)
            await db.end_phases_as_system(conn, build.id, [], THEN, skips=skips)
            for _ in range(chance.randrange(3, 14)):
                events = [in_turn(expected, chance) for _ in range(chance.choice((1, 1, 2)))]
                for event in events:
                    expected = end(expected, event)
                await db.end_phases_as_system(conn, build.id, events, THEN)
                assert await stored(conn, build.id) == expected, f"seed {seed}: {events}"
        numbers = await conn.fetch("select number, data::text from task_items order by number")
        last = await conn.fetchval("select last_number from tasks")
    assert [row[0] for row in numbers] == list(range(1, last + 1))
    assert {msgspec.json.decode(row[1])["state"] for row in numbers} == {
        "began",
        "done",
        "failed",
        "skipped",
    }


async def test_words_and_order_are_the_same(services: Services) -> None:
    """The list of phases in the database is the code's; the words of its checks are those of the wire."""
    async with services.db.connection() as conn:
        places = [await conn.fetchval("select phase_place($1)", phase) for phase in Phase]
        checks = await conn.fetch(
            "select pg_get_constraintdef(oid) from pg_constraint"
            " where conrelid = 'workspace_build_phases'::regclass and contype = 'c'"
        )
    assert places == list(range(1, len(ORDER) + 1))
    text = " ".join(row[0] for row in checks)
    for word in (*Phase, *PhaseOutcome, *FailureCause):
        assert f"'{word}'" in text
