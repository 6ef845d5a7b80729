"""Stopping a server by hand: what runs is paused first, so that nothing is left behind."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import asyncpg
import structlog

from taskyard.control.builds import insert_build
from taskyard.control.services import Services
from taskyard.db import runs
from taskyard.db.pool import Database
from taskyard.drivers.base import Driver, Observation, PlaceState
from taskyard.errors import BuildActive, DatabaseAway, DatabaseBusy, DriverError
from taskyard.wire.enums import BuildReason, JobStatus, Transition

log = structlog.get_logger()

POLL_S = 0.05
"""Pause between looks whether the workspaces have stopped."""

CUT_S = 5.0
"""Seconds for a driver to say what it holds, and for each workspace to be ended: both take milliseconds."""

SILENT_S = 2.0
"""Seconds without a word from Postgres until a server that stops counts on it no more; alive, it answers in some
milliseconds."""


async def pause_all(services: Services, *, within_s: float, hurry: asyncio.Event) -> bool:
    """Pauses every running workspace; True once none runs, False after within_s or when told to hurry.

    The workers of this server must still be at work: a pause is a build like any other.
    """
    try:
        async with asyncio.timeout(within_s):
            while not hurry.is_set() and not services.db.is_abandoned:
                try:
                    if not await _pause_running(services):
                        return True
                except (DatabaseAway, DatabaseBusy, asyncpg.PostgresError) as error:
                    log.warning("server.not_pausing", cause=str(error))  # it may come back
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        pass
    return False


@asynccontextmanager
async def counting_on(db: Database) -> AsyncIterator[None]:
    """While the block runs, the database is given up as soon as it does not answer: nothing waits for it then."""
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(_watch(db))
        try:
            yield
        finally:
            watching.cancel()


async def _watch(db: Database) -> None:
    silent = False
    while not silent:
        await asyncio.sleep(SILENT_S / 8)
        silent = await db.is_silent(SILENT_S)
    log.warning("database.given_up", silent_s=SILENT_S)
    db.abandon()


async def stop_what_is_left(drivers: Mapping[str, Driver]) -> int:
    """Ends the processes of workspaces that could not be paused in time; how many there were.

    Their builds still say that they run, so the next start of a server brings them back.
    """
    left = 0
    for driver in drivers.values():
        for seen in await _held_by(driver):
            if seen.state not in (PlaceState.RUNNING, PlaceState.FROZEN):
                continue
            left += 1
            try:
                async with asyncio.timeout(CUT_S):
                    await driver.stop(seen.workspace_id, grace_s=0)
            except (DriverError, TimeoutError) as error:
                log.warning(
                    "workspace.not_stopped", workspace_id=str(seen.workspace_id), cause=repr(error)
                )
    return left


async def _held_by(driver: Driver) -> Sequence[Observation]:
    """What the driver holds; nothing where it does not say so in time."""
    try:
        async with asyncio.timeout(CUT_S):
            return await driver.list()
    except (DriverError, TimeoutError) as error:
        log.warning("driver.not_observed", driver=driver.name, cause=repr(error))
        return ()


async def _pause_running(services: Services) -> int:
    """Starts to pause what runs; how many workspaces are not at rest yet."""
    async with services.db.connection() as conn:
        world = await runs.list_world_as_system(
            conn, services.host_id, active=True, now=services.now()
        )
    restless = 0
    for row in world:
        started = row.transition is Transition.START and row.job_status is JobStatus.SUCCEEDED
        active = row.job_status in (JobStatus.PENDING, JobStatus.RUNNING, JobStatus.CANCELING)
        restless += started or active
        if started:
            await _pause(services, row)
    return restless


async def _pause(services: Services, row: runs.WorldRow) -> None:
    now = services.now()
    reason = BuildReason.TASK_AUTO_PAUSE if row.is_task else BuildReason.AUTOSTOP
    try:
        async with services.db.transaction() as conn:
            place = await runs.lock_place(conn, row.workspace_id)
            if place is None or place.deleted or place.build_id != row.build_id:
                return
            await insert_build(
                conn,
                workspace=place,
                transition=Transition.STOP,
                reason=reason,
                initiator_id=place.owner_id,
                template_version_id=place.template_version_id,
                preset_id=place.template_version_preset_id,
                parameters=None,
                now=now,
            )
    except BuildActive:
        log.info("workspace.busy", workspace_id=str(row.workspace_id))
