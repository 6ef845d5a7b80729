"""Users, organizations, keys: row types and one function a statement of sql/identity.sql."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.db.statements import NoRow, statement
from taskyard.db.viewer import Viewer
from taskyard.wire.enums import LoginType, UserStatus

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


class CountRow(msgspec.Struct, frozen=True):
    """A number of rows."""

    count: int


class UserRow(msgspec.Struct, frozen=True, kw_only=True):
    """A live user. password_hash null: no login by password."""

    id: UUID
    username: str
    email: str
    name: str
    avatar_url: str
    password_hash: str | None
    login_type: LoginType
    status: UserStatus
    roles: list[str]
    github_user_id: int | None
    max_running: int | None = None
    created_at: datetime
    updated_at: datetime
    last_seen_at: datetime
    organization_ids: list[UUID]


class OrganizationRow(msgspec.Struct, frozen=True, kw_only=True):
    """An organization."""

    id: UUID
    name: str
    display_name: str
    description: str
    icon: str
    is_default: bool
    max_running: int | None = None
    created_at: datetime
    updated_at: datetime


class MembershipRow(msgspec.Struct, frozen=True):
    """A user's roles in one organization."""

    organization_id: UUID
    roles: list[str]


class ApiKeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """An API key; secret_hash is the SHA-256 of its secret. token_name is empty for session keys."""

    id: str
    user_id: UUID
    secret_hash: bytes
    login_type: LoginType
    scope: str
    token_name: str
    lifetime_s: int
    last_used_at: datetime
    expires_at: datetime
    created_at: datetime
    updated_at: datetime


class TokenRow(ApiKeyRow, frozen=True, kw_only=True):
    """A key of a list, with its owner's name."""

    username: str


class AgentAuthRow(msgspec.Struct, frozen=True, kw_only=True):
    """An agent, everything that decides whether its token is still good, and its egress rules as JSON.

    Source: tasks-api 2.2.
    """

    agent_id: UUID
    workspace_id: UUID
    workspace_build_id: UUID
    generation: int
    workspace_deleted: bool
    workspace_generation: int
    build_number: int
    transition: str
    job_status: str
    newest_number: int
    newest_transition: str
    newest_job_status: str
    task_id: UUID | None
    egress: bytes


_COUNT_USERS = statement("identity", "count_users_as_system", CountRow)
_COUNT_TOKENS = statement("identity", "count_tokens_as_system", CountRow)
_DELETE_OLDEST = statement("identity", "delete_oldest_sessions_as_system", ApiKeyRow)
_TAKE_TURN = statement("identity", "take_turn_as_system", CountRow)
_INSERT_USER = statement("identity", "insert_user", NoRow)
_GET_USER = statement("identity", "get_user_as_system", UserRow)
_GET_BY_USERNAME = statement("identity", "get_user_by_username_as_system", UserRow)
_GET_BY_EMAIL = statement("identity", "get_user_by_email_as_system", UserRow)
_INSERT_ORGANIZATION = statement("identity", "insert_organization", NoRow)
_DEFAULT_ORGANIZATION = statement("identity", "get_default_organization_as_system", OrganizationRow)
_LIST_ORGANIZATIONS = statement("identity", "list_organizations", OrganizationRow)
_USER_ORGANIZATIONS = statement("identity", "list_user_organizations", OrganizationRow)
_INSERT_MEMBER = statement("identity", "insert_member", NoRow)
_MEMBERSHIPS = statement("identity", "list_memberships_as_system", MembershipRow)
_INSERT_KEY = statement("identity", "insert_api_key", NoRow)
_GET_KEY = statement("identity", "get_api_key_as_system", ApiKeyRow)
_LIST_TOKENS = statement("identity", "list_tokens", TokenRow)
_TOKEN_BY_NAME = statement("identity", "get_token_by_name", ApiKeyRow)
_EXPIRE_KEY = statement("identity", "expire_api_key", NoRow)
_DELETE_KEY = statement("identity", "delete_api_key", NoRow)
_AGENT_AUTH = statement("identity", "get_agent_auth_as_system", AgentAuthRow)


async def count_users_as_system(conn: "Connection") -> int:
    """How many users were ever made."""
    row = await _COUNT_USERS.one(conn)
    return row.count if row else 0


async def count_tokens_as_system(conn: "Connection", user_id: UUID, now: datetime) -> int:
    """How many named tokens of a user are good."""
    row = await _COUNT_TOKENS.one(conn, user_id=user_id, now=now)
    return row.count if row else 0


async def delete_oldest_sessions_as_system(
    conn: "Connection", user_id: UUID, keep: int, now: datetime
) -> list[ApiKeyRow]:
    """The sessions of a user beyond the newest, which are ended."""
    return await _DELETE_OLDEST.many(conn, user_id=user_id, keep=keep, now=now)


