"""Connections to Postgres: a fair gate before the pool, transactions, and the doorbell (LISTEN)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg
from asyncpg.transaction import Transaction

from taskyard.errors import DatabaseAway, DatabaseBusy, DatabaseFull

if TYPE_CHECKING:
    from asyncpg import Record
    from asyncpg.pool import PoolConnectionProxy

    Connection = asyncpg.Connection[Record] | PoolConnectionProxy[Record]

ACQUIRE_TIMEOUT_S = 10.0
"""How long a request waits for a connection before it is told to come back."""

ANSWER_S = 30.0
"""Seconds until a statement is given up; transactions of ours are short, so this only ends accidents."""

STATEMENT_TIMEOUT_MS = 600_000
"""When Postgres ends a statement whose client is not there to give it up. Twice as long as asyncpg keeps a connection
that nobody uses: Postgres counts from the first message of a statement to the next that ends one, and a connection that
was left between the two would answer whoever has it next with a timeout."""

CONNECT_S = 10.0
"""Seconds until a connection that does not come about is given up; one to this machine takes some milliseconds."""

LEAVE_S = 2.0
"""Seconds for Postgres to take back a transaction, or what was cut short; else the connection is thrown away."""

CHANNEL = "taskyard"
"""The one NOTIFY channel; a payload is `topic` or `topic:id`, never content."""

BATCH_S = 0.02
"""How long rings of what happens often are gathered before they go out together."""

RECONNECT_S = 1.0
"""Pause between tries to listen again after the listening connection was lost."""


TROUBLE = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""What asyncpg may raise on a connection that ends: the last, where Postgres said that it ends and has not hung up yet."""

