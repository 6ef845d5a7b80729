"""Every table as text, out of one database and into another; which tables there are is read from the catalogue.

The text is that of Postgres's COPY: it gives back every value of every type exactly.
"""

from collections.abc import AsyncIterable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import asyncpg

LEFT_OUT: Mapping[str, str] = MappingProxyType(
    {
        "app_visits": "are open in browsers of people of this server",
        "deployment": "says whose this database is",
        "hosts": "are the data directories that share this database",
        "idempotency_keys": "belong to requests that were sent to this server",
        "login_attempts": "are forgotten within minutes",
        "schema_migrations": "say how far the schema is, as the number beside the tables does",
        "servers": "are those that run",
        "upkeep": "says when this server tidied up last",
        "workers": "are those that run",
    }
)
"""Tables that stay behind, and why: they are about the installation, not about what people keep in it."""

_TABLES = """
select c.relname as name,
    (
        select array_agg(a.attname::text order by a.attnum) from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    ) as columns,
    (
        select coalesce(array_agg(distinct t.relname::text), '{}') from pg_constraint k
        join pg_class t on t.oid = k.confrelid
        where k.conrelid = c.oid and k.contype = 'f' and not k.condeferrable and k.confrelid <> c.oid
    ) as needs
from pg_class c
where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
    and not exists (
        select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
order by c.relname
"""

_SEQUENCES = """
select t.relname as "table", a.attname as "column", quote_ident(s.relname) as sequence
from pg_depend d
join pg_class s on s.oid = d.objid and s.relkind = 'S'
join pg_class t on t.oid = d.refobjid
join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
where d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i') and t.relnamespace = current_schema()::regnamespace
order by 1, 2
"""


@dataclass(frozen=True, slots=True)
class Table:
    """A table; needs: those that must be filled before it, as its foreign keys are checked at once."""

    name: str
    columns: tuple[str, ...]
    needs: frozenset[str]


async def get_schema_number(conn: "asyncpg.Connection[asyncpg.Record]") -> int:
    """The last migration that ran; 0 for a database of nothing."""
    if await conn.fetchval("select to_regclass('schema_migrations') is null"):
        return 0
    return int(await conn.fetchval("select coalesce(max(number), 0) from schema_migrations"))


async def list_tables(conn: "asyncpg.Connection[asyncpg.Record]") -> list[Table]:
    """Every table that is not left out, each behind those that it needs."""
    rows = await conn.fetch(_TABLES)
    found = {
        row["name"]: Table(row["name"], tuple(row["columns"] or ()), frozenset(row["needs"]))
        for row in rows
        if row["name"] not in LEFT_OUT
    }
    return in_order(found.values())


def in_order(tables: Collection[Table]) -> list[Table]:
    """The tables, each behind those that it needs. Raises ValueError when some need each other."""
    left = sorted(tables, key=lambda table: table.name)
    done: list[Table] = []
    names: set[str] = set()
    while left:
        ready = [table for table in left if table.needs <= names]
        if not ready:
            raise ValueError(f"tables need each other: {', '.join(table.name for table in left)}")
        done += ready
        names |= {table.name for table in ready}
        left = [table for table in left if table.name not in names]
    return done


async def copy_out(
    conn: "asyncpg.Connection[asyncpg.Record]",
    table: Table,
    take: Callable[[bytes], Coroutine[None, None, None]],
) -> int:
    """Gives all rows of a table to `take`, piece by piece; how many there were."""
    await _plain_text(conn)
    columns = ", ".join(map(_quoted, table.columns))
    query = f"select {columns} from {_quoted(table.name)}"  # noqa: S608 - names of the catalogue, quoted
    tag: str = await conn.copy_from_query(query, output=take, format="text", encoding="utf-8")
    return int(tag.rpartition(" ")[2])


async def copy_in(
    conn: "asyncpg.Connection[asyncpg.Record]",
    name: str,
    columns: Sequence[str],
    source: AsyncIterable[bytes],
) -> int:
    """Adds rows to a table as they were given out; how many there were. Raises asyncpg.PostgresError."""
    await _plain_text(conn)
    tag: str = await conn.copy_to_table(
        name, source=source, columns=list(columns), format="text", encoding="utf-8"
    )
    return int(tag.rpartition(" ")[2])


async def empty(conn: "asyncpg.Connection[asyncpg.Record]", tables: Sequence[str]) -> None:
    """Nothing is left in these tables; each comes before those that it needs."""
    for name in tables:
        await conn.execute(f"delete from {_quoted(name)}")  # noqa: S608 - as above


async def get_counters(conn: "asyncpg.Connection[asyncpg.Record]") -> dict[str, int]:
    """By `table.column`, the highest number that the column's sequence gave away; 0 for none."""
    found: dict[str, int] = {}
    for row in await conn.fetch(_SEQUENCES):
        query = f"select case when is_called then last_value else 0 end from {row['sequence']}"  # noqa: S608 - as above
        found[f"{row['table']}.{row['column']}"] = int(await conn.fetchval(query))
    return found


async def raise_counters(
    conn: "asyncpg.Connection[asyncpg.Record]", counters: Mapping[str, int]
) -> None:
    """Numbers that are given away from now on are above these, and above all that the columns hold."""
    for row in await conn.fetch(_SEQUENCES):
        highest = f"select coalesce(max({_quoted(row['column'])}), 0) from {_quoted(row['table'])}"  # noqa: S608 - as above
        given = counters.get(f"{row['table']}.{row['column']}", 0)
        reached = max(given, int(await conn.fetchval(highest)))
        if reached:
            await conn.execute("select setval($1::text::regclass, $2)", row["sequence"], reached)


async def hush_triggers(
    conn: "asyncpg.Connection[asyncpg.Record]", tables: Sequence[str], *, quiet: bool
) -> None:
    """What triggers of ours derive from rows comes as rows itself, so they sleep while it does. Foreign keys hold."""
    await conn.execute("set constraints all immediate")  # else there is work pending on the tables
    for name in tables:
        state = "disable" if quiet else "enable"
        await conn.execute(f"alter table {_quoted(name)} {state} trigger user")
    await conn.execute("set constraints all deferred")


async def _plain_text(conn: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Values look the same whatever the database is set to."""
    await conn.execute(
        "set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'; set local intervalstyle = 'postgres';"
        " set local bytea_output = 'hex'; set local extra_float_digits = 3"
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
