"""Requests that are done once, by the key that their sender gave them.

What holds it is one row: each deed of a request is marked there in the transaction that does it, and only by the try
that has the request in hand. A try whose server died, or was frozen, can be replaced at any time: either it has done
something, which is known then, or it will not do it any more.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import UUID, uuid4

import anyio
import structlog

from taskyard.config import keep_for
from taskyard.control.services import Services
from taskyard.db import idempotency as db
from taskyard.db.idempotency import KeyRow, Try
from taskyard.db.pool import ring
from taskyard.errors import (
    DatabaseAway,
    DatabaseBusy,
    IdempotencyBusy,
    IdempotencyLost,
    IdempotencyMismatch,
    IdempotencyUnknown,
    TaskyardError,
    TooManyKeys,
)
from taskyard.wire.base import NIL_UUID

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

__all__ = [
    "Claim",
    "KeyRow",
    "Try",
    "begin",
    "finish",
    "lapse",
    "mark",
    "release",
    "unknown",
    "while_alive",
]

log = structlog.get_logger()

T = TypeVar("T")

TOPIC = "idempotency"
"""Rung with the id of a row when its request is over."""

LEASE = timedelta(seconds=5)
"""How long a try counts as alive that said nothing: so long a client waits after its server died."""

RENEW_S = 1.5
"""Seconds between two signs of life of a try, three in a lease."""

WAIT_S = 30.0
"""Seconds that a request waits for another of its key: the slowest one waits so long for a coding agent."""

POLL_S = 1.0
"""Seconds until a waiting request looks by itself, as a ring may be lost."""

MOST_WAITING = 16
"""Requests of one owner that wait at one server for others of their keys; a client that repeats one has two."""

MOST_KEYS = 100_000
"""Keys of one owner that are kept at a time: with those of a day, more than one request a second."""

OPEN_KEEP = timedelta(hours=1)
"""How long keys of nobody known are kept at most: whoever signs in knows by then whether it went well."""

SENDING: Final = frozenset({"send_task_input", "interrupt_task", "answer_task_permission"})
"""Operations that note what they do before a coding agent is told, so that it is not told twice."""

KEPT_BYTES = 256 * 1024
"""Largest answer that is kept to be given again; those of POST have some thousand bytes."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to do what a request asks for; deeds above 0: an earlier try has done something of it already."""

    id: UUID
    request_id: str
    row: KeyRow | None = None


@dataclass(frozen=True, slots=True)
class _Held:
    """A request that another try has in hand: the id of its row."""

    id: UUID


_waiting: Counter[UUID] = Counter()


async def begin(services: Services, asked: Try) -> Claim | KeyRow:
    """The right to work on a request, or the row of one that is over; waits for another try of it.

    Raises IdempotencyMismatch where the key was used for something else, TooManyKeys, and IdempotencyBusy after
    WAIT_S, or at once where the owner has others that wait.
    """
    found = await _once(services, asked)
    if not isinstance(found, _Held):
        return found
    with _place(asked):
        try:
            async with asyncio.timeout(WAIT_S):
                while isinstance(found, _Held):
                    await _until_over(services, asked, found.id)
                    found = await _once(services, asked)
        except TimeoutError as error:
            raise IdempotencyBusy(asked.key) from error
    return found


@contextmanager
def _place(asked: Try) -> Iterator[None]:
    """One of the places of those that wait; raises IdempotencyBusy where the owner has no more."""
    owner = asked.owner_id
    if _waiting[owner] >= MOST_WAITING:
        raise IdempotencyBusy(asked.key)
    _waiting[owner] += 1
    try:
        yield
    finally:
        _waiting[owner] -= 1
        if not _waiting[owner]:
            del _waiting[owner]


async def _until_over(services: Services, asked: Try, key_id: UUID) -> None:
    """Returns when that request is over, or its try seems to be dead; only looks, and locks nothing."""
    wake = asyncio.Event()

    def rung(subject: str) -> None:
        if subject in ("", str(key_id)):
            wake.set()

    async with services.doorbell.on(TOPIC, rung):
        while True:
            async with services.db.connection() as conn:
                if not await db.is_held_as_system(conn, asked, key_id, services.now()):
                    return
            await _rung(wake)


async def _rung(wake: asyncio.Event) -> None:
    """Returns when somebody rang, or after POLL_S."""
    try:
        async with asyncio.timeout(POLL_S):
            await wake.wait()
    except TimeoutError:
        pass
    wake.clear()


def _keep(services: Services, asked: Try) -> timedelta:
    """How long a key is kept."""
    keep = keep_for(services.settings.keep_idempotency)
    assert keep is not None
    return min(keep, OPEN_KEEP) if asked.owner_id == NIL_UUID else keep


