"""Who may do what: every cell of the table of roles and verbs."""

from dataclasses import dataclass, field
from uuid import UUID

import pytest

from taskyard.lifecycle.permissions import (
    Role,
    Verb,
    can,
    may_change_user,
    may_grant,
    may_use_keys,
)

ME, OTHER = UUID(int=1), UUID(int=2)
HERE, ELSEWHERE = UUID(int=10), UUID(int=11)


@dataclass(frozen=True)
class Somebody:
    """An asker who belongs to the organization HERE."""

    roles: frozenset[str] = frozenset()
    admin_of: frozenset[UUID] = frozenset()
    member_of: frozenset[UUID] = field(default=frozenset({HERE}))
    user_id: UUID = ME


ASKERS = {
    Role.OWNER: Somebody(frozenset({"owner"})),
    Role.ORGANIZATION_ADMIN: Somebody(admin_of=frozenset({HERE})),
    Role.TEMPLATE_ADMIN: Somebody(frozenset({"template-admin"})),
    Role.USER_ADMIN: Somebody(frozenset({"user-admin"})),
    Role.AUDITOR: Somebody(frozenset({"auditor"})),
    Role.MEMBER: Somebody(),
}

# For each verb and role: mine here, somebody else's here, somebody else's elsewhere; x may, . may not.
CELLS = """
                    owner  organization-admin  template-admin  user-admin  auditor  member
task_read           xxx    xx.                 x..             x..         x..      x..
task_write          xxx    xx.                 x..             x..         x..      x..
workspace_read      xxx    xx.                 xxx             x..         x..      x..
workspace_write     xxx    xx.                 x..             x..         x..      x..
template_read       xxx    xx.                 xxx             xx.         xx.      xx.
template_write      xxx    xx.                 xxx             ...         ...      ...
user_read           xxx    xx.                 x..             xxx         xxx      x..
user_write          xxx    x..                 x..             xxx         x..      x..
token_read          xxx    x..                 x..             x..         x..      x..
token_write         xxx    x..                 x..             x..         x..      x..
secret_read         xxx    x..                 x..             x..         x..      x..
secret_write        x..    x..                 x..             x..         x..      x..
organization_read   xxx    xx.                 xxx             xxx         xxx      xx.
organization_write  xxx    xx.                 ...             ...         ...      ...
audit_read          xxx    xx.                 ...             ...         xxx      ...
server_read         xxx    ...                 ...             ...         xxx      ...
server_write        xxx    ...                 ...             ...         ...      ...
"""

THINGS = ((ME, HERE), (OTHER, HERE), (OTHER, ELSEWHERE))


def table() -> dict[tuple[Verb, Role], str]:
    head, *rows = (line.split() for line in CELLS.strip().splitlines())
    return {
        (Verb(verb), Role(role)): cell
        for verb, *cells in rows
        for role, cell in zip(head, cells, strict=True)
    }


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("role", Role)
def test_each_cell_of_the_table(verb: Verb, role: Role) -> None:
    """Section 2.3: somebody with one role, and things of their own, of others, and far away."""
    found = "".join(
        "x" if can(ASKERS[role], verb, owner, organization) else "."
        for owner, organization in THINGS
    )
    assert found == table()[verb, role]


def test_the_table_has_every_verb_and_role() -> None:
    """A verb or role more needs a row or a column more."""
    assert set(table()) == {(verb, role) for verb in Verb for role in Role}


def test_things_of_the_whole_site_are_of_no_organization() -> None:
    """A user or the server belongs to none: an organization's admin has no say there."""
    admin = ASKERS[Role.ORGANIZATION_ADMIN]
    assert not can(admin, Verb.USER_READ, OTHER, None)
    assert can(ASKERS[Role.USER_ADMIN], Verb.USER_READ, OTHER, None)
    assert can(admin, Verb.USER_READ, ME, None)


def test_somebody_without_any_organization_has_only_their_own() -> None:
    """A word that is no role, or of an organization they left, counts for nothing."""
    stranger = Somebody(frozenset({"organization-admin", "king"}), member_of=frozenset())
    assert can(stranger, Verb.TASK_READ, ME, HERE)
    assert not can(stranger, Verb.TEMPLATE_READ, None, HERE)
    assert not can(stranger, Verb.TASK_READ, OTHER, HERE)


def test_a_thing_of_nobody_is_not_mine() -> None:
    """No owner is not everybody's."""
    assert not can(ASKERS[Role.MEMBER], Verb.TASK_READ, None, HERE)


@pytest.mark.parametrize(
    ("role", "site", "here"),
    [
        (Role.OWNER, set(Role), set(Role)),
        (Role.ORGANIZATION_ADMIN, set(), {Role.MEMBER, Role.ORGANIZATION_ADMIN}),
        (Role.TEMPLATE_ADMIN, set(), set()),
        (Role.USER_ADMIN, {Role.MEMBER}, {Role.MEMBER}),
        (Role.AUDITOR, set(), set()),
        (Role.MEMBER, set(), set()),
    ],
)
def test_nobody_hands_out_more_than_they_hold(role: Role, site: set[Role], here: set[Role]) -> None:
    """Roles of the site, then roles of an organization."""
    asker = ASKERS[role]
    assert {granted for granted in Role if may_grant(asker, granted, None)} == site
    assert {granted for granted in Role if may_grant(asker, granted, HERE)} == here


def test_a_user_admin_cannot_become_an_owner() -> None:
    """Whoever has a role of the site is changed by owners and by themselves only."""
    admin, owner = ASKERS[Role.USER_ADMIN], ASKERS[Role.OWNER]
    assert may_change_user(admin, OTHER, set())
    assert may_change_user(admin, OTHER, {"member"})
    assert not may_change_user(admin, OTHER, {"owner"})
    assert not may_change_user(admin, OTHER, {"template-admin"})
    assert may_change_user(admin, ME, {"user-admin"})
    assert may_change_user(owner, OTHER, {"owner"})
    assert not may_change_user(ASKERS[Role.MEMBER], OTHER, set())
    assert may_change_user(ASKERS[Role.MEMBER], ME, set())


def test_keys_are_used_by_their_owner_and_those_of_service_accounts_by_who_may_change_them() -> (
    None
):
    """A user admin has the keys of a service account without roles; of a person, nobody but the owner of the site."""
    admin, owner, member = ASKERS[Role.USER_ADMIN], ASKERS[Role.OWNER], ASKERS[Role.MEMBER]
    for verb in (Verb.TOKEN_READ, Verb.TOKEN_WRITE):
        assert may_use_keys(member, verb, ME, None)
        assert may_use_keys(owner, verb, OTHER, None)
        assert may_use_keys(owner, verb, None, None)
        assert may_use_keys(admin, verb, OTHER, set())
        assert not may_use_keys(admin, verb, OTHER, {"organization-admin"})
        assert not may_use_keys(admin, verb, OTHER, None)
        assert not may_use_keys(admin, verb, None, None)
        assert not may_use_keys(member, verb, OTHER, set())
