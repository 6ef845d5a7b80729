"""The agent links that this server holds at the moment."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from taskyard.errors import AgentUnreachable
from taskyard_agent.mux import Mux


@dataclass(frozen=True, slots=True)
class _Held:
    mux: Mux
    hang_up: Callable[[], object] | None


class Links:
    """Open links by workspace agent id; the newest connection of an agent wins.

    patience_s is how long a caller waits for a link that is not there: after a restart of the server
    its agents are back within seconds.
    """

    def __init__(self, *, patience_s: float = 0.0) -> None:
        self._patience_s = patience_s
        self._open: dict[UUID, _Held] = {}
        self._came = asyncio.Condition()

    async def put(
        self, agent_id: UUID, mux: Mux, hang_up: Callable[[], object] | None = None
    ) -> None:
        """Holds the link; an older one of the same agent is hung up, by what was given with it."""
        older = self._open.get(agent_id)
        self._open[agent_id] = _Held(mux, hang_up)
        if older is not None and older.mux is not mux and older.hang_up is not None:
            older.hang_up()
        async with self._came:
            self._came.notify_all()

    def drop(self, agent_id: UUID, mux: Mux) -> bool:
        """Forgets the link; False when it is not, or not any more, the one that is held."""
        held = self._open.get(agent_id)
        if held is None or held.mux is not mux:
            return False
        del self._open[agent_id]
        return True

    @property
    def count(self) -> int:
        """How many links are open."""
        return len(self._open)

    def holds(self, agent_id: UUID) -> bool:
        """Whether there is an open link of the agent here."""
        return agent_id in self._open

    async def get(self, agent_id: UUID) -> Mux:
        """The open link; raises AgentUnreachable when there is none in time."""
        held = self._open.get(agent_id)
        if held is not None:
            return held.mux
        try:
            async with asyncio.timeout(self._patience_s), self._came:
                await self._came.wait_for(lambda: agent_id in self._open)
        except TimeoutError as error:
            raise AgentUnreachable(agent_id) from error
        return self._open[agent_id].mux
