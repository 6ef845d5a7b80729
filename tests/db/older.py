"""A database as an earlier release left it, with data in it: what a migration has to cope with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg

from taskyard.db.migrate import load_migrations

LEDGER = (
    "create table schema_migrations (number integer primary key, name text not null,"
    " checksum text not null, applied_at timestamptz not null default now())"
)

WITH_TEMPLATE = """
insert into organizations values (gen_random_uuid(), 'main', '', '', '', true, now(), now());
insert into users select gen_random_uuid(), 'ada', 'ada@example.com', '', '', null, 'none', 'active', '{}', null, false,
    now(), now(), now();
insert into files select gen_random_uuid(), sha256(''), u.id, 'application/x-tar', '', now() from users u;
insert into provisioner_jobs (id, type, organization_id, initiator_id, file_id, template_version_id, tags, run_at,
    created_at, updated_at, completed_at)
select gen_random_uuid(), 'template_version_import', g.id, u.id, f.id, gen_random_uuid(), '{}', now(), now(), now(), now()
from organizations g, users u, files f;
begin;
insert into templates select gen_random_uuid(), g.id, 't', '', '', '', 'echo', j.template_version_id, 0, 0, 0, 0, 0, true,
    true, true, false, '', false, u.id, now(), now() from organizations g, users u, provisioner_jobs j;
insert into template_versions select j.template_version_id, t.id, t.organization_id, 'v1', '', '', j.id, '{}', true, false,
    t.created_by, now(), now() from templates t, provisioner_jobs j;
commit;
"""
"""An organization, its user ada, and a template with one version."""


@asynccontextmanager
async def database_at(postgres_url: str, number: int, seed: str) -> AsyncIterator[str]:
    """The address of a database with the first so many migrations and this data; gone afterwards."""
    name = f"t_{uuid4().hex}"
    admin = await asyncpg.connect(postgres_url)
    url = urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}"))
    await admin.execute(f'create database "{name}"')
    try:
        conn = await asyncpg.connect(url)
        await conn.execute(LEDGER)
        for done in load_migrations()[:number]:
            await conn.execute(done.sql)
            await conn.execute(
                "insert into schema_migrations (number, name, checksum) values ($1, $2, $3)",
                *(done.number, done.name, done.checksum),
            )
        await conn.execute(seed)
        await conn.close()
        yield url
    finally:
        await admin.execute(f'drop database "{name}" with (force)')
        await admin.close()
