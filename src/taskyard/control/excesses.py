"""Workspaces that use more than they may: what their owners are told, and which are stopped.

The kernel ends single processes whose workspace has no memory left; a compiler that dies so gives the coding agent an
error, and everybody else can read here why. Where it was the coding agent itself, that is why the task failed.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.control import phases
from taskyard.control.services import Services
from taskyard.control.transcript import append_server_item
from taskyard.db import jobs, runs
from taskyard.db import observed as observed_db
from taskyard.db import phases as phases_db
from taskyard.db.runs import PlaceRow
from taskyard.drivers.base import Observation, PlaceState
from taskyard.wire.enums import LogLevel, LogSource
from taskyard.wire.link import AgentState, ItemKind, StateNews

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

LIMITS = "Limits"
"""The stage of lines in a build's log that tell of them."""

OUT_OF_MEMORY = "out of memory"
"""How drivers begin to say why, where it was that."""

LOOKS = 10
"""Passes for which a coding agent that failed is given the reason: its end comes over the link, often after ours."""

Stop = Callable[[UUID, str], Awaitable[None]]
"""Makes the stop build of a workspace, for the reason given."""


class _Trouble(msgspec.Struct, frozen=True):
    """An item of kind error."""

    level: str
    message: str


class Excesses:
    """Compares what drivers see with what was told; one per reconciler."""

    def __init__(self, services: Services, stop: Stop) -> None:
        self._services = services
        self._stop = stop
        self._told: dict[tuple[UUID, int], int] = {}
        self._crowded: set[tuple[UUID, int]] = set()
        self._fresh: dict[UUID, int] = {}

    async def look(self, seen: Mapping[str, Iterable[Observation]]) -> None:
        """Tells of kills that are new, and stops what uses too much."""
        running = [o for held in seen.values() for o in held if o.state is PlaceState.RUNNING]
        before = self._told
        self._told = {(o.workspace_id, o.generation): o.memory_kills for o in running}
        for one in running:
            if one.memory_kills > before.get((one.workspace_id, one.generation), 0):
                text = f"A process was ended: {one.memory} ({one.memory_kills} since the start)."
                if await self._tell(one, str(one.memory_kills), text):
                    self._fresh[one.workspace_id] = LOOKS
            if one.processes:
                await self._tell_crowd(one)
            if one.workspace_id in self._fresh:
                await self._explain(one)
            if one.too_much:
                await self._stop(one.workspace_id, one.too_much)

    async def _tell_crowd(self, seen: Observation) -> None:
        """Says once of a start that a process could not be made; a fork bomb is refused thousands."""
        self._crowded &= self._told.keys()
        key = (seen.workspace_id, seen.generation)
        if key not in self._crowded:
            text = (
                f"A process could not be made: {seen.processes}. What needs more may have failed."
            )
            await self._tell(seen, "processes", text)
            self._crowded.add(key)

    async def _tell(self, seen: Observation, what: str, text: str) -> bool:
        """Whether it was told now: once, whichever server saw it first, and also after this one was started again."""
        now = self._services.now()
        async with self._services.db.transaction() as conn:
            place = await runs.lock_place(conn, seen.workspace_id)
            if place is None or place.deleted or place.generation != seen.generation:
                return False
            stage = f"{LIMITS} ({seen.generation}.{what})"
            if await runs.has_log_stage(conn, place.job_id, stage):
                return False
            await tell(conn, place, text, now, stage=stage)
        return True

    async def _explain(self, seen: Observation) -> None:
        """Says of a coding agent that failed since why it did."""
        left = self._fresh.pop(seen.workspace_id) - 1
        async with self._services.db.transaction() as conn:
            place = await runs.lock_place(conn, seen.workspace_id)
            task = await observed_db.get_task_of_workspace_as_system(conn, seen.workspace_id)
            if task is None or place is None or place.generation != seen.generation:
                return
            stored = await observed_db.get_observation_as_system(conn, task.task_id)
            if stored.state is AgentState.FAILED and OUT_OF_MEMORY not in (stored.reason or ""):
                news = StateNews(AgentState.FAILED, stored.session or "error", reason=seen.memory)
                await append_server_item(
                    conn, seen.workspace_id, ItemKind.STATE, news, now=self._services.now()
                )
            if stored.state is AgentState.FAILED:
                await phases_db.explain_agent_exit_as_system(conn, place.build_id, seen.memory)
            if left > 0:  # its bridge may still have something to say of that end
                self._fresh[seen.workspace_id] = left


async def tell(
    conn: "Connection", place: PlaceRow, text: str, now: datetime, *, stage: str = LIMITS
) -> None:
    """Puts a sentence into the log of the workspace's build, and into the task's transcript if it has one."""
    line = (now, LogSource.PROVISIONER_DAEMON, LogLevel.ERROR, stage, text)
    await jobs.append_job_logs(conn, place.job_id, [line])
    trouble = _Trouble("error", text)
    await append_server_item(conn, place.workspace_id, ItemKind.ERROR, trouble, now=now)


async def lost(conn: "Connection", place: PlaceRow, why: str, now: datetime) -> None:
    """Notes that a workspace has to be started again, and how it ended; its owner is told where that was for memory."""
    await phases.lost(conn, place.workspace_id, place.build_id, now, why=why)
    if OUT_OF_MEMORY in why:
        await tell(conn, place, f"The workspace is started again, as it ended: {why}.", now)


def how_ended(workspace_id: UUID, seen: Mapping[str, Iterable[Observation]]) -> str:
    """How a workspace ended, as its driver says; empty where none knows."""
    found = (o for held in seen.values() for o in held if o.workspace_id == workspace_id)
    return next((o.detail for o in found if o.state is PlaceState.STOPPED), "")
