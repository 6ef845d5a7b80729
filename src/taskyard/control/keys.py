"""API keys: how they are made, read and checked.

A key reads `<id>-<secret>`, 10 and 22 letters and digits; only the SHA-256 of the secret is stored: it has
131 bits, so a slow hash would add nothing. Source: tasks-api 2.1.
"""

import hashlib
import hmac
import secrets
import string
from datetime import datetime, timedelta
from uuid import UUID

from taskyard.control.actors import Actor, AgentActor
from taskyard.control.services import Services
from taskyard.db import identity as db
from taskyard.errors import Unauthenticated, UserSuspended
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


async def authenticate(services: Services, token: str | None, now: datetime) -> Actor:
    """The user whose key this is; raises Unauthenticated or UserSuspended."""
    key_id, secret = _split(token)
    async with services.db.transaction() as conn:
        key = await db.get_api_key_as_system(conn, key_id)
        if key is None:
            raise Unauthenticated(
                "key_unknown", "No API key has this id; it may have been deleted."
            )
        if not hmac.compare_digest(key.secret_hash, _hash(secret)):
            raise Unauthenticated("key_wrong", "The secret of this API key is not right.")
        if key.expires_at <= now:
            raise Unauthenticated("key_expired", f"This API key ended at {key.expires_at:%FT%TZ}.")
        user = await db.get_user_as_system(conn, key.user_id)
        if user is None:
            raise Unauthenticated("key_unknown", "The user of this API key was deleted.")
        if user.status is UserStatus.SUSPENDED:
            raise UserSuspended(user.username)
        memberships = await db.list_memberships_as_system(conn, user.id)
        if now - key.last_used_at > REFRESH_AFTER:
            is_session = key.login_type is not LoginType.TOKEN
            prolonged = now + timedelta(seconds=key.lifetime_s) if is_session else None
            await db.use_api_key_as_system(conn, key.id, prolonged, now)
            await db.touch_user_as_system(conn, user.id, now)
    return Actor(
        user_id=user.id,
        username=user.username,
        roles=frozenset(user.roles),
        member_of=db.organization_ids(memberships, None),
        admin_of=db.organization_ids(memberships, "organization-admin"),
        key_id=key.id,
    )


async def authenticate_agent(services: Services, token: str | None) -> AgentActor:
    """The workspace agent whose token this is; raises Unauthenticated.

    Good are the agent of the newest build once that build's job succeeded, and while a stop is pending or
    running, the agent of the start just before it, so that it can upload its snapshot. Both only in the
    workspace's current generation. Source: tasks-api 2.2.
    """
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
    async with services.db.connection() as conn:
        row = await db.get_agent_auth_as_system(conn, hash_agent_token(text))
    if row is None or not _is_current(row):
        raise Unauthenticated(
            "agent_refused",
            "No running workspace has this agent token; it is good from the end of a start to the end of the stop after it.",
        )
    return AgentActor(
        row.agent_id, row.workspace_id, row.workspace_build_id, row.generation, row.task_id
    )


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
