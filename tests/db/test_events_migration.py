"""The migration to events, on a database with a task in it, beside the release before it."""

import re

import asyncpg
import pytest

from bench.seed import seed_sql
from taskyard.db.migrate import load_migrations, migrate
from tests.db.older import database_at

pytestmark = pytest.mark.anyio

BEFORE = 3

LATER = r"insert into workspace_room .*?;|update provisioner_jobs set for_room .*?;"
"""What the seed makes of later migrations."""

CHANGED = "update workspace_agents set lifecycle = 'start_error'"
"""What the release before it writes."""


async def test_tasks_of_before_have_an_event(postgres_url: str) -> None:
    """Each live task has one that says what it is, and what the release before changes is told from then on."""
    seed = seed_sql(50)
    seed = "\n".join(line for line in seed.splitlines() if "trigger user" not in line)
    seed = re.sub(LATER, "", seed, flags=re.DOTALL)
    async with database_at(postgres_url, BEFORE, seed) as url:
        assert await migrate(url) == len(load_migrations()) - BEFORE
        conn = await asyncpg.connect(url)
        try:
            live = await conn.fetch("select id, status from task_facts order by id")
            told = await conn.fetch("select task_id, status from task_events order by task_id")
            assert [tuple(row) for row in told] == [tuple(row) for row in live]
            changed = await conn.execute(CHANGED)
            assert int(changed.split()[1]) > 0
            assert await conn.fetchval("select count(*) from task_events") >= len(live)
            assert await conn.fetchval("select after from task_events_kept") == 0
        finally:
            await conn.close()
