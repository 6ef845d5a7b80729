"""Requests that were sent with a key: row type and one function a statement of sql/idempotency.sql."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.db.jobs import IdRow
from taskyard.db.statements import NoRow, statement

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A request with a key. deed_… say what was done for it first, all null while nothing was.

    finished_at null: a try works on it until lease_expires_at, or was cut off. answer null with finished_at: there
    is none to be given again.
    """

    id: UUID
    operation: str
    fingerprint: bytes
    lease_expires_at: datetime
    deeds: int
    deed_action: str | None
    deed_resource_type: str | None
    deed_resource_id: str | None
    deed_resource_name: str | None
    deed_at: datetime | None
    finished_at: datetime | None
    answer: bytes | None
    sealed: bool
    expires_at: datetime


class HeldRow(msgspec.Struct, frozen=True):
    """Whether something is so."""

    held: bool


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """One request with a key as it came; request_id is what the audit and the log know it by."""

    owner_id: UUID
    key: str
    operation: str
    fingerprint: bytes
    request_id: str


_INSERT = statement("idempotency", "insert_key_as_system", NoRow)
_IS_HELD = statement("idempotency", "is_key_held_as_system", HeldRow)
_HAS = statement("idempotency", "has_keys_as_system", HeldRow)
_LOCK = statement("idempotency", "lock_key_as_system", KeyRow)
_REUSE = statement("idempotency", "reuse_key_as_system", NoRow)
_TAKE = statement("idempotency", "take_key_as_system", NoRow)
_RENEW = statement("idempotency", "renew_key_as_system", NoRow)
_MARK = statement("idempotency", "mark_deed_as_system", NoRow)
_FINISH = statement("idempotency", "finish_key_as_system", NoRow)
_RELEASE = statement("idempotency", "release_key_as_system", NoRow)
_GET_BUILD = statement("idempotency", "get_build_made_as_system", IdRow)


async def insert_key_as_system(conn: "Connection", asked: Try, **values: object) -> bool:
    """Whether the key is new; values are id, lease_expires_at, expires_at, now and most.

    Nothing is new to an owner of so many keys as most says; null: there is no such limit.
    """
    return await _INSERT.execute(conn, **msgspec.structs.asdict(asked), **values) > 0


async def has_keys_as_system(conn: "Connection", owner_id: UUID, most: int) -> bool:
    """Whether the owner has so many keys, or more."""
    row = await _HAS.one(conn, owner_id=owner_id, most=most)
    return row is not None and row.held


async def is_held_as_system(conn: "Connection", asked: Try, key_id: UUID, now: datetime) -> bool:
    """Whether a try has that request in hand."""
    row = await _IS_HELD.one(conn, id=key_id, owner_id=asked.owner_id, key=asked.key, now=now)
    return row is not None and row.held


async def lock_key_as_system(conn: "Connection", owner_id: UUID, key: str) -> KeyRow | None:
    """What is known of a key, locked until the transaction ends."""
    return await _LOCK.one(conn, owner_id=owner_id, key=key)


async def reuse_key_as_system(conn: "Connection", asked: Try, **values: object) -> None:
    """A key whose time is over belongs to this try; values as of insert_key_as_system."""
    given = msgspec.structs.asdict(asked)
    del given["owner_id"], given["key"]
    await _REUSE.execute(conn, **given, **values)


async def take_key_as_system(
    conn: "Connection", key_id: UUID, request_id: str, lease_expires_at: datetime
) -> None:
    """The request is in the hands of this try."""
    await _TAKE.execute(conn, id=key_id, request_id=request_id, lease_expires_at=lease_expires_at)


async def renew_key_as_system(
    conn: "Connection", key_id: UUID, request_id: str, lease_expires_at: datetime
) -> bool:
    """Whether the try may go on."""
    return (
        await _RENEW.execute(
            conn, id=key_id, request_id=request_id, lease_expires_at=lease_expires_at
        )
        > 0
    )


async def mark_deed_as_system(conn: "Connection", **values: object) -> bool:
    """Whether the try may do this: then it is kept that it did, if the transaction commits."""
    return await _MARK.execute(conn, **values) > 0


async def finish_key_as_system(conn: "Connection", **values: object) -> bool:
    """Whether the request was the try's to finish."""
    return await _FINISH.execute(conn, **values) > 0


async def release_key_as_system(conn: "Connection", key_id: UUID, request_id: str) -> bool:
    """Whether nothing was done for the request, so that it is as if it had never come."""
    return await _RELEASE.execute(conn, id=key_id, request_id=request_id) > 0


async def get_build_made_as_system(
    conn: "Connection", resource_id: UUID, made_at: datetime
) -> UUID | None:
    """The build that came about together with a deed of that time at a task or a workspace."""
    row = await _GET_BUILD.one(conn, resource_id=resource_id, made_at=made_at)
    return None if row is None else row.id
