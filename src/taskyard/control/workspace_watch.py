"""One workspace, looked at again whenever it has changed."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from uuid import UUID

from msgspec import UNSET
from msgspec.structs import replace

from taskyard.control.actors import Who
from taskyard.control.services import Services
from taskyard.control.workspaces import get_workspace
from taskyard.db.jobs import WORKSPACES
from taskyard.wire.base import ZERO_TIME
from taskyard.wire.enums import WorkspaceStatus
from taskyard.wire.workspaces import Workspace, WorkspaceAgent, WorkspaceResource

LOOK_S = 2.0
"""Seconds between looks when nobody rings: a ring may be lost, and some changes ring no bell."""

REST_S = 0.1
"""Seconds between looks at least: programs in a workspace may report hundreds of times a second, and each who
watches would ask the database as often."""

PING_S = 15.0
"""Seconds of silence until a sign of life: proxies give a silent connection up after a minute."""


async def watch_workspace(
    services: Services, who: Who, workspace_id: UUID, *, ping_s: float = PING_S
) -> AsyncGenerator[Workspace | None, None]:
    """The workspace now and after each change, None between as a sign of life, which also comes first.

    Ends once the workspace is deleted. Raises what who raises, NotFound, also when the actor may no longer see
    it, and WorkspaceGone for one that was deleted before. No database connection is held in between. Source: U23.
    """
    changed = asyncio.Event()
    clock = asyncio.get_running_loop().time

    def rung(subject: str) -> None:
        if subject in ("", str(workspace_id)):
            changed.set()

    async with services.doorbell.on(WORKSPACES, rung):
        seen = await get_workspace(
            services, await who(), workspace_id, deleted=False, now=services.now()
        )
        yield None
        yield seen
        told_at = looked_at = clock()
        while seen.latest_build.status is not WorkspaceStatus.DELETED:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(LOOK_S, ping_s)):
                    await changed.wait()
            await asyncio.sleep(looked_at + REST_S - clock())
            changed.clear()
            looked_at = clock()
            fresh = await get_workspace(
                services, await who(), workspace_id, deleted=True, now=services.now()
            )
            if _what_counts(fresh) != _what_counts(seen):
                seen, told_at = fresh, clock()
                yield fresh
            elif clock() - told_at >= ping_s:
                told_at = clock()
                yield None


def _what_counts(workspace: Workspace) -> Workspace:
    """The workspace without what moves all the time: heartbeats, the queue, use that was noticed."""
    build = workspace.latest_build
    return replace(
        workspace,
        last_used_at=ZERO_TIME,
        latest_build=replace(
            build,
            job=replace(build.job, queue_size=0),
            resources=[_resource(resource) for resource in build.resources],
            matched_provisioners=UNSET,
        ),
    )


def _resource(resource: WorkspaceResource) -> WorkspaceResource:
    return replace(resource, agents=[_agent(agent) for agent in resource.agents or []])


def _agent(agent: WorkspaceAgent) -> WorkspaceAgent:
    return replace(agent, last_connected_at=UNSET, updated_at=ZERO_TIME)
