"""Keys of users: sessions, and named tokens for programs."""

from datetime import datetime, timedelta
from uuid import uuid4

from asyncpg import UniqueViolationError

from taskyard.control import identity_audit as told
from taskyard.control import keys
from taskyard.control.actors import Actor
from taskyard.control.audit import record
from taskyard.control.quotas import check_token_room
from taskyard.control.services import Services
from taskyard.control.sign_in import add_session, new_session
from taskyard.control.users import all_roles
from taskyard.db import identity as db
from taskyard.db.viewer import Viewer
from taskyard.errors import Forbidden, Invalid, NotFound, TokenNameTaken
from taskyard.lifecycle.permissions import Verb, may_use_keys
from taskyard.wire import identity as wire
from taskyard.wire.enums import AuditAction, LoginType

TOKEN_LIFETIME = timedelta(days=30)
"""Of a token that asks for none."""

MAX_TOKEN_LIFETIME = timedelta(days=36500)
"""A hundred years: the operator's tokens may last, nothing lasts for ever."""

MAX_TOKEN_NAME = 64
"""Characters; names are for people to tell tokens apart."""

KEPT_NAMES = frozenset({"tokenconfig"})
"""Words that lead elsewhere at the place of a token's name in a path."""

WHOLE_SCOPES = frozenset({"all", "coder:all"})
"""How clients say that a token may do whatever its user may."""

WHOLE_ALLOW_LIST = frozenset({"*", "*:*"})
"""How clients say that a token is good for everything there is."""


async def check_keys_of(services: Services, actor: Actor, user: db.UserRow, verb: Verb) -> None:
    """Nothing when the actor may read, or make and end, the user's keys; else raises Forbidden."""
    async with services.db.connection() as conn:
        roles = await all_roles(conn, user)
    is_service = user.login_type is LoginType.NONE
    if not may_use_keys(actor, verb, user.id, roles if is_service else None):
        raise Forbidden(f"use the keys of {user.username}")


async def create_session_key(
    services: Services, actor: Actor, user: db.UserRow, now: datetime
) -> str:
    """The text of a new key that is prolonged while it is used. Source: U5."""
    text, row = new_session(user.id, now)
    async with services.db.transaction() as conn:
        await add_session(conn, services.settings, row, user.username, now=now)
        await record(conn, actor, told.of_key(AuditAction.CREATE, row, user.username), now)
    return text


async def create_token(
    services: Services,
    actor: Actor,
    user: db.UserRow,
    request: wire.CreateTokenRequest,
    *,
    now: datetime,
) -> str:
    """The text of a new named token. Raises Invalid, TokenNameTaken, QuotaReached."""
    _check_reach(request)
    name = request.token_name or f"token-{uuid4().hex[:8]}"
    _check_name(name)
    text, row = keys.new_key(
        user.id, login_type=LoginType.TOKEN, token_name=name, lifetime=_lifetime(request), now=now
    )
    try:
        async with services.db.transaction() as conn:
            await check_token_room(conn, services.settings, user.id, user.username, now=now)
            await db.insert_api_key(conn, row, now)
            await record(conn, actor, told.of_key(AuditAction.CREATE, row, user.username), now)
    except UniqueViolationError as error:
        raise TokenNameTaken(name) from error
    return text


async def list_tokens(
    services: Services,
    actor: Actor,
    user: db.UserRow,
    query: wire.ListTokensQuery,
    *,
    now: datetime,
) -> list[db.TokenRow]:
    """Named tokens of a user, with include_all of everybody whose tokens the actor may read; newest first."""
    expired = query.include_expired
    async with services.db.connection() as conn:
        if query.include_all:
            return await db.list_tokens(conn, key_viewer(actor), None, expired=expired, now=now)
        eyes = Viewer(user.id, sees_all=False, admin_of=frozenset())
        return await db.list_tokens(conn, eyes, user.id, expired=expired, now=now)


async def get_key(services: Services, user: db.UserRow, key_id: str) -> db.ApiKeyRow:
    """A key of the user by its id; raises NotFound."""
    async with services.db.connection() as conn:
        row = await db.get_api_key_as_system(conn, key_id)
    if row is None or row.user_id != user.id:
        raise NotFound
    return row


async def get_token(services: Services, user: db.UserRow, name: str) -> db.ApiKeyRow:
    """A token of the user by its name; raises NotFound."""
    async with services.db.connection() as conn:
        row = await db.get_token_by_name(conn, user.id, name)
    if row is None:
        raise NotFound
    return row


async def delete_key(
    services: Services, actor: Actor, user: db.UserRow, key_id: str, *, now: datetime
) -> None:
    """Ends a key of the user at once; raises NotFound. Source: U6."""
    key = await get_key(services, user, key_id)
    async with services.db.transaction() as conn:
        if not await db.delete_api_key(conn, key_id, user.id):
            raise NotFound
        await record(conn, actor, told.of_key(AuditAction.DELETE, key, user.username), now)


async def expire_key(
    services: Services, actor: Actor, user: db.UserRow, key_id: str, *, now: datetime
) -> None:
    """Ends a key of the user at once and keeps it in the lists of expired ones; raises NotFound."""
    key = await get_key(services, user, key_id)
    async with services.db.transaction() as conn:
        if not await db.expire_api_key(conn, key_id, user.id, now):
            raise NotFound
        await record(conn, actor, told.of_key(AuditAction.WRITE, key, user.username), now)


def key_viewer(actor: Actor) -> Viewer:
    """The actor's eyes for keys: their own, or everybody's."""
    return Viewer(actor.user_id, may_use_keys(actor, Verb.TOKEN_READ, None, None), frozenset())


def _lifetime(request: wire.CreateTokenRequest) -> timedelta:
    """How long a token shall live; raises Invalid."""
    if not request.lifetime:
        return TOKEN_LIFETIME
    lifetime = timedelta(microseconds=request.lifetime / 1000)
    if not timedelta(seconds=1) <= lifetime <= MAX_TOKEN_LIFETIME:
        days = MAX_TOKEN_LIFETIME.days
        problem = f"give nanoseconds, from one second to {days} days"
        raise Invalid("The token's lifetime cannot be had.", [("lifetime", problem)])
    return lifetime


def _check_name(name: str) -> None:
    if len(name) > MAX_TOKEN_NAME or name in KEPT_NAMES or "/" in name or not name.isprintable():
        problem = f'use at most {MAX_TOKEN_NAME} characters, no "/", and no word of the API'
        raise Invalid("The token's name is not valid.", [("token_name", problem)])


def _check_reach(request: wire.CreateTokenRequest) -> None:
    """Nothing when a token is to do all that its user may; else raises Invalid.

    A token that could do more than was asked would be worse than none, so what is narrower is refused.
    """
    violations = []
    if request.scope and request.scope not in WHOLE_SCOPES:
        violations.append(("scope", "leave it out, or give all"))
    if not set(request.scopes) <= WHOLE_SCOPES:
        violations.append(("scopes", "leave them out, or give all"))
    if not set(request.allow_list) <= WHOLE_ALLOW_LIST:
        violations.append(("allow_list", "leave it out, or give *:*"))
    if violations:
        raise Invalid("Tokens are made for everything that their user may do.", violations)
