"""Logs of jobs and of workspace agents: read at once, or followed until nothing more can come."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from uuid import UUID

from taskyard.control.actors import Actor, Who
from taskyard.control.build_view import agent_log_views, job_log_views
from taskyard.control.services import Services
from taskyard.control.workspace_builds import visible_agent
from taskyard.db import jobs
from taskyard.db import workspaces as db
from taskyard.wire import workspaces as wire

POLL_S = 0.3
"""Seconds between looks at a log that is followed: lines ring no bell, people watch them come."""


async def list_job_logs(
    services: Services, job_id: UUID, after: int
) -> list[wire.ProvisionerJobLog]:
    """Lines of a job's log behind an id; the caller has checked that the job is visible."""
    async with services.db.connection() as conn:
        return job_log_views(await jobs.list_job_logs(conn, job_id, after))


async def follow_job_logs(
    services: Services, who: Who, job_id: UUID, after: int
) -> AsyncIterator[list[wire.ProvisionerJobLog]]:
    """Lines of a job's log behind an id, as they come; ends once the job is over and all was given.

    A batch may be empty: the first comes at once, so that a connection is not kept waiting for a line.
    Raises what who raises, which is asked whether the reader is still let in. Whether the job is over is asked before its lines are read, so none is missed. Source: U17, C6.
    """
    changed = asyncio.Event()

    def rung(subject: str) -> None:
        if subject in ("", str(job_id)):
            changed.set()

    async with services.doorbell.on(jobs.JOBS, rung):
        while True:
            changed.clear()
            await who()
            async with services.db.connection() as conn:
                over = await db.is_job_over_as_system(conn, job_id)
                rows = await jobs.list_job_logs(conn, job_id, after)
            if rows:
                after = rows[-1].id
            yield job_log_views(rows)
            if over:
                return
            await _wait(changed)


async def list_agent_logs(
    services: Services, actor: Actor, agent_id: UUID, *, after: int, before: int | None
) -> list[wire.WorkspaceAgentLog]:
    """Lines of an agent's log between two ids; raises NotFound."""
    async with services.db.connection() as conn:
        await visible_agent(conn, actor, agent_id)
        return agent_log_views(await db.list_agent_logs(conn, agent_id, after=after, before=before))


async def follow_agent_logs(
    services: Services, who: Who, agent_id: UUID, *, after: int, before: int | None
) -> AsyncIterator[list[wire.WorkspaceAgentLog]]:
    """Lines of an agent's log, as they come; ends once a later build has taken the agent's place.

    A batch may be empty; the first comes at once. Raises what who raises, and NotFound, also when the actor may no longer see the agent.
    """
    changed = asyncio.Event()

    def rung(subject: str) -> None:
        if subject in ("", str(agent_id)):
            changed.set()

    async with services.doorbell.on("agent-logs", rung):
        while True:
            changed.clear()
            actor = await who()
            async with services.db.connection() as conn:
                agent = await visible_agent(conn, actor, agent_id)
                rows = await db.list_agent_logs(conn, agent_id, after=after, before=before)
            if rows:
                after = rows[-1].id
            yield agent_log_views(rows)
            if agent.newest_build_id != agent.build_id and agent.newest_settled:
                return
            await _wait(changed)


def as_text(logs: Iterable[wire.ProvisionerJobLog]) -> bytes:
    """Log lines for people: time, level, stage and what was said."""
    return "".join(
        f"{line.created_at:%Y-%m-%dT%H:%M:%S}Z [{line.log_level}] {line.stage}: {line.output}\n"
        for line in logs
    ).encode()


async def _wait(changed: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(POLL_S):
            await changed.wait()
