"""Users, sign-in and tokens."""

import dataclasses
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from asyncpg import UniqueViolationError
from msgspec.structs import replace

from taskyard.control import keys
from taskyard.control.actors import Actor
from taskyard.control.passwords import hash_password, password_matches, password_problem
from taskyard.control.services import Services
from taskyard.db import identity as db
from taskyard.db.pool import ring
from taskyard.errors import (
    FirstUserExists,
    Forbidden,
    Invalid,
    LoginRefused,
    LoginTypeWrong,
    NotFound,
    TokenNameTaken,
    UserExists,
    UserSuspended,
)
from taskyard.lifecycle import names, search
from taskyard.wire import identity as wire
from taskyard.wire.base import ZERO_TIME
from taskyard.wire.enums import LoginType, UserStatus

DEFAULT_ORGANIZATION = "default"
"""Name of the organization that the first user is put into; also what clients call it."""

TOKEN_LIFETIME = timedelta(days=30)
"""Of a token that asks for none."""

MAX_TOKEN_LIFETIME = timedelta(days=36500)
"""A hundred years: the operator's tokens may last, nothing lasts for ever."""

MAX_PAGE = 1_000_000_000
"""Rows of a list that asks for no limit: all of them."""

USER_KEYS = ("search", "status", "role", "login_type", "github_com_user_id")
"""What `q` may ask of users."""

EMAIL = re.compile(r"[^\s@]+@[^\s@]+")


async def has_first_user(services: Services) -> bool:
    """Whether anybody was ever created here."""
    async with services.db.connection() as conn:
        return await db.count_users_as_system(conn) > 0


async def create_first_user(
    services: Services, request: wire.CreateFirstUserRequest, now: datetime
) -> wire.CreateFirstUserResponse:
    """The server's owner and its default organization; raises FirstUserExists, Invalid."""
    if await has_first_user(services):
        raise FirstUserExists
    _check_user(request.username, request.email, request.password)
    user = await _user(request, LoginType.PASSWORD, now)
    organization_id = uuid4()
    try:
        async with services.db.transaction() as conn:
            await db.insert_organization(
                conn,
                organization_id=organization_id,
                name=DEFAULT_ORGANIZATION,
                is_default=True,
                now=now,
            )
            await db.insert_user(conn, replace(user, roles=["owner"]), now)
            await db.insert_member(
                conn, organization_id, user.id, roles=["organization-admin"], now=now
            )
            await ring(conn, "users")
    except UniqueViolationError as error:
        raise FirstUserExists from error
    return wire.CreateFirstUserResponse(user_id=user.id, organization_id=organization_id)


async def create_user(
    services: Services, actor: Actor, request: wire.CreateUserRequest, now: datetime
) -> db.UserRow:
    """A new member. Raises Forbidden, Invalid, UserExists, NotFound for an unknown organization."""
    if not (actor.is_owner or "user-admin" in actor.roles):
        raise Forbidden("create users")
    login_type = _login_type(request)
    _check_user(request.username, request.email, request.password, login_type)
    user = await _user(request, login_type, now)
    user = replace(user, github_user_id=request.github_com_user_id)
    try:
        async with services.db.transaction() as conn:
            visible = await db.list_organizations(conn, actor.viewer)
            default = next(o.id for o in visible if o.is_default)
            joined = request.organization_ids or [default]
            if not set(joined) <= {o.id for o in visible}:
                raise NotFound
            await db.insert_user(conn, user, now)
            for organization_id in joined:
                await db.insert_member(conn, organization_id, user.id, roles=[], now=now)
            created = await db.get_user_as_system(conn, user.id)
    except UniqueViolationError as error:
        raise UserExists(_taken_fields(error)) from error
    assert created is not None
    return created


