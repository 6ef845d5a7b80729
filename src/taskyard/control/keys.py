"""API keys: how they are made, read and checked.

A key reads `<id>-<secret>`, 10 and 22 letters and digits; only the SHA-256 of the secret is stored: it has
131 bits, so a slow hash would add nothing. Source: tasks-api 2.1.
"""

import hashlib
import hmac
import secrets
import string
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from taskyard.control.actors import Actor, AgentActor
from taskyard.control.services import Services
from taskyard.control.viewers import may_read_member
from taskyard.db import askers
from taskyard.db import identity as db
from taskyard.db.tasks import TaskPath, TaskRow, get_asker_with_task
from taskyard.errors import Unauthenticated, UserSuspended
from taskyard.lifecycle.template_model import Egress
from taskyard.wire.enums import LoginType, UserStatus

ID_LENGTH = 10
SECRET_LENGTH = 22
ALPHABET = string.ascii_letters + string.digits

SESSION_LIFETIME = timedelta(days=7)
"""Of a key from a login; each use more than REFRESH_AFTER after the last one prolongs it."""

REFRESH_AFTER = timedelta(minutes=1)
"""How stale `last_used` may be: a write for each request would cost more than the request."""


def new_key(
    user_id: UUID, *, login_type: LoginType, token_name: str, lifetime: timedelta, now: datetime
) -> tuple[str, db.ApiKeyRow]:
    """The key's text, shown once, and the row that is stored of it."""
    key_id = _random(ID_LENGTH)
    secret = _random(SECRET_LENGTH)
    row = db.ApiKeyRow(
        id=key_id,
        user_id=user_id,
        secret_hash=_hash(secret),
        login_type=login_type,
        scope="all",
        token_name=token_name,
        lifetime_s=int(lifetime.total_seconds()),
        last_used_at=now,
        expires_at=now + lifetime,
        created_at=now,
        updated_at=now,
    )
    return f"{key_id}-{secret}", row


@dataclass(frozen=True, slots=True)
class Session:
    """Who asks, and the task that the path names; null when it names none that they see."""

    actor: Actor
    task: TaskRow | None = None


async def authenticate(services: Services, token: str | None, now: datetime) -> Session:
    """The user whose key this is; raises Unauthenticated or UserSuspended."""
    key_id, secret = _split(token)
    async with services.db.connection() as conn:
        row = await askers.get_asker_as_system(conn, key_id)
    return Session(await _admitted(services, row, secret, now))


async def authenticate_with_task(
    services: Services, token: str | None, path: TaskPath, now: datetime
) -> Session:
    """The user whose key this is and the task of the path, in one statement; raises as authenticate does.

    There is no task behind a user whom the asker may not see. Source: tasks-api 7, T40-T43.
    """
    key_id, secret = _split(token)
    async with services.db.connection() as conn:
        row = await get_asker_with_task(conn, key_id, path)
    actor = await _admitted(services, row, secret, now)
    if row is None or row.owner_id is None:
        return Session(actor)
    if not may_read_member(actor, row.owner_id, row.owner_member_of or ()):
        return Session(actor)
    return Session(actor, row.read_task())


async def _admitted(
    services: Services, row: askers.AskerRow | None, secret: str, now: datetime
) -> Actor:
    """The user of a key, who is written down as seen now and then; raises as authenticate does."""
    if row is None:
        raise Unauthenticated("key_unknown", "No API key has this id; it may have been deleted.")
    if not hmac.compare_digest(row.secret_hash, _hash(secret)):
        raise Unauthenticated("key_wrong", "The secret of this API key is not right.")
    if row.expires_at <= now:
        raise Unauthenticated("key_expired", f"This API key ended at {row.expires_at:%FT%TZ}.")
    if row.user_id is None or row.username is None:
        raise Unauthenticated("key_unknown", "The user of this API key was deleted.")
    if row.status is UserStatus.SUSPENDED:
        raise UserSuspended(row.username)
    if row.last_used_at < now - REFRESH_AFTER or row.status is UserStatus.DORMANT:
        await _refresh(services, row, now)
    return Actor(
        user_id=row.user_id,
        username=row.username,
        roles=frozenset(row.roles or ()),
        member_of=frozenset(row.member_of),
        admin_of=frozenset(row.admin_of),
        key_id=row.key_id,
    )


