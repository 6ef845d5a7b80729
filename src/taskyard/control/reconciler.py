"""The reconciler: compares what should be with what drivers see, and enqueues what is missing.

It keeps nothing between passes but the time it began and what it has told of already, so any number of them may
run anywhere: each write looks again under the workspace's lock, and a workspace has one open repair at most.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, assert_never
from uuid import UUID, uuid4

import anyio.to_thread
import structlog

from taskyard.control import phases
from taskyard.control.audit import Deed, record
from taskyard.control.builds import insert_build
from taskyard.control.excesses import Excesses, how_ended, lost, tell
from taskyard.control.records import Records
from taskyard.control.servers import Absences
from taskyard.control.services import Services
from taskyard.control.transcript import end_observation
from taskyard.db import jobs, records, runs
from taskyard.db.jobs import JobKind
from taskyard.db.pool import ring
from taskyard.db.runs import PlaceRow, WorldRow
from taskyard.drivers.base import Driver, Observation, PlaceState
from taskyard.errors import DatabaseAway, DatabaseBusy, DriverError
from taskyard.lifecycle.job import is_active
from taskyard.lifecycle.plan import (
    Action,
    AutoPause,
    Desired,
    DestroyOrphan,
    Discard,
    Halt,
    Observed,
    Place,
    Remove,
    Repair,
    Rest,
    plan,
)
from taskyard.wire.enums import (
    AuditAction,
    AuditResource,
    BuildReason,
    JobStatus,
    LogLevel,
    LogSource,
    Transition,
)
from taskyard.wire.link import AgentState, StateNews

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

log = structlog.get_logger()

DRIVER_TIMEOUT_S = 30.0
"""Seconds a driver has to say what it holds; one that hangs must not keep the others from being seen."""

DESTROY_TIMEOUT_S = 120.0
"""Seconds a driver has to remove what nobody knows any more."""

JUMP_S = 5.0
"""Seconds by which the clock may go wrong between two looks: more is no drift, somebody set it."""

NEVER = datetime.min.replace(tzinfo=UTC)
"""When the clock jumped that never did."""

LEAST_PAUSE_S = 0.2
"""Seconds between two passes at least, however often links drop."""

FAILED_STARTS = 5
"""Repairs in one stretch of a workspace whose agent never calls: then starting it again is no help."""

STRETCH = timedelta(minutes=10)
"""The time within which FAILED_STARTS repairs are too many."""

AGAIN = timedelta(minutes=1)
"""Time until a driver is asked again for what it failed at, so that one in trouble is not asked all the time."""

GIVING_UP = "Giving up"
"""The stage of the line that says so, once, in the build's log."""


