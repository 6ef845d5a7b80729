"""Templates: made around a version, found, and moved to another version."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from asyncpg import UniqueViolationError

from taskyard.control.actors import Actor
from taskyard.control.services import Services
from taskyard.control.viewers import viewer_for
from taskyard.db import templates as db
from taskyard.errors import (
    Forbidden,
    Invalid,
    Missing,
    NotFound,
    RequestRefused,
    TemplateNameTaken,
    VersionNotReady,
)
from taskyard.lifecycle import names
from taskyard.lifecycle.permissions import Verb, can
from taskyard.lifecycle.template import MAX_DESCRIPTION_CHARS
from taskyard.wire.base import NIL_UUID
from taskyard.wire.enums import JobStatus
from taskyard.wire.templates import CorsBehavior, CreateTemplateRequest
from taskyard.wire.workspaces import SharingLevel

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

DURATIONS = (
    "default_ttl_ms",
    "activity_bump_ms",
    "failure_ttl_ms",
    "dormant_ttl_ms",
    "delete_ttl_ms",
)
"""Fields of a template that are milliseconds, 0 for none."""

FLAGS = (
    "allow_user_cancel_workspace_jobs",
    "allow_user_autostart",
    "allow_user_autostop",
    "require_active_version",
)
"""Fields of a template that are kept as they were sent."""


MAX_WEEKS = 16
"""Longest time between stops that a template may ask for, in weeks; clients offer no more."""


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
            _check_durations(request)
            about = NewTemplate(template_id, organization_id, version_id, actor.user_id)
            await insert_template(conn, about, request, now)
            created = await db.get_template(conn, viewer, template_id)
    except UniqueViolationError as error:
        raise TemplateNameTaken(request.name) from error
    if created is None:
        raise NotFound(f"template {template_id}")
    return created


async def insert_template(
    conn: "Connection", new: NewTemplate, request: CreateTemplateRequest, now: datetime
) -> None:
    """Adds a template around a version that has none; texts left empty come from the version."""
    kept = {name: getattr(request, name) for name in (*DURATIONS, *FLAGS)}
    await db.insert_template(
        conn,
        id=new.id,
        organization_id=new.organization_id,
        name=request.name,
        display_name=request.display_name.strip(),
        description=request.description,
        icon=request.icon,
        version_id=new.version_id,
        created_by=new.created_by,
        now=now,
        **kept,
    )
    await db.attach_version(conn, new.version_id, new.id, now)


async def promote_version(
    services: Services,
    actor: Actor,
    template: db.TemplateRow,
    version_id: UUID | None,
    *,
    now: datetime,
) -> None:
    """New workspaces of the template are made of this version. Source: supporting-api 7 row 49.

    Raises Forbidden, Missing, RequestRefused, VersionNotReady.
    """
    if not can(actor, Verb.TEMPLATE_WRITE, None, template.organization_id):
        raise Forbidden("change this template")
    async with services.db.transaction() as conn:
        viewer = viewer_for(actor, Verb.TEMPLATE_READ)
        version = await db.get_version(conn, viewer, version_id or NIL_UUID)
        if version is None:
            raise version_missing(str(version_id or ""))
        if version.template_id != template.id:
            raise RequestRefused(
                "template_version_of_other_template",
                f"The version {version.name} does not belong to the template {template.name}.",
                "Give the id of one of its versions.",
            )
        if version.import_status is not JobStatus.SUCCEEDED:
            raise VersionNotReady(
                "template_version_not_imported",
                f"The version {version.name} cannot be used: its import is {version.import_status}.",
                "See the log of the import; wait for it, or push the template again.",
            )
        if version.archived:
            raise _archived(version.name)
        await db.promote_version(conn, template.id, version.id, now)


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
    """Nothing when each field is well-formed by itself; else raises Invalid with all that are not."""
    violations = []
    if problem := names.name_problem(request.name):
        violations.append(("name", problem))
    if request.template_version_id is None:
        violations.append(("template_version_id", "give the id of a template version"))
    if rule := names.display_name_violation(request.display_name):
        violations.append(("display_name", names.explain(rule, request.display_name)))
    if len(request.description) > MAX_DESCRIPTION_CHARS:
        violations.append(
            ("description", f"a description has at most {MAX_DESCRIPTION_CHARS} characters")
        )
    if request.max_port_share_level not in ("", *SharingLevel):
        violations.append(("max_port_share_level", f"give one of {', '.join(SharingLevel)}"))
    if request.cors_behavior not in ("", *CorsBehavior):
        violations.append(("cors_behavior", f"give one of {', '.join(CorsBehavior)}"))
    if violations:
        raise Invalid("A template cannot be made of this.", violations)


def _check_durations(request: CreateTemplateRequest) -> None:
    violations = [
        (name, "give milliseconds, 0 for none") for name in DURATIONS if getattr(request, name) < 0
    ]
    if request.autostop_requirement and not 0 <= request.autostop_requirement.weeks <= MAX_WEEKS:
        violations.append(("autostop_requirement.weeks", f"give 1 to {MAX_WEEKS} weeks"))
    if violations:
        raise Invalid("A template cannot be made of this.", violations)
