"""The list of workspaces: its query and its pages."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from taskyard.control.actors import Actor
from taskyard.control.search import Search
from taskyard.control.services import Services
from taskyard.control.viewers import viewer_for
from taskyard.control.workspace_view import agents_of
from taskyard.control.workspaces import workspace_views
from taskyard.db import workspaces as db
from taskyard.lifecycle.permissions import Verb
from taskyard.wire import workspaces as wire
from taskyard.wire.enums import AgentStatus, WorkspaceStatus
from taskyard.wire.workspace_requests import ListWorkspacesQuery

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

KEYS = (
    "owner",
    "template",
    "name",
    "status",
    "organization",
    "has-agent",
    "dormant",
    "has-ai-task",
    "healthy",
    "last_used_after",
    "last_used_before",
)
"""What a search for workspaces may name. Source: supporting-api 9 row 61."""

Check = Callable[[wire.Workspace], bool]


@dataclass(frozen=True, slots=True)
class _Search:
    """A query: what the database decides, and what is seen only once a workspace is put together."""

    only: db.WorkspaceFilter
    checks: list[Check]


async def list_workspaces(
    services: Services, actor: Actor, query: ListWorkspacesQuery, now: datetime
) -> wire.WorkspacesResponse:
    """A page of the live workspaces that the actor may see; raises QueryInvalid."""
    viewer = viewer_for(actor, Verb.WORKSPACE_READ)
    limit, offset = query.limit or None, query.offset
    async with services.db.connection() as conn:
        search = await _search(conn, actor, query.q)
        if search.checks:
            all_rows = await db.list_workspaces(conn, viewer, search.only, limit=None, offset=0)
            views = await workspace_views(conn, all_rows, now)
            kept = [view for view in views if all(check(view) for check in search.checks)]
            end = None if limit is None else offset + limit
            return wire.WorkspacesResponse(workspaces=kept[offset:end], count=len(kept))
        rows = await db.list_workspaces(conn, viewer, search.only, limit=limit, offset=offset)
        views = await workspace_views(conn, rows, now)
        total = rows[0].total if rows else 0
        if not rows and offset:
            first = await db.list_workspaces(conn, viewer, search.only, limit=1, offset=0)
            total = first[0].total if first else 0
    return wire.WorkspacesResponse(workspaces=views, count=total)


async def _search(conn: "Connection", actor: Actor, q: str) -> _Search:
    search = Search(q, KEYS, bare="name")
    # Bare words may say the owner and a part of the name: a/b.
    owner, slash, name = search.values.get("name", "").partition("/")
    if slash and "owner" not in search.values:
        search.values.update(owner=owner, name=name)
    only = db.WorkspaceFilter(
        owner_id=await search.user(conn, actor, "owner"),
        organization_id=await search.organization(conn, actor),
        template=search.text("template"),
        name=search.text("name") or None,
        status=search.word("status", WorkspaceStatus),
        has_ai_task=search.flag("has-ai-task"),
        dormant=search.flag("dormant"),
        used_after=search.time("last_used_after"),
        used_before=search.time("last_used_before"),
    )
    checks = _checks(search)
    search.check()
    return _Search(only, checks)


def _checks(search: Search) -> list[Check]:
    checks: list[Check] = []
    status = search.word("has-agent", AgentStatus)
    if status is not None:
        checks.append(
            lambda view: any(agent.status == status for agent in agents_of(view.latest_build))
        )
    healthy = search.flag("healthy")
    if healthy is not None:
        checks.append(lambda view: view.health.healthy is healthy)
    return checks
