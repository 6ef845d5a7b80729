"""Stopping a server by hand: what runs is paused first, so that nothing is left behind."""

import asyncio
from collections.abc import Mapping

import structlog

from taskyard.control.builds import insert_build
from taskyard.control.services import Services
from taskyard.db import runs
from taskyard.drivers.base import Driver, PlaceState
from taskyard.errors import BuildActive, DriverError
from taskyard.wire.enums import BuildReason, JobStatus, Transition

log = structlog.get_logger()

POLL_S = 0.05
"""Pause between looks whether the workspaces have stopped."""


async def pause_all(services: Services, *, within_s: float, hurry: asyncio.Event) -> bool:
    """Pauses every running workspace; True once none runs, False after within_s or when told to hurry.

    The workers of this server must still be at work: a pause is a build like any other.
    """
    try:
        async with asyncio.timeout(within_s):
            while not hurry.is_set():
                running = await _pause_running(services)
                if not running:
                    return True
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        pass
    return False


async def stop_what_is_left(drivers: Mapping[str, Driver]) -> int:
    """Ends the processes of workspaces that could not be paused in time; how many there were.

    Their builds still say that they run, so the next start of a server brings them back.
    """
    left = 0
    for driver in drivers.values():
        for seen in await driver.list():
            if seen.state is not PlaceState.RUNNING:
                continue
            left += 1
            try:
                await driver.stop(seen.workspace_id, grace_s=0)
            except DriverError as error:
                log.warning(
                    "workspace.not_stopped", workspace_id=str(seen.workspace_id), cause=str(error)
                )
    return left


async def _pause_running(services: Services) -> int:
    """Starts to pause what runs; how many workspaces are not at rest yet."""
    async with services.db.connection() as conn:
        world = await runs.list_world_as_system(conn, services.host_id)
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
