"""API keys: who is let in, what that costs, and how use is written down."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace as replaced

from bench.seed import add_key, identify, seed
from taskyard.control import keys
from taskyard.control.services import Services
from taskyard.db.pool import Database
from taskyard.db.tasks import TaskPath, get_task
from taskyard.errors import Unauthenticated, UserSuspended
from tests.statement_log import logged

if TYPE_CHECKING:
    from asyncpg import Record

pytestmark = pytest.mark.anyio

PATH = TaskPath(owner="me", owner_id=None, task="crowd-7", task_id=None)
"""A task of user3, by its name."""

WRITTEN = """
select k.last_used_at, k.expires_at, u.last_seen_at, u.status
from api_keys k
join users u on u.id = k.user_id
where u.id = $1 and k.id = $2
"""


@pytest.fixture
async def key(database: Database, database_url: str) -> str:
    """A token of user3, one of four who have 50 tasks each."""
    await seed(database_url, 200)
    async with database.connection() as conn:
        return await add_key(conn, "user3")


async def test_a_key_and_a_task_are_one_statement(
    services: Services, database_url: str, key: str
) -> None:
    """Once a key is in use, each request with it is one round trip to Postgres, also one that reads a task."""
    now = services.now()
    async with logged(database_url) as (database, seen):
        counting = replace(services, db=database)
        await keys.authenticate_with_task(counting, key, PATH, now)
        seen.clear()  # asyncpg has asked for the types of the columns, once for the connection
        found = await keys.authenticate_with_task(counting, key, PATH, now)
        await keys.authenticate(counting, key, now)
    assert found.task is not None
    assert found.task.owner_id == identify("user3")
    assert [sql.split()[0] for sql in seen] == ["select", "select"]


async def test_the_task_is_the_one_that_a_plain_read_gives(services: Services, key: str) -> None:
    """What comes with the key equals the row that use cases read, in every field."""
    found = await keys.authenticate_with_task(services, key, PATH, services.now())
    assert found.task is not None
    async with services.db.connection() as conn:
        assert await get_task(conn, found.actor.viewer, found.task.id) == found.task


@pytest.mark.parametrize(
    "path",
    [
        replaced(PATH, owner="crowd-0", task="crowd-0"),
        replaced(PATH, owner="nobody"),
        replaced(PATH, task="crowd-0"),
        replaced(PATH, task="x", task_id=identify("task0")),
        replaced(PATH, task="x", task_id=identify("workspace0")),
        replaced(PATH, owner="x", owner_id=identify("user0")),
    ],
)
async def test_what_is_not_theirs_is_not_there(
    services: Services, key: str, path: TaskPath
) -> None:
    """Tasks of others are found by no name and no id, and nothing is behind a user who is not to be seen."""
    assert (await keys.authenticate_with_task(services, key, path, services.now())).task is None


async def test_use_is_written_once_a_minute(
    services: Services, database: Database, key: str
) -> None:
    """Of many requests in a minute one writes that the key was used, and that its user was seen."""
    first = services.now()
    later, latest = first + keys.REFRESH_AFTER, first + keys.REFRESH_AFTER * 1.5
    written = []
    for now in (first, later, latest, latest + timedelta(seconds=1)):
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(keys.authenticate(services, key, now))
        written.append(await stored(database, key))
    assert [row["last_used_at"] for row in written] == [first, first, latest, latest]
    assert [row["last_seen_at"] for row in written] == [first, first, latest, latest]
    assert [row["expires_at"] for row in written] == [written[0]["expires_at"]] * 4


async def test_a_session_lives_on_by_its_use(
    services: Services, database: Database, key: str
) -> None:
    """A key of a sign-in ends that long after its last use, and one of a dormant user wakes them."""
    async with database.connection() as conn:
        await conn.execute("update api_keys set login_type = 'password', last_used_at = now()")
        await conn.execute("update users set status = 'dormant'")
    now = services.now()
    await keys.authenticate(services, key, now)
    row = await stored(database, key)
    assert row["expires_at"] == now + timedelta(days=1)
    assert row["status"] == "active"


async def test_a_revoked_key_is_dead_at_once(
    services: Services, database: Database, key: str
) -> None:
    """Nothing is remembered of a key between requests: neither its being, its end, nor its user's state."""
    now = services.now()
    await keys.authenticate(services, key, now)
    await refused(services, key, "key_expired", now + timedelta(days=1))
    await refused(services, key[:-1] + ("a" if key[-1] != "a" else "b"), "key_wrong", now)
    async with database.connection() as conn:
        await conn.execute("update users set status = 'suspended'")
        with pytest.raises(UserSuspended):
            await keys.authenticate_with_task(services, key, PATH, now)
        await conn.execute("update users set deleted = true")
        await refused(services, key, "key_unknown", now)
        await conn.execute("delete from api_keys")
        await refused(services, key, "key_unknown", now)


async def refused(services: Services, key: str, code: str, now: datetime) -> None:
    """Nobody gets in with this key, alone or with a task, and that for this reason."""
    with pytest.raises(Unauthenticated) as alone:
        await keys.authenticate(services, key, now)
    with pytest.raises(Unauthenticated) as with_task:
        await keys.authenticate_with_task(services, key, PATH, now)
    assert [alone.value.code, with_task.value.code] == [code, code]


async def stored(database: Database, key: str) -> "Record":
    """What is written of a key and its user."""
    async with database.connection() as conn:
        row = await conn.fetchrow(WRITTEN, identify("user3"), key.partition("-")[0])
    assert row is not None
    return row