async def list_users(
    services: Services, actor: Actor, query: Mapping[str, str]
) -> tuple[list[db.ListedUserRow], int]:
    """Users the actor may read, narrowed by `q`, one page of them, and how many there are in all.

    Raises Invalid for a query or a page that cannot be read. Source: U7.
    """
    only = _user_filter(query.get("q", ""))
    limit, offset = _page(query)
    viewer = actor.viewer
    if actor.roles & {"user-admin", "auditor"}:
        viewer = dataclasses.replace(viewer, sees_all=True)
    async with services.db.connection() as conn:
        rows = await db.list_users(conn, viewer, only, limit=limit, offset=offset)
    return rows, rows[0].total if rows else 0


async def login(services: Services, request: wire.LoginRequest, now: datetime) -> str:
    """The text of a new session key. Raises LoginRefused, LoginTypeWrong, UserSuspended, LoginsBusy."""
    async with services.db.connection() as conn:
        user = await db.get_user_by_email_as_system(conn, request.email)
    matches = await password_matches(user.password_hash if user else None, request.password)
    if user is not None and user.login_type is not LoginType.PASSWORD:
        raise LoginTypeWrong(user.login_type)
    if user is None or not matches:
        raise LoginRefused
    if user.status is UserStatus.SUSPENDED:
        raise UserSuspended(user.username)
    return await create_session_key(services, user.id, now)


async def create_session_key(services: Services, user_id: UUID, now: datetime) -> str:
    """The text of a new key that is prolonged while it is used."""
    text, row = keys.new_key(
        user_id,
        login_type=LoginType.PASSWORD,
        token_name="",
        lifetime=keys.SESSION_LIFETIME,
        now=now,
    )
    async with services.db.transaction() as conn:
        await db.insert_api_key(conn, row, now)
    return text


async def create_token(
    services: Services, user_id: UUID, request: wire.CreateTokenRequest, now: datetime
) -> str:
    """The text of a new named token. Raises Invalid, TokenNameTaken."""
    lifetime = (
        timedelta(microseconds=request.lifetime / 1000) if request.lifetime else TOKEN_LIFETIME
    )
    if not timedelta(seconds=1) <= lifetime <= MAX_TOKEN_LIFETIME:
        days = MAX_TOKEN_LIFETIME.days
        raise Invalid(
            "The token's lifetime cannot be had.",
            [("lifetime", f"give nanoseconds, from one second to {days} days")],
        )
    if request.scope not in ("", "all") or set(request.scopes) - {"all"}:
        raise Invalid(
            "Tokens are made for everything their user may do.",
            [("scope", "leave it out, or give all")],
        )
    name = request.token_name or f"token-{uuid4().hex[:8]}"
    text, row = keys.new_key(
        user_id, login_type=LoginType.TOKEN, token_name=name, lifetime=lifetime, now=now
    )
    try:
        async with services.db.transaction() as conn:
            await db.insert_api_key(conn, row, now)
    except UniqueViolationError as error:
        raise TokenNameTaken(name) from error
    return text


async def delete_key(services: Services, user_id: UUID, key_id: str) -> None:
    """Ends a key of the user at once; raises NotFound."""
    async with services.db.transaction() as conn:
        if not await db.delete_api_key(conn, key_id, user_id):
            raise NotFound


async def get_key(services: Services, user_id: UUID, key_id: str) -> db.ApiKeyRow:
    """A key of the user by its id; raises NotFound."""
    async with services.db.connection() as conn:
        row = await db.get_api_key_as_system(conn, key_id)
    if row is None or row.user_id != user_id:
        raise NotFound
    return row


async def get_token(services: Services, user_id: UUID, name: str) -> db.ApiKeyRow:
    """A token of the user by its name; raises NotFound."""
    async with services.db.connection() as conn:
        row = await db.get_token_by_name(conn, user_id, name)
    if row is None:
        raise NotFound
    return row


def may_use_keys_of(actor: Actor, user_id: UUID) -> bool:
    """Whether the actor may make, list and delete the user's keys."""
    return actor.is_owner or actor.user_id == user_id


