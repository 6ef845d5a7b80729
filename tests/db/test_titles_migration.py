"""The migration to display names in events, on a database with a task in it, beside the release before it."""

import asyncpg
import pytest

from taskyard.db.migrate import migrate
from tests.db.older import database_at
from tests.db.test_observed_migration import SEED

pytestmark = pytest.mark.anyio

BEFORE = 12


async def test_only_a_change_is_told(postgres_url: str) -> None:
    """Tasks of before are not told anew; a rename is, whoever does it, and the release before goes on."""
    told = "select array_agg(display_name order by id) from task_events"
    async with database_at(postgres_url, BEFORE, SEED) as url:
        await migrate(url)
        conn = await asyncpg.connect(url)
        try:
            title = await conn.fetchval("select display_name from tasks")
            before = await conn.fetchval(told)
            assert before[-1] == title
            await conn.execute("update tasks set display_name = display_name")
            await conn.execute("update workspaces set generation = generation + 1")
            assert await conn.fetchval(told) == before
            await conn.execute("update tasks set display_name = 'Other'")
            assert await conn.fetchval(told) == [*before, "Other"]
        finally:
            await conn.close()
