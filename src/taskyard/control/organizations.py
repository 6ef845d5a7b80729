"""Organizations, and who is what in them."""

from datetime import datetime
from uuid import UUID, uuid4

from asyncpg import UniqueViolationError
from msgspec.structs import replace

from taskyard.control import identity_audit as told
from taskyard.control.actors import Actor
from taskyard.control.admission import check_limit
from taskyard.control.audit import changed, record
from taskyard.control.roles import check_grants, read_roles
from taskyard.control.services import Services
from taskyard.control.user_fields import UNREADABLE
from taskyard.control.user_search import user_filter
from taskyard.control.viewers import viewer_for
from taskyard.db import identity as identity_db
from taskyard.db import members as db
from taskyard.db.identity import OrganizationRow, UserRow
from taskyard.errors import Forbidden, Invalid, NotFound, OrganizationNameTaken, RequestRefused
from taskyard.lifecycle import names
from taskyard.lifecycle.permissions import Role, Verb, can, may_grant
from taskyard.wire import identity as wire
from taskyard.wire.enums import AuditAction

KEPT_NAMES = frozenset({"default"})
"""Words that always mean another organization."""

MAX_DESCRIPTION = 128
"""Characters of a description, and of an icon's address: a line in a list."""


async def create_organization(
    services: Services, actor: Actor, request: wire.CreateOrganizationRequest, now: datetime
) -> OrganizationRow:
    """A new organization, which the actor administers. Raises Forbidden, Invalid, OrganizationNameTaken."""
    if not can(actor, Verb.ORGANIZATION_WRITE, None, None):
        raise Forbidden("create organizations")
    _check_organization(request)
    row = OrganizationRow(
        id=uuid4(),
        name=request.name,
        display_name=request.display_name or request.name,
        description=request.description,
        icon=request.icon,
        is_default=False,
        created_at=now,
        updated_at=now,
    )
    roles = [Role.ORGANIZATION_ADMIN.value]
    try:
        async with services.db.transaction() as conn:
            await db.insert_named_organization(conn, row, now)
            await identity_db.insert_member(conn, row.id, actor.user_id, roles=roles, now=now)
            await record(conn, actor, told.of_organization(AuditAction.CREATE, row), now)
    except UniqueViolationError as error:
        raise OrganizationNameTaken(request.name) from error
    return row


async def update_organization(
    services: Services,
    actor: Actor,
    organization_id: UUID,
    request: wire.UpdateOrganizationRequest,
    *,
    now: datetime,
) -> OrganizationRow:
    """The organization with what was given changed; the rest stays. Raises Forbidden, Invalid, NotFound."""
    if not can(actor, Verb.ORGANIZATION_WRITE, None, None):
        raise Forbidden("change organizations")
    check_limit(request.max_running)
    async with services.db.transaction() as conn:
        before = await db.lock_organization_as_system(conn, organization_id)
        if before is None:
            raise NotFound(f"organization {organization_id}")
        after = _changed(before, request)
        _check_texts(after)
        await db.update_organization(conn, after, now)
        changes = changed(before, after, told.ORGANIZATION_FIELDS)
        await record(conn, actor, told.of_organization(AuditAction.WRITE, after, changes), now)
    return replace(after, updated_at=now)


def _changed(row: OrganizationRow, request: wire.UpdateOrganizationRequest) -> OrganizationRow:
    given = {
        name: value
        for name in ("display_name", "description", "icon")
        if (value := getattr(request, name)) is not None
    }
    if request.max_running is not None:
        given["max_running"] = request.max_running or None
    return replace(row, **given)


async def list_organizations(services: Services, actor: Actor) -> list[OrganizationRow]:
    """Organizations the actor sees, the default one first."""
    async with services.db.connection() as conn:
        return await identity_db.list_organizations(conn, viewer_for(actor, Verb.ORGANIZATION_READ))


async def list_user_organizations(
    services: Services, actor: Actor, user_id: UUID
) -> list[OrganizationRow]:
    """A user's organizations as far as the actor sees them."""
    viewer = viewer_for(actor, Verb.ORGANIZATION_READ)
    async with services.db.connection() as conn:
        return await identity_db.list_user_organizations(conn, viewer, user_id)


async def list_members(
    services: Services, actor: Actor, organization_id: UUID, query: wire.ListMembersQuery
) -> tuple[list[db.MemberRow], int]:
    """Members the actor sees, narrowed by `q`, one page of them, and how many there are in all.

    Raises QueryInvalid. Source: supporting-api 5 rows 29-30.
    """
    only, limit = user_filter(query.q), query.limit or None
    viewer = viewer_for(actor, Verb.USER_READ)
    async with services.db.connection() as conn:
        rows = await db.list_members(
            conn, viewer, organization_id, only, limit=limit, offset=query.offset
        )
        if not rows and query.offset:
            # A page behind the end is empty, and so has no row that knows the total.
            first = await db.list_members(conn, viewer, organization_id, only, limit=1)
            return [], first[0].total if first else 0
    return rows, rows[0].total if rows else 0


