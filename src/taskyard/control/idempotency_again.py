"""Answers that were lost with a server, read again from what their requests had made.

What is read is as it is by now: a task that was made shows its present status.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from taskyard.control import (
    organizations,
    template_versions,
    templates,
    workspace_builds,
    workspaces,
)
from taskyard.control.actors import Actor
from taskyard.control.build_view import BuildParts, build_view
from taskyard.control.identity_view import organization_view, user_view
from taskyard.control.services import Services
from taskyard.control.tasks_view import task_view
from taskyard.control.templates_view import template_view, version_view
from taskyard.db import builds as builds_db
from taskyard.db import identity as identity_db
from taskyard.db import tasks as tasks_db
from taskyard.db.idempotency import KeyRow, get_build_made_as_system
from taskyard.errors import NotFound
from taskyard.wire.identity import CreateFirstUserResponse
from taskyard.wire.tasks import PauseTaskResponse, ResumeTaskResponse, RetryTaskResponse
from taskyard.wire.workspaces import WorkspaceBuild


@dataclass(frozen=True, slots=True)
class Lost:
    """A request that was done, and who asks for its answer again; actor null: nobody that is known."""

    services: Services
    actor: Actor | None
    row: KeyRow
    now: datetime

    @property
    def who(self) -> Actor:
        """Who asks, where somebody must."""
        assert self.actor is not None
        return self.actor

    @property
    def id(self) -> UUID:
        """The thing that something was done to first."""
        return UUID(self.row.deed_resource_id)


@dataclass(frozen=True, slots=True)
class Found:
    """The body of the answer; null where it has none."""

    body: object


Again = Callable[[Lost], Awaitable[Found | None]]
"""The answer once more; null where what was made is gone."""


async def made_again(lost: Lost) -> Found | None:
    """What a request would answer, read from what it made; null where that cannot be."""
    again = AGAIN.get(lost.row.operation)
    if again is None or lost.row.deed_at is None:
        return None
    try:
        return await again(lost)
    except NotFound:
        return None


async def _task(lost: Lost) -> Found | None:
    async with lost.services.db.connection() as conn:
        task = await tasks_db.get_task(conn, lost.who.viewer, lost.id)
    return None if task is None else Found(task_view(task, lost.now))


async def _build_id(lost: Lost) -> UUID | None:
    assert lost.row.deed_at is not None
    async with lost.services.db.connection() as conn:
        return await get_build_made_as_system(conn, lost.id, lost.row.deed_at)


async def _task_build(lost: Lost) -> WorkspaceBuild | None:
    """As pausing and resuming show a build: without what it made."""
    build_id = await _build_id(lost)
    if build_id is None:
        return None
    async with lost.services.db.connection() as conn:
        build = await builds_db.get_build_as_system(conn, build_id)
    if build is None:
        return None
    return replace(build_view(build, BuildParts(), lost.now), template_version_name="")


async def _pause(lost: Lost) -> Found | None:
    build = await _task_build(lost)
    return None if build is None else Found(PauseTaskResponse(workspace_build=build))


async def _resume(lost: Lost) -> Found | None:
    build = await _task_build(lost)
    return None if build is None else Found(ResumeTaskResponse(workspace_build=build))


async def _retry(lost: Lost) -> Found | None:
    build = await _task_build(lost)
    return None if build is None else Found(RetryTaskResponse(workspace_build=build))


async def _build(lost: Lost) -> Found | None:
    build_id = await _build_id(lost)
    if build_id is None:
        return None
    return Found(await workspace_builds.get_build(lost.services, lost.who, build_id, lost.now))


async def _workspace(lost: Lost) -> Found | None:
    found = await workspaces.get_workspace(
        lost.services, lost.who, lost.id, deleted=True, now=lost.now
    )
    return Found(found)


async def _template(lost: Lost) -> Found | None:
    return Found(template_view(await templates.find_template(lost.services, lost.who, lost.id)))


async def _version(lost: Lost) -> Found | None:
    found = await template_versions.find_version(lost.services, lost.who, lost.id)
    return Found(version_view(found))


async def _user(lost: Lost) -> Found | None:
    async with lost.services.db.connection() as conn:
        user = await identity_db.get_user_as_system(conn, lost.id)
    return None if user is None else Found(user_view(user))


async def _first_user(lost: Lost) -> Found | None:
    async with lost.services.db.connection() as conn:
        user = await identity_db.get_user_as_system(conn, lost.id)
    if user is None or not user.organization_ids:
        return None
    organization_id = user.organization_ids[0]
    return Found(CreateFirstUserResponse(user_id=user.id, organization_id=organization_id))


async def _organization(lost: Lost) -> Found | None:
    found = await organizations.list_organizations(lost.services, lost.who)
    return next((Found(organization_view(o)) for o in found if o.id == lost.id), None)


AGAIN: Final[dict[str, Again]] = {
    "create_task": _task,
    "pause_task": _pause,
    "resume_task": _resume,
    "retry_task": _retry,
    "create_workspace": _workspace,
    "create_member_workspace": _workspace,
    "create_workspace_build": _build,
    "create_template": _template,
    "create_template_version": _version,
    "create_user": _user,
    "create_first_user": _first_user,
    "create_organization": _organization,
}
"""Operations whose answer can be read again. Of the others is only said that they were done, and to what."""

REPEATED: Final = frozenset(
    {
        "push_task",
        "upload_file",
        "archive_template_version",
        "unarchive_template_version",
        "upload_task_log_snapshot",
        "create_log_source",
    }
)
"""Operations that may be done twice, as the second time changes nothing more: what was cut off is done again."""