GIVEN_UP = (asyncpg.TransactionRollbackError, asyncpg.QueryCanceledError)
"""What Postgres says when it takes a transaction back: to end a ring of waiters, or after STATEMENT_TIMEOUT_MS."""

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""Where Postgres begins to count microseconds."""


async def prepare_connection(conn: "asyncpg.Connection[Record]") -> None:
    """Makes json and jsonb travel as the UTF-8 bytes of their text, which msgspec reads and writes.

    Times are aware whatever they are: asyncpg by itself stores the zero time as minus infinity, and reads that as a
    time without a zone, which on the wire is no time at all.
    """
    try:
        await _set_codecs(conn)
    except BaseException:
        conn.terminate()  # else asyncpg takes leave of it, and waits for a Postgres that may say nothing
        raise


async def _set_codecs(conn: "asyncpg.Connection[Record]") -> None:
    for kind in ("json", "jsonb"):
        await conn.set_type_codec(
            kind, schema="pg_catalog", encoder=bytes.decode, decoder=str.encode, format="text"
        )
    await conn.set_type_codec(
        "timestamptz",
        schema="pg_catalog",
        encoder=lambda moment: ((moment - EPOCH) // timedelta(microseconds=1),),
        decoder=lambda parts: EPOCH + timedelta(microseconds=parts[0]),
        format="tuple",
    )


class Database:
    """A pool of connections behind a gate that serves in order of arrival.

    asyncpg's own pool lets late arrivals overtake, which ruins the tail latency; the semaphore does
    not. Source: decisions/0002-web-and-data-layer.md.

    Nobody waits for ever, whatever Postgres does: a statement is given up after answer_s, and who is cancelled
    leaves within LEAVE_S.
    """

    def __init__(self, url: str, *, size: int = 10, answer_s: float = ANSWER_S) -> None:
        self.url = url
        self.is_abandoned = False
        self._size = size
        self._answer_s = answer_s
        self._connecting: set[asyncio.Timeout] = set()
        self._gate = asyncio.Semaphore(size)
        self._readers = asyncio.Semaphore(max(1, size // 2))
        self._pool: asyncpg.Pool[Record] | None = None
        self._cut: set[int] = set()

    async def open(self) -> None:
        """Connects; raises OSError or asyncpg.PostgresError when the URL does not work."""
        self._pool = await asyncpg.create_pool(
            self.url,
            min_size=1,
            max_size=self._size,
            timeout=CONNECT_S,
            command_timeout=self._answer_s,
            init=prepare_connection,
            reset=self._leave,
            server_settings={
                "application_name": "taskyard",
                "timezone": "UTC",
                "jit": "off",  # compiling a plan takes longer than any of our statements
                "statement_timeout": str(STATEMENT_TIMEOUT_MS),
            },
        )

    async def close(self) -> None:
        """Closes every connection; those in use are given a moment, then cut."""
        if self._pool is None:
            return
        try:
            async with asyncio.timeout(LEAVE_S):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    def abandon(self) -> None:
        """From now on, and for those who wait already, this is a database away: for who has no more time."""
        self.is_abandoned = True
        for scope in self._connecting:
            scope.reschedule(0)
        if self._pool is not None:
            self._pool.terminate()

    async def is_silent(self, within_s: float) -> bool:
        """Whether Postgres says nothing for so long; to refuse is an answer, and so is to be gone."""
        conn = None
        try:
            async with asyncio.timeout(within_s):
                conn = await asyncpg.connect(self.url, timeout=2 * within_s)
                await conn.execute("select 1")
        except TimeoutError:
            return True
        except TROUBLE:
            return False
        finally:
            if conn is not None:
                conn.terminate()
        return False

    @property
    def connections(self) -> tuple[int, int]:
        """How many connections are in use, and how many idle."""
        if self._pool is None:
            return 0, 0
        idle = self._pool.get_idle_size()
        return self._pool.get_size() - idle, idle

    @asynccontextmanager
    async def connection(self) -> "AsyncIterator[Connection]":
        """A connection outside any transaction, for single statements.

        Raises DatabaseBusy, DatabaseAway, DatabaseFull.
        """
        if self._pool is None:
            raise RuntimeError("the database was not opened")
        async with _turn(self._gate):
            conn = await self._acquire(self._pool)
            number = conn.get_server_pid()
            self._cut.add(number)
            try:
                yield conn
                self._cut.discard(number)
            except asyncpg.InsufficientResourcesError as error:
                raise DatabaseFull(str(error)) from error
            except GIVEN_UP as error:
                raise DatabaseBusy(str(error)) from error
            except TimeoutError as error:
                conn.terminate()
                raise DatabaseAway(f"no answer within {self._answer_s:g} s") from error
            except (ConnectionError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                if _is_gone(conn):
                    raise DatabaseAway(str(error)) from error
                raise
            except asyncpg.InternalClientError as error:
                # Postgres said that it ends, and asyncpg does not know yet that the connection is over.
                conn.terminate()
                raise DatabaseAway(str(error)) from error
            finally:
                # What cannot be given back in time is thrown away by asyncpg, which then complains.
                with suppress(*TROUBLE):
                    await self._pool.release(conn, timeout=LEAVE_S)

    async def _acquire(self, pool: "asyncpg.Pool[Record]") -> "PoolConnectionProxy[Record]":
        """A connection of the pool, which may be a new one; raises DatabaseAway."""
        if self.is_abandoned:
            raise DatabaseAway("it was given up")
        scope = asyncio.timeout(CONNECT_S)
        try:
            async with scope:
                self._connecting.add(scope)
                return await pool.acquire()
        except TROUBLE as error:
            raise DatabaseAway(str(error) or "it does not answer") from error
        finally:
            self._connecting.discard(scope)

    async def _leave(self, conn: "asyncpg.Connection[Record]") -> None:
        """Ends what an error or a cancellation may have cut between the two steps of a statement.

        Postgres would count the time until the connection is used again as the statement's, and answer that use
        with a timeout. Else nothing: what we set ends with its transaction, and asyncpg's own reset is a round trip
        after each use.
        """
        number = conn.get_server_pid()
        if number in self._cut:
            await conn.execute("select 1")
            # Only now: whoever is cancelled a second time does not wait for this to be done.
            self._cut.discard(number)

    @asynccontextmanager
    async def transaction(self) -> "AsyncIterator[Connection]":
        """A connection inside one transaction: commits at the end, rolls back on any error."""
        async with self.connection() as conn:
            try:
                block = conn.transaction()
                # Entered as by `async with`, so that asyncpg itself tidies up after a BEGIN that is cut short.
                await block.__aenter__()
                try:
                    yield conn
                except BaseException as error:
                    await _roll_back(conn, block, error)
                    raise
                await block.__aexit__(None, None, None)
            finally:
                # Cancelled in the middle of COMMIT or ROLLBACK: nobody may get this connection again.
                if not _is_gone(conn) and conn.is_in_transaction():
                    conn.terminate()

    @asynccontextmanager
    async def reading(self) -> "AsyncIterator[Connection]":
        """A read-only transaction for lists: each statement is planned for the values that it is given.

        One plan for all would be right for nobody: the tasks of one owner and those of a whole site are found in
        different ways. Such statements may take long, so they take half of the connections at most.
        """
        async with _turn(self._readers), self.transaction() as conn:
            await conn.execute(
                "set transaction read only; set local plan_cache_mode = force_custom_plan"
            )
            yield conn


async def _roll_back(conn: "Connection", block: Transaction, error: BaseException) -> None:
    """Takes the transaction back; where that cannot be, Postgres does it when the connection ends.

    Whatever comes of it, the error stays what it was: who is cancelled must not take that for a database away.
    """
    if _is_gone(conn):
        return
    try:
        async with asyncio.timeout(LEAVE_S):
            await block.__aexit__(type(error), error, error.__traceback__)
    except TROUBLE:
        conn.terminate()


def _is_gone(conn: "Connection") -> bool:
    """Whether the other end hung up: the pool then takes the connection out of one's hands."""
    try:
        return conn.is_closed()
    except asyncpg.InterfaceError:
        return True


