"""Everything that hangs below builds, read in five statements however many builds there are."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from taskyard.control.build_view import BuildParts, build_view
from taskyard.db import builds, workspaces
from taskyard.db.builds import BuildRow
from taskyard.wire import workspaces as wire

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

T = TypeVar("T")


async def load_parts(conn: "Connection", build_ids: Sequence[UUID]) -> BuildParts:
    """Resources, agents, apps, reports and log sources of builds that were found to be visible."""
    resources = await builds.list_resources(conn, build_ids)
    if not resources:
        return BuildParts()
    agents = await builds.list_agents(conn, build_ids)
    apps = await builds.list_apps(conn, build_ids)
    statuses = await workspaces.list_app_statuses(conn, [app.id for app in apps])
    sources = await workspaces.list_log_sources(conn, [agent.id for agent in agents])
    return BuildParts(
        resources=_by(resources, lambda row: row.build_id),
        agents=_by(agents, lambda row: row.resource_id),
        apps=_by(apps, lambda row: row.agent_id),
        statuses=_by(statuses, lambda row: row.app_id),
        log_sources=_by(sources, lambda row: row.agent_id),
    )


async def build_views(
    conn: "Connection", rows: Sequence[BuildRow], now: datetime
) -> list[wire.WorkspaceBuild]:
    """Builds with everything below them, in their given order."""
    parts = await load_parts(conn, [row.id for row in rows])
    return [build_view(row, parts, now) for row in rows]


def _by(rows: Iterable[T], key: Callable[[T], UUID]) -> dict[UUID, list[T]]:
    """The rows by key, in their order."""
    found: dict[UUID, list[T]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found