async def _refresh(services: Services, row: askers.AskerRow, now: datetime) -> None:
    is_session = row.login_type is not LoginType.TOKEN
    prolonged = now + timedelta(seconds=row.lifetime_s) if is_session else None
    async with services.db.connection() as conn:
        await askers.use_api_key_as_system(
            conn, row.key_id, expires_at=prolonged, before=now - REFRESH_AFTER, now=now
        )


async def authenticate_agent(services: Services, token: str | None) -> AgentActor:
    """The workspace agent whose token this is; raises Unauthenticated.

    Good are the agent of the newest build once that build's job succeeded, and while a stop is pending or
    running, the agent of the start just before it, so that it can upload its snapshot. Both only in the
    workspace's current generation. Source: tasks-api 2.2.
    """
    return _agent_actor(await _good_agent(services, token))


async def authenticate_egress(
    services: Services, token: str | None
) -> tuple[AgentActor, tuple[Egress, ...]]:
    """The workspace agent whose token this is, and what its template lets it connect to.

    Raises as authenticate_agent does.
    """
    row = await _good_agent(services, token)
    return _agent_actor(row), msgspec.json.decode(row.egress, type=tuple[Egress, ...])


def _agent_actor(row: db.AgentAuthRow) -> AgentActor:
    return AgentActor(
        row.agent_id, row.workspace_id, row.workspace_build_id, row.generation, row.task_id
    )


async def _good_agent(services: Services, token: str | None) -> db.AgentAuthRow:
    """The agent of a token that is good; raises Unauthenticated."""
    if not token:
        raise Unauthenticated(
            "token_missing", "An agent token must be sent in the header Coder-Session-Token."
        )
    try:
        text = str(UUID(token))
    except ValueError as error:
        raise Unauthenticated(
            "token_malformed", f"An agent token must be a UUID; this has {len(token)} characters."
        ) from error
    async with services.throttle.unknown, services.db.connection() as conn:
        row = await db.get_agent_auth_as_system(conn, hash_agent_token(text))
    if row is None or not _is_current(row):
        raise Unauthenticated(
            "agent_refused",
            "No running workspace has this agent token; it is good from the end of a start to the end of the stop after it.",
        )
    return row


def hash_agent_token(text: str) -> bytes:
    """What is stored of an agent token, a UUID in its usual spelling."""
    return hashlib.sha256(text.encode()).digest()


def _is_current(row: db.AgentAuthRow) -> bool:
    if row.workspace_deleted or row.generation != row.workspace_generation:
        return False
    if row.build_number == row.newest_number:
        return row.job_status == "succeeded"
    return (
        row.build_number == row.newest_number - 1
        and (row.transition, row.job_status) == ("start", "succeeded")
        and row.newest_transition == "stop"
        and row.newest_job_status in ("pending", "running")
    )


def _split(token: str | None) -> tuple[str, str]:
    if not token:
        raise Unauthenticated(
            "key_missing",
            "Send an API key in the header Coder-Session-Token, as a bearer token, or as the cookie coder_session_token.",
        )
    parts = token.split("-")
    if len(parts) != 2:
        raise Unauthenticated(
            "key_malformed", f"An API key has two parts joined by a dash; this has {len(parts)}."
        )
    key_id, secret = parts
    if len(key_id) != ID_LENGTH:
        raise Unauthenticated(
            "key_malformed",
            f"The first part of an API key has {ID_LENGTH} characters; this has {len(key_id)}.",
        )
    if len(secret) != SECRET_LENGTH:
        raise Unauthenticated(
            "key_malformed",
            f"The second part of an API key has {SECRET_LENGTH} characters; this has {len(secret)}.",
        )
    if not (token.isascii() and token.replace("-", "").isalnum()):
        raise Unauthenticated("key_malformed", "An API key has only letters and digits.")
    return key_id, secret


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
