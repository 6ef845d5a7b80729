"""The migration to secrets, on a database with rows in it, beside the release before it."""

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from taskyard.db.migrate import load_migrations, migrate
from tests.db.older import database_at

pytestmark = pytest.mark.anyio

SEED = """
insert into organizations values (gen_random_uuid(), 'main', '', '', '', true, now(), now());
insert into users select gen_random_uuid(), 'ada', 'ada@example.com', '', '', null, 'none', 'active', '{}', null, false,
    now(), now(), now();
insert into audit_logs (id, at, user_id, username, action, resource_type, resource_id, resource_name, organization_id,
    succeeded, changes, request_id, ip, user_agent)
select gen_random_uuid(), now(), u.id, 'ada', 'create', 'task', 'x', 'x', null, true, '{}', null, null, null from users u;
"""

SECRET = (
    "insert into secrets (id, organization_id, user_id, name, scheme, key_id, nonce, sealed, created_at, updated_at)"
    " values (gen_random_uuid(), $1, $2, $3, 1, 'k', $4, $5, now(), now())"
)

AUDIT = (
    "insert into audit_logs (id, at, user_id, username, action, resource_type, resource_id, resource_name,"
    " organization_id, succeeded, changes, request_id, ip, user_agent) values (gen_random_uuid(), now(), null, '',"
    " 'create', $1, '', '', null, true, '{}', null, null, null)"
)


@pytest.fixture
async def old(postgres_url: str) -> AsyncIterator[str]:
    """The address of a database that the two migrations before it have seen, with rows in it."""
    async with database_at(postgres_url, 2, SEED) as url:
        yield url


async def test_the_audit_goes_on_and_knows_secrets(old: str) -> None:
    """Rows of before stay, the release before writes as it did, and only known things are told of."""
    assert await migrate(old) == len(load_migrations()) - 2
    conn = await asyncpg.connect(old)
    try:
        for kind in ("task", "secret"):
            await conn.execute(AUDIT, kind)
        assert await conn.fetchval("select count(*) from audit_logs") == 3
        with pytest.raises(asyncpg.CheckViolationError):
            await conn.execute(AUDIT, "anything")
    finally:
        await conn.close()


async def test_a_secret_is_of_one_owner_and_has_one_name(old: str) -> None:
    """None, two owners, a name that is none, a nonce of another length, the same name twice: the table holds none."""
    await migrate(old)
    conn = await asyncpg.connect(old)
    organization: UUID = await conn.fetchval("select id from organizations")
    user: UUID = await conn.fetchval("select id from users")
    good = (None, user, "KEY", bytes(12), bytes(20))
    try:
        await conn.execute(SECRET, *good)
        await conn.execute(SECRET, organization, None, *good[2:])
        for wrong in (
            (None, None, *good[2:]),
            (organization, user, *good[2:]),
            (None, user, "A-B", *good[3:]),
            (None, user, "OTHER", bytes(16), good[4]),
            (None, user, "OTHER", good[3], bytes(16)),
        ):
            with pytest.raises(asyncpg.CheckViolationError):
                await conn.execute(SECRET, *wrong)
        with pytest.raises(asyncpg.UniqueViolationError):
            await conn.execute(SECRET, *good)
    finally:
        await conn.close()
