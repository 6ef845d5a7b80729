"""How fast jobs leave the queue, and how soon after they were put in."""

import asyncio
import logging
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import structlog

from bench.measure import Figure, amount, figure
from bench.seed import identify, seed
from taskyard.config import Settings
from taskyard.control.builds import insert_build
from taskyard.control.job_run import JobRun
from taskyard.control.links import Links
from taskyard.control.services import Services
from taskyard.control.worker import Worker
from taskyard.daemon.postgres import EmbeddedPostgres
from taskyard.db import builds, jobs
from taskyard.db.jobs import Claim, JobKind, Lease, Limits
from taskyard.db.migrate import migrate
from taskyard.db.pool import Database, Doorbell
from taskyard.wire.enums import BuildReason, Transition

QUESTION = (
    "How many jobs a second do four claimers take and finish, beside a bare `for update skip locked` table, and how "
    "soon does an idle worker begin a new one? 2,000 workspaces live, half of which run."
)

TASKS = 2_000
CLAIMERS = 4
ENOUGH = 1_000_000
"""A limit that nobody comes to, but that must be counted."""

FLOOR_TABLE = """
create table bench_queue (id bigint primary key, taken_at timestamptz, done_at timestamptz);
create index bench_queue_open on bench_queue (id) where done_at is null
"""
FLOOR_TAKE = """
update bench_queue set taken_at = now() where id = (
    select id from bench_queue where done_at is null and taken_at is null order by id limit 1 for update skip locked
) returning id
"""

Take = Callable[[], Awaitable[bool]]


def measure(*, quick: bool) -> list[Figure]:
    """Rates of rounds in turns, and the time from a commit to the executor."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    home = Path(tempfile.mkdtemp(prefix="taskyard-bench-"))
    home.chmod(0o711)
    try:
        return asyncio.run(_measure(home, rounds=1 if quick else 8, samples=10 if quick else 200))
    finally:
        shutil.rmtree(home)


async def _measure(home: Path, *, rounds: int, samples: int) -> list[Figure]:
    postgres = EmbeddedPostgres(home / "postgres")
    await postgres.start()
    try:
        await migrate(postgres.url)
        await seed(postgres.url, TASKS)
        database = Database(postgres.url)
        await database.open()
        try:
            return await _Run(database, postgres.url).measure(rounds, samples)
        finally:
            await database.close()
    finally:
        await postgres.stop()


class _Run:
    def __init__(self, database: Database, url: str) -> None:
        self._db = database
        self._url = url
        self._rates: dict[str, list[float]] = {}

    async def measure(self, rounds: int, samples: int) -> list[Figure]:
        async with self._db.connection() as conn:
            await conn.execute(FLOOR_TABLE)
        works = {
            "a bare table": (self._fill_floor, self._take_floor),
            "imports": (self._fill_imports, self._take_job),
            "starts, each limit counted": (self._fill_starts, self._take_job),
        }
        for _ in range(rounds):
            for name, (fill, take) in works.items():
                count = await fill()
                self._rates.setdefault(name, []).append(await _rate(take, count))
        floor = ("a bare table", self._rates["a bare table"])
        figures = [
            amount(name, "jobs/s", rates, None if name == floor[0] else floor)
            for name, rates in self._rates.items()
        ]
        return [*figures, figure("enqueued to begun", await self._waits(samples))]

    async def _fill_floor(self) -> int:
        async with self._db.connection() as conn:
            first = "select coalesce(max(id), 0) + 1 from bench_queue"
            count = 200
            await conn.execute(
                f"insert into bench_queue (id) select generate_series(({first}), ({first}) + {count - 1})"
            )
        return count

    async def _take_floor(self) -> bool:
        async with self._db.transaction() as conn:
            taken = await conn.fetchval(FLOOR_TAKE)
        if taken is None:
            return False
        async with self._db.transaction() as conn:
            await conn.execute("update bench_queue set done_at = now() where id = $1", taken)
        return True

    async def _fill_imports(self) -> int:
        for _ in range(200):
            await self._enqueue(JobKind.IMPORT)
        return 200

    async def _enqueue(self, kind: JobKind) -> UUID:
        job_id = uuid4()
        async with self._db.transaction() as conn:
            await jobs.enqueue_job(
                conn,
                job_id=job_id,
                kind=kind,
                organization_id=identify("organization0"),
                initiator_id=identify("user0"),
                file_id=identify("file"),
                template_version_id=identify("version0"),
                workspace_id=None,
                workspace_build_id=None,
                now=datetime.now(UTC),
            )
        return job_id

    async def _fill_starts(self) -> int:
        async with self._db.transaction() as conn:
            found = await conn.fetch(
                "select w.id, w.owner_id from workspaces w where not exists (select 1 from workspace_builds b"
                " where b.workspace_id = w.id and not b.settled) order by w.id limit 100"
            )
            for row in found:
                newest = await builds.get_newest_build(conn, row["id"])
                assert newest is not None
                await insert_build(
                    conn,
                    workspace=_Key(row["id"]),
                    transition=Transition.START,
                    reason=BuildReason.INITIATOR,
                    initiator_id=row["owner_id"],
                    template_version_id=newest.template_version_id,
                    preset_id=None,
                    parameters=None,
                    now=datetime.now(UTC),
                )
        return len(found)

    async def _take_job(self) -> bool:
        now, worker = datetime.now(UTC), uuid4()
        claim = Claim(
            worker,
            "bench",
            [JobKind.BUILD, JobKind.IMPORT],
            now + timedelta(seconds=30),
            ENOUGH,
            Limits(ENOUGH, ENOUGH),
        )
        async with self._db.transaction() as conn:
            job = await jobs.claim_job(conn, claim, now)
        if job is None:
            return False
        async with self._db.transaction() as conn:
            await jobs.finish_job(conn, Lease(job.id, job.attempt, worker), datetime.now(UTC))
        return True

    async def _waits(self, samples: int) -> list[float]:
        """Seconds from the commit of a job until its executor runs, on a worker with nothing else to do."""
        services = Services(
            settings=Settings(data_dir="/nonexistent"),
            db=self._db,
            doorbell=Doorbell(self._url),
            links=Links(),
            server_id=uuid4(),
            deployment_id=uuid4(),
            now=lambda: datetime.now(UTC),
        )
        begun = asyncio.Event()

        async def begin(_run: JobRun) -> None:
            begun.set()

        worker = Worker(services, {}, {JobKind.IMPORT: begin}, "bench")
        waits = []
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(services.doorbell.run()), group.create_task(worker.run())]
            for _ in range(samples):
                begun.clear()
                await asyncio.sleep(0.02)
                await self._enqueue(JobKind.IMPORT)
                committed = time.perf_counter()
                await begun.wait()
                waits.append(time.perf_counter() - committed)
            for each in running:
                each.cancel()
        return waits


class _Key:
    """Names a workspace."""

    def __init__(self, workspace_id: UUID) -> None:
        self.id = workspace_id


async def _rate(take: Take, count: int) -> float:
    """Jobs a second, taken by all claimers until none is left."""

    async def drain() -> None:
        while await take():
            pass

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(CLAIMERS):
            group.create_task(drain())
    return count / (time.perf_counter() - began)
