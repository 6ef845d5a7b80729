"""What the database holds that contradicts itself, or waits for what has ended: one look, part of a reconciler's pass.

Each statement finds and repairs in one go, so that any number of servers may look at once.
"""

from datetime import datetime, timedelta
from uuid import UUID

import structlog

from taskyard.control.agents import HEARTBEATS_PER_LEASE
from taskyard.control.services import Services
from taskyard.db import jobs, runs
from taskyard.db import records as db
from taskyard.db.pool import ring
from taskyard.wire.enums import LogLevel, LogSource

log = structlog.get_logger()

SILENT = timedelta(seconds=25)
"""Time until an agent that never called is spoken of: some hundred times what it takes, and within half a minute."""

MISSED_HEARTBEATS = 2
"""Heartbeats that an agent must have missed before its server's death counts: it may have called another."""

WAITING = "Waiting for agent"
"""The stage of the line that says, once, that an agent did not call."""

LOST_BUILD = "internal: the build of this job was settled without it"
"""The error of a job whose build says that it is over."""


class Records:
    """Looks after the records; remembers what it reported, so that each is told of once."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._told: set[UUID] = set()

    async def look(self, now: datetime) -> None:
        """Sets right what can be, and reports the rest."""
        await self._repair(now)
        await self._report_prompts(now)
        await self._report_silent(now)

    async def _repair(self, now: datetime) -> None:
        lease = timedelta(seconds=self._services.settings.agent_lease_s)
        silent_since = now - lease * MISSED_HEARTBEATS / HEARTBEATS_PER_LEASE
        async with self._services.db.transaction() as conn:
            for build_id in await db.settle_builds_of_ended_jobs(conn, now):
                log.warning("build.settled_late", build_id=str(build_id))
            for job_id in await db.end_jobs_of_settled_builds(conn, LOST_BUILD, now):
                log.warning("job.without_build", job_id=str(job_id))
                await ring(conn, jobs.JOBS, str(job_id))
            for agent_id in await db.free_agents_of_dead_servers(conn, silent_since, now):
                log.warning("agent.server_gone", agent_id=str(agent_id))
                await ring(conn, "agent", str(agent_id))
            for task_id in await db.close_permissions_of_ended_starts(conn, now):
                log.warning("permission.closed_late", task_id=str(task_id))
                await ring(conn, "task", str(task_id))

    async def _report_prompts(self, now: datetime) -> None:
        async with self._services.db.connection() as conn:
            stuck = await db.list_stuck_prompts_as_system(conn, now - SILENT)
        for prompt in stuck:
            if prompt.id not in self._told:
                log.warning("prompt.stuck", prompt_id=str(prompt.id), task_id=str(prompt.task_id))
        self._told = {prompt.id for prompt in stuck}

    async def _report_silent(self, now: datetime) -> None:
        host_id = self._services.host_id
        async with self._services.db.connection() as conn:
            silent = await db.list_silent_agents_as_system(conn, host_id, now - SILENT, WAITING)
        for workspace_id in silent:
            await self._tell(workspace_id, now)

    async def _tell(self, workspace_id: UUID, now: datetime) -> None:
        """Says in the build's log that the agent has not called, once whoever looks."""
        lease_s = self._services.settings.agent_lease_s
        text = (
            f"The workspace runs, but its agent has not called for {SILENT.total_seconds():g} s. "
            f"If it does not within {lease_s:g} s of its start, the workspace is started again."
        )
        async with self._services.db.transaction() as conn:
            place = await runs.lock_place(conn, workspace_id)
            if place is None or await runs.has_log_stage(conn, place.job_id, WAITING):
                return
            line = (now, LogSource.PROVISIONER_DAEMON, LogLevel.WARN, WAITING, text)
            await jobs.append_job_logs(conn, place.job_id, [line])
        log.warning("agent.silent", workspace_id=str(workspace_id))
