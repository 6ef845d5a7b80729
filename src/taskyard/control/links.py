"""The agent links that this server holds at the moment."""

from uuid import UUID

from taskyard.errors import AgentUnreachable
from taskyard_agent.mux import Mux


class Links:
    """Open links by workspace agent id; the newest connection of an agent wins."""

    def __init__(self) -> None:
        self._open: dict[UUID, Mux] = {}

    def put(self, agent_id: UUID, mux: Mux) -> Mux | None:
        """Holds the link; returns the older one of the same agent, for the caller to close."""
        older = self._open.get(agent_id)
        self._open[agent_id] = mux
        return older

    def drop(self, agent_id: UUID, mux: Mux) -> bool:
        """Forgets the link; False when a newer one has taken its place."""
        if self._open.get(agent_id) is not mux:
            return False
        del self._open[agent_id]
        return True

    def get(self, agent_id: UUID) -> Mux:
        """The open link; raises AgentUnreachable when this server holds none."""
        mux = self._open.get(agent_id)
        if mux is None:
            raise AgentUnreachable(agent_id)
        return mux
