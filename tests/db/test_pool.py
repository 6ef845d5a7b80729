"""Connections come back clean, whenever whoever had them is cancelled, and times come back whole."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import asyncpg
import pytest

from taskyard.db.pool import ANSWER_S, Database
from taskyard.errors import DatabaseAway, DatabaseBusy
from taskyard.wire.base import ZERO_TIME
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

SLOW_COMMIT = """
create table slow (n integer);
create function wait_a_while() returns trigger language plpgsql as
    $$ begin perform pg_sleep(60); return null; end $$;
create constraint trigger slow_commit after insert on slow deferrable initially deferred
    for each row execute function wait_a_while();
"""
"""A table of which each commit takes a minute."""


@pytest.fixture
async def single(database_url: str) -> AsyncIterator[Database]:
    """A pool with one connection, so that whoever comes next gets it; nothing may be complained of."""
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    pool = Database(database_url, size=1)
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close()
        loop.set_exception_handler(None)
    assert complaints == []


@asynccontextmanager
async def looking(url: str, state: str = "active") -> AsyncIterator[Callable[[str], Any]]:
    """A function that returns once another connection runs a statement that begins so, or is idle after it."""
    conn = await asyncpg.connect(url)

    async def running(words: str) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not await conn.fetchval(
                "select count(*) from pg_stat_activity where datname = current_database()"
                " and state = $2 and pid <> pg_backend_pid() and query like $1",
                f"{words}%",
                state,
            ):
                await asyncio.sleep(0.005)

    try:
        yield running
    finally:
        await conn.close()


async def is_usable(pool: Database) -> bool:
    """Whether a transaction begins and ends on the pool's connection, at once."""
    # Less than any statement sleeps that may be in its way.
    async with asyncio.timeout(30), pool.transaction() as conn:
        return bool(await conn.fetchval("select pg_current_xact_id_if_assigned() is null"))


async def test_cancelled_in_a_commit(single: Database) -> None:
    """A commit that is cut short takes its connection with it; the next one gets a new one."""
    async with single.connection() as conn:
        await conn.execute(SLOW_COMMIT)

    async def insert() -> None:
        async with single.transaction() as conn:
            await conn.execute("insert into slow values (1)")

    async with looking(single.url) as running, asyncio.TaskGroup() as group:
        work = group.create_task(insert())
        await running("COMMIT")
        work.cancel()
    assert await is_usable(single)


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_cancelled_in_a_statement(single: Database, times: int) -> None:
    """However often it is cancelled, a transaction that is cut short leaves nothing open."""

    async def wait() -> None:
        async with single.transaction() as conn:
            await conn.execute("create table half_made ()")
            await conn.execute("select pg_sleep(60)")

    async with looking(single.url) as running, asyncio.TaskGroup() as group:
        work = group.create_task(wait())
        await running("select pg_sleep")
        for _ in range(times):
            work.cancel()
            await asyncio.sleep(0)
    assert await is_usable(single)
    async with single.connection() as conn:
        assert await conn.fetchval("select to_regclass('half_made')") is None


async def test_cancelled_at_the_begin(single: Database) -> None:
    """A transaction that is cancelled at any of its first awaits leaves nothing open."""

    async def begin() -> None:
        async with single.transaction():
            await asyncio.Event().wait()

    for awaits in range(12):
        async with asyncio.TaskGroup() as group:
            work = group.create_task(begin())
            for _ in range(awaits):
                await asyncio.sleep(0)
            work.cancel()
        assert await is_usable(single)


@pytest.mark.parametrize("later", [None, 0, 1, 2, 3, 5, 8])
async def test_cancelled_between_the_steps_of_a_statement(
    single: Database, later: int | None
) -> None:
    """Wherever a new statement is cancelled, and however often, Postgres waits for the next one and counts no time."""

    async def ask(number: int) -> None:
        async with single.connection() as conn:
            await conn.fetchval(f"select $1::int + {number}", 1)

    async with looking(single.url, "idle") as resting:
        for awaits in range(12):
            async with asyncio.TaskGroup() as group:
                work = group.create_task(ask(awaits))
                for _ in range(awaits):
                    await asyncio.sleep(0)
                work.cancel()
                if later is not None:
                    for _ in range(later + 1):
                        await asyncio.sleep(0)
                    work.cancel()
            await resting("")


async def test_an_argument_that_does_not_fit(single: Database) -> None:
    """An error of ours between the steps of a statement leaves the connection in order too."""
    async with looking(single.url, "idle") as resting:
        with pytest.raises(asyncpg.DataError):
            async with single.connection() as conn:
                await conn.fetchval("select $1::int", "text")
        await resting("")


@pytest.mark.parametrize(
    "moment",
    [
        ZERO_TIME,
        datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC),
        datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ],
)
async def test_times_come_back_aware(database: Database, moment: datetime) -> None:
    """Every time, the zero time too, comes back as the same moment in UTC, by itself and in a list."""
    async with database.connection() as conn:
        row = await conn.fetchrow(
            "select $1::timestamptz, array[$1::timestamptz, null], ($1::timestamptz)::text", moment
        )
    assert row is not None
    alone, many, text = row
    assert alone == moment
    assert alone.utcoffset() == timedelta(0)
    assert many == [alone, None]
    assert "infinity" not in text


async def test_no_time_is_none(database: Database) -> None:
    """What is null stays so."""
    async with database.connection() as conn:
        assert await conn.fetchval("select $1::timestamptz", None) is None


