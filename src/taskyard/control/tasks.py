"""Tasks: read, delete, change the input, pause, resume, try again. Whether a verb is legal decides lifecycle/task.py."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, assert_never
from uuid import UUID

from msgspec.structs import replace

from taskyard.control.actors import Actor
from taskyard.control.audit import deed_of, record
from taskyard.control.build_view import BuildParts, build_view
from taskyard.control.builds import insert_build
from taskyard.control.services import Services
from taskyard.control.workspace_builds import cancel_build
from taskyard.db import builds
from taskyard.db import tasks as db
from taskyard.db.builds import LockedWorkspaceRow
from taskyard.db.pool import ring
from taskyard.errors import (
    Forbidden,
    JobCancelRequested,
    JobCompleted,
    NotFound,
    Refused,
    RefusedBroken,
    RefusedNow,
    RequestRefused,
)
from taskyard.lifecycle.permissions import Verb, can
from taskyard.lifecycle.task import Refusal, RefusalKind, TaskVerb, allowed
from taskyard.wire.enums import AuditAction, AuditResource, BuildReason, Transition
from taskyard.wire.workspaces import WorkspaceBuild
from taskyard_agent import points

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


GIVE_WAY_S = 10.0
"""Seconds that a build which is in the way of force has to end: a start's processes get their grace first."""

GIVE_WAY_POLL_S = 0.5
"""Seconds between looks whether it has ended, when nobody rings: a ring may be lost."""


async def delete_task(
    services: Services, actor: Actor, task: db.TaskRow, now: datetime, *, force: bool = False
) -> None:
    """Takes the task out of sight at once; its workspace goes by a build. Source: tasks-api 8.4.

    force: a build that is in the way is canceled, and the workspace's record goes whatever its driver says.
    Raises NotFound, Forbidden, Refused, BuildActive.
    """
    _require_write(actor, task, "delete this workspace")
    if force:
        await _give_way(services, actor, task)
    async with services.db.transaction() as conn:
        workspace, fresh = await _locked(conn, actor, task)
        refuse(TaskVerb.DELETE, fresh)
        if workspace is not None:
            wanted = _Wanted(*_BUILDS[TaskVerb.DELETE], force=force)
            await _insert_build(conn, actor, workspace, fresh, wanted=wanted, now=now)
        await record(conn, actor, deed_of(AuditResource.TASK, task, AuditAction.DELETE), now)
        await db.delete_task(conn, task.id, now)
        await ring(conn, "task", str(task.id))
    await points.reached("delete.committed", str(task.workspace_id))


async def update_input(
    services: Services, actor: Actor, task: db.TaskRow, text: str, *, now: datetime
) -> None:
    """Keeps another text for the next start; nothing is sent. Source: tasks-api 8.5, T90-T92.

    Raises RequestRefused for a blank text, NotFound, Forbidden, Refused unless the task is paused.
    """
    if not text.strip():
        raise input_missing()
    _require_write(actor, task, "change the input of this task")
    async with services.db.transaction() as conn:
        _, fresh = await _locked(conn, actor, task)
        refuse(TaskVerb.INPUT, fresh)
        await db.update_task_input(conn, task.id, text)
        await record(conn, actor, deed_of(AuditResource.TASK, task, AuditAction.WRITE), now)
        await ring(conn, "task", str(task.id))


async def pause_task(
    services: Services, actor: Actor, task: db.TaskRow, now: datetime, *, force: bool = False
) -> WorkspaceBuild:
    """The build that stops the task's workspace. Source: tasks-api 8.8, T110-T112.

    force: a build that is in the way is canceled, and what runs gets no grace.
    Raises NotFound, Forbidden, Refused, BuildActive.
    """
    _require_write(actor, task, "stop this workspace")
    if force:
        await _give_way(services, actor, task)
    return await _build(services, actor, task, TaskVerb.PAUSE, force=force, now=now)


async def resume_task(
    services: Services, actor: Actor, task: db.TaskRow, now: datetime
) -> WorkspaceBuild:
    """The build that starts the task's workspace, of the version that ran before. Source: tasks-api 8.9.

    Raises NotFound, Forbidden, Refused, BuildActive.
    """
    _require_write(actor, task, "start this workspace")
    return await _build(services, actor, task, TaskVerb.RESUME, now=now)


async def retry_task(
    services: Services, actor: Actor, task: db.TaskRow, now: datetime
) -> WorkspaceBuild:
    """The build that does again what the newest one failed at, or was canceled in.

    Raises NotFound, Forbidden, Refused, BuildActive.
    """
    _require_write(actor, task, "build this workspace again")
    return await _build(services, actor, task, TaskVerb.RETRY, now=now)


def refuse(verb: TaskVerb, task: db.TaskRow) -> None:
    """Nothing when the verb is legal now; raises Refused in the kind that the decision says."""
    refusal = allowed(verb, task.facts)
    if refusal is not None:
        raise refused(refusal)


