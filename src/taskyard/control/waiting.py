"""Who waits for a start, read once for all who ask within a second."""

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import structlog

from taskyard.db import jobs
from taskyard.db.jobs import Limits, WaitingRow
from taskyard.errors import DatabaseAway, DatabaseBusy

if TYPE_CHECKING:
    from taskyard.db.pool import Connection, Database

log = structlog.get_logger()

FRESH_S = 1.0
"""Seconds for which a place in the queue is told again: it is an estimate, and people look every few seconds."""

KEPT_S = 10.0
"""Seconds for which it is told after that, while all are read anew beside whoever asked."""

SHARE = 10
"""They stay fresh for so many times as long as it took to read them, where that is longer: it is 0.7 s for 100,000."""

MANY = 200
"""Starts that wait from which on the answer is kept: fewer are read in two milliseconds."""


class Waiting:
    """The places of all starts that wait, as one server read them last: with ten thousand that is some work."""

    def __init__(self, fresh_s: float = FRESH_S) -> None:
        self._fresh_s = fresh_s
        self._rows: dict[UUID, WaitingRow] = {}
        self._read_at: float | None = None
        self._took_s = 0.0
        self._reading = asyncio.Lock()
        self._is_old = asyncio.Event()

    async def run(self, db: "Database", limits: Limits) -> None:
        """Reads them anew for whoever was told old ones, until it is cancelled.

        Where that fails, the old ones are told until they are too old; whoever asks then reads them, and hears why not.
        """
        while True:
            await self._is_old.wait()
            try:
                async with db.connection() as conn:
                    await self._read(conn, limits, asyncio.get_running_loop().time())
            except (DatabaseAway, DatabaseBusy, asyncpg.PostgresError) as error:
                log.warning("waiting.not_read", cause=repr(error))
            self._is_old.clear()

    async def places(
        self, conn: "Connection", workspace_ids: Collection[UUID], limits: Limits
    ) -> list[WaitingRow]:
        """What these wait for; nothing of those that do not. Read anew for one that was not seen waiting yet.

        Those who come while it is read share what was read after they came. What a few seconds ago was read is told as
        it is, and read anew by `run`. Raises as reading does.
        """
        now = asyncio.get_running_loop().time()
        age = None if self._read_at is None else now - self._read_at
        fresh_s = max(self._fresh_s, SHARE * self._took_s)
        if age is None or age >= fresh_s + KEPT_S or not self._knows(workspace_ids):
            await self._read(conn, limits, now)
        elif age >= fresh_s:
            self._is_old.set()
        return [self._rows[key] for key in workspace_ids if key in self._rows]

    def _knows(self, workspace_ids: Collection[UUID]) -> bool:
        """Whether what was read tells of all of these, and is worth keeping."""
        return len(self._rows) >= MANY and all(key in self._rows for key in workspace_ids)

    async def _read(self, conn: "Connection", limits: Limits, asked_at: float) -> None:
        async with self._reading:
            if self._read_at is None or self._read_at < asked_at:
                loop = asyncio.get_running_loop()
                began_at = loop.time()
                rows = await jobs.list_waiting_starts(conn, None, limits)
                self._rows = {row.workspace_id: row for row in rows}
                self._read_at = began_at
                self._took_s = loop.time() - began_at
