"""`./yard bench seed FOLDER [TASKS]`: a data directory of a site that was used for a long time.

Start a server on it to look around. Its tasks have no workspaces, so those that run are repaired and then given up.
"""

import argparse
import asyncio
import time
from datetime import UTC, datetime, timedelta
from hashlib import md5
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from taskyard.control.keys import new_key
from taskyard.daemon.datadir import DataDir
from taskyard.daemon.postgres import EmbeddedPostgres
from taskyard.db.identity import insert_api_key
from taskyard.db.migrate import migrate
from taskyard.db.pool import Database
from taskyard.wire.enums import LoginType

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

SQL = Path(__file__).with_name("seed.sql")

OWN = 50
"""Tasks of each owner: what somebody has who uses this every day for a month or two."""

MILLION = 1_000_000

ITEMS = 6
"""Items of each transcript: two turns."""


def identify(word: str) -> UUID:
    """The id of a thing of the crowd, such as `task7`; owner `user7` is called `crowd-7`."""
    return UUID(md5(word.encode(), usedforsecurity=False).hexdigest())


def seed_sql(tasks: int, items: int = 0) -> str:
    """The statements that put so many tasks, with so many items each, into an empty, migrated database."""
    text = SQL.read_text(encoding="utf-8")
    for name, value in (("tasks", tasks), ("users", users_of(tasks)), ("items", items)):
        text = text.replace(f"{{{name}}}", str(value))
    return text


def users_of(tasks: int) -> int:
    """How many own so many tasks: task 7 is that of user 7 where there are more than seven."""
    return max(1, tasks // OWN)


async def seed(url: str, tasks: int, items: int = 0) -> None:
    """Puts tasks into an empty, migrated database."""
    conn = await asyncpg.connect(url)
    try:
        await conn.execute(seed_sql(tasks, items))
    finally:
        await conn.close()


async def add_key(conn: "Connection", user: str) -> str:
    """A new token of a user of the crowd."""
    now = datetime.now(UTC)
    key, row = new_key(
        identify(user),
        login_type=LoginType.TOKEN,
        token_name=f"t{now:%f}",
        lifetime=timedelta(days=1),
        now=now,
    )
    await insert_api_key(conn, row, now)
    return key


async def fill(url: str, tasks: int, items: int = 0) -> tuple[str, str]:
    """Makes a site of an empty database; returns a token of its owner, and one of a member, who is user7."""
    await migrate(url)
    await seed(url, tasks, items)
    database = Database(url, size=1)
    await database.open()
    async with database.connection() as conn:
        await conn.execute("update users set roles = '{owner}' where id = $1", identify("user0"))
        tokens = await add_key(conn, "user0"), await add_key(conn, f"user{7 % users_of(tasks)}")
    await database.close()
    return tokens


def main(words: list[str]) -> None:
    """Fills a new data directory, and says what it took and how to sign in."""
    parser = argparse.ArgumentParser(prog="./yard bench seed", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the data directory is made")
    parser.add_argument("tasks", type=int, nargs="?", default=MILLION)
    given = parser.parse_args(words)
    if given.folder.exists():
        parser.error(f"{given.folder} is there already; name a new folder")
    with DataDir(given.folder) as folder:
        began = time.monotonic()
        owner = asyncio.run(fill_stopped(folder.postgres, given.tasks, ITEMS))
        took = time.monotonic() - began
    print(
        f"{given.tasks:,} tasks with {ITEMS} items each in {took:.0f} s, {given.tasks / took:,.0f} a second.\n"
        f"./yard server --no-page --data-dir {given.folder}\n"
        f"TASKYARD_SESSION_TOKEN={owner} taskyard task list"
    )


async def fill_stopped(postgres: Path, tasks: int, items: int = 0) -> str:
    """Makes a site in the folder of a Postgres that does not run; returns a token of its owner.

    What waits for a worker goes on waiting, so that each start of a server finds the same.
    """
    embedded = EmbeddedPostgres(postgres)
    await embedded.start()
    try:
        owner, _ = await fill(embedded.url, tasks, items)
        conn = await asyncpg.connect(embedded.url)
        await conn.execute(
            "update provisioner_jobs set run_at = now() + interval '9 years' where started_at is null"
        )
        await conn.close()
        return owner
    finally:
        await embedded.stop()
