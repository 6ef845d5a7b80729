"""What came from another installation is made fit for this one: nothing runs until somebody wants it to.

The other server may still be there and work: two coding agents that go on with the same thing would do it twice.
"""

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from taskyard.control.audit import Deed, record
from taskyard.control.builds import insert_build
from taskyard.db import arrivals as db
from taskyard.db.jobs import append_job_logs
from taskyard.errors import NotFound
from taskyard.wire.enums import (
    AuditAction,
    AuditResource,
    BuildReason,
    LogLevel,
    LogSource,
    Transition,
)

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

MOVED = "The task was moved to this server before its start was over. Resume it to start it here."
"""The error of a start that another server had in hand."""

IMPORTED = "Imported"
"""The stage of the line that says why a workspace was paused."""

WITH_FILES = "The workspace came from another server with its files. Resume it to go on here."
WITHOUT_FILES = "The workspace came from another server, its files did not. Resume it to go on with an empty home directory."


async def settle_arrivals(
    conn: "Connection", host_id: UUID, homes: Collection[UUID], now: datetime
) -> int:
    """Pauses what ran; how many workspaces that were. homes: workspaces whose files are on this host.

    Builds that stop or delete are done by the workers of this server, as are imports of templates.
    """
    await db.forget_links(conn)
    await db.place_workspaces(conn, host_id, homes)
    await db.settle_jobs(conn, MOVED, now)
    paused = 0
    for workspace in await db.list_to_pause_as_system(conn, MOVED):
        paused += await _pause(conn, workspace, now, has_files=workspace.id in homes)
    return paused


async def _pause(
    conn: "Connection", workspace: db.ToPauseRow, now: datetime, *, has_files: bool
) -> bool:
    """Makes a build that stops a workspace; False where what it is made from is not there any more."""
    reason = BuildReason.TASK_AUTO_PAUSE if workspace.is_task else BuildReason.AUTOSTOP
    try:
        build = await insert_build(
            conn,
            workspace=workspace,
            transition=Transition.STOP,
            reason=reason,
            initiator_id=workspace.owner_id,
            template_version_id=workspace.template_version_id,
            preset_id=workspace.template_version_preset_id,
            parameters=None,
            by_clock=True,
            now=now,
        )
    except NotFound:
        return False
    text = WITH_FILES if has_files else WITHOUT_FILES
    line = (now, LogSource.PROVISIONER_DAEMON, LogLevel.INFO, IMPORTED, text)
    await append_job_logs(conn, build.job_id, [line])
    deed = Deed(
        action=AuditAction.STOP,
        resource_type=AuditResource.WORKSPACE,
        resource_id=workspace.id,
        resource_name=workspace.name,
        organization_id=workspace.organization_id,
        changes={"reason": {"old": None, "new": reason}},
    )
    await record(conn, None, deed, now)
    return True
