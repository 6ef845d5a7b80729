"""Executors of jobs that change workspaces: start, stop, delete, and bringing back what was lost.

Each may run again after its worker was killed at any line. A try raises the workspace's generation
before it asks the driver, so that only the last try's workspace can stay.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, assert_never
from uuid import UUID, uuid4

import msgspec

from taskyard.config import Settings
from taskyard.control import phases
from taskyard.control.build_record import Started, record_restart, record_start
from taskyard.control.freezing import FROZEN, freeze, wants_frozen
from taskyard.control.job_run import JobRun
from taskyard.control.secrets import check_required
from taskyard.control.transcript import end_observation, snapshot_from_items
from taskyard.control.walls import check_walls
from taskyard.db import jobs, runs
from taskyard.db.builds import list_build_parameters
from taskyard.db.runs import RunRow
from taskyard.drivers.base import Driver, Limits, WorkspaceSpec
from taskyard.errors import DriverError, JobFailed, JobStumbled
from taskyard.lifecycle.repository import plan_repository
from taskyard.lifecycle.template_model import Pause, Template
from taskyard.lifecycle.walls import Wall
from taskyard.wire.enums import JobStatus, LogLevel, LogSource, Transition
from taskyard.wire.link import AgentState, StateNews
from taskyard_agent import points
from taskyard_agent.settings import START_SCRIPT, STOP_GRACE

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

PREPARING = "Preparing workspace"
STARTING = "Starting workspace"
STOPPING = "Stopping workspace"
REMOVING = "Removing workspace"
RECORDING = "Recording result"
RESTARTING = "Restarting workspace"
CLEANING = "Cleaning up"

ENSURE_TIMEOUT_S = 600.0
"""Seconds a driver has to bring a workspace up: enough for one that fetches an image first."""

DRIVER_TIMEOUT_S = 120.0
"""Seconds a driver has for anything else, beside the grace that a stop gives to the agent."""

FORCED_TIMEOUT_S = 20.0
"""Seconds a driver has where a person asked for force: they have waited for it already."""

STOPPED_TEXT = "The workspace is stopped; its files are kept."

STOPPED = StateNews(AgentState.STOPPED, "stopped")
"""What a coding agent does whose workspace is stopped, told for a bridge that was killed before it could."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """A build with its parsed template and the driver that holds its workspace."""

    row: RunRow
    template: Template
    driver: Driver


async def run_build(run: JobRun) -> None:
    """Does a `workspace_build` job: start, stop or delete."""
    run.undo = partial(_clean_up, run)
    row = await _load(run)
    match row.transition:
        case Transition.START:
            await _start(run, row)
        case Transition.STOP:
            run.undo = None
            await _stop(run, row)
        case Transition.DELETE:
            run.undo = None
            await _delete(run, row)
        case _:
            assert_never(row.transition)


async def run_repair(run: JobRun) -> None:
    """Does a `workspace_repair` job: makes the place of a workspace what its newest build says.

    Tried once: the reconciler asks for another where it is still needed.
    """
    try:
        await _repair(run)
    except JobStumbled as error:
        raise JobFailed(str(error)) from error


async def _repair(run: JobRun) -> None:
    row = await _load(run)
    run.log_to = row.job_id
    if not row.newest:
        return
    if row.deleted:
        await _destroy_place(run, row)
    elif row.transition is Transition.START and row.job_status is JobStatus.SUCCEEDED:
        await _restart(run, row)
    else:
        await _stop_place(run, row)
        async with run.fenced() as conn:
            await run.free_room(conn)
            await run.finish(conn, run.services.now())


async def _load(run: JobRun) -> RunRow:
    build_id = run.job.workspace_build_id
    async with run.services.db.connection() as conn:
        row = None if build_id is None else await runs.get_run_as_system(conn, build_id)
    if row is None:
        raise JobFailed(f"internal: build {build_id} of job {run.job.id} does not exist")
    return row


async def _start(run: JobRun, row: RunRow) -> None:
    plan = _plan(run, row)
    await _check_needs(run, plan)
    await check_walls(run, plan.driver, plan.template, PREPARING)
    run.log(LogLevel.INFO, PREPARING, f"Template version {row.template_version_name}.")
    generation, token = await _ensure(run, plan, STARTING)
    now = run.services.now()
    async with run.fenced() as conn:
        await run.hold_workspace(conn)
        run.log(LogLevel.INFO, RECORDING, "The workspace runs; its agent is expected to report in.")
        await runs.end_agents(conn, row.workspace_id, now, but_of_build=row.build_id)
        await runs.set_restarts(conn, row.workspace_id, 0)
        await record_start(conn, Started(row, plan.template, generation, token, now))
        await phases.started(conn, row.build_id, plan.template, now)
        await run.finish(conn, now)
        await points.reached("start.writing", str(row.workspace_id))
    await points.reached("start.recorded", str(row.workspace_id))


async def _check_needs(run: JobRun, plan: _Plan) -> None:
    """Nothing when secrets and repository are as the template wants them; raises JobFailed."""
    async with run.services.db.connection() as conn:
        await check_required(conn, plan.row.build_id, plan.template)
        rows = await list_build_parameters(conn, plan.row.build_id)
    parameters = {row.name: row.value for row in rows}
    try:
        plan_repository(plan.template, parameters, plan.row.workspace_name)
    except ValueError as error:
        raise JobFailed(str(error)) from error


async def _restart(run: JobRun, row: RunRow) -> None:
    plan = _plan(run, row)
    await check_walls(run, plan.driver, plan.template, RESTARTING)
    run.log(LogLevel.WARN, RESTARTING, "The workspace was lost. It is started again.")
    generation, token = await _ensure(run, plan, RESTARTING)
    now = run.services.now()
    async with run.fenced() as conn:
        await run.hold_workspace(conn)
        await record_restart(conn, Started(row, plan.template, generation, token, now))
        await phases.started(conn, row.build_id, plan.template, now)
        await run.finish(conn, now)


async def _stop(run: JobRun, row: RunRow) -> None:
    driver = _driver_of(run, row)
    is_frozen = driver is not None and wants_frozen(row) and await freeze(run, row, driver)
    if not is_frozen:
        await _stop_place(run, row)
    await points.reached("stop.done", str(row.workspace_id))
    now = run.services.now()
    async with run.fenced() as conn:
        await run.hold_workspace(conn)
        await runs.end_agents(conn, row.workspace_id, now)
        if not is_frozen:  # what stands still is as it was: in a turn, waiting for an answer
            await end_observation(conn, row.workspace_id, STOPPED, now)
        await phases.stopped(conn, row.workspace_id, now)
        await _keep_conversation(conn, row, now)
        run.log(LogLevel.INFO, RECORDING, FROZEN if is_frozen else STOPPED_TEXT)
        await run.finish(conn, now)
        if is_frozen:
            await jobs.keep_room(conn, row.workspace_id)
        await points.reached("stop.writing", str(row.workspace_id))
    await points.reached("stop.recorded", str(row.workspace_id))


async def _keep_conversation(conn: "Connection", row: RunRow, now: datetime) -> None:
    """Writes the task's snapshot from its items when our bridge ran and did not upload one.

    Somebody else's server has told us nothing to write. Source: N21.
    """
    if row.task_id is None or row.definition is None:
        return
    if msgspec.json.decode(row.definition, type=Template).bridge_slug is None:
        return
    if not await runs.has_snapshot_since(conn, row.task_id, row.created_at):
        await snapshot_from_items(conn, row.task_id, now)


async def _delete(run: JobRun, row: RunRow) -> None:
    if row.orphan:
        run.log(LogLevel.WARN, REMOVING, "As wished, the driver is not asked to remove anything.")
    elif row.force:
        await _destroy_or_give_up(run, row)
    else:
        await _destroy_place(run, row)
    await points.reached("delete.done", str(row.workspace_id))
    now = run.services.now()
    async with run.fenced() as conn:
        await run.hold_workspace(conn)
        run.log(LogLevel.INFO, RECORDING, "The workspace is no more.")
        await run.finish(conn, now)
        await runs.end_agents(conn, row.workspace_id, now)
        await runs.delete_workspace(conn, row.workspace_id, now)
        await points.reached("delete.writing", str(row.workspace_id))
    await points.reached("delete.recorded", str(row.workspace_id))


async def _stop_place(run: JobRun, row: RunRow) -> None:
    """Ends every process of the workspace, if it ever had any."""
    driver = _driver_of(run, row)
    if driver is None:
        return
    grace_s = 0.0 if row.force else run.services.settings.stop_grace_s
    timeout_s = FORCED_TIMEOUT_S if row.force else DRIVER_TIMEOUT_S
    run.log(LogLevel.INFO, STOPPING, f"The agent has {grace_s:g} s to end by itself.")
    try:
        async with asyncio.timeout(grace_s + timeout_s):
            up_to = await _fenced_generation(run, driver, row)
            await driver.stop(row.workspace_id, grace_s=grace_s, up_to=up_to)
    except (DriverError, TimeoutError) as error:
        raise JobStumbled(_sentence(driver, "stop", error)) from error


async def _fenced_generation(run: JobRun, driver: Driver, row: RunRow) -> int:
    """The generation that may be ended: seen while this try held the job. Raises LeaseLost.

    A worker that froze and lost its job in the meantime finds a later one, and leaves it alone.
    """
    seen = await driver.observe(row.workspace_id)
    async with run.fenced(although_canceled=True):
        return seen.generation


async def _destroy_place(run: JobRun, row: RunRow) -> None:
    """Removes processes and files of the workspace, if it ever had any here."""
    driver = run.drivers.get(row.driver or "")
    if driver is None:
        return
    run.log(LogLevel.INFO, REMOVING, "Processes and files of the workspace are removed.")
    try:
        async with asyncio.timeout(FORCED_TIMEOUT_S if row.force else DRIVER_TIMEOUT_S):
            up_to = await _fenced_generation(run, driver, row)
            await driver.destroy(row.workspace_id, up_to=up_to)
    except (DriverError, TimeoutError) as error:
        raise JobStumbled(_sentence(driver, "remove", error)) from error


async def _destroy_or_give_up(run: JobRun, row: RunRow) -> None:
    """Removes the workspace if its driver can; else only its record goes, and the reconciler removes what is left."""
    try:
        await _destroy_place(run, row)
    except JobStumbled as error:
        text = (
            f"{str(error).removesuffix('.')}. As force was asked for, the record goes without it; "
            "what is left is removed as soon as it can be."
        )
        run.log(LogLevel.WARN, REMOVING, text)


async def _clean_up(run: JobRun) -> bool:
    """Takes back a start that failed or was canceled: no process stays, the files do; whether that is certain."""
    row = await _load(run)
    if row.transition is not Transition.START or row.driver is None:
        return row.transition is Transition.START
    if row.driver not in run.drivers:
        return False
    run.log(LogLevel.INFO, CLEANING, "Whatever was started is stopped.")
    await _stop_place(run, row)
    return True


def _plan(run: JobRun, row: RunRow) -> _Plan:
    """What a start works with; raises JobFailed when the template or its driver cannot be used."""
    if row.definition is None:
        raise JobFailed(
            f"template version {row.template_version_name} was never imported successfully; "
            "push the template again and use the new version"
        )
    template = msgspec.json.decode(row.definition, type=Template)
    name = template.workspace.driver
    if row.driver is not None and row.driver != name:
        raise JobFailed(
            f"this workspace lives in the {row.driver} driver and cannot move to {name}; "
            "create a new task from this template version"
        )
    driver = run.drivers.get(name)
    if driver is None:
        raise JobFailed(_no_driver(run, name))
    return _Plan(row, template, driver)


def _driver_of(run: JobRun, row: RunRow) -> Driver | None:
    """The driver that holds the workspace; None before its first start. Raises JobFailed."""
    if row.driver is None:
        return None
    driver = run.drivers.get(row.driver)
    if driver is None:
        raise JobFailed(_no_driver(run, row.driver))
    return driver


def _no_driver(run: JobRun, name: str) -> str:
    have = ", ".join(sorted(run.drivers)) or "none"
    return (
        f"this server has no workspace driver named {name}, it has: {have}; "
        "change the template, or start the server where the driver works"
    )


async def _ensure(run: JobRun, plan: _Plan, stage: str) -> tuple[int, UUID]:
    """Generation and agent token of the workspace that now runs; raises JobFailed."""
    row = plan.row
    async with run.services.db.connection() as conn:
        files = await runs.get_file_as_system(conn, row.file_id)
        mark = await runs.get_start_mark_as_system(conn, row.build_id)
    if files is None:
        raise JobFailed("internal: the files of the template are gone from the database")
    token = uuid4()
    try:
        async with asyncio.timeout(ENSURE_TIMEOUT_S):
            generation = await _raise_generation(run, plan)
            await points.reached("start.raised", str(row.workspace_id))
            run.log(LogLevel.INFO, stage, f"Generation {generation} in driver {plan.driver.name}.")
            await plan.driver.ensure(
                _spec(
                    plan,
                    generation,
                    token,
                    files,
                    env=_agent_env(run.services.settings),
                    mark=mark,
                ),
                partial(_driver_line, run, stage),
            )
    except (DriverError, TimeoutError) as error:
        raise JobFailed(_sentence(plan.driver, "start", error)) from error
    await points.reached("start.ensured", str(row.workspace_id))
    return generation, token


async def _raise_generation(run: JobRun, plan: _Plan) -> int:
    """A generation above all that were, which only this try uses."""
    row = plan.row
    seen = await plan.driver.observe(row.workspace_id)
    now = run.services.now()
    async with run.fenced() as conn:
        generation = await runs.raise_generation(
            conn,
            row.workspace_id,
            seen=seen.generation,
            driver=plan.driver.name,
            host_id=run.services.host_id,
            now=now,
        )
        await phases.prepared(conn, run.job, now)
    if generation is None:
        raise JobFailed("the workspace was deleted before it could be started")
    return generation


def _agent_env(settings: Settings) -> dict[str, str]:
    """What an agent is told of the server's settings by its environment."""
    return {
        STOP_GRACE: f"{settings.stop_grace_s:g}",
        START_SCRIPT: f"{settings.start_script_s:g}",
    }


