"""The migration to statuses that tasks are found by, on a database with a task in it."""

import asyncpg
import pytest

from taskyard.db.migrate import migrate
from tests.db.older import database_at
from tests.db.test_observed_migration import SEED

pytestmark = pytest.mark.anyio

BEFORE = 14


async def test_each_task_is_found(postgres_url: str) -> None:
    """A task of before is found by the status that it shows, until it is deleted."""
    async with database_at(postgres_url, BEFORE, SEED) as url:
        await migrate(url)
        conn = await asyncpg.connect(url)
        try:
            [task] = await conn.fetch("select status, noted_status from task_facts")
            assert task["noted_status"] == task["status"]
            await conn.execute("update tasks set deleted_at = now()")
            assert await conn.fetchval("select count(*) from task_statuses") == 0
        finally:
            await conn.close()
