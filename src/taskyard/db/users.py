"""Users found and changed, and tries to sign in: row types and one function a statement of sql/users.sql."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.db.identity import CountRow, UserRow
from taskyard.db.statements import NoRow, statement
from taskyard.db.viewer import Viewer

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


class ListedUserRow(UserRow, frozen=True, kw_only=True):
    """A user of a list; total counts the whole list before paging."""

    total: int


class UserFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of users or members is narrowed to; null means any. text is in lower case."""

    text: str | None = None
    statuses: list[str] | None = None
    roles: list[str] | None = None
    login_types: list[str] | None = None
    github_user_id: int | None = None
    last_seen_before: datetime | None = None
    last_seen_after: datetime | None = None
    created_before: datetime | None = None
    created_after: datetime | None = None


class IdRow(msgspec.Struct, frozen=True):
    """The id of a row."""

    id: UUID


class AttemptsRow(msgspec.Struct, frozen=True):
    """How often something was tried."""

    attempts: int


class GitSSHKeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """The public half of a user's SSH key."""

    user_id: UUID
    public_key: str
    created_at: datetime
    updated_at: datetime


_LIST = statement("users", "list_users", ListedUserRow)
_LOCK = statement("users", "lock_user_as_system", UserRow)
_LOCK_OWNERS = statement("users", "lock_owners_as_system", IdRow)
_UPDATE = statement("users", "update_user", NoRow)
_DELETE = statement("users", "delete_user", NoRow)
_COUNT_WORKSPACES = statement("users", "count_workspaces_of", CountRow)
_DELETE_SESSIONS = statement("users", "delete_sessions_of", NoRow)
_DELETE_KEYS = statement("users", "delete_keys_of", NoRow)
_GET_SSH_KEY = statement("users", "get_git_ssh_key", GitSSHKeyRow)
_FIRST_SSH_KEY = statement("users", "first_git_ssh_key", GitSSHKeyRow)
_PUT_SSH_KEY = statement("users", "put_git_ssh_key", GitSSHKeyRow)
_DELETE_SSH_KEY = statement("users", "delete_git_ssh_key", NoRow)
_COUNT_ATTEMPT = statement("users", "count_login_attempt_as_system", AttemptsRow)
_FORGIVE_ATTEMPT = statement("users", "forgive_login_attempt_as_system", NoRow)
_SWEEP_ATTEMPTS = statement("users", "sweep_login_attempts_as_system", NoRow)


async def list_users(
    conn: "Connection",
    viewer: Viewer,
    only: UserFilter,
    *,
    limit: int | None,
    offset: int = 0,
    after: str | None = None,
) -> list[ListedUserRow]:
    """Users the viewer may read, by name, narrowed by the filter; after: those behind this username.

    limit null means all.
    """
    return await _LIST.many(
        conn,
        **viewer.values(),
        **msgspec.structs.asdict(only),
        limit=limit,
        offset=offset,
        after=after,
    )


async def lock_user_as_system(conn: "Connection", user_id: UUID) -> UserRow | None:
    """A live user, whom nobody else changes, and who gets no workspace, until the transaction ends."""
    return await _LOCK.one(conn, user_id=user_id)


async def lock_owners_as_system(conn: "Connection") -> frozenset[UUID]:
    """The owners who can act; nobody else changes them until the transaction ends."""
    return frozenset(row.id for row in await _LOCK_OWNERS.many(conn))


async def update_user(conn: "Connection", user: UserRow, now: datetime) -> None:
    """The user as the row says; organization_ids are not written here. Raises UniqueViolationError."""
    await _UPDATE.execute(
        conn,
        id=user.id,
        username=user.username,
        email=user.email,
        name=user.name,
        github_user_id=user.github_user_id,
        status=user.status,
        roles=user.roles,
        password_hash=user.password_hash,
        max_running=user.max_running,
        now=now,
    )


async def delete_user(conn: "Connection", user_id: UUID, now: datetime) -> None:
    """The user is no longer there; name and address are free again."""
    await _DELETE.execute(conn, user_id=user_id, now=now)


async def count_workspaces_of(conn: "Connection", user_id: UUID) -> int:
    """How many workspaces of a user are not deleted."""
    row = await _COUNT_WORKSPACES.one(conn, user_id=user_id)
    return row.count if row else 0


async def delete_sessions_of(conn: "Connection", user_id: UUID, *, kept: str) -> None:
    """Ends every session of a user but the key that is kept; an empty id keeps none."""
    await _DELETE_SESSIONS.execute(conn, user_id=user_id, kept=kept)


async def delete_keys_of(conn: "Connection", user_id: UUID) -> None:
    """Ends every session and token of a user."""
    await _DELETE_KEYS.execute(conn, user_id=user_id)


async def get_git_ssh_key(conn: "Connection", user_id: UUID) -> GitSSHKeyRow | None:
    """The public half of a user's SSH key."""
    return await _GET_SSH_KEY.one(conn, user_id=user_id)


async def first_git_ssh_key(
    conn: "Connection", user_id: UUID, public_key: str, now: datetime
) -> GitSSHKeyRow:
    """The user's SSH key: this one, or the one that another request made in the meantime."""
    row = await _FIRST_SSH_KEY.one(conn, user_id=user_id, public_key=public_key, now=now)
    assert row is not None
    return row


async def put_git_ssh_key(
    conn: "Connection", user_id: UUID, public_key: str, now: datetime
) -> GitSSHKeyRow:
    """The user's SSH key, which this is from now on."""
    row = await _PUT_SSH_KEY.one(conn, user_id=user_id, public_key=public_key, now=now)
    assert row is not None
    return row


async def delete_git_ssh_key(conn: "Connection", user_id: UUID) -> None:
    """The user has no SSH key any more."""
    await _DELETE_SSH_KEY.execute(conn, user_id=user_id)


async def count_login_attempt_as_system(
    conn: "Connection", subject: str, window_start: datetime
) -> int:
    """How many tries there were in this window, the one that is counted now included."""
    row = await _COUNT_ATTEMPT.one(conn, subject=subject, window_start=window_start)
    assert row is not None
    return row.attempts


async def forgive_login_attempt_as_system(
    conn: "Connection", subject: str, window_start: datetime
) -> None:
    """One try less: it was let in."""
    await _FORGIVE_ATTEMPT.execute(conn, subject=subject, window_start=window_start)


async def sweep_login_attempts_as_system(conn: "Connection", window_start: datetime) -> None:
    """Forgets the windows before this one."""
    await _SWEEP_ATTEMPTS.execute(conn, window_start=window_start)
