"""What the audit says of users, keys and organizations."""

from collections.abc import Mapping
from uuid import UUID

from taskyard.control.audit import Deed
from taskyard.db.identity import ApiKeyRow, OrganizationRow, UserRow
from taskyard.wire.enums import AuditAction, AuditResource

USER_FIELDS = ("username", "email", "name", "github_user_id", "max_running", "status", "roles")
"""What of a user is told when it changes; never the password."""

ORGANIZATION_FIELDS = ("display_name", "description", "icon", "max_running")
"""What of an organization is told when it changes: all that can."""


def of_user(
    action: AuditAction, user: UserRow, changes: Mapping[str, Mapping[str, object]] | None = None
) -> Deed:
    """Something done to a user."""
    return Deed(
        action=action,
        resource_type=AuditResource.USER,
        resource_id=user.id,
        resource_name=user.username,
        changes=changes or {},
    )


def of_key(action: AuditAction, key: ApiKeyRow, owner: str) -> Deed:
    """Something done to a key; a session has no name, so its owner's stands for it."""
    return Deed(
        action=action,
        resource_type=AuditResource.API_KEY,
        resource_id=key.id,
        resource_name=f"{owner}/{key.token_name}" if key.token_name else owner,
    )


def of_organization(
    action: AuditAction,
    organization: OrganizationRow,
    changes: Mapping[str, Mapping[str, object]] | None = None,
) -> Deed:
    """Something done to an organization."""
    return Deed(
        action=action,
        resource_type=AuditResource.ORGANIZATION,
        resource_id=organization.id,
        resource_name=organization.name,
        organization_id=organization.id,
        changes=changes or {},
    )


def of_member(
    action: AuditAction,
    organization_id: UUID,
    user: UserRow,
    changes: Mapping[str, Mapping[str, object]] | None = None,
) -> Deed:
    """Something done to what a user is in an organization."""
    return Deed(
        action=action,
        resource_type=AuditResource.ORGANIZATION_MEMBER,
        resource_id=user.id,
        resource_name=user.username,
        organization_id=organization_id,
        changes=changes or {},
    )
