"""Builds of workspaces: made, listed, canceled, and what is in them."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from taskyard.control.actors import Actor
from taskyard.control.build_parts import build_views, load_parts
from taskyard.control.build_view import agent_view, resource_views
from taskyard.control.builds import insert_build
from taskyard.control.services import Services
from taskyard.control.template_use import (
    check_import,
    get_version,
    parameter_values,
    preset_parameters,
)
from taskyard.control.viewers import viewer_for
from taskyard.control.workspaces import visible_workspace
from taskyard.db import builds, jobs
from taskyard.db import workspaces as db
from taskyard.db.builds import BuildRow, ParameterRow
from taskyard.errors import (
    Forbidden,
    JobStatusUnexpected,
    NotFound,
    RefusedNow,
    RequestRefused,
    VersionArchived,
)
from taskyard.lifecycle.job import is_active
from taskyard.lifecycle.permissions import Verb, can
from taskyard.wire import workspaces as wire
from taskyard.wire.enums import BuildReason, JobStatus, Transition

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


@dataclass(frozen=True, slots=True)
class BuildPage:
    """Which builds to list: made since, older than a build, at most limit; null means any."""

    since: datetime | None
    after_id: UUID | None
    limit: int | None
    offset: int


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What a person wants built. version_id null: that of the build before. values: by parameter."""

    transition: Transition
    reason: BuildReason
    version_id: UUID | None
    preset_id: UUID | None
    values: dict[str, str]


async def create_build(
    services: Services, actor: Actor, workspace_id: UUID, wanted: BuildRequest, *, now: datetime
) -> wire.WorkspaceBuild:
    """The new build of a workspace. Source: supporting-api 9 row 68, U16, U21.

    Raises NotFound, RefusedNow, Forbidden, RequestRefused, VersionArchived, VersionImporting,
    ParametersInvalid, BuildActive.
    """
    async with services.db.transaction() as conn:
        workspace = await visible_workspace(conn, actor, workspace_id)
        if workspace.deleted:
            raise RefusedNow(
                "workspace_deleted",
                "This workspace was deleted; nothing of it can be built.",
                "Create a new one.",
            )
        if not can(actor, Verb.WORKSPACE_WRITE, workspace.owner_id, workspace.organization_id):
            raise Forbidden(f"{wanted.transition} this workspace")
        values = await _values(conn, actor, workspace, wanted)
        build = await insert_build(
            conn,
            workspace=workspace,
            transition=wanted.transition,
            reason=wanted.reason,
            initiator_id=actor.user_id,
            template_version_id=wanted.version_id or workspace.template_version_id,
            preset_id=wanted.preset_id,
            parameters=values,
            now=now,
        )
        [view] = await build_views(conn, [build], now)
    return view


async def _values(
    conn: "Connection", actor: Actor, workspace: db.WorkspaceRow, wanted: BuildRequest
) -> dict[str, str] | None:
    """The parameter values of a build; null keeps those of the build before, as every stop does."""
    if wanted.version_id is None and not wanted.values and wanted.preset_id is None:
        return None
    version = await get_version(conn, actor, wanted.version_id or workspace.template_version_id)
    if version.template_id != workspace.template_id:
        raise RequestRefused(
            "template_version_foreign",
            "This template version belongs to another template.",
            f"Give a version of the template {workspace.template_name}.",
        )
    if version.archived:
        raise VersionArchived
    template = check_import(version)
    preset = await preset_parameters(conn, version.id, wanted.preset_id)
    if wanted.transition is not Transition.START:
        return None
    before = await builds.list_build_parameters(conn, workspace.build_id)
    return parameter_values(template, preset | wanted.values, {p.name: p.value for p in before})


async def list_builds(
    services: Services, actor: Actor, workspace_id: UUID, page: BuildPage, *, now: datetime
) -> list[wire.WorkspaceBuild]:
    """Builds of a workspace, newest first. Raises NotFound, RequestRefused. Source: U15."""
    async with services.db.connection() as conn:
        await visible_workspace(conn, actor, workspace_id)
        rows = await builds.list_builds(
            conn,
            workspace_id,
            since=page.since,
            below=await _number(conn, workspace_id, page.after_id),
            limit=page.limit,
            offset=page.offset,
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
        if expected is not None and build.job_status is not expected:
            raise JobStatusUnexpected(expected, build.job_status)
        await jobs.cancel_job(conn, build.job_id, now)


def _may_cancel(actor: Actor, workspace: db.WorkspaceRow) -> bool:
    """Administrators may; owners of the workspace where the template allows it. Source: supporting-api 10 row 71."""
    if actor.is_owner or workspace.organization_id in actor.admin_of:
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
