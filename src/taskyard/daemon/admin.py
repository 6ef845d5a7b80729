"""Commands for whoever has the machine: they work on the data of a server that runs, or that is stopped."""

import asyncio
import secrets
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from taskyard.config import Settings
from taskyard.control import operator
from taskyard.control.services import Services
from taskyard.daemon.complaints import exit_status
from taskyard.daemon.database import open_database
from taskyard.daemon.offline import offline_settings, open_spot
from taskyard.daemon.services import make_services
from taskyard.db import secrets as secrets_db
from taskyard.errors import NotFound, StartupError, TaskyardError
from taskyard.wire.identity import CreateFirstUserRequest

PASSWORD_BYTES = 15
"""Random bytes of a password that we make up: 20 characters, 120 bits."""

NOWHERE = "taskyard.invalid"
"""The domain of an email that nobody gave: one that never receives any."""


def create_admin(
    flags: Mapping[str, object],
    config_file: Path | None,
    *,
    username: str,
    email: str | None,
    password: str | None,
) -> int:
    """Makes an owner; the exit status. A password of None is made up and printed, once."""
    chosen = password or _made_up()
    request = CreateFirstUserRequest(
        username=username, email=email or f"{username}@{NOWHERE}", password=chosen
    )

    async def deed(services: Services) -> str:
        await operator.create_admin(services, request, services.now())
        return request.email

    return _done(flags, config_file, deed, None if password else chosen, new=True)


def reset_password(
    flags: Mapping[str, object], config_file: Path | None, *, user: str, password: str | None
) -> int:
    """Gives a user a new password; the exit status. A password of None is made up and printed, once."""
    chosen = password or _made_up()

    async def deed(services: Services) -> str:
        try:
            found = await operator.reset_password(services, user, chosen, services.now())
        except NotFound as error:
            raise StartupError(f"there is no user {user!r}: give a username or an email") from error
        return found.email

    return _done(flags, config_file, deed, None if password else chosen, new=False)


def forget_secrets(flags: Mapping[str, object], config_file: Path | None) -> int:
    """Removes the secrets of everybody, and what is known of their key; the exit status."""

    async def deed(services: Services) -> str:
        async with services.db.transaction() as conn:
            return str(await secrets_db.forget_secrets(conn))

    def work() -> None:
        gone = asyncio.run(_with_services(offline_settings(flags, config_file, new=False), deed))
        sys.stdout.write(f"secrets removed: {gone}\n")

    return exit_status(work, TaskyardError)


def _done(
    flags: Mapping[str, object],
    config_file: Path | None,
    deed: Callable[[Services], Awaitable[str]],
    shown: str | None,
    *,
    new: bool,
) -> int:
    """Does it and prints how to sign in; the exit status. new: a data directory may be made for it."""

    def work() -> None:
        email = asyncio.run(_with_services(offline_settings(flags, config_file, new=new), deed))
        sys.stdout.write(f"email: {email}\n" + (f"password: {shown}\n" if shown else ""))

    return exit_status(work, TaskyardError)


async def _with_services(settings: Settings, deed: Callable[[Services], Awaitable[str]]) -> str:
    """What the deed gives, done on the database of a server that runs, or on one started for the moment."""
    with open_spot(settings) as spot:
        async with open_database(spot.settings, spot.data) as db:
            return await deed(make_services(spot.settings, spot.data, db))


def _made_up() -> str:
    return secrets.token_urlsafe(PASSWORD_BYTES)
