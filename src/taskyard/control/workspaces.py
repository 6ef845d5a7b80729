"""Workspaces, one by one, each with its newest build."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from taskyard.control.actors import Actor
from taskyard.control.build_parts import build_views
from taskyard.control.build_view import app_status_view
from taskyard.control.services import Services
from taskyard.control.viewers import viewer_for
from taskyard.control.workspace_view import workspace_view
from taskyard.db import workspaces as db
from taskyard.errors import NotFound, WorkspaceGone
from taskyard.lifecycle.permissions import Verb
from taskyard.wire import workspaces as wire

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


async def get_workspace(
    services: Services, actor: Actor, workspace_id: UUID, *, deleted: bool, now: datetime
) -> wire.Workspace:
    """A workspace with its newest build; deleted: also one that was deleted. Source: U14.

    Raises NotFound, WorkspaceGone.
    """
    async with services.db.connection() as conn:
        row = await visible_workspace(conn, actor, workspace_id)
        if row.deleted and not deleted:
            raise WorkspaceGone(row.id)
        [view] = await workspace_views(conn, [row], now)
    return view


async def get_workspace_by_name(
    services: Services, actor: Actor, owner_id: UUID, name: str, *, deleted: bool
) -> UUID:
    """The id of an owner's workspace of this name, of a deleted one only when asked; raises NotFound."""
    viewer = viewer_for(actor, Verb.WORKSPACE_READ)
    async with services.db.connection() as conn:
        row = await db.get_workspace_by_name(conn, viewer, owner_id, name, deleted=deleted)
    if row is None:
        raise NotFound(f"workspace {name}")
    return row.id


async def workspace_views(
    conn: "Connection", rows: Sequence[db.WorkspaceRow], now: datetime
) -> list[wire.Workspace]:
    """Workspaces with their newest builds, in their given order. Source: S9."""
    found = await db.list_builds_by_id(conn, [row.build_id for row in rows])
    views = {view.id: view for view in await build_views(conn, found, now)}
    reports = await db.list_newest_app_statuses(conn, [row.id for row in rows])
    newest = {report.workspace_id: app_status_view(report) for report in reports}
    return [workspace_view(row, views[row.build_id], newest.get(row.id)) for row in rows]


async def require_visible(services: Services, actor: Actor, workspace_id: UUID) -> None:
    """Nothing when the actor may see the workspace, deleted or not; raises NotFound."""
    async with services.db.connection() as conn:
        await visible_workspace(conn, actor, workspace_id)


async def visible_workspace(
    conn: "Connection", actor: Actor, workspace_id: UUID
) -> db.WorkspaceRow:
    """A workspace, deleted or not, that the actor may see; raises NotFound."""
    viewer = viewer_for(actor, Verb.WORKSPACE_READ)
    row = await db.get_workspace(conn, viewer, workspace_id)
    if row is None:
        raise NotFound(f"workspace {workspace_id}")
    return row
