"""Migrations: ordered files, run once each, under one lock, checked against what ran before."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files

import asyncpg

from taskyard.db.locks import MIGRATIONS
from taskyard.errors import StartupError

CONNECT_TIMEOUT_S = 10.0
"""How long a database may take to let us in; the next rack answers within milliseconds."""

LOCK_TIMEOUT = "4s"
"""How long a migration may wait for a table lock before it gives up rather than block everybody."""

STATEMENT_TIMEOUT = "60s"
"""Upper bound of one statement of a migration."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file; number is its first four digits, checksum the SHA-256 of its text."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """Hex SHA-256 of the text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def load_migrations() -> list[Migration]:
    """Every migration of this release, in order, numbered from 1 without gaps."""
    folder = files("taskyard.db") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    found = [Migration(int(n[:4]), n, (folder / n).read_text(encoding="utf-8")) for n in names]
    if [m.number for m in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"migrations are not numbered 1..{len(found)}: {names}")
    return found


async def migrate(url: str) -> int:
    """Brings the database to this release; returns how many migrations ran.

    Raises StartupError when a newer release was here, when a file that ran has changed, or when the
    database holds tables of something else.
    """
    conn = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S)
    try:
        await conn.execute("select pg_advisory_lock($1)", MIGRATIONS)
        await _refuse_foreign(conn)
        return await _run(conn, load_migrations())
    finally:
        await conn.close()


async def migrate_within(
    conn: "asyncpg.Connection[asyncpg.Record]", *, upto: int | None = None
) -> int:
    """As migrate, inside a transaction of the caller's, which commits all of it or nothing.

    upto: the last migration to run; null for all. Waits for servers that migrate, and holds them off until the end.
    Raises StartupError.
    """
    await conn.execute("select pg_advisory_xact_lock($1)", MIGRATIONS)
    await _refuse_foreign(conn)
    return await _run(conn, load_migrations(), upto)


async def _refuse_foreign(conn: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Nothing for a database that is new or ours; tables of extensions are nobody's."""
    if await conn.fetchval(
        "select exists (select from information_schema.columns where table_schema = current_schema() "
        "and table_name = 'schema_migrations' and column_name = 'checksum')"
    ):
        return
    table = await conn.fetchval(
        "select c.relname from pg_class c where c.relnamespace = current_schema()::regnamespace "
        "and c.relkind in ('r', 'p', 'v', 'm', 'f') and not exists (select from pg_depend d "
        "where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e') "
        "order by c.relname limit 1"
    )
    if table is not None:
        raise StartupError(
            f"the database {await conn.fetchval('select current_database()')} holds tables of something "
            f"else, such as {table}: make an empty one for this server, and give that"
        )


async def _run(
    conn: "asyncpg.Connection[asyncpg.Record]",
    migrations: list[Migration],
    upto: int | None = None,
) -> int:
    await conn.execute(
        "create table if not exists schema_migrations ("
        "number integer primary key, name text not null, checksum text not null, "
        "applied_at timestamptz not null default now())"
    )
    rows = await conn.fetch("select number, checksum from schema_migrations order by number")
    done = {row["number"]: row["checksum"] for row in rows}
    _compare(done, migrations)
    todo = [m for m in migrations[:upto] if m.number not in done]
    for migration in todo:
        async with conn.transaction():
            await conn.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
            await conn.execute(f"set local statement_timeout = '{STATEMENT_TIMEOUT}'")
            await conn.execute(migration.sql)
            await conn.execute(
                "insert into schema_migrations (number, name, checksum) values ($1, $2, $3)",
                migration.number,
                migration.name,
                migration.checksum,
            )
    return len(todo)


def _compare(done: dict[int, str], migrations: list[Migration]) -> None:
    if done and max(done) > len(migrations):
        raise StartupError(
            f"the database is at migration {max(done)}, this release knows {len(migrations)}: "
            "run the newer release that was here before, or restore a backup made by this one"
        )
    for migration in migrations:
        if done.get(migration.number, migration.checksum) != migration.checksum:
            raise StartupError(
                f"migration {migration.name} ran here with another text: "
                "run the release that made this database, then upgrade"
            )
