"""The queue: who gets a job, in which order, for how long."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from taskyard.db import jobs
from taskyard.db.jobs import Claim, JobKind, JobRow, Lease
from taskyard.db.pool import Database
from taskyard.errors import JobCancelRequested, JobCompleted, LeaseLost
from taskyard.wire.enums import JobStatus, LogLevel, LogSource

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LEASE = timedelta(seconds=30)


class Queue:
    """A database with a user and a file to make jobs of."""

    def __init__(self, database: Database, owner: tuple[UUID, UUID, UUID]) -> None:
        self.db = database
        self._organization_id, self._user_id, self._file_id = owner

    async def add(self, now: datetime = NOW) -> UUID:
        job_id = uuid4()
        async with self.db.transaction() as conn:
            await jobs.enqueue_job(
                conn,
                job_id=job_id,
                kind=JobKind.IMPORT,
                organization_id=self._organization_id,
                initiator_id=self._user_id,
                file_id=self._file_id,
                template_version_id=uuid4(),
                workspace_id=None,
                workspace_build_id=None,
                now=now,
            )
        return job_id

    async def claim(
        self, worker_id: UUID, now: datetime = NOW, kinds: tuple[JobKind, ...] = (JobKind.IMPORT,)
    ) -> JobRow | None:
        async with self.db.transaction() as conn:
            return await jobs.claim_job(
                conn, Claim(worker_id, "test", kinds, now + LEASE, 100), now
            )

    async def get(self, job_id: UUID) -> JobRow:
        async with self.db.connection() as conn:
            job = await jobs.get_job(conn, job_id)
        assert job is not None
        return job


def lease_of(job: JobRow) -> Lease:
    assert job.worker_id is not None
    return Lease(job.id, job.attempt, job.worker_id)


@pytest.fixture
async def queue(database: Database) -> Queue:
    async with database.connection() as conn:
        return Queue(database, await _owner(conn))


async def _owner(conn: "Connection") -> tuple[UUID, UUID, UUID]:
    organization_id, user_id, file_id = uuid4(), uuid4(), uuid4()
    await conn.execute(
        "insert into organizations values ($1, 'main', '', '', '', true, $2, $2)",
        organization_id,
        NOW,
    )
    await conn.execute(
        "insert into users (id, username, email, name, avatar_url, login_type, status, roles, created_at,"
        " updated_at, last_seen_at) values ($1, 'ann', 'ann@example.com', '', '', 'none', 'active', '{}', $2, $2, $2)",
        user_id,
        NOW,
    )
    await conn.execute(
        "insert into files values ($1, sha256('x'), $2, 'application/x-tar', 'x', $3)",
        file_id,
        user_id,
        NOW,
    )
    return organization_id, user_id, file_id


async def test_many_claimers_get_each_job_once(queue: Queue) -> None:
    """Eight workers drain 200 jobs: each job is claimed once, none is left."""
    wanted = {await queue.add() for _ in range(200)}
    claimed: list[UUID] = []

    async def drain(worker_id: UUID) -> None:
        while (job := await queue.claim(worker_id)) is not None:
            claimed.append(job.id)
            async with queue.db.transaction() as conn:
                await jobs.finish_job(conn, lease_of(job), NOW)

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(drain(uuid4()))
    assert Counter(claimed) == Counter(wanted)


async def test_jobs_are_claimed_in_their_order(queue: Queue) -> None:
    """The oldest job comes first; a kind that was not asked for is left."""
    first, second = await queue.add(), await queue.add()
    assert await queue.claim(uuid4(), kinds=(JobKind.BUILD,)) is None
    got = [await queue.claim(uuid4()) for _ in range(3)]
    assert [job and job.id for job in got] == [first, second, None]


async def test_a_pending_job_knows_its_place(queue: Queue) -> None:
    """The place counts from 1 among pending jobs, and is 0 once a job has begun."""
    first, second, third = [await queue.add() for _ in range(3)]
    await queue.claim(uuid4())
    places = [
        (j.queue_position, j.queue_size)
        for j in [await queue.get(i) for i in (first, second, third)]
    ]
    assert places == [(0, 2), (1, 2), (2, 2)]


async def test_a_live_lease_keeps_others_away(queue: Queue) -> None:
    """A claimed job is nobody else's until its lease lapsed, and longer when that was renewed."""
    await queue.add()
    job = await queue.claim(uuid4())
    assert job is not None
    async with queue.db.transaction() as conn:
        await jobs.renew_lease(conn, lease_of(job), NOW + 2 * LEASE)
    assert await queue.claim(uuid4(), NOW + LEASE) is None
    again = await queue.claim(uuid4(), NOW + 2 * LEASE)
    assert again is not None
    assert (again.id, again.attempt, again.started_at) == (job.id, 2, job.started_at)


