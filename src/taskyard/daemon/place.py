"""One data directory is served at one place: a copy of it has the same id, and would fight for the same workspaces."""

import asyncio
from typing import Final
from uuid import UUID

import structlog

from taskyard.daemon.datadir import DataDir
from taskyard.db.pool import Database
from taskyard.db.servers import RivalRow, find_rival_as_system
from taskyard.errors import StartupError

log = structlog.get_logger()

LOOK_S: Final = 0.5
"""Seconds between looks whether another server of this id gives a sign of life, which they do every five."""


async def claim_place(db: Database, data: DataDir) -> None:
    """Returns once nobody serves another folder of this id; one that was killed there is waited for, 20 s at most.

    An earlier server of this very folder is gone, as its lock is ours. Raises StartupError when another one lives.
    """
    first = rival = await _rival(db, data.host_id, data.place)
    if rival is not None:
        log.warning("server.waits", other=rival.name, seen_at=rival.seen_at.isoformat())
    while rival is not None and first is not None:
        if (rival.id, rival.seen_at) != (first.id, first.seen_at):
            raise StartupError(
                f"another server, on {rival.name}, serves a data directory with the id of {data.path}, which is "
                f"{data.host_id}: one of them is a copy of the other. Stop that server first. To run both, remove "
                f"{data.path / 'deployment_id'}, empty {data.workspaces}, and start this one with --join."
            )
        await asyncio.sleep(LOOK_S)
        rival = await _rival(db, data.host_id, data.place)


async def _rival(db: Database, host_id: UUID, place: str) -> RivalRow | None:
    async with db.connection() as conn:
        return await find_rival_as_system(conn, host_id, place)
