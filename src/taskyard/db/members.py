"""Organizations made, and who is what in them: row types and one function a statement of sql/members.sql."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.db.identity import OrganizationRow
from taskyard.db.statements import NoRow, statement
from taskyard.db.users import UserFilter
from taskyard.db.viewer import Viewer
from taskyard.wire.enums import LoginType, UserStatus

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


class OrganizationMemberRow(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody is in an organization."""

    organization_id: UUID
    user_id: UUID
    roles: list[str]
    created_at: datetime
    updated_at: datetime


class MemberRow(msgspec.Struct, frozen=True, kw_only=True):
    """A member of an organization with the user's data; total counts the whole list before paging."""

    user_id: UUID
    organization_id: UUID
    created_at: datetime
    updated_at: datetime
    roles: list[str]
    username: str
    name: str
    avatar_url: str
    email: str
    status: UserStatus
    login_type: LoginType
    last_seen_at: datetime
    user_created_at: datetime
    user_updated_at: datetime
    global_roles: list[str]
    total: int


_INSERT_ORGANIZATION = statement("members", "insert_named_organization", NoRow)
_LOCK_ORGANIZATION = statement("members", "lock_organization_as_system", OrganizationRow)
_UPDATE_ORGANIZATION = statement("members", "update_organization", NoRow)
_LIST = statement("members", "list_members", MemberRow)
_LOCK = statement("members", "lock_member_as_system", OrganizationMemberRow)
_UPDATE_ROLES = statement("members", "update_member_roles", NoRow)
_DELETE = statement("members", "delete_member", NoRow)
_DELETE_ALL = statement("members", "delete_memberships_of", NoRow)


async def insert_named_organization(
    conn: "Connection", organization: OrganizationRow, now: datetime
) -> None:
    """A new organization, which is not the default one. Raises UniqueViolationError for a taken name."""
    values = msgspec.structs.asdict(organization)
    for left_out in ("is_default", "max_running", "created_at", "updated_at"):
        del values[left_out]
    await _INSERT_ORGANIZATION.execute(conn, **values, now=now)


async def lock_organization_as_system(
    conn: "Connection", organization_id: UUID
) -> OrganizationRow | None:
    """An organization that nobody else changes until the transaction ends; None when there is none."""
    return await _LOCK_ORGANIZATION.one(conn, organization_id=organization_id)


async def update_organization(
    conn: "Connection", organization: OrganizationRow, now: datetime
) -> None:
    """The organization as the row says, but for its name, which stays."""
    await _UPDATE_ORGANIZATION.execute(
        conn,
        id=organization.id,
        display_name=organization.display_name,
        description=organization.description,
        icon=organization.icon,
        max_running=organization.max_running,
        now=now,
    )


async def list_members(
    conn: "Connection",
    viewer: Viewer,
    organization_id: UUID,
    only: UserFilter,
    *,
    limit: int | None,
    offset: int = 0,
) -> list[MemberRow]:
    """Members of an organization that the viewer sees, by name, narrowed by the filter; limit null means all."""
    return await _LIST.many(
        conn,
        **viewer.values(),
        **msgspec.structs.asdict(only),
        limit=limit,
        offset=offset,
        organization_id=organization_id,
        user_id=None,
    )


async def get_member(
    conn: "Connection", viewer: Viewer, organization_id: UUID, user_id: UUID
) -> MemberRow | None:
    """One member as far as the viewer sees them."""
    return await _LIST.one(
        conn,
        **viewer.values(),
        **msgspec.structs.asdict(UserFilter()),
        limit=1,
        offset=0,
        organization_id=organization_id,
        user_id=user_id,
    )


async def lock_member_as_system(
    conn: "Connection", organization_id: UUID, user_id: UUID
) -> OrganizationMemberRow | None:
    """What a user is in an organization; nobody else changes it until the transaction ends."""
    return await _LOCK.one(conn, organization_id=organization_id, user_id=user_id)


async def update_member_roles(
    conn: "Connection", member: OrganizationMemberRow, roles: list[str], now: datetime
) -> None:
    """These are the member's roles from now on."""
    await _UPDATE_ROLES.execute(
        conn,
        organization_id=member.organization_id,
        user_id=member.user_id,
        roles=roles,
        now=now,
    )


async def delete_member(conn: "Connection", organization_id: UUID, user_id: UUID) -> None:
    """The user is no longer in the organization."""
    await _DELETE.execute(conn, organization_id=organization_id, user_id=user_id)


async def delete_memberships_of(conn: "Connection", user_id: UUID) -> None:
    """The user is in no organization any more."""
    await _DELETE_ALL.execute(conn, user_id=user_id)
