"""The migration to observed states, on a database with a task at work, beside the release before it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest

from taskyard.db.migrate import load_migrations, migrate
from tests.db.older import database_at

pytestmark = pytest.mark.anyio

THEN = datetime(2026, 1, 31, 12, tzinfo=UTC)

# One row of each kind; what else they refer to is not there, so the keys that say so go first.
SEED = """
do $$
declare found record;
begin
    for found in select conrelid::regclass as place, conname from pg_constraint where contype = 'f' loop
        execute format('alter table %s drop constraint %I', found.place, found.conname);
    end loop;
end $$;
insert into users select gen_random_uuid(), 'ada', 'ada@example.com', '', '', null, 'none', 'active', '{}', null, false,
    now(), now(), now();
insert into templates (id, organization_id, name, display_name, description, icon, provisioner, active_version_id,
    default_ttl_ms, activity_bump_ms, failure_ttl_ms, dormant_ttl_ms, delete_ttl_ms, allow_user_cancel_workspace_jobs,
    allow_user_autostart, allow_user_autostop, require_active_version, deprecation_message, created_by, created_at, updated_at)
select gen_random_uuid(), gen_random_uuid(), 'shell', '', '', '', 'echo', gen_random_uuid(), 0, 0, 0, 0, 0, true, true,
    true, false, '', u.id, now(), now() from users u;
insert into workspaces (id, owner_id, organization_id, template_id, name, generation, created_at, updated_at, last_used_at)
select gen_random_uuid(), t.created_by, t.organization_id, t.id, 'fix', 1, now(), now(), now() from templates t;
insert into workspace_apps (id, agent_id, ordinal, slug, display_name, icon, url, command, sharing_level, healthcheck_url,
    healthcheck_interval_s, healthcheck_threshold, health, created_at)
values (gen_random_uuid(), gen_random_uuid(), 0, 'agent', '', '', 'http://127.0.0.1:3284', '', 'owner', '', 0, 0,
    'disabled', now());
insert into workspace_app_statuses (id, workspace_id, agent_id, app_id, state, message, uri, created_at)
select gen_random_uuid(), w.id, a.agent_id, a.id, 'working', 'at it', '', now() from workspaces w, workspace_apps a;
insert into tasks (id, organization_id, owner_id, name, display_name, workspace_id, template_version_id, input, last_number,
    created_at)
select gen_random_uuid(), w.organization_id, w.owner_id, 'fix', 'Fix', w.id, gen_random_uuid(), 'go', 1, now()
from workspaces w;
insert into task_items select t.id, 1, 1, 1, 'user_message', 1, '{"text": "go"}', now(), now() from tasks t;
insert into task_prompts (id, task_id, source, workspace_build_id, content, state, created_at, sent_at, settled_at)
select gen_random_uuid(), t.id, 'input', gen_random_uuid(), 'go', 'delivered', now(), now(), now() from tasks t;
"""

BEFORE = (
    "select id, name, workspace_name, template_name, report_state, report_message, status from task_facts",
    "select state, content, settled_at from task_prompts",
    "select state, message, uri from workspace_app_statuses",
    "select number, kind, data from task_items",
)
"""What the release before it reads."""

WRITES = (
    (
        "insert into workspace_app_statuses (id, workspace_id, agent_id, app_id, state, message, uri, created_at)"
        " select gen_random_uuid(), workspace_id, agent_id, app_id, 'idle', '', '', now() from workspace_app_statuses"
    ),
    "update task_prompts set state = 'delivered', settled_at = now()",
    "delete from workspace_app_statuses where state = 'working'",
)
"""What it writes while both run."""


@pytest.fixture
async def old(postgres_url: str) -> AsyncIterator[str]:
    """The address of a database that only the first migration has seen, with a task in it."""
    async with database_at(postgres_url, 1, SEED) as url:
        yield url


async def test_nothing_is_lost_and_nothing_is_invented(old: str) -> None:
    """All that was there reads as before, nothing is observed yet, and the release before it goes on working."""
    conn = await asyncpg.connect(old)
    before = [await conn.fetch(sql) for sql in BEFORE]
    assert all(before)
    assert await migrate(old) == len(load_migrations()) - 1
    # asyncpg keeps plans that a migration of the same connection's tables makes stale, as a server would not.
    await conn.close()
    conn = await asyncpg.connect(old)
    try:
        assert [await conn.fetch(sql) for sql in BEFORE] == before
        [facts] = await conn.fetch("select waiting_kind, waiting_id, waiting_title from task_facts")
        assert set(facts) == {None}
        for table in ("task_observed", "task_reports", "task_permissions"):
            assert await conn.fetchval(f"select count(*) from {table}") == 0
        for sql in WRITES:
            await conn.execute(sql)
        assert await conn.fetchval("select count(*) from workspace_app_statuses") == 1
    finally:
        await conn.close()


async def test_facts_that_contradict_each_other_are_refused(old: str) -> None:
    """Waiting without a title, a void report with words, an answer without who gave it: the tables hold none."""
    await migrate(old)
    conn = await asyncpg.connect(old)
    task = await conn.fetchval("select id from tasks")
    wrong = (
        "insert into task_observed (task_id, number, generation, state, session, since) values ($1, 1, 1, 'waiting', '', $2)",
        (
            "insert into task_observed (task_id, number, generation, state, session, waiting_kind, waiting_id, waiting_title,"
            " since) values ($1, 1, 1, 'idle', '', 'permission', '', '', $2)"
        ),
        "insert into task_reports (task_id, number, summary, link, outcome, at) values ($1, 1, 'x', '', null, $2)",
        (
            "insert into task_permissions (task_id, number, id, generation, title, options, asked_at, answered_at) values"
            " ($1, 1, 'p', 1, '', '[]', $2, $2)"
        ),
        (
            "insert into task_permissions (task_id, number, id, generation, title, options, asked_at, answered_at, outcome,"
            " answered_by) values ($1, 1, 'p', 1, '', '[]', $2, $2, 'selected', 'person')"
        ),
    )
    try:
        for sql in wrong:
            with pytest.raises(asyncpg.CheckViolationError):
                await conn.execute(sql, task, THEN)
    finally:
        await conn.close()
