"""The worker: claims jobs, keeps their leases, runs their executors and records how they ended.

NOTIFY wakes it, polling guarantees. A worker may die at any line: its leases lapse and others take
over. One that was thought dead finds its lease gone at its next write and stops.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import assert_never
from uuid import UUID, uuid4

import anyio
import asyncpg
import structlog

from taskyard.control.admission import limits, max_running
from taskyard.control.job_run import FLUSH_S, Interruption, JobRun
from taskyard.control.services import Services
from taskyard.db import jobs
from taskyard.db.jobs import Claim, JobKind, JobRow, Lease
from taskyard.db.workers import beat_worker, remove_worker
from taskyard.drivers.base import Driver
from taskyard.errors import (
    DatabaseAway,
    DatabaseBusy,
    JobCanceled,
    JobFailed,
    JobStumbled,
    LeaseLost,
)
from taskyard.lifecycle.job import MAX_ATTEMPTS, retry_at
from taskyard.wire.enums import LogLevel
from taskyard_agent import points

__all__ = ["Executor", "JobRun", "Worker"]

log = structlog.get_logger()

Executor = Callable[[JobRun], Awaitable[None]]
"""Does a job. JobFailed ends it with that sentence, JobStumbled and any other error mean another try."""

JOBS_AT_ONCE = 8
"""Jobs that one worker runs at the same time: they mostly wait for drivers, which start processes."""

POLL_S = 5.0
"""Seconds between looks at the queue when nobody rings: a ring may be lost."""

RENEWALS_PER_LEASE = 3
"""A lease is renewed after a third of it, so that two renewals may fail."""

BEAT = timedelta(seconds=5)
"""Time between signs of life: three may fail until the worker no longer counts as one that takes jobs."""

TROUBLE_S = 1.0
"""Seconds to wait before the database is asked again after it did not answer."""

GIVE_BACK_S = 5.0
"""Seconds a stopping worker has to hand back a job; else its lease lapses."""

ENDING = "Ending"
"""The stage of the last lines of a job's log."""

DATABASE_TROUBLE = (TimeoutError, DatabaseAway, DatabaseBusy, asyncpg.PostgresError)
"""What asking a database that is away, full or restarting may raise."""


