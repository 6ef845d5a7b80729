"""Users found, changed, kept out and deleted."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from asyncpg import UniqueViolationError
from msgspec.structs import replace

from taskyard.control import identity_audit as told
from taskyard.control.actors import Actor
from taskyard.control.admission import check_limit
from taskyard.control.audit import changed, record
from taskyard.control.identity import check_github
from taskyard.control.services import Services
from taskyard.control.user_fields import check_fields, taken_fields
from taskyard.control.user_search import user_filter
from taskyard.control.viewers import may_read_user, viewer_for
from taskyard.db import identity as identity_db
from taskyard.db import members as members_db
from taskyard.db import users as db
from taskyard.db.identity import UserRow
from taskyard.db.secrets import delete_secrets_of
from taskyard.errors import (
    Forbidden,
    NotFound,
    QueryInvalid,
    RequestRefused,
    UserExists,
    UserHasWorkspaces,
)
from taskyard.lifecycle.permissions import Role, Verb, can, may_change_user
from taskyard.wire import identity as wire
from taskyard.wire.enums import AuditAction, UserStatus

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


async def list_users(
    services: Services, actor: Actor, query: wire.ListUsersQuery
) -> tuple[list[db.ListedUserRow], int]:
    """Users the actor may read, narrowed by `q`, one page of them, and how many there are in all.

    Raises QueryInvalid for a query that cannot be read, or an after_id that is nobody's. Source: U7.
    """
    only, limit = user_filter(query.q), query.limit or None
    viewer = viewer_for(actor, Verb.USER_READ)
    async with services.db.connection() as conn:
        after = None
        if query.after_id is not None:
            last = await identity_db.get_user_as_system(conn, query.after_id)
            if last is None or not may_read_user(actor, last):
                raise QueryInvalid([("after_id", f"there is no user {query.after_id}")])
            after = last.username
        rows = await db.list_users(
            conn, viewer, only, limit=limit, offset=query.offset, after=after
        )
        if not rows and (query.offset or after is not None):
            # A page behind the end is empty, and so has no row that knows the total.
            first = await db.list_users(conn, viewer, only, limit=1)
            return [], first[0].total if first else 0
    return rows, rows[0].total if rows else 0


async def update_profile(
    services: Services,
    actor: Actor,
    user_id: UUID,
    request: wire.UpdateProfileRequest,
    *,
    now: datetime,
) -> UserRow:
    """The user under another name. Raises Forbidden, Invalid, UserExists."""
    change = wire.UpdateUserRequest(username=request.username, name=request.name)
    return await update_user(services, actor, user_id, change, now=now)


async def update_user(
    services: Services,
    actor: Actor,
    user_id: UUID,
    request: wire.UpdateUserRequest,
    *,
    now: datetime,
) -> UserRow:
    """The user with what was given changed; the rest stays. Raises Forbidden, Invalid, UserExists.

    An address is what a user signs in by, and by a GitHub account others find them: both are set by
    those who administer users, never by users for themselves.
    """
    check_fields(username=request.username, email=request.email, name=request.name)
    check_github(request.github_com_user_id)
    check_limit(request.max_running)
    guarded = (request.email, request.github_com_user_id, request.max_running)
    is_guarded = any(value is not None for value in guarded)
    if is_guarded and not can(actor, Verb.USER_WRITE, None, None):
        raise Forbidden("change an email address, a GitHub account or how many workspaces may run")

    def change(user: UserRow) -> UserRow:
        given = {
            name: value
            for name in ("username", "email", "name")
            if (value := getattr(request, name)) is not None
        }
        if request.github_com_user_id is not None:
            given["github_user_id"] = request.github_com_user_id or None
        if request.max_running is not None:
            given["max_running"] = request.max_running or None
        return replace(user, **given)

    return await _changed(services, actor, user_id, change, now=now)


async def set_suspended(
    services: Services, actor: Actor, user_id: UUID, now: datetime, *, suspended: bool
) -> UserRow:
    """The user kept out, or let in again. Raises Forbidden, RequestRefused for oneself and the last owner."""
    if suspended and user_id == actor.user_id:
        raise RequestRefused(
            "own_account", "You cannot suspend yourself.", "Ask another administrator."
        )
    status = UserStatus.SUSPENDED if suspended else UserStatus.ACTIVE
    return await _changed(
        services, actor, user_id, lambda user: replace(user, status=status), now=now
    )


async def delete_user(services: Services, actor: Actor, user_id: UUID, now: datetime) -> None:
    """The user is gone, with every key, and name and address are free again.

    Raises Forbidden, UserHasWorkspaces, RequestRefused for oneself and the last owner.
    """
    if user_id == actor.user_id:
        raise RequestRefused(
            "own_account", "You cannot delete yourself.", "Ask another administrator."
        )
    async with services.db.transaction() as conn:
        # Keys before their user, which is how a request writes down that it was made.
        await db.delete_keys_of(conn, user_id)
        user = await locked(conn, actor, user_id)
        await keep_an_owner(conn, user, None)
        count = await db.count_workspaces_of(conn, user.id)
        if count:
            raise UserHasWorkspaces(user.username, count)
        await db.delete_git_ssh_key(conn, user.id)
        await delete_secrets_of(conn, user.id)
        await members_db.delete_memberships_of(conn, user.id)
        await db.delete_user(conn, user.id, now)
        await record(conn, actor, told.of_user(AuditAction.DELETE, user), now)


async def locked(conn: "Connection", actor: Actor, user_id: UUID) -> UserRow:
    """A user whom the actor may change, held until the transaction ends. Raises Forbidden, NotFound."""
    user = await hold(conn, user_id)
    if not may_change_user(actor, user.id, await all_roles(conn, user)):
        raise Forbidden(f"change the user {user.username}")
    return user


async def hold(conn: "Connection", user_id: UUID) -> UserRow:
    """A live user, whom nobody else changes until the transaction ends. Raises NotFound."""
    # The owners first: everybody who holds several users holds them in this order.
    await db.lock_owners_as_system(conn)
    user = await db.lock_user_as_system(conn, user_id)
    if user is None:
        raise NotFound("the user was deleted meanwhile")
    return user


async def all_roles(conn: "Connection", user: UserRow) -> frozenset[str]:
    """The words of every role that a user has, on the site and in any organization."""
    rows = await identity_db.list_memberships_as_system(conn, user.id)
    return frozenset(user.roles).union(*(row.roles for row in rows))


async def keep_an_owner(conn: "Connection", before: UserRow, after: UserRow | None) -> None:
    """Nothing while somebody is left who owns the server and can act; else raises RequestRefused."""
    still = after is not None and Role.OWNER in after.roles and after.status != "suspended"
    owners = await db.lock_owners_as_system(conn)
    if not still and owners == {before.id}:
        raise RequestRefused(
            "last_owner",
            f"{before.username} is the last owner of this server.",
            "Make somebody else an owner first.",
        )


async def save(
    conn: "Connection", actor: Actor, before: UserRow, after: UserRow, *, now: datetime
) -> None:
    """Writes a changed user and what changed; raises UniqueViolationError."""
    await keep_an_owner(conn, before, after)
    await db.update_user(conn, after, now)
    changes = changed(before, after, told.USER_FIELDS)
    if after.password_hash != before.password_hash:
        changes["password"] = {"old": "(hidden)", "new": "(hidden)"}
    await record(conn, actor, told.of_user(AuditAction.WRITE, after, changes), now)


async def _changed(
    services: Services,
    actor: Actor,
    user_id: UUID,
    change: Callable[[UserRow], UserRow],
    *,
    now: datetime,
) -> UserRow:
    """The user after a change. Raises Forbidden, NotFound, UserExists, RequestRefused for the last owner."""
    try:
        async with services.db.transaction() as conn:
            before = await locked(conn, actor, user_id)
            after = change(before)
            await save(conn, actor, before, after, now=now)
    except UniqueViolationError as error:
        raise UserExists(taken_fields(error)) from error
    return replace(after, updated_at=now)
