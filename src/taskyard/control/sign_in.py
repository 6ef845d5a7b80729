"""Signing in and out, and how often somebody may try."""

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from taskyard.config import Settings
from taskyard.control import identity_audit as told
from taskyard.control import keys
from taskyard.control.actors import Actor, Origin
from taskyard.control.audit import record, record_sign_in
from taskyard.control.passwords import password_matches
from taskyard.control.services import Services
from taskyard.db import identity as db
from taskyard.db import users as users_db
from taskyard.errors import (
    LoginLimited,
    LoginRefused,
    LoginsBusy,
    LoginTypeWrong,
    TaskyardError,
    UserSuspended,
)
from taskyard.wire import identity as wire
from taskyard.wire.enums import AuditAction, LoginType, UserStatus

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

WINDOW = timedelta(minutes=5)
"""Tries are counted from one multiple of this to the next: as long as a person will wait who mistyped too often."""

MAX_PER_ACCOUNT = 10
"""Tries in a window from one network address at one account, anybody's or nobody's: 3,000 guesses a day, where a weak
password that our rules take has some millions before it."""

MAX_PER_NETWORK = 100
"""Tries in a window from one network address: an office behind one address mistypes less, a guesser wants more."""

MAX_ANYWHERE = 120
"""Tries in a window at one account from everywhere: more than one network has, so that nobody alone keeps others out."""

MAX_NAME_TOLD = 254
"""Characters of a name that was tried which the audit keeps: those of the longest address."""


async def login(
    services: Services, request: wire.LoginRequest, origin: Origin, now: datetime
) -> str:
    """The text of a new session key.

    Raises LoginLimited, also for the right password; LoginRefused, LoginTypeWrong, UserSuspended, LoginsBusy.
    Source: U3, U4.
    """
    tries = subjects(request.email, origin)
    await count_tries(services, tries, now)
    async with services.db.connection() as conn:
        user = await db.get_user_by_email_as_system(conn, _address(request.email))
    try:
        matches = await password_matches(user.password_hash if user else None, request.password)
    except LoginsBusy:
        await _forgive(services, tries, now)  # nobody looked at the password
        raise
    if user is None or not matches or user.status is UserStatus.SUSPENDED:
        who = (user.id if user else None, request.email[:MAX_NAME_TOLD], origin)
        async with services.db.transaction() as conn:
            await record_sign_in(conn, who, now, succeeded=False)
        raise _refusal(user, matches=matches)
    text, key = new_session(user.id, now)
    async with services.db.transaction() as conn:
        await forgive_tries(conn, tries, now)
        again = await db.get_user_as_system(conn, user.id)
        if again is None or again.password_hash != user.password_hash:
            raise LoginRefused  # changed while it was looked at; whoever changed it has ended all sessions
        await add_session(conn, services.settings, key, user.username, now=now)
        await record_sign_in(conn, (user.id, user.username, origin), now, succeeded=True)
    return text


async def logout(services: Services, actor: Actor, now: datetime) -> None:
    """Ends the session, or the token, that asks."""
    async with services.db.transaction() as conn:
        key = await db.get_api_key_as_system(conn, actor.key_id)
        if key is not None and await db.delete_api_key(conn, actor.key_id, actor.user_id):
            await record(conn, actor, told.of_key(AuditAction.LOGOUT, key, actor.username), now)


def new_session(user_id: UUID, now: datetime) -> tuple[str, db.ApiKeyRow]:
    """The text of a session's key, and the row that is stored of it."""
    return keys.new_key(
        user_id,
        login_type=LoginType.PASSWORD,
        token_name="",
        lifetime=keys.SESSION_LIFETIME,
        now=now,
    )


async def add_session(
    conn: "Connection", settings: Settings, key: db.ApiKeyRow, username: str, *, now: datetime
) -> None:
    """Keeps a new session; beyond as many as one user may have, the one that was used least lately ends."""
    keep = settings.max_tokens_per_user - 1
    await db.take_turn_as_system(conn, key.user_id)
    for ended in await db.delete_oldest_sessions_as_system(conn, key.user_id, keep, now):
        await record(conn, None, told.of_key(AuditAction.LOGOUT, ended, username), now)
    await db.insert_api_key(conn, key, now)


def subjects(email: str, origin: Origin) -> dict[str, int]:
    """What tries are counted for, each with how many it has: the account that is named, and where they come from.

    The account counts whether or not it is there. Of an IPv6 address it is the first half that counts, since
    whoever has one has all that begin so.
    """
    account = hashlib.sha256(_address(email).encode(errors="replace")).hexdigest()
    network = None if origin.ip is None else _network(origin.ip)
    # Everybody counts in this order, so that nobody waits for whoever waits for them.
    counted = {
        f"account {account} from {network or 'here'}": MAX_PER_ACCOUNT,
        f"account {account}": MAX_ANYWHERE,
    }
    return counted if network is None else counted | {f"network {network}": MAX_PER_NETWORK}


def _address(email: str) -> str:
    """An email address as tries are counted and accounts are found by it: one spelling for both."""
    return email.strip().lower()


async def count_tries(services: Services, tries: Mapping[str, int], now: datetime) -> None:
    """Counts one try for each subject; raises LoginLimited, for all until the window ends, where it is one too many."""
    start = window_start(now)
    async with services.db.transaction() as conn:
        for subject, limit in tries.items():
            attempts = await users_db.count_login_attempt_as_system(conn, subject, start)
            if attempts > limit:
                left = start + WINDOW - now
                raise LoginLimited(retry_after_s=max(1, int(left.total_seconds()) + 1))
            if attempts == 1:
                await users_db.sweep_login_attempts_as_system(conn, start)


async def forgive_tries(conn: "Connection", tries: Iterable[str], now: datetime) -> None:
    """Takes back one try of each subject: it was no guess."""
    for subject in tries:
        await users_db.forgive_login_attempt_as_system(conn, subject, window_start(now))


async def _forgive(services: Services, tries: Iterable[str], now: datetime) -> None:
    async with services.db.transaction() as conn:
        await forgive_tries(conn, tries, now)


def window_start(now: datetime) -> datetime:
    """When the window that this moment lies in began."""
    length_s = int(WINDOW.total_seconds())
    return datetime.fromtimestamp(int(now.timestamp()) // length_s * length_s, UTC)


def _network(ip: str) -> str:
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return ip
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _refusal(user: db.UserRow | None, *, matches: bool) -> TaskyardError:
    """Why somebody is not let in. Source: U3, supporting-api 2 row 7."""
    if user is not None and user.login_type is not LoginType.PASSWORD:
        return LoginTypeWrong(user.login_type)
    if user is None or not matches:
        return LoginRefused()
    return UserSuspended(user.username)