async def list_tokens(
    services: Services, actor: Actor, user_id: UUID | None, *, expired: bool, now: datetime
) -> list[db.TokenRow]:
    """Named tokens of a user, of everybody the actor may read with None; newest first."""
    async with services.db.connection() as conn:
        return await db.list_tokens(conn, actor.viewer, user_id, expired=expired, now=now)


async def list_organizations(services: Services, actor: Actor) -> list[db.OrganizationRow]:
    """Organizations the actor sees, the default one first."""
    async with services.db.connection() as conn:
        return await db.list_organizations(conn, actor.viewer)


async def list_user_organizations(
    services: Services, actor: Actor, user_id: UUID
) -> list[db.OrganizationRow]:
    """A user's organizations as far as the actor sees them."""
    async with services.db.connection() as conn:
        return await db.list_user_organizations(conn, actor.viewer, user_id)


async def list_members(
    services: Services, actor: Actor, organization_id: UUID
) -> list[db.MemberRow]:
    """Members of an organization as far as the actor sees them."""
    async with services.db.connection() as conn:
        return await db.list_members(conn, actor.viewer, organization_id)


def _user_filter(q: str) -> db.UserFilter:
    found = search.parse_query(q.replace("\0", "\ufffd"), USER_KEYS, "search")
    if isinstance(found, list):
        violations = [(v.field, search.explain(v, USER_KEYS)) for v in found]
        raise Invalid("The search query for users cannot be read.", violations)
    github = found.get("github_com_user_id")
    if github is not None and not (github.isascii() and github.isdigit() and len(github) <= 18):
        raise Invalid(
            "The search query for users cannot be read.",
            [("github_com_user_id", "give the number of a GitHub account")],
        )
    return db.UserFilter(
        text=found.get("search"),
        status=found.get("status"),
        role=found.get("role"),
        login_type=found.get("login_type"),
        github_user_id=None if github is None else int(github),
    )


def _page(query: Mapping[str, str]) -> tuple[int, int]:
    """Limit and offset; no limit means all."""
    page: dict[str, int] = {}
    for name in ("limit", "offset"):
        text = query.get(name) or "0"
        if not (text.isascii() and text.isdigit() and len(text) <= 9):
            raise Invalid("A query parameter is not valid.", [(name, "give a whole number")])
        page[name] = int(text)
    return page["limit"] or MAX_PAGE, page["offset"]


def _login_type(request: wire.CreateUserRequest) -> LoginType:
    """Without a type and a password a user can only hold tokens. Source: wire 12."""
    if request.disable_login or (not request.login_type and not request.password):
        return LoginType.NONE
    try:
        return LoginType(request.login_type or LoginType.PASSWORD)
    except ValueError as error:
        words = ", ".join(LoginType)
        raise Invalid("A field is not valid.", [("login_type", f"give one of {words}")]) from error


def _check_user(
    username: str, email: str, password: str, login_type: LoginType = LoginType.PASSWORD
) -> None:
    violations: list[tuple[str, str]] = []
    rule = names.name_violation(username)
    if rule is not None:
        text = names.explain(rule, username) if username else "this field is required"
        violations.append(("username", text))
    if not EMAIL.fullmatch(email):
        violations.append(("email", "give an address such as ada@example.com"))
    if violations:
        raise Invalid("A field is not valid.", violations)
    if login_type is LoginType.PASSWORD:
        weak = password_problem(password, username=username, email=email)
        if weak:
            raise Invalid("The password is not accepted.", [("password", weak)])


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
        status=UserStatus.ACTIVE if has_password else UserStatus.DORMANT,
        roles=[],
        github_user_id=None,
        created_at=now,
        updated_at=now,
        last_seen_at=ZERO_TIME,
        organization_ids=[],
    )


def _taken_fields(error: UniqueViolationError) -> list[tuple[str, str]]:
    fields = {
        "users_username": "username",
        "users_email": "email",
        "users_github": "github_com_user_id",
    }
    return [(fields.get(error.constraint_name or "", "username"), "this value is in use")]