class Worker:
    """Runs jobs of the kinds it has executors for, until cancelled.

    worker_id is for a worker of which there is certainly one at a time: what it held when it was killed
    it takes over as soon as it runs again. Others get an id of their own, and their leases lapse.
    """

    def __init__(
        self,
        services: Services,
        drivers: Mapping[str, Driver],
        executors: Mapping[str, Executor],
        name: str,
        *,
        jobs_at_once: int = JOBS_AT_ONCE,
        worker_id: UUID | None = None,
    ) -> None:
        self.id = worker_id or uuid4()
        self._services = services
        self._drivers = drivers
        self._executors = {JobKind(kind): executor for kind, executor in executors.items()}
        self._name = name
        self._jobs_at_once = jobs_at_once
        self._max_running = max_running(services.settings)
        self._limits = limits(services.settings)
        self._lease = timedelta(seconds=services.settings.job_lease_s)
        self._runs: dict[
            Lease, JobRun
        ] = {}  # the next try of a job may begin before the last one has left
        self._beaten_at: datetime | None = None
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Works until cancelled; jobs in hand are then given back, for others to take at once."""
        async with asyncio.TaskGroup() as group, self._services.doorbell.on(jobs.JOBS, self._rung):
            await self._release()
            try:
                while True:
                    self._wake.clear()
                    wait_s = await self._fill(group)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(wait_s):
                            await self._wake.wait()
            finally:
                with anyio.CancelScope(shield=True):
                    await self._leave()

    def _rung(self, subject: str) -> None:
        """A job is new or over, or somebody wants one canceled; empty: anything may have happened."""
        self._wake.set()
        for run in self._runs.values():
            if subject in ("", str(run.job.id)):
                run.poked.set()

    async def _release(self) -> None:
        """Lets go of what this worker held before it was killed."""
        try:
            async with self._services.db.connection() as conn:
                count = await jobs.release_leases(conn, self.id, self._services.now())
        except DATABASE_TROUBLE as error:
            log.warning("worker.no_database", cause=repr(error))  # then those leases lapse
            return
        if count:
            log.warning("worker.took_over", jobs=count)

    async def _fill(self, group: asyncio.TaskGroup) -> float:
        """Claims what there is and room for; returns the seconds until the next look."""
        try:
            await self._beat()
            while len(self._runs) < self._jobs_at_once:
                job = await self._claim()
                if job is None:
                    return await self._until_due()
                run = JobRun(
                    self._services, self._drivers, job, Lease(job.id, job.attempt, self.id)
                )
                self._runs[run.lease] = run
                group.create_task(self._work(run))
        except DATABASE_TROUBLE as error:
            log.warning("worker.no_database", cause=repr(error))
            return TROUBLE_S
        except Exception:  # the edge: what goes wrong with one claim must not end the server
            log.exception("worker.not_claimed")
            return TROUBLE_S
        return POLL_S

    async def _beat(self) -> None:
        """Says that this worker lives, every few seconds."""
        now = self._services.now()
        # Less than nothing has passed when the clock was set back: then this is the time to say so anew.
        if self._beaten_at is not None and timedelta() <= now - self._beaten_at < BEAT:
            return
        self._beaten_at = now
        running, capacity = len(self._runs), self._jobs_at_once
        async with self._services.db.connection() as conn:
            await beat_worker(conn, self.id, self._name, now, running=running, capacity=capacity)

    async def _leave(self) -> None:
        """Says that this worker takes no more jobs; when that fails, its silence says so."""
        with suppress(*DATABASE_TROUBLE):
            async with asyncio.timeout(GIVE_BACK_S), self._services.db.connection() as conn:
                await remove_worker(conn, self.id)

    async def _claim(self) -> JobRow | None:
        now = self._services.now()
        kinds = list(self._executors)
        expires_at = now + self._lease
        claim = Claim(
            self.id,
            self._name,
            kinds,
            expires_at,
            self._max_running,
            self._limits,
            self._services.host_id,
            [run.job.id for run in self._runs.values()],
        )
        async with self._services.db.transaction() as conn:
            return await jobs.claim_job(conn, claim, now)

    async def _until_due(self) -> float:
        now = self._services.now()
        async with self._services.db.connection() as conn:
            due = await jobs.get_next_due(conn, list(self._executors), now)
        return POLL_S if due is None else min(POLL_S, (due - now).total_seconds())

    async def _work(self, run: JobRun) -> None:
        """One job from claim to end; only cancellation leaves it."""
        job = run.job
        with structlog.contextvars.bound_contextvars(
            job_id=str(job.id), kind=job.type, attempt=job.attempt
        ):
            log.info("job.claimed", workspace_id=str(job.workspace_id))
            try:
                async with asyncio.TaskGroup() as group:
                    keeping = group.create_task(self._keep_lease(run))
                    flushing = group.create_task(self._flush_logs(run))
                    try:
                        await self._settle(run)
                    finally:
                        keeping.cancel()
                        flushing.cancel()
            except asyncio.CancelledError:
                with anyio.CancelScope(shield=True):
                    await self._give_back(run)
                raise
            except Exception:  # the edge: the lease lapses and another worker goes on
                log.exception("job.abandoned")
            finally:
                del self._runs[run.lease]
                self._wake.set()

    async def _settle(self, run: JobRun) -> None:
        """Runs the executor and records its end, whatever that is; begins anew while the database is away.

        That is no try of the job's: it would be given up for what it has no part in.
        """
        while True:
            if await self._settled(run):
                return
            await asyncio.sleep(TROUBLE_S)

    async def _settled(self, run: JobRun) -> bool:
        """Whether the job came to an end, or to another try; not when the database did not answer."""
        try:
            try:
                await self._execute(run)
                self._count(run, "succeeded")
            except JobCanceled:
                await self._end(run, None)
                self._count(run, "canceled")
            except JobFailed as error:
                await self._end(run, str(error))
                self._count(run, "failed")
        except LeaseLost as error:
            log.warning("job.lease_lost", exc_info=error)
        except (DatabaseAway, DatabaseBusy) as error:
            log.warning("job.no_database", cause=repr(error))
            return False
        except JobStumbled as error:
            log.warning("job.stumbled", cause=str(error))
            self._count(run, "stumbled")
            await self._try_again(run, str(error))
        except Exception as error:  # the edge: an executor may fail in any way
            log.exception("job.crashed")
            self._count(run, "crashed")
            await self._try_again(run, f"internal: {type(error).__name__}: {error}")
        return True

    def _count(self, run: JobRun, outcome: str) -> None:
        """Counts a try that is over, with the time since it was claimed."""
        seconds = (self._services.now() - run.job.updated_at).total_seconds()
        self._services.meters.job(run.job.type, outcome, seconds)

    async def _execute(self, run: JobRun) -> None:
        """Returns when the job is over; raises JobCanceled, JobFailed, LeaseLost, or what went wrong."""
        if run.job.attempt > MAX_ATTEMPTS:
            raise JobFailed(
                f"internal: the workers of this job were lost {MAX_ATTEMPTS} times, it was given up"
            )
        if run.job.canceled_at is not None:
            run.interrupt(Interruption.CANCELED)
        async with run.interruptible():
            await points.reached("job.claimed", str(run.job.workspace_id))
            await self._executors[run.job.type](run)
        if run.finished:
            log.info("job.finished")
            return
        match run.interruption:
            case None:
                async with run.fenced() as conn:
                    await run.finish(conn, self._services.now())
            case Interruption.CANCELED:
                raise JobCanceled(run.job.id)
            case Interruption.LEASE_LOST:
                raise LeaseLost(run.job.id, run.job.attempt)
            case _:
                assert_never(run.interruption)

    async def _end(self, run: JobRun, error: str | None) -> None:
        """Takes back what was half done, then records the failure, or the cancellation."""
        is_undone = await self._undo(run)
        if error is None:
            run.log(LogLevel.WARN, ENDING, "Canceled.")
        else:
            run.log(LogLevel.ERROR, ENDING, error)
        async with run.fenced(although_canceled=True) as conn:
            if is_undone:
                await run.free_room(conn)
            await run.finish(conn, self._services.now(), error=error)
        log.info("job.ended", error=error)

    async def _undo(self, run: JobRun) -> bool:
        """Takes back what was half done; whether certainly nothing is left.

        What cannot be does not keep the job open: the reconciler goes on with it.
        """
        if run.undo is None:
            return False
        try:
            return await run.undo()
        except LeaseLost:
            raise
        except Exception as error:  # the edge: a job without an end would block its workspace
            log.warning("job.not_undone", exc_info=error)
            cause = str(error).removesuffix(".")
            text = f"What was started could not be ended: {cause}. It is tried again until it is."
            run.log(LogLevel.WARN, ENDING, text)
            return False

    async def _try_again(self, run: JobRun, sentence: str) -> None:
        """Another try later, or the end after the last one; nothing when even that cannot be written."""
        now = self._services.now()
        at = retry_at(run.job.attempt, now) if run.job.attempt <= MAX_ATTEMPTS else None
        try:
            if at is None:
                await self._end(run, sentence)
                return
            run.log(LogLevel.WARN, ENDING, f"{sentence.removesuffix('.')}. It is tried again.")
            async with run.fenced(although_canceled=True) as conn:
                await run.write_lines(conn)
                await jobs.retry_job(conn, run.lease, at, now)
        except Exception:  # the edge: the lease lapses and another worker goes on
            log.exception("job.unrecorded")

    async def _give_back(self, run: JobRun) -> None:
        """Lets other workers have the job at once, as this one is stopping."""
        if run.finished:
            return
        now = self._services.now()
        try:
            async with asyncio.timeout(GIVE_BACK_S), run.fenced(although_canceled=True) as conn:
                await run.write_lines(conn)
                await jobs.retry_job(conn, run.lease, now, now)
            log.info("job.given_back")
        except (LeaseLost, *DATABASE_TROUBLE) as error:
            log.warning("job.not_given_back", cause=repr(error))

    async def _keep_lease(self, run: JobRun) -> None:
        """Renews the lease until cancelled; interrupts the job when it is lost or to be canceled."""
        expires_at = run.job.lease_expires_at or self._services.now()
        period_s = self._lease.total_seconds() / RENEWALS_PER_LEASE
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(period_s):
                    await run.poked.wait()
            run.poked.clear()
            renewed = self._services.now() + self._lease
            try:
                async with asyncio.timeout(period_s), self._services.db.connection() as conn:
                    held = await jobs.renew_lease(conn, run.lease, renewed)
            except LeaseLost:
                run.interrupt(Interruption.LEASE_LOST)
                continue
            except DATABASE_TROUBLE as error:
                log.warning("job.not_renewed", cause=repr(error))
                if self._services.now() >= expires_at:
                    run.interrupt(Interruption.LEASE_LOST)
                continue
            expires_at = renewed
            if held.canceled_at is not None:
                run.canceled.set()
                run.interrupt(Interruption.CANCELED)

    async def _flush_logs(self, run: JobRun) -> None:
        """Writes log lines as they come, until cancelled or the lease is lost."""
        while True:
            await run.wait_for_lines()
            try:
                await run.flush()
            except LeaseLost:
                return
            except DATABASE_TROUBLE as error:
                log.warning("job.log_unwritten", cause=repr(error))
            await asyncio.sleep(FLUSH_S)
