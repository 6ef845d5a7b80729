"""A new build that a person asked for: may they have it, of which version, with which values."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from taskyard.control.actors import Actor
from taskyard.control.audit import deed_of, record
from taskyard.control.build_parts import build_views
from taskyard.control.builds import insert_build
from taskyard.control.services import Services
from taskyard.control.template_use import (
    check_import,
    get_version,
    parameter_values,
    preset_parameters,
)
from taskyard.control.workspaces import visible_workspace
from taskyard.db import builds
from taskyard.db import workspaces as db
from taskyard.errors import BuildActive, Forbidden, RefusedNow, RequestRefused
from taskyard.errors.templates import VersionArchived
from taskyard.lifecycle.permissions import Verb, can
from taskyard.lifecycle.template_model import Template
from taskyard.wire import workspaces as wire
from taskyard.wire.enums import AuditAction, AuditResource, BuildReason, Transition

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What a person wants built. version_id null: that of the build before. values: by parameter.

    orphan: a delete that leaves alone what the driver holds. dry_run: check all, keep nothing.
    """

    transition: Transition
    reason: BuildReason
    version_id: UUID | None
    preset_id: UUID | None
    values: dict[str, str]
    orphan: bool = False
    dry_run: bool = False


class _Tried(Exception):
    """A build was tried, and is not to be kept."""

    def __init__(self, view: wire.WorkspaceBuild) -> None:
        super().__init__()
        self.view = view


async def create_build(
    services: Services, actor: Actor, workspace_id: UUID, wanted: BuildRequest, *, now: datetime
) -> wire.WorkspaceBuild:
    """The new build of a workspace. Source: supporting-api 9 row 68, U16, U21.

    Raises NotFound, RefusedNow, Forbidden, RequestRefused, VersionArchived, VersionImporting,
    ParametersInvalid, BuildActive.
    """
    try:
        async with services.db.transaction() as conn:
            workspace = await visible_workspace(conn, actor, workspace_id)
            _check_allowed(actor, workspace, wanted)
            view = await _create(conn, actor, workspace, wanted, now=now)
            if wanted.dry_run:
                raise _Tried(view)  # noqa: TRY301 - leaving by an error is what takes a transaction back
    except _Tried as tried:
        return tried.view
    return view


def _check_allowed(actor: Actor, workspace: db.WorkspaceRow, wanted: BuildRequest) -> None:
    """Raises RefusedNow for a deleted workspace, Forbidden for what the actor may not do with it."""
    if workspace.deleted:
        raise RefusedNow(
            "workspace_deleted",
            "This workspace was deleted; nothing of it can be built.",
            "Create a new one.",
        )
    if not can(actor, Verb.WORKSPACE_WRITE, workspace.owner_id, workspace.organization_id):
        raise Forbidden(f"{wanted.transition} this workspace")
    if wanted.orphan and not runs_things(actor, workspace):
        raise Forbidden("delete a workspace without its driver; leave out orphan")


async def _create(
    conn: "Connection",
    actor: Actor,
    workspace: db.WorkspaceRow,
    wanted: BuildRequest,
    *,
    now: datetime,
) -> wire.WorkspaceBuild:
    version_id = _version_id(workspace, wanted)
    build = await insert_build(
        conn,
        workspace=workspace,
        transition=wanted.transition,
        reason=wanted.reason,
        initiator_id=actor.user_id,
        template_version_id=version_id,
        preset_id=wanted.preset_id,
        parameters=await _values(conn, actor, workspace, wanted, version_id=version_id),
        orphan=wanted.orphan,
        now=now,
    )
    action = AuditAction(wanted.transition)
    changes = {"reason": {"old": None, "new": wanted.reason}}
    deed = deed_of(AuditResource.WORKSPACE, workspace, action, changes)
    await record(conn, actor, deed, now)
    [view] = await build_views(conn, [build], now)
    return view


def _version_id(workspace: db.WorkspaceRow, wanted: BuildRequest) -> UUID:
    """The version to build: the one asked for, else the active one where starts take that, else the last."""
    if wanted.version_id is not None:
        return wanted.version_id
    follows = workspace.automatic_updates is wire.AutomaticUpdates.ALWAYS
    if wanted.transition is Transition.START and (follows or workspace.require_active_version):
        return workspace.active_version_id
    return workspace.template_version_id


async def _values(
    conn: "Connection",
    actor: Actor,
    workspace: db.WorkspaceRow,
    wanted: BuildRequest,
    *,
    version_id: UUID,
) -> dict[str, str] | None:
    """The parameter values of a build; null keeps those of the build before, as every stop does."""
    template = None
    if wanted.transition is Transition.START or wanted.version_id is not None:
        template = await _template(conn, actor, workspace, wanted, version_id=version_id)
    if await builds.has_active_build(conn, workspace.id):
        raise BuildActive(workspace.id)
    preset = await preset_parameters(conn, version_id, wanted.preset_id)
    if template is None or wanted.transition is not Transition.START:
        return None
    before = await builds.list_build_parameters(conn, workspace.build_id)
    return parameter_values(template, preset | wanted.values, {p.name: p.value for p in before})


async def _template(
    conn: "Connection",
    actor: Actor,
    workspace: db.WorkspaceRow,
    wanted: BuildRequest,
    *,
    version_id: UUID,
) -> Template:
    """What a build is made from. Raises RequestRefused, VersionArchived, VersionImporting, Forbidden."""
    version = await get_version(conn, actor, version_id)
    if version.template_id != workspace.template_id:
        raise RequestRefused(
            "template_version_foreign",
            "This template version belongs to another template.",
            f"Give a version of the template {workspace.template_name}.",
        )
    if version.archived and version.id != workspace.template_version_id:
        raise VersionArchived
    template = check_import(version)
    _check_active(actor, workspace, wanted, version_id)
    return template


def _check_active(
    actor: Actor, workspace: db.WorkspaceRow, wanted: BuildRequest, version_id: UUID
) -> None:
    """Raises Forbidden for a start of another version where the template lets only the active one start."""
    if wanted.transition is not Transition.START or not workspace.require_active_version:
        return
    writes = can(actor, Verb.TEMPLATE_WRITE, None, workspace.organization_id)
    if version_id != workspace.active_version_id and not writes:
        raise Forbidden("start a version of this template that is not the active one")


def runs_things(actor: Actor, workspace: db.WorkspaceRow) -> bool:
    """Whether the actor is an owner of the site or runs the workspace's organization."""
    return actor.is_owner or workspace.organization_id in actor.admin_of