async def _once(services: Services, asked: Try) -> Claim | KeyRow | _Held:
    """What there is for a request now. Raises IdempotencyMismatch, TooManyKeys."""
    now = services.now()
    until = now + _keep(services, asked)
    fresh = {"lease_expires_at": now + LEASE, "expires_at": until, "now": now}
    # Keys of nobody known are few: each of them has brought somebody in, and is not kept for long.
    most = None if asked.owner_id == NIL_UUID else MOST_KEYS
    key_id = uuid4()
    async with services.db.connection() as conn:
        if await db.insert_key_as_system(conn, asked, id=key_id, most=most, **fresh):
            return Claim(key_id, asked.request_id)
    async with services.db.transaction() as conn:
        row = await db.lock_key_as_system(conn, asked.owner_id, asked.key)
        if row is None:
            if most is not None and await db.has_keys_as_system(conn, asked.owner_id, most):
                raise TooManyKeys(most)
            return _Held(key_id)  # released in this moment: the next look claims it
        is_held = row.finished_at is None and row.lease_expires_at > now
        if row.expires_at <= now and not is_held:
            await db.reuse_key_as_system(conn, asked, id=row.id, **fresh)
            return Claim(row.id, asked.request_id)
        if (row.operation, row.fingerprint) != (asked.operation, asked.fingerprint):
            raise IdempotencyMismatch(asked.key, row.operation)
        if row.finished_at is not None:
            return row
        if is_held:
            return _Held(row.id)
        await db.take_key_as_system(conn, row.id, asked.request_id, now + LEASE)
        return Claim(row.id, asked.request_id, row if row.deeds else None)


async def while_alive(services: Services, claim: Claim, work: Callable[[], Awaitable[T]]) -> T:
    """What the work returns or raises, while the claim's lease is renewed."""
    failed: TaskyardError | None = None
    async with asyncio.TaskGroup() as group:
        renewing = group.create_task(_renew(services, claim))
        try:
            result = await work()
        except TaskyardError as error:
            failed = error
        finally:
            renewing.cancel()
    if failed is not None:
        raise failed
    return result


async def _renew(services: Services, claim: Claim) -> None:
    while True:
        await asyncio.sleep(RENEW_S)
        try:
            async with services.db.connection() as conn:
                until = services.now() + LEASE
                if not await db.renew_key_as_system(conn, claim.id, claim.request_id, until):
                    return
        except (DatabaseAway, DatabaseBusy):
            continue


async def finish(
    services: Services, claim: Claim, answer: bytes | None, *, sealed: bool = False
) -> None:
    """Keeps the answer of a request that is over; null: it was done, but its answer is not kept.

    A database that does not answer loses the answer, not what was done: the next try finds that out.
    """
    try:
        async with services.db.connection() as conn:
            await db.finish_key_as_system(
                conn,
                id=claim.id,
                request_id=claim.request_id,
                answer=answer,
                sealed=sealed,
                now=services.now(),
            )
    except (DatabaseAway, DatabaseBusy) as error:
        log.warning("idempotency.answer_lost", key_id=str(claim.id), cause=str(error))
    services.doorbell.ring_soon(TOPIC, str(claim.id))


async def release(services: Services, claim: Claim) -> bool:
    """Whether nothing was done for the request: then its key can be used again, as if it had never come."""
    released = True
    with anyio.CancelScope(shield=True):
        try:
            async with services.db.transaction() as conn:
                released = await db.release_key_as_system(conn, claim.id, claim.request_id)
                if released:
                    await ring(conn, TOPIC, str(claim.id))
        except (DatabaseAway, DatabaseBusy):
            pass  # it lapses by itself; the next try sees what was done
    return released


async def lapse(services: Services, claim: Claim) -> None:
    """The next try of the request need not wait for this one, which ends in the middle of its work."""
    if await release(services, claim):
        return
    with anyio.CancelScope(shield=True):
        try:
            async with services.db.connection() as conn:
                await db.renew_key_as_system(conn, claim.id, claim.request_id, services.now())
        except (DatabaseAway, DatabaseBusy):
            return


async def mark(
    conn: "Connection",
    claim_id: UUID,
    request_id: str | None,
    deed: tuple[str, str, str, str],
    *,
    now: datetime,
) -> None:
    """Keeps that a request did this: action, kind, id and name of the thing. Raises IdempotencyLost.

    Then the transaction must not commit: another try has the request in hand.
    """
    action, resource_type, resource_id, resource_name = deed
    if not await db.mark_deed_as_system(
        conn,
        id=claim_id,
        request_id=request_id,
        action=action,
        resource_type=resource_type,
        resource_id=resource_id,
        resource_name=resource_name,
        now=now,
    ):
        raise IdempotencyLost


def unknown(row: KeyRow) -> IdempotencyUnknown:
    """The error that says what was done for a request whose answer cannot be given again."""
    return IdempotencyUnknown(
        row.operation,
        row.deed_resource_type or "",
        row.deed_resource_name or row.deed_resource_id or "",
        sent=row.operation in SENDING,
    )
