"""Builds of workspaces: made, listed, canceled, and what is in them."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from taskyard.control import phases
from taskyard.control.actors import Actor
from taskyard.control.audit import deed_of, record
from taskyard.control.build_create import runs_things
from taskyard.control.build_parts import build_views, load_parts
from taskyard.control.build_timings import timings_view
from taskyard.control.build_view import agent_view, resource_views
from taskyard.control.services import Services
from taskyard.control.viewers import viewer_for
from taskyard.control.workspaces import visible_workspace
from taskyard.db import builds, jobs
from taskyard.db import workspaces as db
from taskyard.db.builds import BuildRow, ParameterRow
from taskyard.errors import (
    Forbidden,
    NotFound,
    RequestRefused,
)
from taskyard.lifecycle.job import is_active
from taskyard.lifecycle.permissions import Verb, can
from taskyard.wire import workspace_details as details
from taskyard.wire import workspaces as wire
from taskyard.wire.enums import (
    AuditAction,
    AuditResource,
    JobStatus,
)
from taskyard.wire.workspace_requests import ListBuildsQuery

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


async def list_builds(
    services: Services, actor: Actor, workspace_id: UUID, query: ListBuildsQuery, *, now: datetime
) -> list[wire.WorkspaceBuild]:
    """Builds of a workspace, newest first. Raises NotFound, RequestRefused. Source: U15."""
    async with services.db.connection() as conn:
        await visible_workspace(conn, actor, workspace_id)
        rows = await builds.list_builds(
            conn,
            workspace_id,
            since=query.since,
            below=await _number(conn, workspace_id, query.after_id),
            limit=query.limit or None,
            offset=query.offset,
        )
        return await build_views(conn, rows, now)


async def _number(conn: "Connection", workspace_id: UUID, build_id: UUID | None) -> int | None:
    """The number of a build of this workspace, null for none; raises RequestRefused when it is not one."""
    if build_id is None:
        return None
    build = await builds.get_build_as_system(conn, build_id)
    if build is None or build.workspace_id != workspace_id:
        raise RequestRefused(
            "after_id_unknown",
            f"This workspace has no build {build_id}.",
            "Give the id of the last build that you have in after_id.",
        )
    return build.build_number


async def get_build(
    services: Services, actor: Actor, build_id: UUID, now: datetime
) -> wire.WorkspaceBuild:
    """A build with everything below it; raises NotFound."""
    async with services.db.connection() as conn:
        row = await visible_build(conn, actor, build_id)
        [view] = await build_views(conn, [row], now)
    return view


async def visible_build(conn: "Connection", actor: Actor, build_id: UUID) -> BuildRow:
    """A build that the actor may see; raises NotFound."""
    row = await builds.get_build(conn, viewer_for(actor, Verb.WORKSPACE_READ), build_id)
    if row is None:
        raise NotFound(f"build {build_id}")
    return row


async def job_of_build(services: Services, actor: Actor, build_id: UUID) -> UUID:
    """The id of a build's job; raises NotFound."""
    async with services.db.connection() as conn:
        return (await visible_build(conn, actor, build_id)).job_id


async def cancel_build(
    services: Services, actor: Actor, build_id: UUID, expected: JobStatus | None, *, now: datetime
) -> None:
    """Cancels a build that nobody has begun, asks the worker of another. Source: U19, U20.

    expected: nothing is done unless the job is in this status. Raises NotFound, Forbidden,
    JobStatusUnexpected, JobCompleted, JobCancelRequested.
    """
    async with services.db.transaction() as conn:
        build = await visible_build(conn, actor, build_id)
        workspace = await visible_workspace(conn, actor, build.workspace_id)
        if not _may_cancel(actor, workspace):
            raise Forbidden("cancel builds of this template")
        after = await jobs.cancel_job(conn, build.job_id, now, expected=expected)
        if after is JobStatus.CANCELED:
            await phases.canceled_in_queue(conn, build_id, now)
        changes = {f"build {build.build_number}": {"old": build.job_status, "new": after}}
        deed = deed_of(AuditResource.WORKSPACE, workspace, AuditAction.WRITE, changes)
        await record(conn, actor, deed, now)


def _may_cancel(actor: Actor, workspace: db.WorkspaceRow) -> bool:
    """Administrators may; owners of the workspace where the template allows it. Source: supporting-api 10 row 71."""
    if runs_things(actor, workspace):
        return True
    writes = can(actor, Verb.WORKSPACE_WRITE, workspace.owner_id, workspace.organization_id)
    return writes and workspace.allow_user_cancel_workspace_jobs


async def list_parameters(services: Services, actor: Actor, build_id: UUID) -> list[ParameterRow]:
    """The parameter values of a build, by name; raises NotFound."""
    async with services.db.connection() as conn:
        await visible_build(conn, actor, build_id)
        return await builds.list_build_parameters(conn, build_id)


async def list_resources(
    services: Services, actor: Actor, build_id: UUID, now: datetime
) -> list[wire.WorkspaceResource]:
    """What the job of a build made; raises NotFound, RequestRefused while it is not over."""
    async with services.db.connection() as conn:
        build = await visible_build(conn, actor, build_id)
        if is_active(build.job_status):
            raise RequestRefused(
                "job_not_finished",
                "The job of this build is not over yet.",
                "Ask again when its status is neither pending, running nor canceling.",
            )
        return resource_views(build_id, await load_parts(conn, [build_id]), now)


async def get_agent(
    services: Services, actor: Actor, agent_id: UUID, now: datetime
) -> wire.WorkspaceAgent:
    """A workspace agent with its apps; raises NotFound."""
    async with services.db.connection() as conn:
        found = await visible_agent(conn, actor, agent_id)
        parts = await load_parts(conn, [found.build_id])
    for agent in (agent for below in parts.agents.values() for agent in below):
        if agent.id == agent_id:
            return agent_view(agent, parts, now)
    raise NotFound(f"agent {agent_id}")


async def visible_agent(conn: "Connection", actor: Actor, agent_id: UUID) -> db.AgentOfBuildRow:
    """An agent that the actor may see, with its build; raises NotFound."""
    row = await db.get_agent(conn, viewer_for(actor, Verb.WORKSPACE_READ), agent_id)
    if row is None:
        raise NotFound(f"agent {agent_id}")
    return row


async def get_build_by_number(
    services: Services, actor: Actor, workspace_id: UUID, number: int, *, now: datetime
) -> wire.WorkspaceBuild:
    """The build of that number of a workspace; raises NotFound."""
    async with services.db.connection() as conn:
        await visible_workspace(conn, actor, workspace_id)
        row = await builds.get_build_by_number(conn, workspace_id, number)
        if row is None:
            raise NotFound(f"build {number}")
        [view] = await build_views(conn, [row], now)
    return view


async def get_timings(
    services: Services, actor: Actor, build_id: UUID
) -> details.WorkspaceBuildTimings:
    """Where the time of a build went, as far as it has come; raises NotFound."""
    async with services.db.connection() as conn:
        build = await visible_build(conn, actor, build_id)
        return timings_view(build, await load_parts(conn, [build_id]))


async def require_build(services: Services, actor: Actor, build_id: UUID) -> None:
    """Nothing when the actor may see the build; raises NotFound."""
    async with services.db.connection() as conn:
        await visible_build(conn, actor, build_id)


async def require_agent(services: Services, actor: Actor, agent_id: UUID) -> None:
    """Nothing when the actor may see the agent; raises NotFound."""
    async with services.db.connection() as conn:
        await visible_agent(conn, actor, agent_id)
