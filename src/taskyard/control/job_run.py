"""One try of one job: what an executor works with. Every write names the lease it is made under."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from taskyard.control import phases
from taskyard.control.services import Services
from taskyard.db import jobs, runs
from taskyard.db.jobs import JobRow, Lease, LogLine
from taskyard.drivers.base import Driver
from taskyard.errors import JobCanceled
from taskyard.wire.enums import LogLevel, LogSource

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

FLUSH_S = 0.1
"""Seconds between writes of log lines at most: people read along, and a flood becomes few writes."""

MAX_BUFFERED_LINES = 10_000
"""Log lines kept in memory while the database does not answer; newer ones are dropped."""


class Interruption(StrEnum):
    """Why a job's executor is cut short by its worker."""

    CANCELED = "canceled"
    LEASE_LOST = "lease_lost"


class JobRun:
    """A claimed job in the hands of its executor.

    canceled is set once somebody asked to cancel. undo is what a job that fails or is canceled has to
    take back, and says whether certainly nothing is left; executors set it before they begin what must not stay half
    done. log_to is the job whose
    log the lines are for: its own, or that of the build it repairs.
    """

    def __init__(
        self, services: Services, drivers: Mapping[str, Driver], job: JobRow, lease: Lease
    ) -> None:
        self.services = services
        self.drivers = drivers
        self.job = job
        self.lease = lease
        self.canceled = asyncio.Event()
        self.finished = False
        self.log_to = job.id
        self.undo: Callable[[], Awaitable[bool]] | None = None
        self.interruption: Interruption | None = None
        self.poked = asyncio.Event()
        self._finishing = False
        self._scope: asyncio.Timeout | None = None
        self._lines: list[LogLine] = []
        self._written = 0
        self._unwritten = asyncio.Event()
        self._writing = asyncio.Lock()

    def log(
        self,
        level: LogLevel,
        stage: str,
        text: str,
        *,
        source: LogSource = LogSource.PROVISIONER_DAEMON,
    ) -> None:
        """Adds a line to the job's log; it is written soon, at the latest when the job ends."""
        if len(self._lines) < MAX_BUFFERED_LINES:
            self._lines.append((self.services.now(), source, level, stage, text))
            self._unwritten.set()

    @asynccontextmanager
    async def fenced(self, *, although_canceled: bool = False) -> "AsyncIterator[Connection]":
        """A transaction in which the job is certainly still this try's.

        Raises LeaseLost when it is not, JobCanceled when somebody asked to cancel.
        """
        async with self._writing:
            self._written, self._finishing = 0, False
            try:
                async with self.services.db.transaction() as conn:
                    held = await jobs.hold_job(conn, self.lease)
                    if held.canceled_at is not None and not although_canceled:
                        self.canceled.set()
                        raise JobCanceled(self.job.id)
                    yield conn
                self.finished = self._finishing
                del self._lines[: self._written]
            finally:
                self._finishing = False

    async def finish(
        self,
        conn: "Connection",
        now: datetime,
        *,
        error: str | None = None,
        error_code: str | None = None,
    ) -> None:
        """Completes the job and settles its build in the fenced transaction of conn."""
        await self.write_lines(conn)
        self._finishing = True
        await jobs.finish_job(conn, self.lease, now, error=error, error_code=error_code)
        canceled = self.canceled.is_set() or self.interruption is Interruption.CANCELED
        if error is not None or canceled:
            await phases.job_failed(conn, self.job, error, now)

    async def hold_workspace(self, conn: "Connection") -> None:
        """Locks the job's workspace in the fenced transaction of conn, before what is of it, as everybody does."""
        if self.job.workspace_id is not None:
            await runs.hold_workspace(conn, self.job.workspace_id)

    async def free_room(self, conn: "Connection") -> None:
        """The job's workspace takes no room any more, as nothing of it runs; in the fenced transaction of conn."""
        await self.hold_workspace(conn)
        if self.job.workspace_id is not None and self.job.workspace_build_id is not None:
            await jobs.free_room(conn, self.job.workspace_id, self.job.workspace_build_id)

    async def write_lines(self, conn: "Connection") -> None:
        """Writes the log lines so far in the fenced transaction of conn."""
        lines = self._lines[self._written :]
        await jobs.append_job_logs(conn, self.log_to, lines)
        self._written += len(lines)

    async def flush(self) -> None:
        """Writes the log lines so far in a transaction of their own; raises LeaseLost."""
        self._unwritten.clear()
        if self._lines:
            async with self.fenced(although_canceled=True) as conn:
                await self.write_lines(conn)

    async def wait_for_lines(self) -> None:
        """Returns when there are log lines to write."""
        await self._unwritten.wait()

    @asynccontextmanager
    async def interruptible(self) -> AsyncIterator[None]:
        """Ends the block at its next await once interrupt is called; `interruption` says why."""
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._scope = scope
                if self.interruption is not None:
                    scope.reschedule(0)
                yield
        except TimeoutError:
            if not scope.expired():
                raise
        finally:
            self._scope = None

    def interrupt(self, why: Interruption) -> None:
        """Cuts the executor short, now or when it begins; the first reason stays."""
        if self.ending or self.interruption is not None:
            return
        self.interruption = why
        if self._scope is not None:
            self._scope.reschedule(0)

    @property
    def ending(self) -> bool:
        """Whether the job is over or its last transaction is on the way."""
        return self.finished or self._finishing