@asynccontextmanager
async def _turn(gate: asyncio.Semaphore) -> AsyncIterator[None]:
    """A place behind a gate; raises DatabaseBusy when none comes free in time."""
    try:
        async with asyncio.timeout(ACQUIRE_TIMEOUT_S):
            await gate.acquire()
    except TimeoutError as error:
        raise DatabaseBusy from error
    try:
        yield
    finally:
        gate.release()


class Doorbell:
    """Wakes waiters when any server rings a topic; a lost ring is covered by their own polling.

    `resync` is rung for every topic after the listening connection was lost and found again.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._waiters: dict[str, set[Callable[[str], None]]] = {}
        self._soon: set[str] = set()
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Listens until cancelled, reconnecting as often as it takes."""
        while True:
            with suppress(*TROUBLE):
                await self._listen()
            await asyncio.sleep(RECONNECT_S)

    @asynccontextmanager
    async def on(self, topic: str, callback: Callable[[str], None]) -> AsyncIterator[None]:
        """Calls back with the id rung (empty when all may have changed) while the block runs."""
        callbacks = self._waiters.setdefault(topic, set())
        callbacks.add(callback)
        try:
            yield
        finally:
            callbacks.discard(callback)
            if not callbacks:
                self._waiters.pop(topic, None)

    def ring_soon(self, topic: str, subject: str) -> None:
        """Rings within a moment, outside any transaction; rings of the same thing become one.

        For what happens often, such as log lines: commits that notify wait for each other.
        """
        self._soon.add(f"{topic}:{subject}")
        self._wake.set()

    async def _listen(self) -> None:
        conn = await asyncpg.connect(self._url, timeout=CONNECT_S, command_timeout=ANSWER_S)
        conn.add_termination_listener(lambda _: self._wake.set())
        batch: set[str] = set()
        try:
            await conn.add_listener(CHANNEL, self._rung)
            for topic in list(self._waiters):
                self._ring_here(topic, "")
            while not conn.is_closed():
                await self._wake.wait()
                await asyncio.sleep(BATCH_S)
                self._wake.clear()
                batch, self._soon = self._soon, set()
                # asyncpg hears nothing more on a connection that was given an empty batch.
                if batch and not conn.is_closed():
                    rings = [(CHANNEL, payload) for payload in batch]
                    await conn.executemany("select pg_notify($1, $2)", rings)
                    batch = set()
        finally:
            self._soon |= batch  # what was not rung is rung on the next connection
            conn.terminate()

    def _rung(self, _conn: object, _pid: int, _channel: str, payload: object) -> None:
        topic, _, subject = str(payload).partition(":")
        self._ring_here(topic, subject)

    def _ring_here(self, topic: str, subject: str) -> None:
        for callback in tuple(self._waiters.get(topic, ())):
            callback(subject)


async def ring(conn: "Connection", topic: str, subject: str = "") -> None:
    """Rings a topic when the transaction of conn commits; at once outside a transaction."""
    await conn.execute("select pg_notify($1, $2)", CHANNEL, f"{topic}:{subject}")