class Reconciler:
    """Looks at the world every few seconds, and at once when a link drops, until cancelled."""

    def __init__(self, services: Services, drivers: Mapping[str, Driver]) -> None:
        self._services = services
        self._drivers = drivers
        self._since = services.now()
        self._jumped_at = NEVER
        self._looked: tuple[datetime, float] | None = None
        self._wake = asyncio.Event()
        self._records = Records(services)
        self._absences = Absences(services)
        self._excesses = Excesses(services, self._stop)
        self._asked: dict[UUID, datetime] = {}
        self._reported: dict[str, set[object]] = {}

    async def run(self) -> None:
        """Reconciles until cancelled; a pass that fails is logged, and the next one comes."""
        async with self._services.doorbell.on("agents", lambda _: self._wake.set()):
            while True:
                self._wake.clear()
                try:
                    await self.reconcile()
                except (DatabaseAway, DatabaseBusy) as error:
                    log.warning("reconcile.no_database", cause=repr(error))
                except Exception:  # the edge: the world is looked at again in a moment
                    log.exception("reconcile.failed")
                await asyncio.sleep(LEAST_PAUSE_S)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._services.settings.reconcile_s):
                        await self._wake.wait()

    async def reconcile(self) -> list[Action]:
        """One pass; returns what it found to be done, whether or not somebody else was faster."""
        now = self._services.now()
        self._watch_clock(now)
        lease = timedelta(seconds=self._services.settings.agent_lease_s)
        # For so long that all agents could be heard by it.
        clock_holds = now - self._jumped_at >= lease
        if clock_holds:
            await self._lapse_agents(now)
        seen = await self._observe()
        async with self._services.db.connection() as conn:
            world = await runs.list_world_as_system(
                conn, self._services.host_id, _held(seen, PlaceState.RUNNING), now=now
            )
            strangers = await runs.list_strangers_as_system(
                conn, self._services.host_id, _held(seen, *PlaceState), looked_at=now
            )
        # In a thread, as thousands of workspaces take a while; none of the loop's, which slow resolvers may hold.
        actions = await anyio.to_thread.run_sync(
            _plan, world, _observed(world, strangers, seen, now), now, self._since
        )
        for action in actions:
            await self._act(action, seen)
        await self._excesses.look(seen)
        await self._absences.look(now)
        if clock_holds:
            await self._records.look(now)
        return actions

    def _watch_clock(self, now: datetime) -> None:
        """Gives agents their whole lease anew once the clock was set, or the machine has slept.

        They could not be heard in hours that never passed; what they are late by is nobody's fault.
        """
        passed = asyncio.get_running_loop().time()
        if self._looked is not None:
            before, at = self._looked
            jump_s = (now - before).total_seconds() - (passed - at)
            if abs(jump_s) > JUMP_S:
                log.warning("clock.jumped", seconds=round(jump_s))
                self._since = self._jumped_at = now
        self._looked = now, passed

    async def _lapse_agents(self, now: datetime) -> None:
        async with self._services.db.transaction() as conn:
            for agent in await runs.lapse_agents(conn, now):
                # The last lease of an agent that was stopped runs out as well; nothing is wrong then.
                say = log.debug if agent.is_ended else log.warning
                say("agent.lease_lapsed", agent_id=str(agent.id))
                await ring(conn, "agent", str(agent.id))

    async def _observe(self) -> dict[str, list[Observation]]:
        """What each driver holds; a driver that does not answer is missing."""
        seen: dict[str, list[Observation]] = {}
        for name, driver in self._drivers.items():
            try:
                async with asyncio.timeout(DRIVER_TIMEOUT_S):
                    seen[name] = list(await driver.list())
            except (DriverError, TimeoutError, OSError) as error:
                log.warning("driver.not_observed", driver=name, exc_info=error)
                continue
            await self._report(name, driver, seen[name])
        return seen

    async def _report(self, name: str, driver: Driver, seen: Iterable[Observation]) -> None:
        """Tells, once while it lasts, of what cannot be read, and of what lies among the workspaces and is not ours."""
        before, now = self._reported.get(name, set()), set[object]()
        for one in seen:
            if one.state is PlaceState.UNKNOWN:
                now.add(one.workspace_id)
                if one.workspace_id not in before:
                    workspace_id = str(one.workspace_id)
                    log.error("workspace.unreadable", workspace_id=workspace_id, cause=one.detail)
        for stray in await _strays(name, driver):
            now.add(stray)
            if stray not in before:
                log.warning("driver.stray", driver=name, what=stray)
        self._reported[name] = now

    def _is_due(self, workspace_id: UUID) -> bool:
        """Whether nobody was asked to remove the orphan for a while, which from now on they were."""
        now = self._services.now()
        self._asked = {key: at for key, at in self._asked.items() if now - at < AGAIN}
        return self._asked.setdefault(workspace_id, now) is now

    async def _act(self, action: Action, seen: Mapping[str, list[Observation]]) -> None:
        match action:
            case Repair():
                await self._repair(action, how_ended(action.workspace_id, seen))
            case Halt():
                await self._tidy(action.workspace_id)
            case DestroyOrphan():
                if not await self._tidy(action.workspace_id):
                    await self._destroy(action.workspace_id, seen)
            case AutoPause():
                await self._pause(action)
            case Rest():
                await self._rest(action)
            case Discard():
                await self._discard(action)
            case Remove():
                await self._remove(action)
            case _:
                assert_never(action)

    async def _repair(self, action: Repair, why: str) -> None:
        """Enqueues a repair of a start, unless something changed since or it is hopeless."""
        now = self._services.now()
        async with self._services.db.transaction() as conn:
            place = await runs.lock_place(conn, action.workspace_id)
            if place is None or place.busy or place.deleted or not _runs(place):
                return
            if place.generation != action.seen_generation:
                return
            failed = await runs.count_failed_starts(
                conn, place.workspace_id, place.build_id, STRETCH
            )
            if failed >= FAILED_STARTS:
                await self._give_up(conn, place, now)
                return
            await runs.set_restarts(conn, place.workspace_id, action.restarts)
            await _enqueue(conn, place, now)
            await lost(conn, place, why, now)
        log.warning(
            "workspace.repaired",
            workspace_id=str(action.workspace_id),
            restarts=action.restarts,
            why=why,
        )

    async def _give_up(self, conn: "Connection", place: PlaceRow, now: datetime) -> None:
        if await runs.has_log_stage(conn, place.job_id, GIVING_UP):
            return
        text = (
            f"The workspace was started {FAILED_STARTS} times again and its agent never reported in. "
            "It is left alone now. Look at the lines above, then pause and resume the task."
        )
        line = (now, LogSource.PROVISIONER_DAEMON, LogLevel.ERROR, GIVING_UP, text)
        await jobs.append_job_logs(conn, place.job_id, [line])
        await end_observation(conn, place.workspace_id, LEFT_ALONE, now)
        await phases.given_up(conn, place.build_id, text, now)
        log.error("workspace.given_up", workspace_id=str(place.workspace_id))

    async def _tidy(self, workspace_id: UUID) -> bool:
        """Enqueues a job that makes the driver's side what the newest build says.

        Returns whether the workspace is known at all. As a job it waits for, and is waited for by,
        every build of the workspace.
        """
        async with self._services.db.transaction() as conn:
            place = await runs.lock_place(conn, workspace_id)
            if place is None:
                return False
            if place.host_id not in (None, self._services.host_id):
                # Somebody copied files from host to host: nothing here may be removed for what is known there.
                log.warning("workspace.elsewhere", workspace_id=str(workspace_id))
                return True
            now = self._services.now()
            failed = await records.get_last_failed_repair(conn, workspace_id)
            if failed is not None and now - failed < AGAIN:
                return True
            if not place.busy and (place.deleted or not _runs(place)):
                await _enqueue(conn, place, now)
                log.warning("workspace.tidied", workspace_id=str(workspace_id))
        return True

    async def _destroy(self, workspace_id: UUID, seen: Mapping[str, list[Observation]]) -> None:
        """Removes what drivers hold of a workspace that was never recorded here."""
        if not self._is_due(workspace_id):
            return
        for name, observations in seen.items():
            if any(o.workspace_id == workspace_id for o in observations):
                log.warning("workspace.orphan", workspace_id=str(workspace_id), driver=name)
                try:
                    async with asyncio.timeout(DESTROY_TIMEOUT_S):
                        await self._drivers[name].destroy(workspace_id)
                except (DriverError, TimeoutError) as error:
                    log.warning("workspace.orphan_stays", exc_info=error)
                else:
                    self._asked.pop(workspace_id, None)

    async def _pause(self, action: AutoPause) -> None:
        """Makes the stop build of a workspace whose deadline still is past."""
        now = self._services.now()
        async with self._services.db.transaction() as conn:
            place = await runs.lock_place(conn, action.workspace_id)
            if place is None or place.deleted or is_active(place.job_status):
                return
            due = place.deadline if _runs(place) else place.tidy_from
            if due is None or due > now:
                return
            await _build(conn, place, Transition.STOP, action.reason, now=now)
            if _runs(place) and place.max_deadline is not None and place.max_deadline <= now:
                text = (
                    "The workspace is stopped: it has run for the whole wall_time of its template."
                )
                await tell(conn, place, text, now)
        log.info("workspace.auto_paused", workspace_id=str(action.workspace_id))

    async def _stop(self, workspace_id: UUID, why: str) -> None:
        """Makes the stop build of a workspace that runs and uses more than it may; its log says why."""
        now = self._services.now()
        async with self._services.db.transaction() as conn:
            place = await runs.lock_place(conn, workspace_id)
            if place is None or place.deleted or place.busy or not _runs(place):
                return
            await _build(conn, place, Transition.STOP, BuildReason.AUTOSTOP, now=now)
            await tell(conn, place, f"The workspace is stopped: {why}.", now)
        log.warning("workspace.too_much", workspace_id=str(workspace_id), why=why)

    async def _rest(self, action: Rest) -> None:
        """Marks a workspace as dormant that still nobody uses, and stops it if it runs."""
        now = self._services.now()
        async with self._services.db.transaction() as conn:
            place = await runs.lock_place(conn, action.workspace_id)
            if place is None or place.deleted or is_active(place.job_status):
                return
            if place.rest_from is None or place.rest_from > now:
                return
            if _runs(place):
                await _build(conn, place, Transition.STOP, BuildReason.DORMANCY, now=now)
            await runs.rest_workspace(conn, place.workspace_id, now)
        log.info("workspace.dormant", workspace_id=str(action.workspace_id))

    async def _discard(self, action: Discard) -> None:
        """Makes the delete build of a workspace that still is dormant."""
        now = self._services.now()
        async with self._services.db.transaction() as conn:
            place = await runs.lock_place(conn, action.workspace_id)
            if place is None or place.deleted or is_active(place.job_status):
                return
            if place.discard_from is None or place.discard_from > now:
                return
            await _build(conn, place, Transition.DELETE, BuildReason.DORMANCY, now=now)
        log.info("workspace.discarded", workspace_id=str(action.workspace_id))

    async def _remove(self, action: Remove) -> None:
        """Makes the delete build of a workspace that nobody sees any more."""
        now = self._services.now()
        async with self._services.db.transaction() as conn:
            place = await runs.lock_place(conn, action.workspace_id)
            if place is None or place.deleted or is_active(place.job_status):
                return
            if place.abandoned_from is None or place.abandoned_from > now:
                return
            await _build(conn, place, Transition.DELETE, BuildReason.INITIATOR, now=now)
        log.warning("workspace.abandoned", workspace_id=str(action.workspace_id))


