"""How long workspaces run, and whether their owners like to see them first."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from taskyard.control.actors import Actor
from taskyard.control.audit import Deed, deed_of, record
from taskyard.control.services import Services
from taskyard.control.workspaces import visible_workspace
from taskyard.db import builds
from taskyard.db import workspaces as db
from taskyard.db.jobs import WORKSPACES
from taskyard.db.pool import ring
from taskyard.errors import Forbidden, Invalid, RefusedNow, RequestRefused, WorkspaceGone
from taskyard.lifecycle.permissions import Verb, can
from taskyard.lifecycle.workspace import deadline_problem, ttl_problem
from taskyard.wire.enums import AuditAction, AuditResource, JobStatus, Transition

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


async def set_ttl(
    services: Services, actor: Actor, workspace_id: UUID, ttl_ms: int | None, *, now: datetime
) -> None:
    """The workspace runs that long after each start from now on; null or 0 means for ever.

    A start of before keeps its deadline, but loses it when the workspace is to run for ever.
    Raises Invalid, NotFound, WorkspaceGone, Forbidden, RequestRefused. Source: supporting-api 9 row 69.
    """
    problem = ttl_problem(ttl_ms)
    if problem is not None:
        raise Invalid("A field is not valid.", [("ttl_ms", problem)])
    async with services.db.transaction() as conn:
        workspace = await _mine(conn, actor, workspace_id, "change when this workspace stops")
        if not workspace.allow_user_autostop:
            raise RequestRefused(
                "autostop_fixed",
                "The template decides how long its workspaces run.",
                "Ask an administrator of the template.",
            )
        await db.set_ttl(conn, workspace.id, ttl_ms or None, now)
        if not ttl_ms:
            await builds.set_deadline(conn, workspace.build_id, None, now)
        await record(conn, actor, _changed(workspace, "ttl_ms", workspace.ttl_ms, ttl_ms), now)
        await ring(conn, WORKSPACES, str(workspace.id))


async def extend_workspace(
    services: Services, actor: Actor, workspace_id: UUID, deadline: datetime, *, now: datetime
) -> datetime:
    """When the workspace stops by itself now. Source: supporting-api 9 row 69.

    Raises NotFound, WorkspaceGone, Forbidden, RefusedNow unless it runs and has a deadline, Invalid.
    """
    async with services.db.transaction() as conn:
        workspace = await _mine(conn, actor, workspace_id, "change when this workspace stops")
        build = await builds.get_build_as_system(conn, workspace.build_id)
        running = (Transition.START, JobStatus.SUCCEEDED)
        if build is None or (build.transition, build.job_status) != running:
            raise RefusedNow(
                "workspace_not_running",
                "Only a workspace that runs has a time at which it stops.",
                f"This one is {workspace.status}.",
            )
        if build.deadline is None:
            raise RefusedNow(
                "workspace_without_deadline",
                "This workspace does not stop by itself, so there is nothing to extend.",
                "Give it a ttl_ms first, and start it again.",
            )
        problem = deadline_problem(deadline, build.max_deadline, now)
        if problem is not None:
            raise Invalid("A field is not valid.", [("deadline", problem)])
        await builds.set_deadline(conn, build.id, deadline, now)
        old, new = build.deadline.isoformat(), deadline.isoformat()
        await record(conn, actor, _changed(workspace, "deadline", old, new), now)
        await ring(conn, WORKSPACES, str(workspace.id))
    return deadline


async def set_favorite(
    services: Services, actor: Actor, workspace_id: UUID, *, favorite: bool
) -> None:
    """Whether its owner sees the workspace first; raises NotFound, WorkspaceGone, Forbidden for others."""
    async with services.db.transaction() as conn:
        workspace = await _mine(conn, actor, workspace_id, "choose this workspace as a favorite")
        if workspace.owner_id != actor.user_id:
            raise Forbidden("choose another one's favorites")
        await db.set_favorite(conn, workspace.id, favorite=favorite)
        await ring(conn, WORKSPACES, str(workspace.id))


async def _mine(
    conn: "Connection", actor: Actor, workspace_id: UUID, action: str
) -> db.WorkspaceRow:
    """A live workspace that the actor may change; raises NotFound, WorkspaceGone, Forbidden."""
    workspace = await visible_workspace(conn, actor, workspace_id)
    if not can(actor, Verb.WORKSPACE_WRITE, workspace.owner_id, workspace.organization_id):
        raise Forbidden(action)
    if workspace.deleted:
        raise WorkspaceGone(workspace.id)
    return workspace


def _changed(workspace: db.WorkspaceRow, field: str, old: object, new: object) -> Deed:
    changes = {field: {"old": old, "new": new}}
    return deed_of(AuditResource.WORKSPACE, workspace, AuditAction.WRITE, changes)
