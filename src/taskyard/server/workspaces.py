"""Handlers: workspaces themselves, and the list of their builds."""

import contextlib
from datetime import UTC, datetime
from uuid import UUID

from taskyard.control import workspace_builds, workspace_time, workspaces
from taskyard.control.workspace_builds import BuildPage
from taskyard.control.workspace_create import create_workspace as make
from taskyard.control.workspace_list import list_workspaces as list_page
from taskyard.errors import Invalid, RequestRefused
from taskyard.server.call import Call, Handler
from taskyard.server.deps import organization_param, user_param
from taskyard.server.following import boolean
from taskyard.wire.base import Response
from taskyard.wire.workspace_requests import (
    CreateWorkspaceRequest,
    ExtendWorkspaceRequest,
    UpdateWorkspaceTtlRequest,
)


async def list_workspaces(call: Call) -> object:
    """The workspaces that the caller may see, running ones first."""
    limit, offset = _page(call)
    q = call.query("q") or ""
    return await list_page(call.services, call.actor, q, limit=limit, offset=offset, now=call.now)


async def get_workspace(call: Call) -> object:
    """One workspace. Source: U14, U22."""
    workspace_id = call.uuid("workspace")
    deleted = boolean(call, "include_deleted")
    return await workspaces.get_workspace(
        call.services, call.actor, workspace_id, deleted=deleted, now=call.now
    )


async def get_workspace_by_name(call: Call) -> object:
    """One workspace by owner and name."""
    owner = await user_param(call)
    deleted = boolean(call, "include_deleted")
    workspace_id = await workspaces.get_workspace_by_name(
        call.services, call.actor, owner.id, call.path("name"), deleted=deleted
    )
    return await workspaces.get_workspace(
        call.services, call.actor, workspace_id, deleted=deleted, now=call.now
    )


async def list_workspace_builds(call: Call) -> object:
    """The builds of a workspace, newest first. Source: U15."""
    workspace_id = call.uuid("workspace")
    limit, offset = _page(call)
    page = BuildPage(_since(call), _after_id(call), limit, offset)
    return await workspace_builds.list_builds(
        call.services, call.actor, workspace_id, page, now=call.now
    )


async def create_workspace(call: Call) -> object:
    """A workspace without a task."""
    owner = await user_param(call)
    body = await call.body(CreateWorkspaceRequest)
    return await make(call.services, call.actor, owner, body, now=call.now)


async def create_member_workspace(call: Call) -> object:
    """The same for a member of an organization. Source: supporting-api 5 row 35."""
    organization = await organization_param(call)
    owner = await user_param(call)
    body = await call.body(CreateWorkspaceRequest)
    return await make(
        call.services, call.actor, owner, body, organization_id=organization.id, now=call.now
    )


async def set_workspace_ttl(call: Call) -> object:
    """How long the workspace runs after each start."""
    workspace_id = call.uuid("workspace")
    await workspaces.require_visible(call.services, call.actor, workspace_id)
    body = await call.body(UpdateWorkspaceTtlRequest)
    await workspace_time.set_ttl(call.services, call.actor, workspace_id, body.ttl_ms, now=call.now)
    return None


async def extend_workspace(call: Call) -> object:
    """When the workspace stops by itself."""
    workspace_id = call.uuid("workspace")
    await workspaces.require_visible(call.services, call.actor, workspace_id)
    body = await call.body(ExtendWorkspaceRequest)
    deadline = await workspace_time.extend_workspace(
        call.services, call.actor, workspace_id, body.deadline, now=call.now
    )
    return Response(message=f"The workspace runs until {deadline:%Y-%m-%d %H:%M:%S} UTC.")


async def favorite_workspace(call: Call) -> object:
    """The caller likes to see the workspace first."""
    await workspace_time.set_favorite(
        call.services, call.actor, call.uuid("workspace"), favorite=True
    )
    return None


async def unfavorite_workspace(call: Call) -> object:
    """The caller sees the workspace where the others are."""
    await workspace_time.set_favorite(
        call.services, call.actor, call.uuid("workspace"), favorite=False
    )
    return None


def _page(call: Call) -> tuple[int | None, int]:
    """Limit, null for none, and offset; raises Invalid. Source: supporting-api 3."""
    found: dict[str, int] = {}
    violations: list[tuple[str, str]] = []
    for name in ("limit", "offset"):
        raw = call.query(name) or "0"
        if raw.isascii() and raw.isdigit() and len(raw) <= 9:
            found[name] = int(raw)
        else:
            violations.append((name, f'"{raw}" is no number from 0 on'))
    if violations:
        raise Invalid("A query parameter is not valid.", violations)
    return found["limit"] or None, found["offset"]


def _since(call: Call) -> datetime | None:
    raw = call.query("since")
    if not raw:
        return None
    at = None
    with contextlib.suppress(ValueError, OverflowError):
        found = datetime.fromisoformat(raw)
        # A time that UTC has no year for is none that the database could compare with.
        at = found.astimezone(UTC) if found.tzinfo else None
    if at is None:
        raise RequestRefused(
            "invalid_query", 'The query parameter "since" must be a time.', "Give RFC 3339."
        )
    return at


def _after_id(call: Call) -> UUID | None:
    raw = call.query("after_id")
    try:
        return UUID(raw) if raw else None
    except ValueError as error:
        raise Invalid("A query parameter is not valid.", [("after_id", "give a UUID")]) from error


HANDLERS: dict[str, Handler] = {
    handler.__name__: handler
    for handler in (
        create_workspace,
        create_member_workspace,
        list_workspaces,
        get_workspace,
        get_workspace_by_name,
        set_workspace_ttl,
        extend_workspace,
        favorite_workspace,
        unfavorite_workspace,
        list_workspace_builds,
    )
}
