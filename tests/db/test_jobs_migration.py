"""The migration to limits and force, on a database with rows in it, beside the release before it."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from taskyard.db.migrate import load_migrations, migrate
from tests.db.older import WITH_TEMPLATE, database_at

pytestmark = pytest.mark.anyio

BEFORE = 3
"""The migrations of the release before this one."""

SEED = f"""
insert into deployment (id, claimed_at) values ('00000000-0000-0000-0000-00000000000a', now());
{WITH_TEMPLATE}insert into workspaces (id, owner_id, organization_id, template_id, name, driver, created_at, updated_at, last_used_at)
select gen_random_uuid(), u.id, t.organization_id, t.id, w.name, w.driver, now(), now(), now()
from users u, templates t, (values
    ('runs', 'echo'), ('stopped', 'echo'), ('unstopped', 'echo'), ('failed', 'echo'), ('resumed', 'echo'), ('begun', null),
    ('fresh', null)
) as w (name, driver);
create temporary table made as
select w.id as workspace_id, w.owner_id, w.organization_id, b.*, gen_random_uuid() as id, gen_random_uuid() as job_id
from workspaces w
join (values
    ('runs', 1, 'start', true, true, null), ('stopped', 1, 'start', true, true, null), ('stopped', 2, 'stop', true, true, null),
    ('unstopped', 1, 'start', true, true, null), ('unstopped', 2, 'stop', true, true, 'no'),
    ('failed', 1, 'start', true, true, 'no'), ('resumed', 1, 'start', true, true, null),
    ('resumed', 2, 'stop', true, true, 'no'), ('resumed', 3, 'start', false, false, null),
    ('begun', 1, 'start', true, false, null), ('fresh', 1, 'start', false, false, null)
) as b (name, number, transition, begun, ended, error) using (name);
insert into provisioner_jobs (id, type, organization_id, initiator_id, file_id, workspace_id, workspace_build_id, tags, run_at,
    created_at, updated_at, started_at, worker_id, lease_expires_at, completed_at, error)
select m.job_id, 'workspace_build', m.organization_id, m.owner_id, f.id, m.workspace_id, m.id, '{{}}', now(), now(), now(),
    case when begun then now() end, case when begun then gen_random_uuid() end, case when begun then now() end,
    case when ended then now() end, error
from made m, files f;
insert into workspace_builds (id, workspace_id, build_number, transition, reason, initiator_id, job_id, template_version_id,
    settled, created_at, updated_at)
select m.id, m.workspace_id, m.number, m.transition, 'initiator', m.owner_id, m.job_id, v.id, m.ended, now(), now()
from made m, template_versions v;
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
    finally:
        await conn.close()


async def test_what_takes_room_is_known_from_the_builds(old: str) -> None:
    """Of each workspace the newest build that was begun decides; what the release before does after that counts too."""
    await migrate(old)
    conn = await asyncpg.connect(old)
    try:
        assert await rooms(conn) == {
            "begun": (True, False),
            "fresh": (False, True),
            "resumed": (True, True),
            "runs": (True, False),
            "unstopped": (True, False),
        }
        waits = "select array_agg(name) from workspaces w join provisioner_jobs j on j.workspace_id = w.id where j.for_room"
        assert await conn.fetchval(waits) == ["fresh"]
        await conn.execute(
            "update provisioner_jobs set started_at = now(), worker_id = gen_random_uuid(), lease_expires_at = now()"
            " where completed_at is null and started_at is null"
        )
        assert await conn.fetchval(waits) is None
        assert (await rooms(conn))["fresh"] == (True, False)
        assert (await rooms(conn))["resumed"] == (True, False)
        await conn.execute("update workspaces set deleted = true where name = 'runs'")
        await conn.execute("update workspaces set driver = 'echo' where name = 'fresh'")
        assert "runs" not in await rooms(conn)
        home = "select count(*) from workspace_room r join workspaces w on w.id = r.workspace_id where r.host_id is null"
        assert await conn.fetchval(home) == 1, "the one that has no driver yet"
    finally:
        await conn.close()


async def rooms(conn: "asyncpg.Connection[asyncpg.Record]") -> dict[str, tuple[bool, bool]]:
    """By workspace: whether it takes room, and whether its start waits."""
    rows = await conn.fetch(
        "select w.name, r.taken, r.waits is not null as waits from workspace_room r"
        " join workspaces w on w.id = r.workspace_id"
    )
    return {row["name"]: (row["taken"], row["waits"]) for row in rows}
