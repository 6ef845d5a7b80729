"""The statements that a server sends to Postgres, in order."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from taskyard.db.pool import Database

if TYPE_CHECKING:
    from asyncpg.connection import LoggedQuery


@asynccontextmanager
async def logged(url: str) -> AsyncIterator[tuple[Database, list[str]]]:
    """A pool of one connection, and the statements that were run on it, in order."""
    database, seen = Database(url, size=1), list[str]()

    def note(query: "LoggedQuery") -> None:
        seen.append(query.query)

    await database.open()
    try:
        async with database.connection() as conn:
            conn.add_query_logger(note)
        yield database, seen
    finally:
        await database.close()