def _spec(
    plan: _Plan, generation: int, token: UUID, files: bytes, *, env: dict[str, str], mark: str
) -> WorkspaceSpec:
    """The workspace for its driver. The template's environment travels to scripts in the manifest."""
    wanted = plan.template.workspace
    return WorkspaceSpec(
        workspace_id=plan.row.workspace_id,
        generation=generation,
        hostname=plan.row.workspace_name.lower(),
        agent_token=str(token),
        template_tar=files,
        env=env,
        limits=Limits(
            cpu=wanted.cpu,
            memory_bytes=wanted.memory_bytes,
            processes=wanted.processes,
            disk_bytes=wanted.disk_bytes,
            disk_held=Wall.DISK in wanted.require,
        ),
        freezes=wanted.pause is Pause.FREEZE,
        mark=mark,
        way_out=bool(wanted.ways_out),
        backend=wanted.backend,
        overlay=wanted.overlay,
    )


def _driver_line(run: JobRun, stage: str, level: LogLevel, text: str) -> None:
    run.log(level, stage, text, source=LogSource.PROVISIONER)


def _sentence(driver: Driver, verb: str, error: DriverError | TimeoutError) -> str:
    if isinstance(error, TimeoutError):
        return (
            f"the {driver.name} driver did not {verb} the workspace in time; "
            "see the server's log and the load of the machine, then try again"
        )
    return str(error)
