"""The reaper: removes what the settings say is old, a little at a time, and nothing that a live task shows.

Any number of servers may have one: the database says whose turn it is, and one transaction removes at a time.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import asyncpg
import structlog

from taskyard.config import keep_for
from taskyard.control.services import Services
from taskyard.db import retention as db
from taskyard.db.retention import GoneRow, ScanRow
from taskyard.db.statements import NoRow, Statement
from taskyard.errors import DatabaseAway, DatabaseBusy

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

log = structlog.get_logger()

EVERY_S: Final = 60.0
"""Seconds from the beginning of one pass to that of the next, whichever server makes it."""

PASS_S: Final = 30.0
"""Seconds that a pass may take: what is left then waits for the next one."""

REST: Final = 3
"""How much longer than a transaction the rest after it is, in which others go first: a quarter of the time is ours."""

BATCH: Final = 500
"""Rows that one transaction removes, or looks at: ten to twenty milliseconds on a small machine."""

FILES: Final = 4
"""Archives of one transaction: the largest has 100 MB, which are removed row by row of 2 kB."""

UPKEEP: Final = "reap"
"""What this work is called where it is noted when it was begun."""


class Reaper:
    """Removes what is old, until cancelled. every_s: seconds between two passes of all servers together."""

    def __init__(self, services: Services, *, every_s: float = EVERY_S) -> None:
        self._services = services
        self._every_s = every_s

    async def run(self) -> None:
        """A pass whenever it is due; what goes wrong is told and tried again."""
        while True:
            try:
                if await self._is_due():
                    await self.reap(self._services.now())
            except (DatabaseAway, DatabaseBusy, asyncpg.PostgresError) as error:
                log.warning("reaper.failed", cause=str(error))
            await asyncio.sleep(self._every_s)

    async def _is_due(self) -> bool:
        async with self._services.db.connection() as conn:
            # A little less than a whole turn, else a clock's tick would make it two.
            return await db.begin_upkeep_as_system(conn, UPKEEP, self._every_s * 0.9)

    async def reap(self, now: datetime) -> Counter[str]:
        """How many rows of each kind went in one pass."""
        done: Counter[str] = Counter()
        try:
            async with asyncio.timeout(PASS_S):
                await self._all(now, done)
        except TimeoutError:
            log.info("reaper.unfinished", after_s=PASS_S)
        if done:
            log.info("reaper.removed", **done)
        for kind, count in done.items():
            self._services.meters.reaped(kind, count)
        return done

    async def _all(self, now: datetime, done: Counter[str]) -> None:
        settings = self._services.settings
        await self._rows("idempotency_keys", db.KEYS, now, done)
        if (before := _before(now, settings.keep_deleted_tasks)) is not None:
            await self._workspaces(before, done)
        if (before := _before(now, settings.keep_events)) is not None:
            await self._scan("events", db.EVENTS, before, done)
        if (before := _before(now, settings.keep_logs)) is not None:
            await self._scan("job_logs", db.JOB_LOGS, before, done)
            await self._scan("agent_logs", db.AGENT_LOGS, before, done)
        if (before := _before(now, settings.keep_expired_keys)) is not None:
            await self._rows("api_keys", db.API_KEYS, before, done)
        if (before := _before(now, settings.keep_files)) is not None:
            await self._rows("files", db.FILES, before, done, batch=FILES)
        if (before := _before(now, settings.keep_audit)) is not None:
            await self._audit(before, done)

    async def _rows(
        self,
        kind: str,
        what: Statement[NoRow],
        before: datetime,
        done: Counter[str],
        *,
        batch: int = BATCH,
    ) -> None:
        """Removes all rows of a kind, batch by batch."""
        gone = batch
        while gone == batch:
            async with self._turn() as conn:
                if conn is None:
                    return
                gone = await db.reap_rows_as_system(conn, what, before, batch)
            _count(done, kind, gone)

    async def _audit(self, before: datetime, done: Counter[str]) -> None:
        gone = BATCH
        while gone == BATCH:
            async with self._turn() as conn:
                if conn is None:
                    return
                gone = await db.reap_audit_as_system(conn, before, BATCH)
            _count(done, "audit_logs", gone)

    async def _scan(
        self, kind: str, what: Statement[ScanRow], before: datetime, done: Counter[str]
    ) -> None:
        """Looks through rows by their numbers, which rise with time, until they are too new."""
        after = 0
        while True:
            async with self._turn() as conn:
                if conn is None:
                    return
                found = await db.reap_scanned_as_system(
                    conn, what, before, after=after, batch=BATCH
                )
            _count(done, kind, found.gone)
            if found.young or found.last is None or found.seen < BATCH:
                return
            after = found.last

    async def _workspaces(self, before: datetime, done: Counter[str]) -> None:
        """Removes what is left of workspaces and tasks that were deleted before then."""
        all_went = True
        while all_went:
            async with self._services.db.connection() as conn:
                found = await db.list_gone_workspaces_as_system(conn, before, BATCH)
            if not found:
                return
            for gone in found:
                all_went = await self._workspace(gone, done) and all_went

    async def _workspace(self, gone: GoneRow, done: Counter[str]) -> bool:
        """Whether all of a workspace went; items first, of which there may be many."""
        try:
            if not await self._items(gone, done):
                return False
            async with self._turn() as conn:
                if conn is None:
                    return False
                await db.reap_workspace_as_system(conn, gone)
        except (asyncpg.ForeignKeyViolationError, asyncpg.LockNotAvailableError) as error:
            log.warning("reaper.kept", workspace_id=str(gone.id), cause=str(error))
            return False
        _count(done, "workspaces", 1)
        _count(done, "tasks", 0 if gone.task_id is None else 1)
        return True

    async def _items(self, gone: GoneRow, done: Counter[str]) -> bool:
        """Whether all items of a workspace's task went, if it had one."""
        count = BATCH if gone.task_id is not None else 0
        while count == BATCH and gone.task_id is not None:
            async with self._turn() as conn:
                if conn is None:
                    return False
                count = await db.reap_items_as_system(conn, gone.task_id, BATCH)
            _count(done, "items", count)
        return True

    @asynccontextmanager
    async def _turn(self) -> "AsyncIterator[Connection | None]":
        """A transaction that may remove things, then a rest; null while another server's is at it."""
        clock = asyncio.get_running_loop().time
        began = clock()
        async with self._services.db.transaction() as conn:
            yield conn if await db.hold_reaping_as_system(conn) else None
        await asyncio.sleep((clock() - began) * REST)


def _before(now: datetime, keep: str) -> datetime | None:
    """What is older than this goes; null: nothing does."""
    span: timedelta | None = keep_for(keep)
    return None if span is None else now - span


def _count(done: Counter[str], kind: str, count: int) -> None:
    if count:
        done[kind] += count
