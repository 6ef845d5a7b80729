"""Transactions for lists: read-only, planned for their values, and never all of the pool."""

import asyncio

import asyncpg
import pytest

from taskyard.db.pool import Database

pytestmark = pytest.mark.anyio


async def test_a_list_is_planned_for_its_values(database: Database) -> None:
    """Plans are made for the values, and nothing can be changed; the connection forgets both afterwards."""
    async with database.reading() as conn:
        assert await conn.fetchval("show plan_cache_mode") == "force_custom_plan"
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            async with conn.transaction():
                await conn.execute("delete from tasks")
    async with database.connection() as conn:
        assert await conn.fetchval("show plan_cache_mode") == "auto"
        assert await conn.fetchval("show transaction_read_only") == "off"


async def test_lists_leave_half_of_the_connections(database_url: str) -> None:
    """While long lists are read, a further one waits for its turn, and other work does not."""
    database = Database(database_url, size=2)
    await database.open()
    try:
        async with database.reading():
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05), database.reading():
                    pass
            async with database.transaction() as conn:
                assert await conn.fetchval("select 1") == 1
        async with database.reading() as conn:
            assert await conn.fetchval("select 1") == 1
    finally:
        await database.close()
