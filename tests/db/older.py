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
