"""The migration to limits and force, on a database with rows in it, beside the release before it."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from taskyard.db.migrate import load_migrations, migrate
from tests.db.older import database_at

pytestmark = pytest.mark.anyio

BEFORE = 3
"""The migrations of the release before this one."""

SEED = """
insert into organizations values (gen_random_uuid(), 'main', '', '', '', true, now(), now());
insert into users select gen_random_uuid(), 'ada', 'ada@example.com', '', '', null, 'none', 'active', '{}', null, false,
    now(), now(), now();
"""


@pytest.fixture
async def old(postgres_url: str) -> AsyncIterator[str]:
    """The address of a database that the release before this one has left, with rows in it."""
    async with database_at(postgres_url, BEFORE, SEED) as url:
        yield url


async def test_nobody_has_a_limit_and_the_release_before_goes_on(old: str) -> None:
    """Its rows stay, what it writes is written, and a limit is at least 1."""
    assert await migrate(old) == len(load_migrations()) - BEFORE
    conn = await asyncpg.connect(old)
    try:
        for table in ("users", "organizations"):
            assert await conn.fetchval(f"select array_agg(max_running) from {table}") == [None]
            with pytest.raises(asyncpg.CheckViolationError):
                await conn.execute(f"update {table} set max_running = 0")
            await conn.execute(f"update {table} set max_running = 1")
        await conn.execute(
            "insert into organizations (id, name, display_name, description, icon, is_default, created_at, updated_at)"
            " values (gen_random_uuid(), 'other', '', '', '', false, now(), now())"
        )
        assert await conn.fetchval("select count(*) from workspaces_with_room") == 0
    finally:
        await conn.close()
