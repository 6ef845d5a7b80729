"""The migration to requests that are done once, on a database with rows in it, beside the release before it."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from taskyard.db.migrate import load_migrations, migrate
from taskyard.wire.enums import AuditAction
from tests.db.older import database_at

pytestmark = pytest.mark.anyio

SEED = """
insert into organizations values (gen_random_uuid(), 'main', '', '', '', true, now(), now());
insert into users select gen_random_uuid(), 'ada', 'ada@example.com', '', '', null, 'none', 'active', '{}', null, false,
    now(), now(), now();
insert into audit_logs (id, at, user_id, username, action, resource_type, resource_id, resource_name, organization_id,
    succeeded, changes, request_id, ip, user_agent)
select gen_random_uuid(), now(), u.id, 'ada', 'create', 'task', 'x', 'x', null, true, '{}', null, null, null from users u;
insert into files (id, sha256, created_by, mimetype, data, created_at)
select gen_random_uuid(), sha256('a'), u.id, 'application/x-tar', 'a', now() from users u;
"""

AUDIT = (
    "insert into audit_logs (id, at, user_id, username, action, resource_type, resource_id, resource_name,"
    " organization_id, succeeded, changes, request_id, ip, user_agent) values (gen_random_uuid(), now(), null, '',"
    " $1, 'task', '', '', null, true, '{}', null, null, null)"
)

KEY = (
    "insert into idempotency_keys (id, owner_id, key, operation, fingerprint, request_id, lease_expires_at,"
    " created_at, expires_at) values (gen_random_uuid(), $1::text::uuid, $2, 'create_task', $3, 'r', now(), now(), now())"
)

NIL = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
async def conn(postgres_url: str) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    """A connection to a database that seven migrations had seen, with rows in it, and all have now."""
    async with database_at(postgres_url, 7, SEED) as url:
        assert await migrate(url) == len(load_migrations()) - 7
        connection = await asyncpg.connect(url)
        try:
            yield connection
        finally:
            await connection.close()


async def test_the_audit_goes_on_and_is_only_added_to(
    conn: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    """Rows of before stay, the release before writes as it did, its words and ours are known, and no row changes."""
    for action in AuditAction:
        await conn.execute(AUDIT, action)
    assert await conn.fetchval("select count(*) from audit_logs") == 1 + len(AuditAction)
    with pytest.raises(asyncpg.CheckViolationError):
        await conn.execute(AUDIT, "anything")
    for statement in (
        "update audit_logs set ip = ''",
        "delete from audit_logs",
        "truncate audit_logs",
    ):
        with pytest.raises(asyncpg.RestrictViolationError):
            await conn.execute(statement)
    async with conn.transaction():
        await conn.execute("select set_config('taskyard.reaping', 'audit', true)")
        with pytest.raises(asyncpg.RestrictViolationError):
            async with conn.transaction():
                await conn.execute("update audit_logs set ip = ''")
        await conn.execute("delete from audit_logs where username = 'ada'")
    with pytest.raises(asyncpg.RestrictViolationError):
        await conn.execute("delete from audit_logs")


async def test_a_key_is_used_once_by_its_owner(conn: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Visible ASCII of 1 to 255 characters, a whole fingerprint, and no second time."""
    await conn.execute(KEY, NIL, "k", bytes(32))
    with pytest.raises(asyncpg.UniqueViolationError):
        await conn.execute(KEY, NIL, "k", bytes(32))
    for key, fingerprint in (("", 32), ("a b", 32), ("ü", 32), ("x" * 256, 32), ("ok", 31)):
        with pytest.raises(asyncpg.CheckViolationError):
            await conn.execute(KEY, NIL, key, bytes(fingerprint))


async def test_files_of_before_have_an_age(conn: "asyncpg.Connection[asyncpg.Record]") -> None:
    """They were not touched since they came, and the release before adds others as it did."""
    assert await conn.fetchval("select touched_at from files") is None
    await conn.execute(
        "insert into files (id, sha256, created_by, mimetype, data, created_at)"
        " select gen_random_uuid(), sha256('b'), id, 'application/x-tar', 'b', now() from users"
    )
