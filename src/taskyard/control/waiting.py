"""Who waits for a start, read once for all who ask within a second."""

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING
from uuid import UUID

from taskyard.db import jobs
from taskyard.db.jobs import Limits, WaitingRow

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

FRESH_S = 1.0
"""Seconds for which a place in the queue is told again: it is an estimate, and people look every few seconds."""

MANY = 200
"""Starts that wait from which on the answer is kept: fewer are read in two milliseconds."""


class Waiting:
    """The places of all starts that wait, as one server read them last: with ten thousand that is some work."""

    def __init__(self) -> None:
        self._rows: dict[UUID, WaitingRow] = {}
        self._read_at: float | None = None
        self._reading = asyncio.Lock()

    async def places(
        self, conn: "Connection", workspace_ids: Collection[UUID], limits: Limits
    ) -> list[WaitingRow]:
        """What these wait for; nothing of those that do not. Read anew for one that was not seen waiting yet.

        Those who come while it is read share what was read after they came.
        """
        asked_at = asyncio.get_running_loop().time()
        if not self._knows(workspace_ids, asked_at):
            async with self._reading:
                if self._read_at is None or self._read_at < asked_at:
                    began_at = asyncio.get_running_loop().time()
                    rows = await jobs.list_waiting_starts(conn, None, limits)
                    self._rows = {row.workspace_id: row for row in rows}
                    self._read_at = began_at
        return [self._rows[key] for key in workspace_ids if key in self._rows]

    def _knows(self, workspace_ids: Collection[UUID], now: float) -> bool:
        """Whether what was read tells of all of these, and is not too old for that."""
        if self._read_at is None or now - self._read_at >= FRESH_S or len(self._rows) < MANY:
            return False
        return all(key in self._rows for key in workspace_ids)
