"""How the database, the servers on it and their workers are; one function a statement of sql/health.sql."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from taskyard.db.builds import CountRow
from taskyard.db.servers import ALIVE
from taskyard.db.statements import statement

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

REMEMBERED: Final = timedelta(days=1)
"""How long a server that ended, and left no workspaces behind, is still told of."""


class FiguresRow(msgspec.Struct, frozen=True):
    """The database, its jobs that are not over, and places for workspaces; oldest_queued_at is null for none."""

    version: str
    size_bytes: int
    queued: int
    running: int
    oldest_queued_at: datetime | None
    taken: int
    waiting: int


class ServerRow(msgspec.Struct, frozen=True):
    """A data directory and its server; of a server that ended, roles and version are empty, started_at is null."""

    id: UUID
    name: str
    is_up: bool
    roles: list[str]
    version: str
    started_at: datetime | None
    seen_at: datetime
    links: int
    workspaces: int


class WorkerRow(msgspec.Struct, frozen=True):
    """A worker, with so many jobs in hand of so many at once."""

    id: UUID
    name: str
    is_up: bool
    seen_at: datetime
    running: int
    capacity: int


_NOTHING = statement("health", "get_nothing", CountRow)
_FIGURES = statement("health", "get_figures_as_system", FiguresRow)
_SERVERS = statement("health", "list_servers_as_system", ServerRow)
_WORKERS = statement("health", "list_workers_as_system", WorkerRow)


async def ask_nothing(conn: "Connection") -> None:
    """Returns once the database has answered."""
    await _NOTHING.one(conn)


async def get_figures_as_system(conn: "Connection") -> FiguresRow:
    """Figures of the whole database."""
    row = await _FIGURES.one(conn)
    assert row is not None
    return row


async def list_servers_as_system(conn: "Connection") -> list[ServerRow]:
    """Data directories with their servers, the first one first."""
    return await _SERVERS.many(conn, alive=ALIVE, remembered=REMEMBERED)


async def list_workers_as_system(conn: "Connection") -> list[WorkerRow]:
    """Workers that were heard of in the last minutes, by name."""
    return await _WORKERS.many(conn)
