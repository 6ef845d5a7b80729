"""The one place where builds of workspaces come into being: by people, by the clock, by deletion."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Protocol
from uuid import UUID, uuid4

import msgspec

from taskyard.control import phases
from taskyard.db import builds, jobs
from taskyard.db.builds import BuildRow
from taskyard.errors import BuildActive, NotFound
from taskyard.wire.enums import BuildReason, Transition
from taskyard_agent import points

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


class WorkspaceKey(Protocol):
    """Any row of a workspace."""

    @property
    def id(self) -> UUID:
        """The workspace's id."""


async def insert_build(
    conn: "Connection",
    *,
    workspace: WorkspaceKey,
    transition: Transition,
    reason: BuildReason,
    initiator_id: UUID,
    template_version_id: UUID,
    preset_id: UUID | None,
    parameters: Mapping[str, str] | None,
    by_clock: bool = False,
    orphan: bool = False,
    force: bool = False,
    now: datetime,
) -> BuildRow:
    """The new build of a workspace, its job pending at the end of the queue.

    parameters null: those of the build before. by_clock: nobody asked for it. orphan: a delete that leaves
    the driver alone. force: no grace for what runs, and a delete that is done whatever the driver says. The place
    in the queue is 0, as nobody has looked yet. Raises BuildActive when a build is not over, NotFound when the
    workspace or the version is gone. Source: tasks-api 8.10.
    """
    locked, file_id = await _free(conn, workspace.id, template_version_id)
    await jobs.drop_waiting_repairs(conn, locked.id, now)
    build_id = await _insert(
        conn,
        workspace_id=locked.id,
        organization_id=locked.organization_id,
        file_id=file_id,
        transition=transition,
        reason=reason,
        initiator_id=initiator_id,
        template_version_id=template_version_id,
        preset_id=preset_id,
        orphan=orphan,
        force=force,
        now=now,
    )
    by_person = transition is Transition.START and not by_clock
    await builds.touch_workspace(conn, locked.id, now, wanted=by_person)
    if parameters is None:
        await builds.copy_build_parameters(conn, locked.id, build_id)
    elif parameters:
        await builds.insert_build_parameters(conn, build_id, parameters)
    if transition is Transition.START:
        await phases.begin(conn, locked.id, build_id, now)
    await points.reached("build.writing", str(locked.id))
    return await _read(conn, build_id)


async def insert_first_build(
    conn: "Connection",
    *,
    workspace_id: UUID,
    organization_id: UUID,
    initiator_id: UUID,
    template_version_id: UUID,
    preset_id: UUID | None,
    parameters: Mapping[str, str],
    now: datetime,
) -> None:
    """The first start of a workspace that this transaction has made, so that nothing can be in its way.

    Raises NotFound when the version is gone.
    """
    file_id = await builds.get_file_of_version_as_system(conn, template_version_id)
    if file_id is None:
        raise NotFound(f"template version {template_version_id}")
    build_id = await _insert(
        conn,
        workspace_id=workspace_id,
        organization_id=organization_id,
        file_id=file_id,
        transition=Transition.START,
        reason=BuildReason.INITIATOR,
        initiator_id=initiator_id,
        template_version_id=template_version_id,
        preset_id=preset_id,
        orphan=False,
        force=False,
        now=now,
    )
    if parameters:
        await builds.insert_build_parameters(conn, build_id, parameters)
    await phases.begin(conn, workspace_id, build_id, now)
    await points.reached("build.writing", str(workspace_id))


async def _insert(
    conn: "Connection",
    *,
    workspace_id: UUID,
    organization_id: UUID,
    file_id: UUID,
    transition: Transition,
    reason: BuildReason,
    initiator_id: UUID,
    template_version_id: UUID,
    preset_id: UUID | None,
    orphan: bool,
    force: bool,
    now: datetime,
) -> UUID:
    """The id of a new build, whose job is at the end of the queue."""
    build_id, job_id = uuid4(), uuid4()
    await jobs.enqueue_job(
        conn,
        job_id=job_id,
        kind=jobs.JobKind.BUILD,
        organization_id=organization_id,
        initiator_id=initiator_id,
        file_id=file_id,
        template_version_id=None,
        workspace_id=workspace_id,
        workspace_build_id=build_id,
        now=now,
    )
    await builds.insert_build(
        conn,
        id=build_id,
        workspace_id=workspace_id,
        transition=transition,
        reason=reason,
        initiator_id=initiator_id,
        job_id=job_id,
        template_version_id=template_version_id,
        preset_id=preset_id,
        orphan=orphan,
        force=force,
        now=now,
    )
    return build_id


async def _free(
    conn: "Connection", workspace_id: UUID, version_id: UUID
) -> tuple[builds.LockedWorkspaceRow, UUID]:
    """The workspace, locked and without a build, and the files of the version. Raises BuildActive, NotFound."""
    locked = await builds.lock_workspace(conn, workspace_id)
    file_id = await builds.get_file_of_version_as_system(conn, version_id)
    if locked is None or file_id is None:
        raise NotFound(f"workspace {workspace_id} or template version {version_id}")
    if await builds.has_active_build(conn, locked.id):
        raise BuildActive(locked.id)
    return locked, file_id


async def _read(conn: "Connection", build_id: UUID) -> BuildRow:
    build = await builds.get_build_as_system(conn, build_id)
    if build is None:
        raise NotFound(f"build {build_id}")
    return msgspec.structs.replace(build, job_queue_position=0)
