"""A new workspace without a task: checked as a task's would be, then made in one transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from asyncpg import UniqueViolationError

from taskyard.control.actors import Actor
from taskyard.control.audit import deed_of, record
from taskyard.control.builds import insert_first_build
from taskyard.control.services import Services
from taskyard.control.template_use import (
    check_import,
    check_template,
    get_version,
    parameter_values,
    preset_parameters,
)
from taskyard.control.viewers import is_user_of_site
from taskyard.control.workspaces import visible_workspace, workspace_views
from taskyard.db import workspaces as db
from taskyard.db.identity import UserRow
from taskyard.db.workspaces import VersionRow
from taskyard.errors import Forbidden, Invalid, NotFound, RequestRefused, WorkspaceNameTaken
from taskyard.lifecycle.names import name_problem
from taskyard.lifecycle.permissions import Verb, can
from taskyard.lifecycle.template_model import Template
from taskyard.lifecycle.workspace import schedule_problem, ttl_problem
from taskyard.wire import workspaces as wire
from taskyard.wire.enums import AuditAction, AuditResource
from taskyard.wire.workspace_requests import CreateWorkspaceRequest

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


@dataclass(frozen=True, slots=True)
class _Made:
    """What the row of a new workspace is made of."""

    id: UUID
    owner_id: UUID
    version: VersionRow
    template: Template


async def create_workspace(
    services: Services,
    actor: Actor,
    owner: UserRow,
    request: CreateWorkspaceRequest,
    *,
    organization_id: UUID | None = None,
    now: datetime,
) -> wire.Workspace:
    """The new workspace, its first build pending. organization_id: where its template must be, null for any.

    Raises Invalid, RequestRefused, NotFound, Forbidden, TemplateDeleted, VersionArchived,
    VersionImporting, WorkspaceNameTaken, ParametersInvalid. Source: supporting-api 9 row 60.
    """
    _check_fields(request)
    try:
        async with services.db.transaction() as conn:
            made = await _checked(conn, actor, owner, request, organization_id=organization_id)
            await _insert(conn, actor, request, made, now=now)
            row = await visible_workspace(conn, actor, made.id)
            deed = deed_of(AuditResource.WORKSPACE, row, AuditAction.CREATE)
            await record(conn, actor, deed, now)
            [view] = await workspace_views(conn, [row], now)
    except UniqueViolationError as error:
        raise WorkspaceNameTaken(request.name) from error
    return view


def check_rights(actor: Actor, owner: UserRow, organization_id: UUID) -> None:
    """Raises NotFound or Forbidden unless the actor may make workspaces for the owner there."""
    if not is_user_of_site(actor, owner) and organization_id not in owner.organization_ids:
        raise NotFound(f"user {owner.username} is no member of the template's organization")
    if not can(actor, Verb.WORKSPACE_WRITE, owner.id, organization_id):
        raise Forbidden("create a workspace for this user")


def _check_fields(request: CreateWorkspaceRequest) -> None:
    """Raises Invalid with every field that is not right by itself."""
    violations: list[tuple[str, str]] = []
    problem = name_problem(request.name) if request.name else "give the workspace a name"
    if problem is not None:
        violations.append(("name", problem))
    if (request.template_id is None) == (request.template_version_id is None):
        text = "give either a template or one of its versions"
        violations += [("template_id", text), ("template_version_id", text)]
    problem = ttl_problem(request.ttl_ms)
    if problem is not None:
        violations.append(("ttl_ms", problem))
    problem = schedule_problem(request.autostart_schedule)
    if problem is not None:
        violations.append(("autostart_schedule", problem))
    if request.automatic_updates not in {"", *wire.AutomaticUpdates}:
        words = " or ".join(wire.AutomaticUpdates)
        violations.append(("automatic_updates", f"give {words}, or nothing"))
    if violations:
        raise Invalid("A field is not valid.", violations)


async def _checked(
    conn: "Connection",
    actor: Actor,
    owner: UserRow,
    request: CreateWorkspaceRequest,
    *,
    organization_id: UUID | None,
) -> _Made:
    """A workspace that may be made, nothing of it written; the order of the checks is the contract's."""
    version_id = request.template_version_id
    if request.template_id is not None:
        version_id = await db.get_active_version_id(conn, request.template_id)
    version = await get_version(conn, actor, version_id)
    if organization_id not in (None, version.organization_id):
        raise RequestRefused(
            "template_elsewhere",
            "The template belongs to another organization.",
            "Choose a template of this organization.",
        )
    check_rights(actor, owner, version.organization_id)
    check_template(version)
    _check_rules(version, request)
    if await db.name_in_use(conn, owner.id, request.name):
        raise WorkspaceNameTaken(request.name)
    return _Made(uuid4(), owner.id, version, check_import(version))


def _check_rules(version: VersionRow, request: CreateWorkspaceRequest) -> None:
    """Raises Invalid where the template leaves no choice."""
    violations: list[tuple[str, str]] = []
    if request.ttl_ms and not version.allow_user_autostop:
        violations.append(("ttl_ms", "this template decides how long its workspaces run"))
    if request.autostart_schedule and not version.allow_user_autostart:
        violations.append(("autostart_schedule", "this template lets nothing start by itself"))
    if violations:
        raise Invalid("The template does not allow this.", violations)


async def _insert(
    conn: "Connection",
    actor: Actor,
    request: CreateWorkspaceRequest,
    made: _Made,
    *,
    now: datetime,
) -> None:
    """The rows of the workspace and its first build."""
    version = made.version
    preset_id = request.template_version_preset_id
    preset = await preset_parameters(conn, version.id, preset_id)
    given = {entry.name: entry.value for entry in request.rich_parameter_values}
    values = parameter_values(made.template, preset | given)
    await db.insert_workspace(
        conn,
        id=made.id,
        owner_id=made.owner_id,
        organization_id=version.organization_id,
        template_id=version.template_id,
        name=request.name,
        ttl_ms=request.ttl_ms or template_ttl_ms(version, made.template),
        autostart_schedule=request.autostart_schedule,
        automatic_updates=wire.AutomaticUpdates(
            request.automatic_updates or wire.AutomaticUpdates.NEVER
        ),
        now=now,
    )
    await insert_first_build(
        conn,
        workspace_id=made.id,
        organization_id=version.organization_id,
        initiator_id=actor.user_id,
        template_version_id=version.id,
        preset_id=preset_id,
        parameters=values,
        now=now,
    )


def template_ttl_ms(version: VersionRow, template: Template) -> int | None:
    """How long a workspace runs at most, by the template's setting or what its file says; null for ever."""
    ttl_s = template.workspace.ttl_s
    return version.default_ttl_ms or (ttl_s * 1000 if ttl_s else None)