async def _strays(name: str, driver: Driver) -> Sequence[str]:
    """What the driver finds without a record; nothing where it does not answer."""
    try:
        async with asyncio.timeout(DRIVER_TIMEOUT_S):
            return await driver.strays()
    except (DriverError, TimeoutError, OSError) as error:
        log.warning("driver.not_observed", driver=name, exc_info=error)
        return ()


LEFT_ALONE = StateNews(
    AgentState.FAILED,
    "error",
    reason="The workspace was lost and did not come back. Pause and resume the task.",
)
"""What a coding agent does whose workspace is not started again."""


async def _build(
    conn: "Connection",
    place: PlaceRow,
    transition: Transition,
    reason: BuildReason,
    *,
    now: datetime,
) -> None:
    """A build that nobody asked for, in the name of the workspace's owner."""
    await insert_build(
        conn,
        workspace=place,
        transition=transition,
        reason=reason,
        initiator_id=place.owner_id,
        template_version_id=place.template_version_id,
        preset_id=place.template_version_preset_id,
        parameters=None,
        by_clock=True,
        now=now,
    )
    await record(
        conn,
        None,
        Deed(
            action=AuditAction(transition),
            resource_type=AuditResource.WORKSPACE,
            resource_id=place.workspace_id,
            resource_name=place.workspace_name,
            organization_id=place.organization_id,
            changes={"reason": {"old": None, "new": reason}},
        ),
        now,
    )


