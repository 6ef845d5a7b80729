"""What whoever has the machine may do without signing in: an owner made, a password given anew."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from asyncpg import UniqueViolationError
from msgspec.structs import replace

from taskyard.control import identity, identity_audit
from taskyard.control.audit import record
from taskyard.control.passwords import hash_password
from taskyard.control.services import Services
from taskyard.control.user_fields import check_fields, check_password, taken_fields
from taskyard.db import identity as db
from taskyard.db import users as users_db
from taskyard.errors import FirstUserExists, NotFound, RequestRefused, UserExists
from taskyard.lifecycle.permissions import Role
from taskyard.wire.base import ZERO_TIME
from taskyard.wire.enums import AuditAction, LoginType, UserStatus
from taskyard.wire.identity import CreateFirstUserRequest

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


async def create_admin(services: Services, request: CreateFirstUserRequest, now: datetime) -> None:
    """Makes an owner: the first user, or one more. Raises Invalid, UserExists."""
    try:
        await identity.create_first_user(services, request, now)
    except FirstUserExists:
        await _create_owner(services, request, now)


async def reset_password(services: Services, name: str, password: str, now: datetime) -> db.UserRow:
    """The user of this name or email, who signs in with this password from now on.

    Sessions end, tokens stay; who was suspended is not any more. Raises NotFound, Invalid, and
    RequestRefused for a user who has no password.
    """
    async with services.db.connection() as conn:
        found = await _find(conn, name)
    if found.login_type is not LoginType.PASSWORD:
        raise RequestRefused(
            "login_type",
            f"{found.username} never signs in by password, but by {found.login_type}.",
            "Such a user has tokens only.",
        )
    check_password(password, username=found.username, email=found.email)
    password_hash = await hash_password(password)
    async with services.db.transaction() as conn:
        # Keys before their user, which is how a request writes down that it was made.
        await users_db.delete_sessions_of(conn, found.id, kept="")
        before = await users_db.lock_user_as_system(conn, found.id)
        if before is None:
            raise NotFound("the user was deleted meanwhile")
        after = replace(before, password_hash=password_hash, status=UserStatus.ACTIVE)
        await users_db.update_user(conn, after, now)
        changes = {"password": {"old": "(hidden)", "new": "(hidden)"}}
        deed = identity_audit.of_user(AuditAction.WRITE, after, changes)
        await record(conn, None, deed, now)
    return after


async def _create_owner(services: Services, request: CreateFirstUserRequest, now: datetime) -> None:
    check_fields(username=request.username, email=request.email, name=request.name)
    check_password(request.password, username=request.username, email=request.email)
    user = db.UserRow(
        id=uuid4(),
        username=request.username,
        email=request.email,
        name=request.name,
        avatar_url="",
        password_hash=await hash_password(request.password),
        login_type=LoginType.PASSWORD,
        status=UserStatus.ACTIVE,
        roles=[Role.OWNER.value],
        github_user_id=None,
        created_at=now,
        updated_at=now,
        last_seen_at=ZERO_TIME,
        organization_ids=[],
    )
    try:
        async with services.db.transaction() as conn:
            organization = await db.get_default_organization_as_system(conn)
            await db.insert_user(conn, user, now)
            if organization is not None:
                roles = [Role.ORGANIZATION_ADMIN.value]
                await db.insert_member(conn, organization.id, user.id, roles=roles, now=now)
            deed = identity_audit.of_user(AuditAction.CREATE, user)
            await record(conn, None, deed, now)
    except UniqueViolationError as error:
        raise UserExists(taken_fields(error)) from error


async def _find(conn: "Connection", name: str) -> db.UserRow:
    user = await db.get_user_by_username_as_system(conn, name)
    user = user or await db.get_user_by_email_as_system(conn, name)
    if user is None:
        raise NotFound(name)
    return user
