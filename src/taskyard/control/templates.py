"""Templates: made around a version, found, changed, moved to another version, deleted."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import msgspec
from asyncpg import UniqueViolationError

from taskyard.control import audit
from taskyard.control.actors import Actor
from taskyard.control.services import Services
from taskyard.control.viewers import viewer_for
from taskyard.db import templates as db
from taskyard.db.secrets import delete_secrets_of
from taskyard.errors import Forbidden, Invalid, Missing, NotFound, RequestRefused
from taskyard.errors.templates import TemplateNameTaken, VersionNotReady
from taskyard.lifecycle.permissions import Verb, can
from taskyard.lifecycle.template_settings import (
    NAMES,
    TemplateSettings,
    changed_settings,
    new_settings,
    number_problems,
    text_problems,
)
from taskyard.wire.base import NIL_UUID
from taskyard.wire.enums import AuditAction, AuditResource, JobStatus
from taskyard.wire.templates import CreateTemplateRequest, UpdateTemplateRequest

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

NOT_SO = "A template cannot be made of this."


@dataclass(frozen=True, slots=True)
class NewTemplate:
    """What a new template is around."""

    id: UUID
    organization_id: UUID
    version_id: UUID
    created_by: UUID


async def find_template(services: Services, actor: Actor, template_id: UUID) -> db.TemplateRow:
    """A template; raises NotFound when it is absent or not visible."""
    async with services.db.connection() as conn:
        row = await db.get_template(conn, viewer_for(actor, Verb.TEMPLATE_READ), template_id)
    if row is None:
        raise NotFound(f"template {template_id}")
    return row


async def find_template_by_name(
    services: Services, actor: Actor, organization_id: UUID, name: str
) -> db.TemplateRow:
    """A template of an organization; raises NotFound when it is absent or not visible."""
    row = None
    if "\0" not in name:
        viewer = viewer_for(actor, Verb.TEMPLATE_READ)
        async with services.db.connection() as conn:
            row = await db.get_template_by_name(conn, viewer, organization_id, name)
    if row is None:
        raise NotFound(f"template {name}")
    return row


async def create_template(
    services: Services,
    actor: Actor,
    organization_id: UUID,
    request: CreateTemplateRequest,
    *,
    now: datetime,
) -> db.TemplateRow:
    """The new template. The order of checks is the contract's. Source: supporting-api 7 row 38, U10.

    Raises Forbidden, Invalid, TemplateNameTaken, Missing, RequestRefused.
    """
    if not can(actor, Verb.TEMPLATE_WRITE, None, organization_id):
        raise Forbidden("make templates in this organization")
    _check_words(request)
    viewer = viewer_for(actor, Verb.TEMPLATE_READ)
    template_id = uuid4()
    try:
        async with services.db.transaction() as conn:
            if await db.template_name_in_use(conn, organization_id, request.name):
                raise TemplateNameTaken(request.name)
            version_id = request.template_version_id or NIL_UUID
            version = await db.lock_version(conn, viewer, version_id)
            _check_free(version, organization_id, version_id)
            if violations := number_problems(new_settings(request), is_new=True):
                raise Invalid(NOT_SO, violations)
            about = NewTemplate(template_id, organization_id, version_id, actor.user_id)
            await insert_template(conn, about, request, now, actor=actor)
            created = await db.get_template(conn, viewer, template_id)
    except UniqueViolationError as error:
        raise TemplateNameTaken(request.name) from error
    if created is None:
        raise NotFound(f"template {template_id}")
    return created


async def insert_template(
    conn: "Connection",
    new: NewTemplate,
    request: CreateTemplateRequest,
    now: datetime,
    *,
    actor: Actor | None = None,
) -> None:
    """Adds a template around a version that has none; texts left empty come from the version.

    actor null: the server makes it by itself.
    """
    settings = msgspec.structs.asdict(new_settings(request))
    del settings["deprecation_message"]
    await db.insert_template(
        conn,
        id=new.id,
        organization_id=new.organization_id,
        version_id=new.version_id,
        created_by=new.created_by,
        now=now,
        **settings,
    )
    await db.attach_version(conn, new.version_id, new.id, now)
    deed = audit.Deed(
        action=AuditAction.CREATE,
        resource_type=AuditResource.TEMPLATE,
        resource_id=new.id,
        resource_name=request.name,
        organization_id=new.organization_id,
    )
    await audit.record(conn, actor, deed, now)


async def update_template(
    services: Services,
    actor: Actor,
    template: db.TemplateRow,
    request: UpdateTemplateRequest,
    *,
    now: datetime,
) -> db.TemplateRow:
    """The template with its new settings; what the request leaves out stays. Source: supporting-api 7 row 45.

    Raises Forbidden, Invalid, TemplateNameTaken, NotFound.
    """
    _check_rights(actor, template)
    viewer = viewer_for(actor, Verb.TEMPLATE_READ)
    wanted = template.name
    try:
        async with services.db.transaction() as conn:
            before = await _locked(conn, actor, template.id)
            old = _settings(before)
            new = changed_settings(old, request)
            wanted = new.name
            known = text_problems(old)  # what came from an archive may break rules of requests
            violations = [each for each in text_problems(new) if each not in known]
            if violations := violations + number_problems(new, is_new=False):
                raise Invalid("A template cannot have these settings.", violations)
            if changes := audit.changed(old, new, NAMES):
                values = msgspec.structs.asdict(new)
                await db.update_template(conn, template_id=template.id, now=now, **values)
                await _record(conn, actor, before, AuditAction.WRITE, now=now, changes=changes)
            after = await db.get_template(conn, viewer, template.id)
    except UniqueViolationError as error:
        raise TemplateNameTaken(wanted) from error
    return after or before


async def delete_template(
    services: Services, actor: Actor, template: db.TemplateRow, now: datetime
) -> None:
    """Deletes a template that no live workspace is of. Source: supporting-api 7 row 46.

    Raises Forbidden, NotFound, RequestRefused.
    """
    _check_rights(actor, template)
    async with services.db.transaction() as conn:
        before = await _locked(conn, actor, template.id)
        if await db.has_workspaces(conn, template.id):
            raise RequestRefused(
                "template_in_use",
                f"There are workspaces of the template {template.name}.",
                "Delete their tasks and workspaces first.",
            )
        await db.delete_template(conn, template.id, now)
        await delete_secrets_of(conn, template.id)
        await _record(conn, actor, before, AuditAction.DELETE, now=now)


async def promote_version(
    services: Services,
    actor: Actor,
    template: db.TemplateRow,
    version_id: UUID | None,
    *,
    now: datetime,
) -> None:
    """New workspaces of the template are made of this version. Source: supporting-api 7 row 49.

    Raises Forbidden, Missing, RequestRefused, VersionNotReady, NotFound.
    """
    _check_rights(actor, template)
    async with services.db.transaction() as conn:
        before = await _locked(conn, actor, template.id)
        viewer = viewer_for(actor, Verb.TEMPLATE_READ)
        version = await db.get_version(conn, viewer, version_id or NIL_UUID)
        if version is None:
            raise version_missing(str(version_id or ""))
        _check_promotable(template, version)
        await db.promote_version(conn, template.id, version.id, now)
        ids = {"old": str(before.active_version_id), "new": str(version.id)}
        changes = {"active_version_id": ids}
        await _record(conn, actor, before, AuditAction.WRITE, now=now, changes=changes)


def _check_promotable(template: db.TemplateRow, version: db.VersionRow) -> None:
    if version.template_id != template.id:
        raise RequestRefused(
            "template_version_of_other_template",
            f"The version {version.name} does not belong to the template {template.name}.",
            "Give the id of one of its versions.",
        )
    if version.import_status is not JobStatus.SUCCEEDED:
        raise VersionNotReady(
            "template_version_not_imported",
            f"The version {version.name} cannot be used: its import is in state {version.import_status}.",
            "See the log of the import; wait for it, or push the template again.",
        )
    if version.archived:
        raise _archived(version.name)


async def _locked(conn: "Connection", actor: Actor, template_id: UUID) -> db.TemplateRow:
    """The template as it is now, kept from others until the transaction ends; raises NotFound."""
    viewer = viewer_for(actor, Verb.TEMPLATE_READ)
    if await db.lock_template(conn, template_id):
        row = await db.get_template(conn, viewer, template_id)
        if row is not None:
            return row
    raise NotFound(f"template {template_id}")


def _check_rights(actor: Actor, template: db.TemplateRow) -> None:
    if not can(actor, Verb.TEMPLATE_WRITE, None, template.organization_id):
        raise Forbidden("change this template")


def _settings(row: db.TemplateRow) -> TemplateSettings:
    return TemplateSettings(**{name: getattr(row, name) for name in NAMES})


async def _record(
    conn: "Connection",
    actor: Actor,
    template: db.TemplateRow,
    action: AuditAction,
    *,
    now: datetime,
    changes: Mapping[str, Mapping[str, object]] | None = None,
) -> None:
    deed = audit.deed_of(AuditResource.TEMPLATE, template, action, changes)
    await audit.record(conn, actor, deed, now)


def version_missing(named: str) -> Missing:
    """The error for a version that a request names and that is not there, or not visible."""
    return Missing(
        "template_version_not_found",
        f'There is no template version "{named}", or you may not see it.',
    )


def _archived(named: str) -> RequestRefused:
    return RequestRefused(
        "template_version_archived",
        f"The template version {named} is archived.",
        "Choose another version, or push the template again.",
    )


def _check_free(
    version: db.LockedVersionRow | None, organization_id: UUID, version_id: UUID
) -> None:
    """Nothing when a template can be made around the version."""
    if version is None or version.organization_id != organization_id:
        raise version_missing(str(version_id))
    if version.archived:
        raise _archived(str(version_id))
    if version.template_id is not None:
        raise RequestRefused(
            "template_version_attached",
            f"The template version {version_id} belongs to a template already.",
            "Push the archive once more for another template.",
        )


def _check_words(request: CreateTemplateRequest) -> None:
    """Nothing when each text is well-formed by itself; else raises Invalid with all that are not."""
    violations = text_problems(new_settings(request))
    if request.template_version_id is None:
        violations.append(("template_version_id", "give the id of a template version"))
    if violations:
        raise Invalid(NOT_SO, violations)
