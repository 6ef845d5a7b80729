"""Handlers: organizations and their members."""

from taskyard.control import organizations
from taskyard.control.identity_view import (
    member_view,
    organization_member_view,
    organization_view,
)
from taskyard.errors import NotFound
from taskyard.server.call import Call, Handler
from taskyard.server.deps import new_member_param, organization_param, user_param
from taskyard.wire import identity as wire


async def create_organization(call: Call) -> object:
    """A new organization."""
    body = await call.body(wire.CreateOrganizationRequest)
    row = await organizations.create_organization(call.services, call.actor, body, call.now)
    return organization_view(row)


async def list_organizations(call: Call) -> object:
    """Organizations that the caller sees."""
    rows = await organizations.list_organizations(call.services, call.actor)
    return [organization_view(row) for row in rows]


async def get_organization(call: Call) -> object:
    """One organization. Source: U8."""
    return organization_view(await organization_param(call))


async def update_organization(call: Call) -> object:
    """An organization with what was given changed."""
    organization = await organization_param(call)
    body = await call.body(wire.UpdateOrganizationRequest)
    row = await organizations.update_organization(
        call.services, call.actor, organization.id, body, now=call.now
    )
    return organization_view(row)


async def list_user_organizations(call: Call) -> object:
    """The organizations of a user."""
    user = await user_param(call)
    rows = await organizations.list_user_organizations(call.services, call.actor, user.id)
    return [organization_view(row) for row in rows]


async def get_user_organization(call: Call) -> object:
    """One organization of a user, by name."""
    user = await user_param(call)
    rows = await organizations.list_user_organizations(call.services, call.actor, user.id)
    name = call.path("organizationname").lower()
    for row in rows:
        if row.name.lower() == name:
            return organization_view(row)
    raise NotFound


async def list_members(call: Call) -> object:
    """Every member of an organization."""
    organization = await organization_param(call)
    everybody = wire.ListMembersQuery()
    rows, _ = await organizations.list_members(
        call.services, call.actor, organization.id, everybody
    )
    return [member_view(row) for row in rows]


async def list_paginated_members(call: Call) -> object:
    """Members of an organization, narrowed and page by page."""
    organization = await organization_param(call)
    query = call.query(wire.ListMembersQuery)
    rows, total = await organizations.list_members(
        call.services, call.actor, organization.id, query
    )
    return wire.PaginatedMembersResponse(members=[member_view(row) for row in rows], count=total)


async def get_member(call: Call) -> object:
    """One member."""
    organization = await organization_param(call)
    user = await user_param(call)
    row = await organizations.get_member(call.services, call.actor, organization.id, user.id)
    return member_view(row)


async def add_member(call: Call) -> object:
    """A user more in an organization."""
    organization = await organization_param(call)
    user = await new_member_param(call, organization.id)
    row = await organizations.add_member(
        call.services, call.actor, organization.id, user, now=call.now
    )
    return organization_member_view(row)


async def remove_member(call: Call) -> object:
    """A user less in an organization."""
    organization = await organization_param(call)
    user = await user_param(call)
    await organizations.remove_member(
        call.services, call.actor, organization.id, user, now=call.now
    )
    return None


async def update_member_roles(call: Call) -> object:
    """Other roles in an organization."""
    organization = await organization_param(call)
    user = await user_param(call)
    body = await call.body(wire.UpdateRolesRequest)
    row = await organizations.set_member_roles(
        call.services, call.actor, (organization.id, user), body.roles, now=call.now
    )
    return organization_member_view(row)


HANDLERS: dict[str, Handler] = {
    handler.__name__: handler
    for handler in (
        create_organization,
        list_organizations,
        get_organization,
        update_organization,
        list_user_organizations,
        get_user_organization,
        list_members,
        list_paginated_members,
        get_member,
        add_member,
        remove_member,
        update_member_roles,
    )
}
