"""Roles of the whole site: who has which, and who gives them."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from taskyard.control.actors import Actor
from taskyard.control.services import Services
from taskyard.control.users import hold, save
from taskyard.db import identity as identity_db
from taskyard.db.identity import UserRow
from taskyard.errors import Forbidden, Invalid, RequestRefused
from taskyard.lifecycle.permissions import Role, may_grant
from taskyard.wire import identity as wire

ORGANIZATION_MEMBER = "organization-member"
"""What other servers call a role that everybody in an organization has; taken and left out here."""


async def get_roles(services: Services, user: UserRow) -> wire.UserRoles:
    """A user's roles on the site, and in each organization they are in."""
    async with services.db.connection() as conn:
        rows = await identity_db.list_memberships_as_system(conn, user.id)
    return wire.UserRoles(
        roles=user.roles,
        organization_roles={str(row.organization_id): row.roles for row in rows},
    )


async def set_roles(
    services: Services, actor: Actor, user_id: UUID, words: list[str], *, now: datetime
) -> UserRow:
    """The user with these roles of the site and no others.

    Raises Invalid for a word that is none, Forbidden for a role that the actor may not hand out or take
    away, RequestRefused for oneself and for the last owner. Source: supporting-api 3 row 16.
    """
    if user_id == actor.user_id:
        raise RequestRefused(
            "own_roles", "You cannot change your own roles.", "Ask another owner to do it."
        )
    wanted = read_roles(words, site=True)
    async with services.db.transaction() as conn:
        before = await hold(conn, user_id)
        check_grants(actor, before.roles, wanted, None)
        after = replace(before, roles=wanted)
        await save(conn, actor, before, after, now=now)
    return replace(after, updated_at=now)


def read_roles(words: Iterable[str], *, site: bool) -> list[str]:
    """Roles by their words, each once, in the order of the table. Raises Invalid for a word that is none.

    What everybody is counts for nothing: `member`, and `organization-member` in organizations.
    """
    known = [r for r in Role if r is not Role.MEMBER and (r is Role.ORGANIZATION_ADMIN) is not site]
    given = set(words) - {Role.MEMBER.value, *([] if site else [ORGANIZATION_MEMBER])}
    unknown = sorted(given - {role.value for role in known})
    if unknown:
        names = ", ".join(known)
        raise Invalid(
            "A role is not known.", [("roles", f'"{unknown[0]}" is no role here; there is {names}')]
        )
    return [role.value for role in known if role in given]


def check_grants(
    actor: Actor, before: list[str], after: list[str], organization: UUID | None
) -> None:
    """Nothing when the actor may give and take away what differs; else raises Forbidden."""
    for word in sorted(set(before) ^ set(after)):
        if not may_grant(actor, Role(word), organization):
            raise Forbidden(f"give or take away the role {word}")
    if not any(may_grant(actor, role, organization) for role in Role):
        raise Forbidden("change roles")