async def test_a_zombie_writes_nothing(queue: Queue) -> None:
    """Once a job was taken over, every write under the old lease is refused and changes nothing."""
    await queue.add()
    old = await queue.claim(uuid4())
    new = await queue.claim(uuid4(), NOW + LEASE)
    assert old is not None
    assert new is not None
    lease = lease_of(old)
    async with queue.db.connection() as conn:
        with pytest.raises(LeaseLost):
            await jobs.hold_job(conn, lease)
        with pytest.raises(LeaseLost):
            await jobs.renew_lease(conn, lease, NOW + 9 * LEASE)
        with pytest.raises(LeaseLost):
            await jobs.retry_job(conn, lease, NOW, NOW)
        with pytest.raises(LeaseLost):
            await jobs.finish_job(conn, lease, NOW)
    kept = await queue.get(old.id)
    assert (kept.status, kept.lease_expires_at) == (JobStatus.RUNNING, new.lease_expires_at)


async def test_the_same_worker_loses_its_lease_too(queue: Queue) -> None:
    """A worker that claims its own lapsed job again cannot write under its first try."""
    await queue.add()
    worker_id = uuid4()
    old = await queue.claim(worker_id)
    assert await queue.claim(worker_id, NOW + LEASE) is not None
    assert old is not None
    async with queue.db.connection() as conn:
        with pytest.raises(LeaseLost):
            await jobs.finish_job(conn, lease_of(old), NOW)


async def test_a_job_given_back_waits_for_its_time(queue: Queue) -> None:
    """A job to be tried later is nobody's until then, not even the giver's; the queue says when that is."""
    await queue.add()
    job = await queue.claim(uuid4())
    assert job is not None
    later = NOW + timedelta(seconds=2)
    async with queue.db.transaction() as conn:
        await jobs.retry_job(conn, lease_of(job), later, NOW)
    assert await queue.claim(uuid4(), NOW + timedelta(seconds=1)) is None
    async with queue.db.connection() as conn:
        with pytest.raises(LeaseLost):
            await jobs.renew_lease(conn, lease_of(job), NOW + LEASE)
        assert await jobs.get_next_due(conn, [JobKind.IMPORT], NOW) == later
    again = await queue.claim(uuid4(), later)
    assert again is not None
    assert again.attempt == 2


async def test_canceling_a_pending_job_ends_it(queue: Queue) -> None:
    """A pending job is canceled at once and never claimed; a second wish is refused."""
    job_id = await queue.add()
    async with queue.db.transaction() as conn:
        assert await jobs.cancel_job(conn, job_id, NOW) is JobStatus.CANCELED
    assert (await queue.get(job_id)).status is JobStatus.CANCELED
    assert await queue.claim(uuid4()) is None
    async with queue.db.transaction() as conn:
        with pytest.raises(JobCompleted):
            await jobs.cancel_job(conn, job_id, NOW)


async def test_canceling_a_running_job_asks_its_worker(queue: Queue) -> None:
    """A running job is canceling until its worker ends it, then canceled; asking twice is refused."""
    job_id = await queue.add()
    job = await queue.claim(uuid4())
    assert job is not None
    async with queue.db.transaction() as conn:
        assert await jobs.cancel_job(conn, job_id, NOW) is JobStatus.CANCELING
    async with queue.db.transaction() as conn:
        with pytest.raises(JobCancelRequested):
            await jobs.cancel_job(conn, job_id, NOW)
    async with queue.db.transaction() as conn:
        held = await jobs.renew_lease(conn, lease_of(job), NOW + LEASE)
        assert held.canceled_at == NOW
        await jobs.finish_job(conn, lease_of(job), NOW)
    assert (await queue.get(job_id)).status is JobStatus.CANCELED


async def test_a_failed_job_says_why(queue: Queue) -> None:
    """An error makes a job failed, even one that was being canceled."""
    job_id = await queue.add()
    job = await queue.claim(uuid4())
    assert job is not None
    async with queue.db.transaction() as conn:
        await jobs.cancel_job(conn, job_id, NOW)
        await jobs.finish_job(conn, lease_of(job), NOW, error="no room")
    failed = await queue.get(job_id)
    assert (failed.status, failed.error) == (JobStatus.FAILED, "no room")


async def test_log_lines_keep_their_order(queue: Queue) -> None:
    """Lines come back as they were given, behind the id asked for, without characters Postgres refuses."""
    job_id = await queue.add()
    source = LogSource.PROVISIONER
    lines = [(NOW, source, LogLevel.INFO, "Stage", f"line {n}\0") for n in range(20)]
    async with queue.db.transaction() as conn:
        await jobs.append_job_logs(conn, job_id, lines[:15])
        await jobs.append_job_logs(conn, job_id, lines[15:])
        rows = await jobs.list_job_logs(conn, job_id, 0)
        rest = await jobs.list_job_logs(conn, job_id, rows[17].id)
    assert [row.output for row in rows] == [f"line {n}�" for n in range(20)]
    assert [row.id for row in rest] == [row.id for row in rows[18:]]
