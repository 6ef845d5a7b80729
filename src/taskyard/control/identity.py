"""Users made: the first one, who owns the server, and all others."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from asyncpg import UniqueViolationError
from msgspec.structs import replace

from taskyard.control import identity_audit as told
from taskyard.control.actors import Actor, Origin
from taskyard.control.audit import record
from taskyard.control.passwords import hash_password
from taskyard.control.services import Services
from taskyard.control.user_fields import check_fields, check_password, taken_fields
from taskyard.control.viewers import viewer_for
from taskyard.db import identity as db
from taskyard.db.pool import ring
from taskyard.errors import FirstUserExists, Forbidden, Invalid, NotFound, UserExists
from taskyard.lifecycle.permissions import Role, Verb, may_grant
from taskyard.wire import identity as wire
from taskyard.wire.base import ZERO_TIME
from taskyard.wire.enums import AuditAction, LoginType, UserStatus

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

DEFAULT_ORGANIZATION = "default"
"""Name of the organization that the first user is put into; also what clients call it."""

CREATABLE = (LoginType.PASSWORD, LoginType.NONE, LoginType.GITHUB)
"""Ways to sign in that a user can be made with; GitHub is not set up, so such a user has tokens only."""


async def has_first_user(services: Services) -> bool:
    """Whether anybody was ever created here."""
    async with services.db.connection() as conn:
        return await db.count_users_as_system(conn) > 0


async def create_first_user(
    services: Services,
    request: wire.CreateFirstUserRequest,
    now: datetime,
    *,
    origin: Origin | None = None,
) -> wire.CreateFirstUserResponse:
    """The server's owner and its default organization; raises FirstUserExists, Invalid."""
    if await has_first_user(services):
        raise FirstUserExists
    check_fields(username=request.username, email=request.email, name=request.name)
    check_password(request.password, username=request.username, email=request.email)
    user = replace(
        await _user(request, LoginType.PASSWORD, now),
        status=UserStatus.ACTIVE,
        roles=[Role.OWNER.value],
    )
    organization_id = uuid4()
    try:
        async with services.db.transaction() as conn:
            await _insert_first(conn, user, organization_id, now)
            actor = _themself(user, organization_id, origin or Origin())
            await record(conn, actor, told.of_user(AuditAction.CREATE, user), now)
            await ring(conn, "users")
    except UniqueViolationError as error:
        raise FirstUserExists from error
    return wire.CreateFirstUserResponse(user_id=user.id, organization_id=organization_id)


async def create_user(
    services: Services, actor: Actor, request: wire.CreateUserRequest, now: datetime
) -> db.UserRow:
    """A new member. Raises Forbidden, Invalid, UserExists, NotFound for an unknown organization."""
    if not may_grant(actor, Role.MEMBER, None):
        raise Forbidden("create users")
    login_type = _login_type(request)
    check_fields(username=request.username, email=request.email, name=request.name)
    if login_type is LoginType.PASSWORD:
        check_password(request.password, username=request.username, email=request.email)
    user = replace(
        await _user(request, login_type, now),
        status=_status(request, login_type),
        github_user_id=check_github(request.github_com_user_id),
    )
    try:
        async with services.db.transaction() as conn:
            joined = await _joined(conn, actor, request)
            await db.insert_user(conn, user, now)
            for organization_id in joined:
                await db.insert_member(conn, organization_id, user.id, roles=[], now=now)
            await record(conn, actor, told.of_user(AuditAction.CREATE, user), now)
            created = await db.get_user_as_system(conn, user.id)
    except UniqueViolationError as error:
        raise UserExists(taken_fields(error)) from error
    assert created is not None
    return created


def check_github(number: int | None) -> int | None:
    """The number of a GitHub account; 0 is none. Raises Invalid for what is no such number."""
    if number is not None and number < 0:
        raise Invalid(
            "A field is not valid.", [("github_com_user_id", "give the number of an account")]
        )
    return number or None


async def _insert_first(
    conn: "Connection", user: db.UserRow, organization_id: UUID, now: datetime
) -> None:
    await db.insert_organization(
        conn, organization_id=organization_id, name=DEFAULT_ORGANIZATION, is_default=True, now=now
    )
    await db.insert_user(conn, user, now)
    roles = [Role.ORGANIZATION_ADMIN.value]
    await db.insert_member(conn, organization_id, user.id, roles=roles, now=now)


async def _joined(conn: "Connection", actor: Actor, request: wire.CreateUserRequest) -> set[UUID]:
    """The organizations a new user becomes a member of: the default one unless some are named. Source: wire 12."""
    visible = await db.list_organizations(conn, viewer_for(actor, Verb.ORGANIZATION_READ))
    wanted = set(request.organization_ids) or {row.id for row in visible if row.is_default}
    if not wanted <= {row.id for row in visible}:
        raise NotFound("an organization of the new user")
    return wanted


def _login_type(request: wire.CreateUserRequest) -> LoginType:
    """Without a type and a password a user can only hold tokens. Source: wire 12."""
    if request.disable_login or (not request.login_type and not request.password):
        login_type = LoginType.NONE
    else:
        try:
            login_type = LoginType(request.login_type or LoginType.PASSWORD)
        except ValueError:
            login_type = LoginType.OIDC
    if login_type not in CREATABLE:
        words = ", ".join(CREATABLE)
        raise Invalid("A field is not valid.", [("login_type", f"give one of {words}")])
    if request.password and login_type is not LoginType.PASSWORD:
        problem = f"a user who signs in by {login_type} has no password; leave it out"
        raise Invalid("A field is not valid.", [("password", problem)])
    return login_type


def _status(request: wire.CreateUserRequest, login_type: LoginType) -> UserStatus:
    """Who got a password is active at once, others with the first use of a token. Source: supporting-api 3."""
    match request.user_status:
        case "":
            is_active = login_type is LoginType.PASSWORD
            return UserStatus.ACTIVE if is_active else UserStatus.DORMANT
        case UserStatus.ACTIVE | UserStatus.DORMANT as status:
            return UserStatus(status)
        case _:
            raise Invalid("A field is not valid.", [("user_status", "give active or dormant")])


async def _user(
    request: wire.CreateFirstUserRequest | wire.CreateUserRequest,
    login_type: LoginType,
    now: datetime,
) -> db.UserRow:
    has_password = login_type is LoginType.PASSWORD
    return db.UserRow(
        id=uuid4(),
        username=request.username,
        email=request.email,
        name=request.name,
        avatar_url="",
        password_hash=await hash_password(request.password) if has_password else None,
        login_type=login_type,
        status=UserStatus.DORMANT,
        roles=[],
        github_user_id=None,
        created_at=now,
        updated_at=now,
        last_seen_at=ZERO_TIME,
        organization_ids=[],
    )


def _themself(user: db.UserRow, organization_id: UUID, origin: Origin) -> Actor:
    """The first user, who makes themself."""
    here = frozenset({organization_id})
    return Actor(user.id, user.username, frozenset(user.roles), here, here, "", origin)
