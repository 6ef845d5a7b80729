"""What the database holds of a start once the driver has done it: resource, agent, apps, deadline."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from taskyard.control.keys import hash_agent_token
from taskyard.db import builds, runs
from taskyard.db.runs import RunRow
from taskyard.lifecycle.template_model import App, Template
from taskyard.lifecycle.workspace import deadline_after_start, first_app_health, first_deadline

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

AGENT_NAME = "main"
"""Workspaces have one agent."""

RESOURCE_NAME = "workspace"
"""A build makes one thing."""


@dataclass(frozen=True, slots=True)
class Started:
    """A workspace that runs: the build, its template, the generation and the token that opens it."""

    row: RunRow
    template: Template
    generation: int
    token: UUID
    now: datetime

    @property
    def token_hash(self) -> bytes:
        """All that is stored of the token."""
        return hash_agent_token(str(self.token))


async def record_start(conn: "Connection", started: Started) -> None:
    """Writes what a start made: one resource, its agent, the apps, and who takes the task's input."""
    row, agent_id = started.row, uuid4()
    await _insert_agent(conn, started, agent_id)
    app_ids = {app.slug: uuid4() for app in started.template.apps}
    for ordinal, app in enumerate(started.template.apps):
        values = {"id": app_ids[app.slug], "agent_id": agent_id, "ordinal": ordinal}
        await builds.insert_app(conn, **values, **_app_columns(app), now=started.now)
    task_app = started.template.task_app
    latest = deadline_after_start(started.now, started.template.workspace.wall_time_s)
    await builds.choose_agent(
        conn,
        build_id=row.build_id,
        agent_id=None if task_app is None else agent_id,
        app_id=None if task_app is None else app_ids[task_app],
        deadline=first_deadline(
            deadline_after_start(started.now, None if row.ttl_ms is None else row.ttl_ms // 1000),
            latest,
        ),
        max_deadline=latest,
        now=started.now,
    )


async def record_restart(conn: "Connection", started: Started) -> None:
    """The same build with a new generation: its agent begins anew, and so do its apps."""
    await runs.renew_agent(
        conn,
        started.row.build_id,
        token_hash=started.token_hash,
        generation=started.generation,
        now=started.now,
    )


async def _insert_agent(conn: "Connection", started: Started, agent_id: UUID) -> None:
    row, resource_id = started.row, uuid4()
    await builds.insert_resource(
        conn,
        id=resource_id,
        job_id=row.job_id,
        transition=row.transition,
        type=started.template.workspace.driver,
        name=RESOURCE_NAME,
        now=started.now,
    )
    await builds.insert_agent(
        conn,
        id=agent_id,
        workspace_id=row.workspace_id,
        build_id=row.build_id,
        resource_id=resource_id,
        name=AGENT_NAME,
        token_hash=started.token_hash,
        generation=started.generation,
        directory="",
        now=started.now,
    )


def _app_columns(app: App) -> dict[str, object]:
    """The columns of an app that the template decides."""
    check = app.healthcheck
    return {
        "slug": app.slug,
        "display_name": app.display_name,
        "icon": app.icon,
        "url": app.url,
        "command": app.command or "",
        "sharing_level": app.share,
        "healthcheck_url": "" if check is None else check.url,
        "healthcheck_interval_s": 0 if check is None else check.interval_s,
        "healthcheck_threshold": 0 if check is None else check.threshold,
        "health": first_app_health(has_healthcheck=check is not None),
    }
