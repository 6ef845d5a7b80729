"""Places that hold a server's data, and looks at what is in them."""

import asyncio
import hashlib
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import asyncpg

from taskyard.daemon.export import run_backup, run_export
from taskyard.daemon.imported import run_import
from taskyard.db.dump import list_tables
from taskyard.db.migrate import load_migrations, migrate_within
from tests.control_groups import drop_groups

T = TypeVar("T")


@dataclass(frozen=True)
class Spot:
    """A data directory and a database that is not its own."""

    data: Path
    url: str

    @property
    def flags(self) -> dict[str, object]:
        """The settings that say so."""
        return {"data_dir": str(self.data), "postgres_url": self.url}

    def export(self, folder: Path, *, homes: bool = False, with_key: bool = True) -> int:
        """The exit status of `taskyard export`."""
        return run_export(self.flags, None, folder=folder, homes=homes, with_key=with_key)

    def take(self, folder: Path) -> int:
        """The exit status of `taskyard import`."""
        return run_import(self.flags, None, folder=folder)

    def back_up(self, folder: Path, *, keep: int = 0) -> int:
        """The exit status of `taskyard backup`."""
        return run_backup(self.flags, None, folder=folder, homes=True, keep=keep)

    def on(self, deed: "Callable[[asyncpg.Connection[asyncpg.Record]], Awaitable[T]]") -> T:
        """What a deed on the database gives."""
        return asyncio.run(_on(self.url, deed))

    def execute(self, sql: str) -> None:
        """Runs statements."""
        self.on(lambda conn: conn.execute(sql))

    def value(self, sql: str) -> object:
        """The first value that a query gives."""
        return self.on(lambda conn: conn.fetchval(sql))

    def rows(self) -> dict[str, list[str]]:
        """Every row of every table that an export takes, as text."""
        return self.on(_rows)

    def migrate(self, upto: int | None = None) -> None:
        """Brings the database to a release."""

        async def deed(conn: "asyncpg.Connection[asyncpg.Record]") -> None:
            async with conn.transaction():
                await migrate_within(conn, upto=upto)

        self.on(deed)


@contextmanager
def spot(postgres_url: str) -> Iterator[Spot]:
    """A place of a test's own; nothing is in it yet."""
    name = f"moving_{uuid4().hex}"
    home = Path(tempfile.mkdtemp(prefix="taskyard-moving-"))
    home.chmod(0o711)
    url = urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}"))
    asyncio.run(_on(postgres_url, lambda conn: conn.execute(f'create database "{name}"')))
    try:
        yield Spot(home / "data", url)
    finally:
        drop = f'drop database "{name}" with (force)'
        asyncio.run(_on(postgres_url, lambda conn: conn.execute(drop)))
        roots = list(home.glob("*/workspaces"))
        shutil.rmtree(home, ignore_errors=os.geteuid() != 0)
        for root in roots:
            drop_groups(root)


async def _on(url: str, deed: "Callable[[asyncpg.Connection[asyncpg.Record]], Awaitable[T]]") -> T:
    conn = await asyncpg.connect(url)
    try:
        return await deed(conn)
    finally:
        await conn.close()


async def _rows(conn: "asyncpg.Connection[asyncpg.Record]") -> dict[str, list[str]]:
    await conn.execute("set timezone = 'UTC'")
    found: dict[str, list[str]] = {}
    for table in await list_tables(conn):
        columns = ", ".join(f'"{name}"' for name in table.columns)
        rows = await conn.fetch(f'select ({columns})::text as row from "{table.name}" order by 1')
        found[table.name] = [row["row"] for row in rows]
    return found


def newest() -> int:
    """The number of the last migration."""
    return len(load_migrations())


def user_id() -> UUID:
    """The user of full.sql."""
    return UUID(hashlib.md5(b"u").hexdigest())
