"""A new task: checked in the contract's order, then made with its workspace in one transaction."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from asyncpg import UniqueViolationError

from taskyard.control.actors import Actor
from taskyard.control.audit import Deed, record
from taskyard.control.builds import insert_first_build
from taskyard.control.services import Services
from taskyard.control.template_use import (
    check_import,
    check_template,
    get_version,
    parameter_values,
    preset_parameters,
)
from taskyard.control.workspace_create import check_rights, template_ttl_ms
from taskyard.db import tasks as db
from taskyard.db import workspaces as workspaces_db
from taskyard.db.identity import UserRow
from taskyard.db.workspaces import VersionRow
from taskyard.errors import NotFound, RequestRefused, WorkspaceNameTaken
from taskyard.lifecycle.names import (
    ADJECTIVES,
    SURNAMES,
    display_name_violation,
    explain,
    generate_display_name,
    generate_name,
    name_violation,
)
from taskyard.lifecycle.template_model import Template
from taskyard.wire.enums import AuditAction, AuditResource
from taskyard.wire.tasks import CreateTaskRequest
from taskyard_agent import points

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

NAME_TRIES = 8
"""Made names tried before giving up: each has one chance in 65,536 to be in use for the same prompt."""


@dataclass(frozen=True, slots=True)
class _NewTask:
    """What the rows of a new task are made of."""

    id: UUID
    workspace_id: UUID
    name: str
    version: VersionRow
    template: Template


async def create_task(
    services: Services, actor: Actor, owner: UserRow, request: CreateTaskRequest, *, now: datetime
) -> db.TaskRow:
    """The new task, its workspace and first build pending.

    Raises RequestRefused, NotFound, Forbidden, TemplateDeleted, VersionArchived, WorkspaceNameTaken,
    ParametersInvalid. Source: tasks-api 8.2.
    """
    try:
        async with services.db.transaction() as conn:
            new = await _checked(conn, actor, owner, request)
            preset_id = request.template_version_preset_id
            preset = await preset_parameters(conn, new.version.id, preset_id)
            given = {entry.name: entry.value for entry in request.rich_parameter_values}
            values = parameter_values(new.template, preset | given)
            await _insert(conn, request, owner.id, new, now=now)
            await insert_first_build(
                conn,
                workspace_id=new.workspace_id,
                organization_id=new.version.organization_id,
                initiator_id=actor.user_id,
                template_version_id=new.version.id,
                preset_id=preset_id,
                parameters=values,
                now=now,
            )
            await record(conn, actor, _deed(new), now)
            task = await db.get_task(conn, actor.viewer, new.id)
    except UniqueViolationError as error:
        raise WorkspaceNameTaken(request.name or "like this one") from error
    if task is None:
        raise NotFound(f"task {new.id}")
    await points.reached("create.committed", str(new.workspace_id))
    return task


def _deed(new: _NewTask) -> Deed:
    return Deed(
        action=AuditAction.CREATE,
        resource_type=AuditResource.TASK,
        resource_id=new.id,
        resource_name=new.name,
        organization_id=new.version.organization_id,
    )


async def _checked(
    conn: "Connection", actor: Actor, owner: UserRow, request: CreateTaskRequest
) -> _NewTask:
    """A task that may be made, nothing of it written; the order of the checks is the contract's."""
    version = await _version(conn, actor, request)
    _check_names(request)
    check_rights(actor, owner, version.organization_id)
    check_template(version)
    name = await _free_name(conn, owner.id, request)
    return _NewTask(uuid4(), uuid4(), name, version, check_import(version))


async def _version(conn: "Connection", actor: Actor, request: CreateTaskRequest) -> VersionRow:
    """The version to use; raises RequestRefused unless it is there and declares a task. Source: T23, T24."""
    version = await get_version(conn, actor, request.template_version_id)
    if not version.has_ai_task:
        raise RequestRefused(
            "template_without_task",
            "No tasks can be made of this template version.",
            "Its taskyard.toml needs a [task] table, and its import must have succeeded.",
        )
    return version


def _check_names(request: CreateTaskRequest) -> None:
    """Raises RequestRefused for a name or display name that breaks a rule. Source: T25, T30."""
    rule = name_violation(request.name) if request.name else None
    if rule is not None:
        raise RequestRefused(rule, "The task cannot have this name.", explain(rule, request.name))
    check_display_name(request.display_name)


def check_display_name(display_name: str) -> None:
    """Nothing for a display name that a task can have; else raises RequestRefused. Source: T30."""
    rule = display_name_violation(display_name)
    if rule is not None:
        raise RequestRefused(rule, "The display name is too long.", explain(rule, display_name))


async def _free_name(conn: "Connection", owner_id: UUID, request: CreateTaskRequest) -> str:
    """The name asked for, or one made from the input; raises WorkspaceNameTaken. Source: T27, T28, T31."""
    name = request.name
    for _ in range(1 if name else NAME_TRIES):
        name = request.name or _made_name(request.input)
        if not await workspaces_db.name_in_use(conn, owner_id, name):
            return name
    raise WorkspaceNameTaken(name)


def _made_name(text: str) -> str:
    fallback = f"{secrets.choice(ADJECTIVES)}-{secrets.choice(SURNAMES)}"
    return generate_name(text, suffix=secrets.token_hex(2), fallback=fallback)


async def _insert(
    conn: "Connection", request: CreateTaskRequest, owner_id: UUID, new: _NewTask, *, now: datetime
) -> None:
    """The rows of the task and its workspace, which has no build yet."""
    await workspaces_db.insert_workspace(
        conn,
        id=new.workspace_id,
        owner_id=owner_id,
        organization_id=new.version.organization_id,
        template_id=new.version.template_id,
        name=new.name,
        ttl_ms=template_ttl_ms(new.version, new.template),
        now=now,
    )
    await db.insert_task(
        conn,
        id=new.id,
        organization_id=new.version.organization_id,
        owner_id=owner_id,
        name=new.name,
        display_name=request.display_name.strip() or generate_display_name(request.input, new.name),
        workspace_id=new.workspace_id,
        template_version_id=new.version.id,
        input=request.input,
        now=now,
    )
