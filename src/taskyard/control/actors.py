"""Who asks: a user with roles, or the agent of one workspace generation."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from taskyard.db.viewer import Viewer


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from; all null when the server acts by itself.

    claim: the right to do what a request with an Idempotency-Key asks for; null for requests without one.
    """

    request_id: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    claim: UUID | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """A signed-in user.

    roles are site roles, member_of and admin_of organizations. key_id is the API key in use.
    """

    user_id: UUID
    username: str
    roles: frozenset[str]
    member_of: frozenset[UUID]
    admin_of: frozenset[UUID]
    key_id: str
    origin: Origin = Origin()

    @property
    def is_owner(self) -> bool:
        """Whether this is a site owner, who may do and see everything."""
        return "owner" in self.roles

    @property
    def viewer(self) -> Viewer:
        """These eyes for queries."""
        return Viewer(self.user_id, self.is_owner, self.admin_of)


Who = Callable[[], Awaitable[Actor]]
"""Says again who asks, for what goes on for long; raises Unauthenticated or UserSuspended once they may no longer."""


@dataclass(frozen=True, slots=True)
class AgentActor:
    """A workspace agent whose token was found good.

    task_id is null when the workspace belongs to no live task. build_id is the build the agent is of.
    """

    agent_id: UUID
    workspace_id: UUID
    build_id: UUID
    generation: int
    task_id: UUID | None