async def _enqueue(conn: "Connection", place: PlaceRow, now: datetime) -> None:
    await jobs.enqueue_job(
        conn,
        job_id=uuid4(),
        kind=JobKind.REPAIR,
        organization_id=place.organization_id,
        initiator_id=place.initiator_id,
        file_id=place.file_id,
        template_version_id=None,
        workspace_id=place.workspace_id,
        workspace_build_id=place.build_id,
        now=now,
    )


def _runs(place: PlaceRow) -> bool:
    """Whether the newest build wants the workspace to run."""
    return place.transition is Transition.START and place.job_status is JobStatus.SUCCEEDED


def _desired(row: WorldRow) -> Desired:
    return Desired(
        workspace_id=row.workspace_id,
        transition=row.transition,
        job=row.job_status,
        generation=row.generation,
        settled_at=row.settled_at,
        restarts=row.restarts,
        agent_last_seen=row.agent_last_seen,
        deadline=row.deadline,
        is_task=row.is_task,
        tidy_from=row.tidy_from,
        rest_from=row.rest_from,
        discard_from=row.discard_from,
        abandoned_from=row.abandoned_from,
        takes_room=row.takes_room,
        may_freeze=row.may_freeze,
    )


def _plan(
    world: Iterable[WorldRow], observed: Mapping[UUID, Observed], now: datetime, since: datetime
) -> list[Action]:
    return plan([_desired(row) for row in world], observed, now, listening_since=since)


def _held(seen: Mapping[str, list[Observation]], *states: PlaceState) -> list[UUID]:
    """What drivers hold in one of these states."""
    return [o.workspace_id for found in seen.values() for o in found if o.state in states]


def _observed(
    world: Iterable[WorldRow],
    strangers: set[UUID],
    seen: Mapping[str, list[Observation]],
    at: datetime,
) -> dict[UUID, Observed]:
    """What drivers see of these workspaces, and of those that nobody knows: absent where the driver answered and does
    not know it, or there never was one.

    What a driver cannot read is missing, so that it is left alone.
    """
    rows = {row.workspace_id: row for row in world}
    absent = Observed(Place.ABSENT, 0, at)
    found = {key: absent for key, row in rows.items() if row.driver is None or row.driver in seen}
    wanted = rows.keys() | strangers
    for observations in seen.values():
        for observation in observations:
            if observation.workspace_id not in wanted:
                continue
            if observation.state is PlaceState.UNKNOWN:
                found.pop(observation.workspace_id, None)
                continue
            state = Place(observation.state)
            found[observation.workspace_id] = Observed(state, observation.generation, at)
    return found
