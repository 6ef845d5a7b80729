"""The agent links that this server holds at the moment."""

import asyncio
from uuid import UUID

from taskyard.errors import AgentUnreachable
from taskyard_agent.mux import Mux


class Links:
    """Open links by workspace agent id; the newest connection of an agent wins.

    patience_s is how long a caller waits for a link that is not there: after a restart of the server
    its agents are back within seconds.
    """

    def __init__(self, *, patience_s: float = 0.0) -> None:
        self._patience_s = patience_s
        self._open: dict[UUID, Mux] = {}
        self._came = asyncio.Condition()

    async def put(self, agent_id: UUID, mux: Mux) -> Mux | None:
        """Holds the link; returns the older one of the same agent, for the caller to close."""
        older = self._open.get(agent_id)
        self._open[agent_id] = mux
        async with self._came:
            self._came.notify_all()
        return older

    def drop(self, agent_id: UUID, mux: Mux) -> bool:
        """Forgets the link; False when a newer one has taken its place."""
        if self._open.get(agent_id) is not mux:
            return False
        del self._open[agent_id]
        return True

    async def get(self, agent_id: UUID) -> Mux:
        """The open link; raises AgentUnreachable when there is none in time."""
        mux = self._open.get(agent_id)
        if mux is not None:
            return mux
        try:
            async with asyncio.timeout(self._patience_s), self._came:
                await self._came.wait_for(lambda: agent_id in self._open)
        except TimeoutError as error:
            raise AgentUnreachable(agent_id) from error
        return self._open[agent_id]