async def test_a_database_that_goes_away_and_comes_back(
    single: Database, postgres_url: str
) -> None:
    """Cut off in a statement, or with nobody to connect to, there is one error for both; then all is well again."""
    admin = await asyncpg.connect(postgres_url)
    try:
        async with single.connection() as conn:
            name = await conn.fetchval("select current_database()")
            pid = await conn.fetchval("select pg_backend_pid()")
            await admin.execute(f'alter database "{name}" allow_connections false')
            await admin.execute("select pg_terminate_backend($1, 60000)", pid)
        with pytest.raises(DatabaseAway):
            async with single.transaction():
                pass
        await admin.execute(f'alter database "{name}" allow_connections true')

        async def cut_off() -> None:
            async with single.transaction() as conn:
                pid = await conn.fetchval("select pg_backend_pid()")
                await admin.execute("select pg_terminate_backend($1, 60000)", pid)
                await conn.fetchval("select 1")

        with pytest.raises(DatabaseAway):
            await cut_off()
        async with single.transaction() as conn:
            assert await conn.fetchval("select 1") == 1
    finally:
        await admin.close()


async def test_a_connection_whose_end_is_not_noticed_yet(single: Database) -> None:
    """Postgres says that it ends before it hangs up; in between asyncpg knows no way on: that is a database away."""
    pids: list[int] = []

    async def cut_off() -> None:
        async with single.connection() as conn:
            pids.append(conn.get_server_pid())
            raise asyncpg.InternalClientError("cannot switch to state 15")

    with pytest.raises(DatabaseAway):
        await cut_off()
    async with single.connection() as conn:
        assert [conn.get_server_pid()] != pids


@asynccontextmanager
async def impatient(url: str) -> AsyncIterator[tuple[Database, int]]:
    """A pool of one connection whose process is frozen, and the pid of that; two seconds are long for it."""
    pool = Database(url, size=1, answer_s=2)
    await pool.open()
    async with pool.connection() as conn:
        pid = conn.get_server_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        yield pool, pid
    finally:
        os.kill(pid, signal.SIGCONT)
        await pool.close()


@pytest.mark.parametrize("kind", ["connection", "transaction"])
async def test_a_database_that_says_nothing(database_url: str, kind: str) -> None:
    """A statement that is not answered is a database away, in time; the next one gets another connection."""
    async with impatient(database_url) as (pool, pid):
        block = pool.connection if kind == "connection" else pool.transaction
        with pytest.raises(DatabaseAway):
            async with asyncio.timeout(DEADLINE_S), block() as conn:
                await conn.fetchval("select 1")
        async with asyncio.timeout(DEADLINE_S), block() as conn:
            assert conn.get_server_pid() != pid


async def test_leaving_a_database_that_says_nothing(database_url: str) -> None:
    """Who is cancelled in a transaction is gone soon, and has left nothing open."""
    pool = Database(database_url, size=1)
    await pool.open()
    pid = 0

    async def wait(begun: asyncio.Event) -> None:
        nonlocal pid
        async with pool.transaction() as conn:
            pid = conn.get_server_pid()
            os.kill(pid, signal.SIGSTOP)
            begun.set()
            await conn.fetchval("select 1")

    try:
        async with asyncio.TaskGroup() as group:
            begun = asyncio.Event()
            work = group.create_task(wait(begun))
            await begun.wait()
            work.cancel()
            async with asyncio.timeout(ANSWER_S / 2):
                await asyncio.wait({work})
        assert work.cancelled()
        async with pool.connection() as conn:
            assert conn.get_server_pid() != pid
    finally:
        os.kill(pid, signal.SIGCONT)
        await pool.close()


async def test_a_database_that_is_given_up(database_url: str) -> None:
    """Those who wait for it, for a statement or for their turn, are told at once that it is away, and so is who comes later."""
    pool = Database(database_url, size=1)
    await pool.open()

    async def wait() -> None:
        with pytest.raises(DatabaseAway):
            async with pool.transaction() as conn:
                await conn.execute("select pg_sleep(60)")

    async with looking(database_url) as running, asyncio.timeout(30), asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(wait())
        await running("select pg_sleep")
        pool.abandon()
    with pytest.raises(DatabaseAway):
        async with pool.connection():
            pass
    await pool.close()


async def test_a_statement_that_takes_too_long(database: Database) -> None:
    """Postgres gives it up: the caller is told to come back, and the connection is as good as before."""
    with pytest.raises(DatabaseBusy, match="statement timeout"):
        async with database.transaction() as conn:
            await conn.execute("set local statement_timeout = 10; select pg_sleep(60)")
    async with database.connection() as conn:
        assert await conn.fetchval("select 1") == 1


async def test_two_that_wait_for_each_other(database: Database) -> None:
    """One of them goes on, the other is told to come back; neither waits for ever."""
    both = asyncio.Barrier(2)
    ends: list[str] = []

    async def one(first: int, second: int) -> None:
        try:
            async with database.transaction() as conn:
                await conn.execute("select pg_advisory_xact_lock($1)", first)
                await both.wait()
                await conn.execute("select pg_advisory_xact_lock($1)", second)
            ends.append("done")
        except DatabaseBusy:
            ends.append("busy")

    async with asyncio.TaskGroup() as group:
        group.create_task(one(71, 72))
        group.create_task(one(72, 71))
    assert sorted(ends) == ["busy", "done"]
