"""The database of a server: its own Postgres or one of the user's, migrated, and claimed for one data directory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit

import asyncpg
import structlog

from taskyard.config import Role, Settings
from taskyard.daemon.datadir import DataDir
from taskyard.daemon.postgres import EmbeddedPostgres
from taskyard.db.deployment import claim_deployment_as_system, get_deployment_as_system
from taskyard.db.migrate import migrate
from taskyard.db.pool import Database
from taskyard.errors import StartupError

log = structlog.get_logger()


@asynccontextmanager
async def open_database(settings: Settings, data: DataDir) -> AsyncIterator[Database]:
    """The database, ready for use; a Postgres of our own lives as long as the block.

    Raises StartupError.
    """
    async with _address(settings, data) as url:
        db = Database(url)
        try:
            await migrate(url)
            await db.open()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            raise StartupError(_cannot_be_used(settings, error)) from error
        try:
            await _claim(db, data)
            yield db
        finally:
            await db.close()


@asynccontextmanager
async def _address(settings: Settings, data: DataDir) -> AsyncIterator[str]:
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
    """Starts our Postgres again whenever it dies under us."""
    while True:
        code = await postgres.wait_dead()
        log.error("postgres.died", exit_code=code)
        await postgres.restart()
        log.info("postgres.restarted")


async def _claim(db: Database, data: DataDir) -> None:
    """Nothing, once the database is this directory's; servers beside each other would run every task twice.

    Raises StartupError where it is another's.
    """
    async with db.transaction() as conn:
        await claim_deployment_as_system(conn, data.deployment_id, datetime.now(UTC))
        owner = await get_deployment_as_system(conn)
    if owner != data.deployment_id:
        raise StartupError(
            f"the database belongs to another data directory, the one with id {owner}; {data.path} "
            f"has id {data.deployment_id}. Give this server a database of its own. If that other "
            f"directory is gone for good, write its id into {data.path / 'deployment_id'} instead; "
            "the files of its workspaces are lost."
        )


def _cannot_be_used(settings: Settings, error: Exception) -> str:
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
