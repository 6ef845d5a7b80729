"""Whose eyes a query looks with: every query that serves a person takes one."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Viewer:
    """A person reading: own rows, all rows of the organizations administered, or everything.

    In SQL: `(:viewer_all or owner_id = :viewer_id or organization_id = any(:viewer_orgs))`.
    """

    user_id: UUID
    sees_all: bool
    admin_of: frozenset[UUID]

    @property
    def sees_own_only(self) -> bool:
        """Whether the condition comes down to the rows of this person, which an index finds."""
        return not self.sees_all and not self.admin_of

    def sees(self, owner_id: UUID, organization_id: UUID) -> bool:
        """The condition above, for what was read already."""
        return self.sees_all or owner_id == self.user_id or organization_id in self.admin_of

    def values(self) -> dict[str, object]:
        """The three parameters of the condition above."""
        return {
            "viewer_id": self.user_id,
            "viewer_all": self.sees_all,
            "viewer_orgs": sorted(self.admin_of),
        }