def refused(refusal: Refusal) -> Refused:
    """The error that says why a verb is not legal now."""
    match refusal.kind:
        case RefusalKind.LATER:
            kind: type[Refused] = RefusedNow
        case RefusalKind.NEVER:
            kind = RequestRefused
        case RefusalKind.BROKEN:
            kind = RefusedBroken
        case _:
            assert_never(refusal.kind)
    return kind(refusal.code, refusal.message, refusal.detail)


def input_missing() -> RequestRefused:
    """The refusal of a request without a text for the task."""
    return RequestRefused("input_required", "The task needs an input.", "Give some text in input.")


async def _build(
    services: Services,
    actor: Actor,
    task: db.TaskRow,
    verb: TaskVerb,
    *,
    force: bool = False,
    now: datetime,
) -> WorkspaceBuild:
    """The new build as the wire shows it right after it was made. Source: tasks-api 8.10."""
    async with services.db.transaction() as conn:
        workspace, fresh = await _locked(conn, actor, task)
        refuse(verb, fresh)
        if workspace is None:
            raise NotFound(f"workspace {fresh.workspace_id}")
        transition, reason = _BUILDS.get(verb) or _again(fresh)
        wanted = _Wanted(transition, reason, force=force)
        build = await _insert_build(conn, actor, workspace, fresh, wanted=wanted, now=now)
        deed = deed_of(AuditResource.TASK, fresh, AuditAction(build.transition))
        await record(conn, actor, deed, now)
    await points.reached("build.committed", str(workspace.id))
    return replace(build_view(build, BuildParts(), now), template_version_name="")


async def _locked(
    conn: "Connection", actor: Actor, task: db.TaskRow
) -> tuple[LockedWorkspaceRow | None, db.TaskRow]:
    """The task as it is now, with its workspace locked so that builds of it come one after another.

    The workspace is null when it was deleted. Raises NotFound when the task was.
    """
    workspace = await builds.lock_workspace(conn, task.workspace_id)
    fresh = await db.get_task(conn, actor.viewer, task.id)
    if fresh is None:
        raise NotFound(f"task {task.id}")
    return workspace, fresh


_BUILDS = {
    TaskVerb.PAUSE: (Transition.STOP, BuildReason.TASK_MANUAL_PAUSE),
    TaskVerb.RESUME: (Transition.START, BuildReason.TASK_RESUME),
    TaskVerb.DELETE: (Transition.DELETE, BuildReason.INITIATOR),
}
"""What a verb does to the workspace, and the reason that its build tells."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A build that somebody wants of a task's workspace; force as in insert_build."""

    transition: Transition
    reason: BuildReason
    force: bool = False


def _again(task: db.TaskRow) -> tuple[Transition, BuildReason]:
    """What the newest build was to do, as a wish of a person."""
    match task.transition:
        case Transition.START:
            return _BUILDS[TaskVerb.RESUME]
        case Transition.STOP:
            return _BUILDS[TaskVerb.PAUSE]
        case Transition.DELETE | None:  # there is a build: to have none is refused before
            return _BUILDS[TaskVerb.DELETE]
    assert_never(task.transition)


async def _give_way(services: Services, actor: Actor, task: db.TaskRow) -> None:
    """Cancels whatever build works on the task's workspace, until none does.

    Raises Forbidden where builds are not the actor's to cancel, RefusedNow where that takes too long.
    """
    ended = asyncio.Event()
    try:
        async with (
            asyncio.timeout(GIVE_WAY_S),
            services.doorbell.on("build", lambda _: ended.set()),
        ):
            while await _cancel_newest(services, actor, task.workspace_id):
                with suppress(TimeoutError):
                    async with asyncio.timeout(GIVE_WAY_POLL_S):
                        await ended.wait()
                ended.clear()
    except TimeoutError as error:
        raise RefusedNow(
            "build_active",
            "The build of this workspace was told to end, for the sake of force, and is not over yet.",
            f"It did not end within {GIVE_WAY_S:g} s. Send the same request again in a moment.",
        ) from error


async def _cancel_newest(services: Services, actor: Actor, workspace_id: UUID) -> bool:
    """Whether a build works on the workspace now, whoever made it; then it is asked to end."""
    async with services.db.connection() as conn:
        if not await builds.has_active_build(conn, workspace_id):
            return False
        build = await builds.get_newest_build(conn, workspace_id)
    if build is not None and build.job_canceled_at is None:
        with suppress(JobCompleted, JobCancelRequested):
            await cancel_build(services, actor, build.id, None, now=services.now())
    return True


async def _insert_build(
    conn: "Connection",
    actor: Actor,
    workspace: LockedWorkspaceRow,
    task: db.TaskRow,
    *,
    wanted: _Wanted,
    now: datetime,
) -> builds.BuildRow:
    return await insert_build(
        conn,
        workspace=workspace,
        transition=wanted.transition,
        reason=wanted.reason,
        force=wanted.force,
        initiator_id=actor.user_id,
        template_version_id=task.build_template_version_id or task.template_version_id,
        preset_id=None,
        parameters=None,
        now=now,
    )


def _require_write(actor: Actor, task: db.TaskRow, action: str) -> None:
    if not can(actor, Verb.TASK_WRITE, task.owner_id, task.organization_id):
        raise Forbidden(action)
