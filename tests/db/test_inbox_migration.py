"""The migration to queued prompts, on a database with an input in it, beside the release before it."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from taskyard.db.migrate import load_migrations, migrate
from tests.db.older import database_at
from tests.db.test_observed_migration import SEED

pytestmark = pytest.mark.anyio

OLD_WRITES = (
    (
        "insert into task_prompts (id, task_id, source, workspace_build_id, content, state, created_at, sent_at)"
        " select gen_random_uuid(), id, 'input', gen_random_uuid(), 'more', 'sending', now(), now() from tasks"
    ),
    "update task_prompts set state = 'uncertain', settled_at = now(), error = 'x' where state = 'sending'",
)
"""What the release before it does with prompts."""


@pytest.fixture
async def old(postgres_url: str) -> AsyncIterator[str]:
    """The address of a database that the migrations before this one have seen, with a task in it."""
    async with database_at(postgres_url, 3, SEED) as url:
        yield url


async def test_inputs_of_before_stay_and_new_ones_come(old: str) -> None:
    """Rows of before are as they were, the older release goes on, and places still rise by themselves."""
    conn = await asyncpg.connect(old)
    try:
        before = await conn.fetch("select id, place, state, content, settled_at from task_prompts")
        assert await migrate(old) == len(load_migrations()) - 3
        assert before == await conn.fetch(
            "select id, place, state, content, settled_at from task_prompts"
        )
        for statement in OLD_WRITES:
            await conn.execute(statement)
        places = [
            r["place"] for r in await conn.fetch("select place from task_prompts order by place")
        ]
        assert len(places) == len(set(places)) == 2
    finally:
        await conn.close()


async def test_places_can_be_dealt_out_anew(old: str) -> None:
    """Those that wait change places, and the next one that comes is behind them."""
    await migrate(old)
    conn = await asyncpg.connect(old)
    queued = (
        "insert into task_prompts (id, task_id, source, content, state, created_at)"
        " select gen_random_uuid(), id, 'queue', $1, 'waiting', now() from tasks"
    )
    try:
        for text in "ab":
            await conn.execute(queued, text)
        a, b = await conn.fetch(
            "select id, place from task_prompts where source = 'queue' order by place"
        )
        for row, place in ((a, b["place"]), (b, a["place"])):
            await conn.execute("update task_prompts set place = $2 where id = $1", row["id"], place)
        await conn.execute(queued, "c")
        found = await conn.fetch(
            "select content from task_prompts where source = 'queue' order by place"
        )
        assert [row["content"] for row in found] == ["b", "a", "c"]
    finally:
        await conn.close()
