"""A password changed by whoever it is of, or by those who administer users."""

from datetime import datetime

from msgspec.structs import replace

from taskyard.control.actors import Actor
from taskyard.control.passwords import hash_password, password_matches
from taskyard.control.services import Services
from taskyard.control.sign_in import MAX_PER_ACCOUNT, count_tries, forgive_tries
from taskyard.control.user_fields import check_password
from taskyard.control.users import all_roles, locked, save
from taskyard.db import users as db
from taskyard.db.identity import UserRow
from taskyard.errors import Forbidden, Invalid, RequestRefused
from taskyard.lifecycle.permissions import may_change_user
from taskyard.wire import identity as wire
from taskyard.wire.enums import LoginType


async def change_password(
    services: Services,
    actor: Actor,
    user: UserRow,
    request: wire.UpdatePasswordRequest,
    *,
    now: datetime,
) -> None:
    """The user signs in by this password from now on; all their sessions end but the one that asks. Tokens stay.

    One's own is changed by those who know the old one; guesses at it are limited like those of who signs in. Raises
    Forbidden, Invalid, LoginLimited, LoginsBusy, RequestRefused for a user who has no password.
    """
    await _check_may_change(services, actor, user)
    if user.login_type is not LoginType.PASSWORD:
        raise RequestRefused(
            "no_password_login",
            f"{user.username} signs in by {user.login_type}, and so has no password.",
            "Make a token instead.",
        )
    if user.id == actor.user_id:
        await _check_old_password(services, user, request.old_password, now=now)
    check_password(request.password, username=user.username, email=user.email)
    if await password_matches(user.password_hash, request.password):
        raise Invalid("The password is not accepted.", [("password", "choose another than before")])
    hashed = await hash_password(request.password)
    async with services.db.transaction() as conn:
        # Keys before their user, which is how a request writes down that it was made.
        await db.delete_sessions_of(conn, user.id, kept=actor.key_id)
        before = await locked(conn, actor, user.id)
        await save(conn, actor, before, replace(before, password_hash=hashed), now=now)


async def _check_may_change(services: Services, actor: Actor, user: UserRow) -> None:
    async with services.db.connection() as conn:
        roles = await all_roles(conn, user)
    if not may_change_user(actor, user.id, roles):
        raise Forbidden(f"change the password of {user.username}")


async def _check_old_password(
    services: Services, user: UserRow, old: str, *, now: datetime
) -> None:
    """Nothing when the old password is right; raises Invalid on `old_password`, LoginLimited."""
    # Not with the sign-ins: guesses of others at the account must not keep its owner from a new password.
    tries = {f"password {user.id}": MAX_PER_ACCOUNT}
    await count_tries(services, tries, now)
    if not await password_matches(user.password_hash, old):
        raise Invalid("The old password is not right.", [("old_password", "this is not it")])
    async with services.db.transaction() as conn:
        await forgive_tries(conn, tries, now)
