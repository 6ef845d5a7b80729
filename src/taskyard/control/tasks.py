"""Tasks: read, delete, change the input, pause, resume. Whether a verb is legal decides lifecycle/task.py."""

from datetime import datetime
from typing import TYPE_CHECKING, assert_never

from msgspec.structs import replace

from taskyard.control.actors import Actor
from taskyard.control.audit import deed_of, record
from taskyard.control.build_view import BuildParts, build_view
from taskyard.control.builds import insert_build
from taskyard.control.services import Services
from taskyard.db import builds
from taskyard.db import tasks as db
from taskyard.db.builds import LockedWorkspaceRow
from taskyard.db.pool import ring
from taskyard.errors import (
    Forbidden,
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

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


async def delete_task(services: Services, actor: Actor, task: db.TaskRow, now: datetime) -> None:
    """Takes the task out of sight at once; its workspace goes by a build. Source: tasks-api 8.4.

    Raises NotFound, Forbidden, Refused, BuildActive.
    """
    _require_write(actor, task, "delete this workspace")
    async with services.db.transaction() as conn:
        workspace, fresh = await _locked(conn, actor, task)
        refuse(TaskVerb.DELETE, fresh)
        if workspace is not None:
            await _insert_build(conn, actor, workspace, fresh, verb=TaskVerb.DELETE, now=now)
        await record(conn, actor, deed_of(AuditResource.TASK, task, AuditAction.DELETE), now)
        await db.delete_task(conn, task.id, now)
        await ring(conn, "task", str(task.id))


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
    services: Services, actor: Actor, task: db.TaskRow, now: datetime
) -> WorkspaceBuild:
    """The build that stops the task's workspace. Source: tasks-api 8.8, T110-T112.

    Raises NotFound, Forbidden, Refused, BuildActive.
    """
    _require_write(actor, task, "stop this workspace")
    return await _build(services, actor, task, TaskVerb.PAUSE, now=now)


async def resume_task(
    services: Services, actor: Actor, task: db.TaskRow, now: datetime
) -> WorkspaceBuild:
    """The build that starts the task's workspace, of the version that ran before. Source: tasks-api 8.9.

    Raises NotFound, Forbidden, Refused, BuildActive.
    """
    _require_write(actor, task, "start this workspace")
    return await _build(services, actor, task, TaskVerb.RESUME, now=now)


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
    services: Services, actor: Actor, task: db.TaskRow, verb: TaskVerb, *, now: datetime
) -> WorkspaceBuild:
    """The new build as the wire shows it right after it was made. Source: tasks-api 8.10."""
    async with services.db.transaction() as conn:
        workspace, fresh = await _locked(conn, actor, task)
        refuse(verb, fresh)
        if workspace is None:
            raise NotFound(f"workspace {fresh.workspace_id}")
        build = await _insert_build(conn, actor, workspace, fresh, verb=verb, now=now)
        deed = deed_of(AuditResource.TASK, fresh, AuditAction(build.transition))
        await record(conn, actor, deed, now)
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


async def _insert_build(
    conn: "Connection",
    actor: Actor,
    workspace: LockedWorkspaceRow,
    task: db.TaskRow,
    *,
    verb: TaskVerb,
    now: datetime,
) -> builds.BuildRow:
    transition, reason = _BUILDS[verb]
    return await insert_build(
        conn,
        workspace=workspace,
        transition=transition,
        reason=reason,
        initiator_id=actor.user_id,
        template_version_id=task.build_template_version_id or task.template_version_id,
        preset_id=None,
        parameters=None,
        now=now,
    )


def _require_write(actor: Actor, task: db.TaskRow, action: str) -> None:
    if not can(actor, Verb.TASK_WRITE, task.owner_id, task.organization_id):
        raise Forbidden(action)
