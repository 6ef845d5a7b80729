"""Who may do what: one table of roles and verbs, and the functions that read it."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class Role(StrEnum):
    """What somebody is, by the words of the wire.

    Everybody with an account is a member. An organization admin is one in the organizations where the
    role was given; the others are roles of the whole site.
    """

    OWNER = "owner"
    ORGANIZATION_ADMIN = "organization-admin"
    TEMPLATE_ADMIN = "template-admin"
    USER_ADMIN = "user-admin"
    AUDITOR = "auditor"
    MEMBER = "member"


class Verb(StrEnum):
    """What somebody wants to do; write means to make, change and delete.

    Writing a task covers all its verbs, the log too is read by TASK_READ. Secrets are those of a person, and to
    read is to see their names: nobody is given a value. Secrets of a template or an organization belong to
    whoever may write that.
    """

    TASK_READ = "task_read"
    TASK_WRITE = "task_write"
    WORKSPACE_READ = "workspace_read"
    WORKSPACE_WRITE = "workspace_write"
    TEMPLATE_READ = "template_read"
    TEMPLATE_WRITE = "template_write"
    USER_READ = "user_read"
    USER_WRITE = "user_write"
    TOKEN_READ = "token_read"  # noqa: S105 - a verb, not a secret
    TOKEN_WRITE = "token_write"  # noqa: S105 - a verb, not a secret
    SECRET_READ = "secret_read"  # noqa: S105 - a verb, not a secret
    SECRET_WRITE = "secret_write"  # noqa: S105 - a verb, not a secret
    ORGANIZATION_READ = "organization_read"
    ORGANIZATION_WRITE = "organization_write"
    AUDIT_READ = "audit_read"
    SERVER_READ = "server_read"
    SERVER_WRITE = "server_write"


class Reach(StrEnum):
    """How far a role's verb goes; a verb that a role lacks goes nowhere.

    own: things that belong to the asker. organization: things of organizations where the role is held.
    all: everything.
    """

    OWN = "own"
    ORGANIZATION = "organization"
    ALL = "all"


TABLE: Mapping[Role, Mapping[Verb, Reach]] = {
    Role.OWNER: {**dict.fromkeys(Verb, Reach.ALL), Verb.SECRET_WRITE: Reach.OWN},
    Role.ORGANIZATION_ADMIN: {
        Verb.TASK_READ: Reach.ORGANIZATION,
        Verb.TASK_WRITE: Reach.ORGANIZATION,
        Verb.WORKSPACE_READ: Reach.ORGANIZATION,
        Verb.WORKSPACE_WRITE: Reach.ORGANIZATION,
        Verb.TEMPLATE_READ: Reach.ORGANIZATION,
        Verb.TEMPLATE_WRITE: Reach.ORGANIZATION,
        Verb.USER_READ: Reach.ORGANIZATION,
        Verb.ORGANIZATION_READ: Reach.ORGANIZATION,
        Verb.ORGANIZATION_WRITE: Reach.ORGANIZATION,
        Verb.AUDIT_READ: Reach.ORGANIZATION,
    },
    Role.TEMPLATE_ADMIN: {
        Verb.WORKSPACE_READ: Reach.ALL,
        Verb.TEMPLATE_READ: Reach.ALL,
        Verb.TEMPLATE_WRITE: Reach.ALL,
        Verb.ORGANIZATION_READ: Reach.ALL,
    },
    Role.USER_ADMIN: {
        Verb.USER_READ: Reach.ALL,
        Verb.USER_WRITE: Reach.ALL,
        Verb.ORGANIZATION_READ: Reach.ALL,
    },
    Role.AUDITOR: {
        Verb.USER_READ: Reach.ALL,
        Verb.AUDIT_READ: Reach.ALL,
        Verb.ORGANIZATION_READ: Reach.ALL,
        Verb.SERVER_READ: Reach.ALL,
    },
    Role.MEMBER: {
        Verb.TASK_READ: Reach.OWN,
        Verb.TASK_WRITE: Reach.OWN,
        Verb.WORKSPACE_READ: Reach.OWN,
        Verb.WORKSPACE_WRITE: Reach.OWN,
        Verb.TEMPLATE_READ: Reach.ORGANIZATION,
        Verb.USER_READ: Reach.OWN,
        Verb.USER_WRITE: Reach.OWN,
        Verb.TOKEN_READ: Reach.OWN,
        Verb.TOKEN_WRITE: Reach.OWN,
        Verb.SECRET_READ: Reach.OWN,
        Verb.SECRET_WRITE: Reach.OWN,
        Verb.ORGANIZATION_READ: Reach.ORGANIZATION,
    },
}
"""The whole of it; shown in the docs. Source: tasks-api 2.3."""


class Asker(Protocol):
    """Somebody signed in: site roles by their words, and the organizations they belong to or run."""

    @property
    def user_id(self) -> UUID: ...
    @property
    def roles(self) -> AbstractSet[str]: ...
    @property
    def member_of(self) -> AbstractSet[UUID]: ...
    @property
    def admin_of(self) -> AbstractSet[UUID]: ...


def can(asker: Asker, verb: Verb, resource_owner: UUID | None, organization: UUID | None) -> bool:
    """Whether somebody may do this with a thing of this user in this organization.

    resource_owner null: the thing belongs to nobody (a template). organization null: it is of the
    whole site (a user, the server). What somebody may not read is to be answered as if it were not there.
    """
    for role in _roles(asker):
        match TABLE[role].get(verb):
            case Reach.ALL:
                return True
            case Reach.OWN if resource_owner == asker.user_id:
                return True
            case Reach.ORGANIZATION if organization in _held_in(asker, role):
                return True
    return False


def may_grant(asker: Asker, role: Role, organization: UUID | None) -> bool:
    """Whether somebody may give or take away a role; nobody hands out what they do not hold.

    Owners give all; an organization admin gives that role and membership in the organizations they run;
    a user admin gives membership. organization null: a role of the whole site.
    """
    if Role.OWNER in asker.roles:
        return True
    if role is Role.MEMBER and Role.USER_ADMIN in asker.roles:
        return True
    return role in {Role.MEMBER, Role.ORGANIZATION_ADMIN} and organization in asker.admin_of


def may_change_user(asker: Asker, user_id: UUID, user_roles: AbstractSet[str]) -> bool:
    """Whether somebody may change a user, password and status included.

    Somebody with roles is changed by owners and by themselves only: else a user admin could take the place of
    an owner, or of the administrator of an organization. user_roles are all of the user to be changed.
    """
    if not can(asker, Verb.USER_WRITE, user_id, None):
        return False
    plain = user_roles <= {Role.MEMBER}
    return plain or asker.user_id == user_id or Role.OWNER in asker.roles


def may_use_keys(
    asker: Asker, verb: Verb, user_id: UUID | None, service_roles: AbstractSet[str] | None
) -> bool:
    """Whether somebody may read, or make and end, the keys of a user; user_id null: those of everybody.

    A service account cannot sign in, so its tokens are made by those who may change it. service_roles are
    all of its roles, null for a person.
    """
    if can(asker, verb, user_id, None):
        return True
    if user_id is None or service_roles is None:
        return False
    return may_change_user(asker, user_id, service_roles)


def _roles(asker: Asker) -> list[Role]:
    """The roles somebody has: every account is a member, and words that are no role count for nothing."""
    held = {*asker.roles, Role.MEMBER} - {Role.ORGANIZATION_ADMIN}
    if asker.admin_of:
        held.add(Role.ORGANIZATION_ADMIN)
    return [role for role in Role if role in held]


def _held_in(asker: Asker, role: Role) -> AbstractSet[UUID]:
    return asker.admin_of if role is Role.ORGANIZATION_ADMIN else asker.member_of
