"""The templates that a new server brings: imported like any upload, once there is somebody to own them."""

import asyncio
import hashlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import asyncpg
import structlog

from taskyard.control.files import store_file
from taskyard.control.services import Services
from taskyard.control.template_examples import starters
from taskyard.control.template_versions import NewVersion, insert_version
from taskyard.control.templates import NewTemplate, insert_template
from taskyard.db import identity
from taskyard.db import templates as db
from taskyard.errors import TaskyardError
from taskyard.wire.templates import CreateTemplateRequest

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

log = structlog.get_logger()

USERS = "users"
"""The topic that is rung when the first user is created."""

POLL_S = 2.0
"""Seconds between looks for a first user when nobody rings, and after trouble."""

VERSION_PREFIX = "starter-"
"""Versions of ours are named so, with the beginning of the hash of their archive behind."""

HASH_DIGITS = 12
"""Digits of the hash in a name: enough to tell releases apart."""

TROUBLE = (TaskyardError, OSError, TimeoutError, asyncpg.PostgresError)
"""What may go wrong for a while; the starters are tried again then."""


@dataclass(frozen=True, slots=True)
class _Owner:
    """Whose the starters are, and where."""

    user_id: UUID
    organization_id: UUID


async def keep_starters(services: Services) -> None:
    """Returns once the starters are there; waits for the first user until then."""
    rung = asyncio.Event()
    async with services.doorbell.on(USERS, lambda _: rung.set()):
        while True:
            rung.clear()
            try:
                if await import_starters(services, services.now()):
                    return
            except TROUBLE as error:
                log.warning("starters.not_imported", exc_info=error)
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await rung.wait()


async def import_starters(services: Services, now: datetime) -> bool:
    """Brings each starter that is missing or that a release changed; False while nobody could own them.

    Safe to run any time on any number of servers. A template of that name that somebody made, changed or
    deleted is left alone.
    """
    for name, starter in (await starters()).items():
        async with services.db.transaction() as conn:
            await db.take_starters_turn(conn)
            owner_id = await db.get_first_owner_as_system(conn)
            organization = await identity.get_default_organization_as_system(conn)
            if owner_id is None or organization is None:
                return False
            owner = _Owner(owner_id, organization.id)
            await _import(conn, name, starter.archive, owner=owner, now=now)
    return True


async def _import(
    conn: "Connection", name: str, archive: bytes, *, owner: _Owner, now: datetime
) -> None:
    """One starter, in a transaction in which no other server is at it."""
    version_name = VERSION_PREFIX + hashlib.sha256(archive).hexdigest()[:HASH_DIGITS]
    known = await db.get_starter_as_system(conn, owner.organization_id, name)
    if known is not None and not await _is_outdated(conn, known, version_name):
        return
    stored = await store_file(conn, owner.user_id, archive, now=now)
    version = NewVersion(
        organization_id=owner.organization_id,
        template_id=known.id if known else None,
        name=version_name,
        message="Comes with the server.",
        file_id=stored.id,
        created_by=owner.user_id,
    )
    version_id = await insert_version(conn, version, now)
    if known is not None:
        await db.promote_version(conn, known.id, version_id, now)
    else:
        new = NewTemplate(uuid4(), owner.organization_id, version_id, owner.user_id)
        await insert_template(conn, new, CreateTemplateRequest(name=name), now)
    log.info("starter.imported", template=name, version=version_name, is_update=known is not None)


async def _is_outdated(conn: "Connection", known: db.StarterRow, version_name: str) -> bool:
    """Whether a starter of ours runs that this release has another version of, which was never here."""
    if known.deleted or not known.version_name.startswith(VERSION_PREFIX):
        return False
    return await db.get_version_by_name(conn, known.id, version_name) is None
