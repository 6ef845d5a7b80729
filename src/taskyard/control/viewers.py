"""Whom somebody may see, by the one table of roles and verbs."""

from collections.abc import Iterable
from uuid import UUID

from taskyard.control.actors import Actor
from taskyard.db.identity import UserRow
from taskyard.db.viewer import Viewer
from taskyard.lifecycle.permissions import Verb, can


def viewer_for(actor: Actor, verb: Verb) -> Viewer:
    """The actor's eyes for things that this verb reads; some roles see all of one kind only."""
    return Viewer(actor.user_id, can(actor, verb, None, None), actor.admin_of)


def may_read_user(actor: Actor, user: UserRow) -> bool:
    """Whether the actor may see the user, be it as such or as a member of an organization."""
    return may_read_member(actor, user.id, user.organization_ids)


def may_read_member(actor: Actor, user_id: UUID, organizations: Iterable[UUID]) -> bool:
    """Whether the actor may see the user of this id, who belongs to these organizations."""
    return any(can(actor, Verb.USER_READ, user_id, where) for where in (None, *organizations))


def is_user_of_site(actor: Actor, user: UserRow) -> bool:
    """Whether the actor sees the user wherever they are, not only in an organization they share."""
    return can(actor, Verb.USER_READ, user.id, None)
