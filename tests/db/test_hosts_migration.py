"""The migration to several servers, on a database of one server with workspaces."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from taskyard.db.migrate import load_migrations, migrate
from tests.db.older import WITH_TEMPLATE, database_at

pytestmark = pytest.mark.anyio

SEED = f"""
insert into deployment (id, claimed_at) values ('00000000-0000-0000-0000-00000000000a', now());
{WITH_TEMPLATE}insert into workspaces (id, owner_id, organization_id, template_id, name, driver, created_at, updated_at, last_used_at)
select gen_random_uuid(), u.id, t.organization_id, t.id, w.name, w.driver, now(), now(), now()
from users u, templates t, (values ('ran', 'sandbox'), ('fresh', null)) as w (name, driver);
"""


@pytest.fixture
async def old(postgres_url: str) -> AsyncIterator[str]:
    """The address of a database of the release before, with one workspace that ran and one that did not."""
    async with database_at(postgres_url, 6, SEED) as url:
        yield url


async def test_files_are_where_they_were(old: str) -> None:
    """What ran is in the one data directory there was; what never did is nowhere yet. No key is made up by SQL."""
    assert await migrate(old) == len(load_migrations()) - 6
    conn = await asyncpg.connect(old)
    try:
        rows = await conn.fetch("select name, host_id from workspaces")
        hosts = {row["name"]: row["host_id"] for row in rows}
        [(host_id, name)] = await conn.fetch("select id, name from hosts")
        assert (hosts["ran"], hosts["fresh"], name) == (host_id, None, "")
        assert await conn.fetchval("select id = $1 and peer_key is null from deployment", host_id)
    finally:
        await conn.close()
