"""Handlers: workspaces themselves, and the list of their builds."""

from taskyard.control import workspace_builds, workspace_time, workspaces
from taskyard.control.workspace_create import create_workspace as make
from taskyard.control.workspace_list import list_workspaces as list_page
from taskyard.server.call import Call, Handler
from taskyard.server.deps import organization_param, user_param
from taskyard.wire.base import Response
from taskyard.wire.workspace_requests import (
    CreateWorkspaceRequest,
    ExtendWorkspaceRequest,
    GetWorkspaceQuery,
    ListBuildsQuery,
    ListWorkspacesQuery,
    UpdateWorkspaceTtlRequest,
)


async def list_workspaces(call: Call) -> object:
    """The workspaces that the caller may see, running ones first."""
    return await list_page(call.services, call.actor, call.query(ListWorkspacesQuery), call.now)


async def get_workspace(call: Call) -> object:
    """One workspace. Source: U14, U22."""
    workspace_id = call.uuid("workspace")
    deleted = call.query(GetWorkspaceQuery).include_deleted
    return await workspaces.get_workspace(
        call.services, call.actor, workspace_id, deleted=deleted, now=call.now
    )


async def get_workspace_by_name(call: Call) -> object:
    """One workspace by owner and name."""
    owner = await user_param(call)
    deleted = call.query(GetWorkspaceQuery).include_deleted
    workspace_id = await workspaces.get_workspace_by_name(
        call.services, call.actor, owner.id, call.path("name"), deleted=deleted
    )
    return await workspaces.get_workspace(
        call.services, call.actor, workspace_id, deleted=deleted, now=call.now
    )


async def list_workspace_builds(call: Call) -> object:
    """The builds of a workspace, newest first. Source: U15."""
    workspace_id = call.uuid("workspace")
    query = call.query(ListBuildsQuery)
    return await workspace_builds.list_builds(
        call.services, call.actor, workspace_id, query, now=call.now
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