async def take_turn_as_system(conn: "Connection", user_id: UUID) -> None:
    """Returns once nobody else adds something to what the user has, until the transaction ends."""
    await _TAKE_TURN.one(conn, user_id=user_id)


async def insert_user(conn: "Connection", user: UserRow, now: datetime) -> None:
    """A new user; organization_ids are not written here. Raises UniqueViolationError."""
    await _INSERT_USER.execute(
        conn,
        id=user.id,
        username=user.username,
        email=user.email,
        name=user.name,
        password_hash=user.password_hash,
        login_type=user.login_type,
        status=user.status,
        roles=user.roles,
        github_user_id=user.github_user_id,
        now=now,
    )


async def get_user_as_system(conn: "Connection", user_id: UUID) -> UserRow | None:
    """A live user by id."""
    return await _GET_USER.one(conn, user_id=user_id)


async def get_user_by_username_as_system(conn: "Connection", username: str) -> UserRow | None:
    """A live user by name, whatever its case."""
    return await _GET_BY_USERNAME.one(conn, username=username)


async def get_user_by_email_as_system(conn: "Connection", email: str) -> UserRow | None:
    """A live user by address, whatever its case."""
    return await _GET_BY_EMAIL.one(conn, email=email)


async def insert_organization(
    conn: "Connection", *, organization_id: UUID, name: str, is_default: bool, now: datetime
) -> None:
    """A new organization, shown by its name."""
    await _INSERT_ORGANIZATION.execute(
        conn, id=organization_id, name=name, display_name=name, is_default=is_default, now=now
    )


async def get_default_organization_as_system(conn: "Connection") -> OrganizationRow | None:
    """The default organization; None only on a server without a first user."""
    return await _DEFAULT_ORGANIZATION.one(conn)


async def list_organizations(conn: "Connection", viewer: Viewer) -> list[OrganizationRow]:
    """Organizations that the viewer sees, the default one first."""
    return await _LIST_ORGANIZATIONS.many(conn, **viewer.values())


async def list_user_organizations(
    conn: "Connection", viewer: Viewer, user_id: UUID
) -> list[OrganizationRow]:
    """Organizations of one user, as far as the viewer sees them."""
    return await _USER_ORGANIZATIONS.many(conn, **viewer.values(), user_id=user_id)


async def insert_member(
    conn: "Connection", organization_id: UUID, user_id: UUID, *, roles: list[str], now: datetime
) -> None:
    """A user in an organization; nothing when already there."""
    await _INSERT_MEMBER.execute(
        conn, organization_id=organization_id, user_id=user_id, roles=roles, now=now
    )


async def list_memberships_as_system(conn: "Connection", user_id: UUID) -> list[MembershipRow]:
    """The organizations of a user with the roles there."""
    return await _MEMBERSHIPS.many(conn, user_id=user_id)


async def insert_api_key(conn: "Connection", key: ApiKeyRow, now: datetime) -> None:
    """A new key. Raises UniqueViolationError for a token name that the user has already."""
    values = msgspec.structs.asdict(key)
    for left_out in ("last_used_at", "created_at", "updated_at"):
        del values[left_out]
    await _INSERT_KEY.execute(conn, **values, now=now)


async def get_api_key_as_system(conn: "Connection", key_id: str) -> ApiKeyRow | None:
    """A key by its id."""
    return await _GET_KEY.one(conn, id=key_id)


async def list_tokens(
    conn: "Connection", viewer: Viewer, user_id: UUID | None, *, expired: bool, now: datetime
) -> list[TokenRow]:
    """Named tokens of a user, of everybody with None; newest first."""
    values = viewer.values()
    del values["viewer_orgs"]
    return await _LIST_TOKENS.many(conn, **values, user_id=user_id, expired=expired, now=now)


async def get_token_by_name(conn: "Connection", user_id: UUID, name: str) -> ApiKeyRow | None:
    """A user's token by its name."""
    return await _TOKEN_BY_NAME.one(conn, user_id=user_id, token_name=name)


async def expire_api_key(conn: "Connection", key_id: str, user_id: UUID, now: datetime) -> bool:
    """Ends a key of this user at once and keeps its row; False when there is none."""
    return await _EXPIRE_KEY.execute(conn, id=key_id, user_id=user_id, now=now) > 0


async def delete_api_key(conn: "Connection", key_id: str, user_id: UUID) -> bool:
    """Ends a key of this user at once; False when there is none."""
    return await _DELETE_KEY.execute(conn, id=key_id, user_id=user_id) > 0


async def get_agent_auth_as_system(conn: "Connection", token_hash: bytes) -> AgentAuthRow | None:
    """The agent whose current token has this hash."""
    return await _AGENT_AUTH.one(conn, token_hash=token_hash)
