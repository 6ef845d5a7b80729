"""Rows of users, organizations and keys as the wire shows them."""

from uuid import UUID

from msgspec import UNSET

from taskyard.db import identity as db
from taskyard.db import members as members_db
from taskyard.db import users as users_db
from taskyard.wire import identity as wire
from taskyard.wire.base import unless_empty
from taskyard.wire.enums import LoginType

ROLE_NAMES = {
    "owner": "Owner",
    "template-admin": "Template Admin",
    "user-admin": "User Admin",
    "auditor": "Auditor",
    "organization-admin": "Organization Admin",
}
"""How roles are shown; the words themselves are the wire's."""


def user_view(row: db.UserRow) -> wire.User:
    """A user as the wire shows them."""
    return wire.User(
        id=row.id,
        username=row.username,
        name=unless_empty(row.name),
        avatar_url=unless_empty(row.avatar_url),
        email=row.email,
        created_at=row.created_at,
        updated_at=row.updated_at,
        last_seen_at=row.last_seen_at,
        status=row.status,
        login_type=row.login_type,
        is_service_account=unless_empty(row.login_type is LoginType.NONE),
        theme_preference=UNSET,
        organization_ids=row.organization_ids,
        roles=[_role(name) for name in row.roles],
        has_ai_seat=False,
        max_running=UNSET if row.max_running is None else row.max_running,
    )


def organization_view(row: db.OrganizationRow) -> wire.Organization:
    """An organization as the wire shows it."""
    return wire.Organization(
        id=row.id,
        name=row.name,
        display_name=row.display_name,
        icon=row.icon,
        description=row.description,
        created_at=row.created_at,
        updated_at=row.updated_at,
        is_default=row.is_default,
        max_running=UNSET if row.max_running is None else row.max_running,
    )


def organization_member_view(row: members_db.OrganizationMemberRow) -> wire.OrganizationMember:
    """What somebody is in an organization, as the wire shows it."""
    return wire.OrganizationMember(
        user_id=row.user_id,
        organization_id=row.organization_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        roles=[_role(name, row.organization_id) for name in row.roles],
    )


def ssh_key_view(row: users_db.GitSSHKeyRow) -> wire.GitSSHKey:
    """The public half of a user's SSH key as the wire shows it."""
    return wire.GitSSHKey(
        user_id=row.user_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        public_key=row.public_key,
    )


def member_view(row: members_db.MemberRow) -> wire.MemberWithUserData:
    """A member of an organization as the wire shows them."""
    return wire.MemberWithUserData(
        user_id=row.user_id,
        organization_id=row.organization_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        roles=[_role(name, row.organization_id) for name in row.roles],
        username=row.username,
        name=unless_empty(row.name),
        avatar_url=unless_empty(row.avatar_url),
        email=row.email,
        status=row.status,
        login_type=row.login_type,
        last_seen_at=row.last_seen_at,
        user_created_at=row.user_created_at,
        user_updated_at=row.user_updated_at,
        is_service_account=unless_empty(row.login_type is LoginType.NONE),
        global_roles=[_role(name) for name in row.global_roles],
        has_ai_seat=False,
    )


def key_view(row: db.ApiKeyRow) -> wire.APIKey:
    """A key as the wire shows it; the rows of lists also have their owner's name."""
    return wire.APIKey(
        id=row.id,
        user_id=row.user_id,
        last_used=row.last_used_at,
        expires_at=row.expires_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
        login_type=row.login_type,
        scope=row.scope,
        scopes=[row.scope],
        token_name=row.token_name,
        lifetime_seconds=row.lifetime_s,
        allow_list=[],
        username=row.username if isinstance(row, db.TokenRow) else UNSET,
    )


def _role(name: str, organization_id: UUID | None = None) -> wire.Role:
    return wire.Role(
        name=name,
        display_name=ROLE_NAMES[name],
        organization_id=UNSET if organization_id is None else organization_id,
    )
