"""The database of a server: its own Postgres or one of the user's, migrated, and claimed for one data directory."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import structlog

from taskyard.config import Role, Settings
from taskyard.daemon.datadir import DataDir
from taskyard.daemon.postgres import EmbeddedPostgres
from taskyard.db.deployment import claim_deployment_as_system
from taskyard.db.migrate import migrate
from taskyard.db.pool import Database
from taskyard.db.servers import (
    find_host_as_system,
    get_deployment_key_as_system,
    give_peer_key_as_system,
    join_host_as_system,
)
from taskyard.errors import StartupError

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

log = structlog.get_logger()

RESTART_S = 2.0
"""Seconds until a Postgres that did not come up again is started once more."""

PEER_KEY_BYTES = 32
"""A key for HMAC-SHA-256 of the hash's own length."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """An installation: the id of its first data directory, and the key that its servers share."""

    id: UUID
    peer_key: bytes


@asynccontextmanager
async def open_database(settings: Settings, data: DataDir) -> AsyncIterator[Database]:
    """The database, ready for use; a Postgres of our own lives as long as the block.

    Raises StartupError.
    """
    async with database_address(settings, data) as url:
        db = Database(url)
        try:
            await migrate(url)
            await db.open()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            raise StartupError(cannot_be_used(settings, error)) from error
        try:
            async with db.transaction() as conn:
                await claim(conn, settings, data)
            yield db
        finally:
            await db.close()


async def deployment_of(db: Database) -> Deployment:
    """Whose database it is, once it was claimed."""
    async with db.connection() as conn:
        row = await get_deployment_key_as_system(conn)
    if row is None or row.peer_key is None:
        raise StartupError("the database lost its first row; restore a backup of it")
    return Deployment(row.id, row.peer_key)


@asynccontextmanager
async def database_address(settings: Settings, data: DataDir) -> AsyncIterator[str]:
    """The address of the database; a Postgres of our own is started, and again whenever it dies."""
    if settings.postgres_url is not None:
        yield settings.postgres_url
        return
    postgres = EmbeddedPostgres(data.postgres)
    if Role.API not in settings.roles:
        yield postgres.url
        return
    await _start(postgres)
    try:
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(_keep_alive(postgres))
            try:
                yield postgres.url
            finally:
                keeper.cancel()
    finally:
        await postgres.stop()


async def _start(postgres: EmbeddedPostgres) -> None:
    """Starts our Postgres. Raises StartupError, also for what the file system refuses."""
    try:
        await postgres.start()
    except OSError as error:
        raise StartupError(
            f"the database in {postgres.path} cannot be started: {error.strerror} "
            f"({error.filename}). Look at rights and free space there, then start again."
        ) from error


async def _keep_alive(postgres: EmbeddedPostgres) -> None:
    """Starts our Postgres again whenever it dies under us, and again when it cannot start: a full disk ends it."""
    while True:
        code = await postgres.wait_dead()
        log.error("postgres.died", exit_code=code)
        while True:
            try:
                await postgres.restart()
                break
            except (StartupError, OSError) as error:
                log.error("postgres.not_restarted", cause=str(error), again_in_s=RESTART_S)  # noqa: TRY400 - one line
            await asyncio.sleep(RESTART_S)
        log.info("postgres.restarted")


async def claim(conn: "Connection", settings: Settings, data: DataDir) -> None:
    """Nothing, once the database is this directory's, or this directory one more of it.

    Servers that know nothing of each other would run every task twice. Raises StartupError.
    """
    await claim_deployment_as_system(conn, data.host_id, datetime.now(UTC))
    await give_peer_key_as_system(conn, secrets.token_bytes(PEER_KEY_BYTES))
    deployment = await get_deployment_key_as_system(conn)
    if deployment is None:
        raise StartupError("the database lost its first row; restore a backup of it")
    if deployment.id != data.host_id:
        await _check_join(conn, settings, data, deployment.id)
    await join_host_as_system(conn, data.host_id, os.uname().nodename)


async def _check_join(conn: "Connection", settings: Settings, data: DataDir, owner: UUID) -> None:
    """Nothing where the directory has joined, or may join now. Raises StartupError."""
    if await find_host_as_system(conn, data.host_id) is not None:
        return
    if not settings.join:
        raise StartupError(
            f"the database belongs to another data directory, the one with id {owner}; {data.path} "
            f"has id {data.host_id}. To run this server beside that one, give it --join; else "
            "give it a database of its own. If that other directory is gone "
            f"for good, write its id into {data.path / 'deployment_id'} instead; the files of its "
            "workspaces are lost."
        )
    first = await find_host_as_system(conn, owner)
    if first is not None and not first.seen:
        raise StartupError(
            "the first server of this database was last seen with a release that runs alone. Upgrade it and start "
            "it, then start this one with --join again."
        )


def cannot_be_used(settings: Settings, error: Exception) -> str:
    """What to tell whoever started the server."""
    cause = (isinstance(error, OSError) and error.strerror) or str(error)
    if isinstance(error, TimeoutError):
        cause = "it does not answer"
    if settings.postgres_url is None:
        return f"the server's own database cannot be used: {cause}"
    return (
        f"the database{_place(settings.postgres_url)} cannot be used: {cause}. Check the address, the "
        "password and that it runs (--postgres-url or TASKYARD_POSTGRES_URL)."
    )


def _place(url: str) -> str:
    """Where the address points, without its password; nothing if that cannot be told."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    return f" at {parts.hostname}{port}{parts.path}" if parts.hostname else ""
