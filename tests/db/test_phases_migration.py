"""The migration to phases, on a database with a start in it, beside the release before it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from taskyard.db.migrate import migrate
from tests.db.older import database_at

pytestmark = pytest.mark.anyio

SEED = """
insert into organizations values (gen_random_uuid(), 'main', '', '', '', true, now(), now());
insert into users (id, username, email, name, avatar_url, login_type, status, roles, created_at, updated_at, last_seen_at)
select gen_random_uuid(), 'ada', 'ada@example.com', '', '', 'none', 'active', '{}', now(), now(), now();
insert into files select gen_random_uuid(), sha256('x'), id, 'application/x-tar', 'x', now() from users;
insert into provisioner_jobs (id, type, organization_id, initiator_id, file_id, template_version_id, tags, run_at,
    created_at, updated_at, completed_at)
select gen_random_uuid(), 'template_version_import', o.id, u.id, f.id, gen_random_uuid(), '{}', now(), now(), now(), now()
from organizations o, users u, files f;
insert into template_versions (id, organization_id, name, message, readme, job_id, created_by, created_at, updated_at)
select j.template_version_id, j.organization_id, 'v1', '', '', j.id, j.initiator_id, now(), now() from provisioner_jobs j;
insert into templates (id, organization_id, name, display_name, description, icon, provisioner, active_version_id,
    default_ttl_ms, activity_bump_ms, failure_ttl_ms, dormant_ttl_ms, delete_ttl_ms, allow_user_cancel_workspace_jobs,
    allow_user_autostart, allow_user_autostop, require_active_version, deprecation_message, created_by, created_at, updated_at)
select gen_random_uuid(), v.organization_id, 't', '', '', '', 'echo', v.id, 0, 0, 0, 0, 0, true, true, true, false, '',
    v.created_by, now(), now() from template_versions v;
insert into workspaces (id, owner_id, organization_id, template_id, name, created_at, updated_at, last_used_at)
select gen_random_uuid(), created_by, organization_id, id, 'w', now(), now(), now() from templates;
"""

SECOND = timedelta(seconds=1)

BUILD = """
with job as (
    insert into provisioner_jobs (id, type, organization_id, initiator_id, file_id, workspace_id, workspace_build_id, tags,
        run_at, created_at, updated_at)
    select gen_random_uuid(), 'workspace_build', w.organization_id, w.owner_id, f.id, w.id, gen_random_uuid(), '{}', now(),
        now(), now()
    from workspaces w, files f
    returning *
)
insert into workspace_builds (id, workspace_id, build_number, transition, reason, initiator_id, job_id,
    template_version_id, created_at, updated_at, settled)
select j.workspace_build_id, j.workspace_id, $1, 'start', 'initiator', j.initiator_id, j.id, v.id, now(), now(), true
from job j, template_versions v
returning id, workspace_id
"""


async def built(conn: "asyncpg.Connection[asyncpg.Record]", number: int) -> tuple[UUID, UUID]:
    """A new start of the workspace: its id and the workspace's."""
    row = await conn.fetchrow(BUILD, number)
    assert row is not None
    return row[0], row[1]


@pytest.fixture
async def old(postgres_url: str) -> AsyncIterator[str]:
    """The address of a database that the migrations before it have seen, with a workspace in it."""
    async with database_at(postgres_url, 5, SEED) as url:
        yield url


async def test_starts_of_before_have_no_phases(old: str) -> None:
    """They stay as they are, and nothing that ends a phase makes one; a new start has some; the old release starts on."""
    conn = await asyncpg.connect(old)
    try:
        before, _ = await built(conn, 1)
        await migrate(old)
        none: list[str] = []
        ends = "select end_phases($1, $2::text[], $3::text[], $4::text[], $3::text[], $3::text[], array[now()], now())"
        assert await conn.fetchval(ends, before, none, [None], ["done"]) == 0
        assert await conn.fetchval("select count(*) from workspace_build_phases") == 0
        after, workspace = await built(conn, 2)
        assert await conn.fetchval("select begin_phases($1, $2, now())", workspace, after) == 1
        await conn.fetchval(ends, after, none, [None], ["done"])
        rows = await conn.fetch(
            "select phase, outcome from workspace_build_phases order by began_at, phase desc"
        )
        assert [tuple(row) for row in rows] == [("queued", "done"), ("preparing", None)]
        await built(conn, 3)
    finally:
        await conn.close()


async def test_what_no_phase_is(old: str) -> None:
    """Two at once, an end before the beginning, a failure without cause, a reason of what went well: the table holds none."""
    await migrate(old)
    conn = await asyncpg.connect(old)
    insert = (
        "insert into workspace_build_phases values ($1, $2, 1, $3, now(), now() + $4, $5, $6, $7)"
    )
    try:
        build, workspace = await built(conn, 1)
        await conn.execute(insert, build, workspace, "queued", None, None, None, None)
        with pytest.raises(asyncpg.UniqueViolationError):
            await conn.execute(insert, build, workspace, "preparing", None, None, None, None)
        for phase, took, outcome, cause, reason in (
            ("sleeping", None, None, None, None),
            ("starting", -SECOND, "done", None, None),
            ("starting", SECOND, None, None, None),
            ("starting", SECOND, "failed", None, None),
            ("starting", SECOND, "done", "driver", None),
            ("starting", SECOND, "done", None, "why"),
            ("starting", SECOND, "failed", "driver", ""),
            ("starting", SECOND, "failed", "bad luck", None),
        ):
            with pytest.raises(asyncpg.CheckViolationError):
                await conn.execute(insert, build, workspace, phase, took, outcome, cause, reason)
    finally:
        await conn.close()
