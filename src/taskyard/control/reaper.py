"""The reaper: removes what the settings say is old, a little at a time, and nothing that a live task shows.

Any number of servers may have one: the database says whose turn it is, and one transaction removes at a time.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final
from uuid import UUID

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

SHARE_S: Final = 3.0
"""Seconds after which the next kind has its turn: nine kinds have one each in a pass."""

REST: Final = 3
"""How much longer than a transaction the rest after it is, in which others go first: a quarter of the time is ours."""

BATCH: Final = 500
"""Rows that one transaction removes, or looks at: ten to twenty milliseconds on a small machine."""

FILES: Final = 4
"""Archives of one transaction: the largest has 100 MB, which are removed row by row of 2 kB."""

UPKEEP: Final = "reap"
"""What this work is called where it is noted when it was begun."""


Kind = Callable[[], Awaitable[bool]]
"""One turn of what removes a kind of rows; whether it is through with them."""


class _Taken(Exception):
    """Another server removes things in this moment."""


class Reaper:
    """Removes what is old, until cancelled. every_s: seconds between two passes of all servers together."""

    def __init__(
        self, services: Services, *, every_s: float = EVERY_S, share_s: float = SHARE_S
    ) -> None:
        self._services = services
        self._every_s = every_s
        self._share_s = share_s
        self._share_ends = 0.0
        self._first = ""  # the kind that has the first turn of the next pass
        self._reached: Counter[str] = Counter()  # the number that each scan got to
        self._passed_over: set[UUID] = set()  # workspaces that did not go, until all others did

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
        """Gives each kind its turns, until all are through: none that takes long, or fails, holds up the others."""
        clock = asyncio.get_running_loop().time
        left = self._kinds(now, done)
        names = list(left)
        start = names.index(self._first) if self._first in names else 0
        names = names[start:] + names[:start]
        while left:
            for kind in [name for name in names if name in left]:
                self._first = names[(names.index(kind) + 1) % len(names)]
                self._share_ends = clock() + self._share_s
                try:
                    is_through = await left[kind]()
                except _Taken:
                    is_through = True
                except (DatabaseBusy, asyncpg.PostgresError) as error:
                    log.warning("reaper.failed", kind=kind, cause=str(error))
                    is_through = True
                if is_through:
                    del left[kind]

    def _kinds(self, now: datetime, done: Counter[str]) -> dict[str, Kind]:
        """What is to be removed, by kind; each says whether it was all that there is."""
        settings = self._services.settings
        kinds: dict[str, Kind] = {
            "idempotency_keys": partial(self._rows, "idempotency_keys", db.KEYS, now, done)
        }
        if (before := _before(now, settings.keep_deleted_tasks)) is not None:
            kinds["workspaces"] = partial(self._workspaces, before, done)
        if (before := _before(now, settings.keep_events)) is not None:
            kinds["events"] = partial(self._scan, "events", db.EVENTS, before, done)
        if (before := _before(now, settings.keep_logs)) is not None:
            for kind, what in (("job_logs", db.JOB_LOGS), ("agent_logs", db.AGENT_LOGS)):
                kinds[kind] = partial(self._scan, kind, what, before, done)
        if (before := _before(now, settings.keep_expired_keys)) is not None:
            kinds["api_keys"] = partial(self._rows, "api_keys", db.API_KEYS, before, done)
        if (before := _before(now, settings.keep_files)) is not None:
            kinds["files"] = partial(self._rows, "files", db.FILES, before, done, batch=FILES)
        if (before := _before(now, settings.keep_audit)) is not None:
            kinds["audit_logs"] = partial(self._audit, before, done)
        return kinds

    def _is_over(self) -> bool:
        """Whether it is another kind's turn."""
        return asyncio.get_running_loop().time() >= self._share_ends

    async def _rows(
        self,
        kind: str,
        what: Statement[NoRow],
        before: datetime,
        done: Counter[str],
        *,
        batch: int = BATCH,
    ) -> bool:
        """Removes rows of a kind, batch by batch; whether it is through with them."""
        while True:
            async with self._turn() as conn:
                gone = await db.reap_rows_as_system(conn, what, before, batch)
            _count(done, kind, gone)
            if gone < batch:
                return True
            if self._is_over():
                return False

    async def _audit(self, before: datetime, done: Counter[str]) -> bool:
        while True:
            async with self._turn() as conn:
                gone = await db.reap_audit_as_system(conn, before, BATCH)
            _count(done, "audit_logs", gone)
            if gone < BATCH:
                return True
            if self._is_over():
                return False

    async def _scan(
        self, kind: str, what: Statement[ScanRow], before: datetime, done: Counter[str]
    ) -> bool:
        """Looks through rows by their numbers, which rise with time, until they are too new; whether it is through.

        It goes on where it got to last: of what stays there may be more than one pass can look at.
        """
        while True:
            async with self._turn() as conn:
                found = await db.reap_scanned_as_system(
                    conn, what, before, after=self._reached[kind], batch=BATCH
                )
            _count(done, kind, found.gone)
            if found.young or found.last is None or found.seen < BATCH:
                self._reached[kind] = 0
                return True
            self._reached[kind] = found.last
            if self._is_over():
                return False

    async def _workspaces(self, before: datetime, done: Counter[str]) -> bool:
        """Removes what is left of workspaces and tasks that were deleted before then; whether it is through."""
        while True:
            async with self._services.db.connection() as conn:
                found = await db.list_gone_workspaces_as_system(
                    conn, before, self._passed_over, BATCH
                )
            if not found:
                self._passed_over.clear()
                return True
            for gone in found:
                await self._workspace(gone, done)
                if self._is_over():
                    return False

    async def _workspace(self, gone: GoneRow, done: Counter[str]) -> None:
        """Removes a workspace; first what there may be much of. One that does not go is left until the others went."""
        self._passed_over.add(gone.id)
        try:
            for kind, what in db.MANY.items():
                if not await self._many(kind, what, gone, done):
                    return
            async with self._turn() as conn:
                await db.reap_workspace_as_system(conn, gone)
        except _Taken:
            self._passed_over.discard(gone.id)
            raise
        except (DatabaseBusy, asyncpg.PostgresError) as error:
            log.warning("reaper.kept", workspace_id=str(gone.id), cause=str(error))
            return
        self._passed_over.discard(gone.id)
        _count(done, "workspaces", 1)
        _count(done, "tasks", 0 if gone.task_id is None else 1)

    async def _many(
        self, kind: str, what: Statement[NoRow], gone: GoneRow, done: Counter[str]
    ) -> bool:
        """Whether all rows of a kind went that are of a workspace, or of its task."""
        while True:
            async with self._turn() as conn:
                count = await db.reap_of_as_system(conn, what, gone, BATCH)
            _count(done, kind, count)
            if count < BATCH:
                return True
            if self._is_over():
                self._passed_over.discard(gone.id)  # it goes on in the next turn
                return False

    @asynccontextmanager
    async def _turn(self) -> "AsyncIterator[Connection]":
        """A transaction that may remove things, then a rest; raises _Taken while another server's is at it."""
        clock = asyncio.get_running_loop().time
        began = clock()
        async with self._services.db.transaction() as conn:
            if not await db.hold_reaping_as_system(conn):
                raise _Taken
            yield conn
        await asyncio.sleep((clock() - began) * REST)


def _before(now: datetime, keep: str) -> datetime | None:
    """What is older than this goes; null: nothing does."""
    span: timedelta | None = keep_for(keep)
    return None if span is None else now - span


def _count(done: Counter[str], kind: str, count: int) -> None:
    if count:
        done[kind] += count
