"""What is done with a version once it is there: renamed, its import canceled, archived and taken back."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from asyncpg import UniqueViolationError
from msgspec import UNSET

from taskyard.control import audit
from taskyard.control.actors import Actor
from taskyard.control.services import Services
from taskyard.control.template_versions import message_violations, name_violations
from taskyard.control.viewers import viewer_for
from taskyard.db import jobs
from taskyard.db import templates as db
from taskyard.errors import Forbidden, Invalid, NotFound, RequestRefused
from taskyard.errors.templates import VersionRenameTaken
from taskyard.lifecycle.permissions import Verb, can
from taskyard.wire.enums import AuditAction, AuditResource, JobStatus
from taskyard.wire.templates import UpdateTemplateVersionRequest

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


async def update_version(
    services: Services,
    actor: Actor,
    version: db.VersionRow,
    request: UpdateTemplateVersionRequest,
    *,
    now: datetime,
) -> db.VersionRow:
    """The version with another name or message. Source: supporting-api 8 row 52.

    Raises Forbidden, Invalid, VersionRenameTaken.
    """
    _check_rights(actor, version)
    name = request.name or version.name
    message = version.message if request.message is UNSET else request.message
    violations = name_violations(name) if name != version.name else []
    if violations := violations + message_violations(message):
        raise Invalid("A template version cannot be changed so.", violations)
    viewer = viewer_for(actor, Verb.TEMPLATE_READ)
    try:
        async with services.db.transaction() as conn:
            await db.update_version(conn, version.id, name=name, message=message, now=now)
            after = await db.get_version(conn, viewer, version.id) or version
            if changes := audit.changed(version, after, ("name", "message")):
                await _record(conn, actor, version, now=now, changes=changes)
    except UniqueViolationError as error:
        raise VersionRenameTaken(name) from error
    return after


async def cancel_version(
    services: Services,
    actor: Actor,
    version: db.VersionRow,
    expected: JobStatus | None,
    *,
    now: datetime,
) -> None:
    """Ends the import of a version. Source: supporting-api 8 row 53, 10 row 71.

    expected: nothing is done unless the import is in this status. Raises Forbidden,
    JobStatusUnexpected, JobCompleted, JobCancelRequested.
    """
    _check_rights(actor, version)
    async with services.db.transaction() as conn:
        status = await jobs.cancel_job(conn, version.job_id, now, expected=expected)
        changes = {"import": {"old": version.import_status.value, "new": status.value}}
        await _record(conn, actor, version, now=now, changes=changes)


async def archive_version(
    services: Services, actor: Actor, version: db.VersionRow, now: datetime
) -> bool:
    """Archives a version that nothing uses; False when it is archived already.

    Raises Forbidden, RequestRefused for one in use, or that no template has.
    """
    _check_rights(actor, version)
    if version.template_id is None:
        raise RequestRefused(
            "template_version_unattached",
            f"The version {version.name} belongs to no template, so it cannot be archived.",
            "Make a template of it first.",
        )
    async with services.db.transaction() as conn:
        await db.lock_template(conn, version.template_id)
        now_is = await db.get_version(conn, viewer_for(actor, Verb.TEMPLATE_READ), version.id)
        if now_is is None or now_is.archived:
            return False
        if await db.is_version_used(conn, version.template_id, version.id):
            raise RequestRefused(
                "template_version_in_use",
                f"The version {version.name} is in use: new workspaces are made of it, or one runs on it.",
                "Promote another version, and update or delete the workspaces of this one.",
            )
        await _set_archived(conn, actor, version, archived=True, now=now)
    return True


async def unarchive_version(
    services: Services, actor: Actor, version: db.VersionRow, now: datetime
) -> bool:
    """Takes a version out of the archive; False when it is not in there. Raises Forbidden."""
    _check_rights(actor, version)
    async with services.db.transaction() as conn:
        now_is = await db.get_version(conn, viewer_for(actor, Verb.TEMPLATE_READ), version.id)
        if now_is is None or not now_is.archived:
            return False
        await _set_archived(conn, actor, version, archived=False, now=now)
    return True


async def archive_unused(
    services: Services,
    actor: Actor,
    template: db.TemplateRow,
    *,
    every_version: bool,
    now: datetime,
) -> list[db.ArchivedRow]:
    """The versions archived now: those that nothing uses and whose import failed, or every unused one.

    Raises Forbidden, NotFound.
    """
    if not can(actor, Verb.TEMPLATE_WRITE, None, template.organization_id):
        raise Forbidden("change this template")
    async with services.db.transaction() as conn:
        if not await db.lock_template(conn, template.id):
            raise NotFound(f"template {template.id}")
        archived = await db.archive_unused(conn, template.id, every_version=every_version, now=now)
        for row in archived:
            deed = audit.Deed(
                action=AuditAction.WRITE,
                resource_type=AuditResource.TEMPLATE_VERSION,
                resource_id=row.id,
                resource_name=row.name,
                organization_id=template.organization_id,
                changes={"archived": {"old": False, "new": True}},
            )
            await audit.record(conn, actor, deed, now)
    return archived


def _check_rights(actor: Actor, version: db.VersionRow) -> None:
    if not can(actor, Verb.TEMPLATE_WRITE, None, version.organization_id):
        raise Forbidden("change this template version")


async def _set_archived(
    conn: "Connection", actor: Actor, version: db.VersionRow, *, archived: bool, now: datetime
) -> None:
    await db.set_archived(conn, version.id, archived=archived, now=now)
    changes = {"archived": {"old": not archived, "new": archived}}
    await _record(conn, actor, version, now=now, changes=changes)


async def _record(
    conn: "Connection",
    actor: Actor,
    version: db.VersionRow,
    *,
    now: datetime,
    changes: Mapping[str, Mapping[str, object]],
) -> None:
    deed = audit.deed_of(AuditResource.TEMPLATE_VERSION, version, AuditAction.WRITE, changes)
    await audit.record(conn, actor, deed, now)
