"""Another display name for a task."""

from datetime import datetime
from typing import TYPE_CHECKING

from taskyard.control.actors import Actor
from taskyard.control.audit import changed, deed_of, record
from taskyard.control.services import Services
from taskyard.control.task_create import check_display_name
from taskyard.db import tasks as db
from taskyard.errors import Forbidden, NotFound
from taskyard.lifecycle.names import generate_display_name
from taskyard.lifecycle.permissions import Verb, can
from taskyard.wire.enums import AuditAction, AuditResource

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


async def rename_task(
    services: Services, actor: Actor, task: db.TaskRow, display_name: str | None, *, now: datetime
) -> db.TaskRow:
    """The task with that display name, whatever it does just now; those who follow it are told.

    display_name: empty for one made from the input as at first, null for the one it has. Raises RequestRefused,
    NotFound, Forbidden.
    """
    check_display_name(display_name or "")
    if not can(actor, Verb.TASK_WRITE, task.owner_id, task.organization_id):
        raise Forbidden("rename this task")
    async with services.db.transaction() as conn:
        before = await _fresh(conn, actor, task)
        if display_name is not None:
            title = display_name.strip() or generate_display_name(before.input, before.name)
            await db.update_display_name(conn, task.id, title)
        after = await _fresh(conn, actor, task)
        changes = changed(before, after, ("display_name",))
        deed = deed_of(AuditResource.TASK, after, AuditAction.WRITE, changes)
        await record(conn, actor, deed, now)
    return after


async def _fresh(conn: "Connection", actor: Actor, task: db.TaskRow) -> db.TaskRow:
    found = await db.get_task(conn, actor.viewer, task.id)
    if found is None:
        raise NotFound(f"task {task.id}")
    return found