async def get_member(
    services: Services, actor: Actor, organization_id: UUID, user_id: UUID
) -> db.MemberRow:
    """One member; raises NotFound where the user is in no such organization, or not to be seen there."""
    viewer = viewer_for(actor, Verb.USER_READ)
    async with services.db.connection() as conn:
        row = await db.get_member(conn, viewer, organization_id, user_id)
    if row is None:
        raise NotFound
    return row


async def add_member(
    services: Services, actor: Actor, organization_id: UUID, user: UserRow, *, now: datetime
) -> db.OrganizationMemberRow:
    """The user as a member without roles. Raises Forbidden, RequestRefused for who is one already."""
    if not may_grant(actor, Role.MEMBER, organization_id):
        raise Forbidden("add members to this organization")
    async with services.db.transaction() as conn:
        if await db.lock_member_as_system(conn, organization_id, user.id) is not None:
            raise RequestRefused(
                "already_member", f"{user.username} is in this organization already."
            )
        await identity_db.insert_member(conn, organization_id, user.id, roles=[], now=now)
        await record(conn, actor, told.of_member(AuditAction.CREATE, organization_id, user), now)
        added = await db.lock_member_as_system(conn, organization_id, user.id)
    assert added is not None
    return added


async def remove_member(
    services: Services, actor: Actor, organization_id: UUID, user: UserRow, *, now: datetime
) -> None:
    """The user is no longer in the organization; what they own there stays theirs.

    Raises Forbidden, NotFound for who is no member, RequestRefused for oneself.
    """
    if user.id == actor.user_id:
        raise RequestRefused(
            "own_membership",
            "You cannot remove yourself from an organization.",
            "Ask another of its administrators.",
        )
    async with services.db.transaction() as conn:
        member = await db.lock_member_as_system(conn, organization_id, user.id)
        if member is None:
            raise NotFound
        if not may_grant(actor, Role.MEMBER, organization_id):
            raise Forbidden("remove members from this organization")
        check_grants(actor, member.roles, [], organization_id)
        await db.delete_member(conn, organization_id, user.id)
        await record(conn, actor, told.of_member(AuditAction.DELETE, organization_id, user), now)


async def set_member_roles(
    services: Services,
    actor: Actor,
    member: tuple[UUID, UserRow],
    words: list[str],
    *,
    now: datetime,
) -> db.OrganizationMemberRow:
    """The member of this organization with these roles in it and no others.

    Raises Forbidden, Invalid, NotFound for who is no member, RequestRefused for oneself.
    """
    organization_id, user = member
    if user.id == actor.user_id:
        raise RequestRefused(
            "own_roles", "You cannot change your own roles.", "Ask another administrator to do it."
        )
    wanted = read_roles(words, site=False)
    async with services.db.transaction() as conn:
        before = await db.lock_member_as_system(conn, organization_id, user.id)
        if before is None:
            raise NotFound
        check_grants(actor, before.roles, wanted, organization_id)
        await db.update_member_roles(conn, before, wanted, now)
        changes = {"roles": {"old": before.roles, "new": wanted}} if before.roles != wanted else {}
        deed = told.of_member(AuditAction.WRITE, organization_id, user, changes)
        await record(conn, actor, deed, now)
        after = await db.lock_member_as_system(conn, organization_id, user.id)
    assert after is not None
    return after


def _check_organization(request: wire.CreateOrganizationRequest) -> None:
    violations = []
    problem = "this field is required" if not request.name else names.name_problem(request.name)
    if request.name.lower() in KEPT_NAMES:
        problem = f'"{request.name}" always means the default organization'
    if problem:
        violations.append(("name", problem))
    _refuse(violations + _text_violations(request))


def _check_texts(organization: OrganizationRow) -> None:
    _refuse(_text_violations(organization))


def _text_violations(
    request: wire.CreateOrganizationRequest | OrganizationRow,
) -> list[tuple[str, str]]:
    """What is wrong with what people read of an organization."""
    violations = []
    if names.display_name_violation(request.display_name) is not None:
        violations.append(("display_name", f"use at most {names.MAX_DISPLAY_NAME} bytes"))
    violations += [
        (field, f"use at most {MAX_DESCRIPTION} characters")
        for field in ("description", "icon")
        if len(getattr(request, field)) > MAX_DESCRIPTION
    ]
    violations += [
        (field, "use characters that can be seen, all on one line")
        for field in ("display_name", "description", "icon")
        if UNREADABLE.search(getattr(request, field))
    ]
    return violations


def _refuse(violations: list[tuple[str, str]]) -> None:
    if violations:
        raise Invalid("A field is not valid.", violations)
