"""Secrets: row types and one function a statement of sql/secrets.sql. What is sealed is opened in control/vault.py."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import msgspec

from taskyard.db.builds import CountRow
from taskyard.db.jobs import IdRow
from taskyard.db.statements import NoRow, statement
from taskyard.lifecycle.secret_names import SecretOwner

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


class KeyRow(msgspec.Struct, frozen=True):
    """The key by which the secrets of this installation are sealed."""

    key_id: str


class SecretRow(msgspec.Struct, frozen=True, kw_only=True):
    """A secret without its value; created: whether it was not there before."""

    id: UUID
    name: str
    created_at: datetime
    updated_at: datetime
    created: bool


class SizeRow(msgspec.Struct, frozen=True):
    """How many secrets, and the bytes of all their values."""

    count: int
    size: int


class OwnedNameRow(msgspec.Struct, frozen=True):
    """The name of a secret, and what kind of owner it has."""

    name: str
    owner: SecretOwner


class DefinitionRow(msgspec.Struct, frozen=True):
    """A parsed template, as JSON."""

    definition: bytes


class SealedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A secret as it is stored. Only control/vault.py makes and opens what is sealed."""

    name: str
    owner: SecretOwner
    owner_id: UUID
    scheme: int
    key_id: str
    nonce: bytes
    sealed: bytes


_CLAIM_KEY = statement("secrets", "claim_secret_key", NoRow)
_GET_KEY = statement("secrets", "get_secret_key_as_system", KeyRow)
_FORGET_KEY = statement("secrets", "forget_secret_key", NoRow)
_FORGET = statement("secrets", "forget_secrets", NoRow)
_LOCK = statement("secrets", "lock_secrets_of", CountRow)
_PUT = statement("secrets", "put_secret", SecretRow)
_LIST = statement("secrets", "list_secrets_of_as_system", SecretRow)
_MEASURE = statement("secrets", "measure_secrets_of_as_system", SizeRow)
_DELETE = statement("secrets", "delete_secret", IdRow)
_DELETE_OF = statement("secrets", "delete_secrets_of", NoRow)
_OF_BUILD = statement("secrets", "list_build_secrets_as_system", OwnedNameRow)
_TEMPLATE = statement("secrets", "get_agent_template_as_system", DefinitionRow)
_OF_AGENT = statement("secrets", "list_agent_secrets_as_system", SealedRow)


async def claim_secret_key(conn: "Connection", key_id: str, now: datetime) -> str:
    """The id of the key of this installation: this one, unless it has another already."""
    await _CLAIM_KEY.execute(conn, key_id=key_id, now=now)
    return await get_secret_key_as_system(conn) or key_id


async def get_secret_key_as_system(conn: "Connection") -> str | None:
    """The id of the key of this installation; None before its first start."""
    row = await _GET_KEY.one(conn)
    return None if row is None else row.key_id


async def forget_secrets(conn: "Connection") -> int:
    """How many secrets there were; now there are none, and the next key may be any."""
    gone = await _FORGET.execute(conn)
    await _FORGET_KEY.execute(conn)
    return gone


async def lock_secrets_of(conn: "Connection", owner_id: UUID) -> None:
    """Nothing, once nobody else changes the secrets of this owner until the transaction ends."""
    await _LOCK.one(conn, owner_id=owner_id)


async def put_secret(conn: "Connection", sealed: SealedRow, now: datetime) -> SecretRow:
    """The secret, stored as it is given."""
    owners = {
        "organization_id": SecretOwner.ORGANIZATION,
        "template_id": SecretOwner.TEMPLATE,
        "user_id": SecretOwner.USER,
    }
    row = await _PUT.one(
        conn,
        id=uuid4(),
        name=sealed.name,
        scheme=sealed.scheme,
        key_id=sealed.key_id,
        nonce=sealed.nonce,
        sealed=sealed.sealed,
        now=now,
        **{
            column: sealed.owner_id if sealed.owner is kind else None
            for column, kind in owners.items()
        },
    )
    assert row is not None
    return row


async def list_secrets_of_as_system(conn: "Connection", owner_id: UUID) -> list[SecretRow]:
    """The secrets of an owner by name; the caller has seen to it that they may be read."""
    return await _LIST.many(conn, owner_id=owner_id)


async def measure_secrets_of_as_system(conn: "Connection", owner_id: UUID) -> SizeRow:
    """How many secrets an owner has, and how large they are together."""
    return await _MEASURE.one(conn, owner_id=owner_id) or SizeRow(0, 0)


async def delete_secret(conn: "Connection", owner_id: UUID, name: str) -> UUID | None:
    """The id of the secret that is gone; None when there was none."""
    row = await _DELETE.one(conn, owner_id=owner_id, name=name)
    return None if row is None else row.id


async def delete_secrets_of(conn: "Connection", owner_id: UUID) -> None:
    """An owner that goes leaves no secrets behind."""
    await _DELETE_OF.execute(conn, owner_id=owner_id)


async def list_build_secrets_as_system(conn: "Connection", build_id: UUID) -> list[OwnedNameRow]:
    """Names of all secrets that the workspace of a build could be given."""
    return await _OF_BUILD.many(conn, build_id=build_id)


async def get_agent_template_as_system(conn: "Connection", agent_id: UUID) -> DefinitionRow | None:
    """The template that the workspace of an agent was started by."""
    return await _TEMPLATE.one(conn, agent_id=agent_id)


async def list_agent_secrets_as_system(conn: "Connection", agent_id: UUID) -> list[SealedRow]:
    """All secrets that the workspace of an agent could be given, sealed."""
    return await _OF_AGENT.many(conn, agent_id=agent_id)
