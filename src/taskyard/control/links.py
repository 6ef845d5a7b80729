"""The agent links that this server holds at the moment, and the way to those that others hold."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from taskyard.errors import AgentUnreachable, HeldElsewhere
from taskyard_agent.mux import Mux

LOOK_S = 0.5
"""Seconds between looks whether another server has got the link that a request waits for."""

_MAY_FORWARD: ContextVar[bool] = ContextVar("may_forward", default=False)
"""Whether what runs is a request that can be sent on to another server."""


class Elsewhere(Protocol):
    """Where links are that this server does not hold."""

    async def find(self, agent_id: UUID) -> HeldElsewhere | None:
        """The server that holds the link; None when none does."""

    async def blame(self, agent_id: UUID) -> str:
        """Why nobody holds it, without a full stop; empty when nothing special is known."""


@dataclass(frozen=True, slots=True)
class _Held:
    mux: Mux
    hang_up: Callable[[], object] | None


class Links:
    """Open links by workspace agent id; the newest connection of an agent wins.

    patience_s is how long a caller waits for a link that is not there: after a restart of the server
    its agents are back within seconds. elsewhere is None for a server that has no others beside it.
    """

    def __init__(self, *, patience_s: float = 0.0, elsewhere: Elsewhere | None = None) -> None:
        self._patience_s = patience_s
        self._elsewhere = elsewhere
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

    def hang_up(self, agent_id: UUID) -> None:
        """Ends the link, if it is held: its agent has found another server."""
        held = self._open.get(agent_id)
        if held is not None and held.hang_up is not None:
            held.hang_up()

    @property
    def count(self) -> int:
        """How many links are open."""
        return len(self._open)

    def held(self) -> list[UUID]:
        """The agents whose links are open here."""
        return list(self._open)

    def holds(self, agent_id: UUID) -> bool:
        """Whether there is an open link of the agent here."""
        return agent_id in self._open

    async def get(self, agent_id: UUID) -> Mux:
        """The open link. Raises AgentUnreachable when there is none in time.

        Raises HeldElsewhere where another server holds it and the request can be sent there.
        """
        if (held := self._open.get(agent_id)) is not None:
            return held.mux
        await self._look_elsewhere(agent_id)
        try:
            async with asyncio.timeout(self._patience_s):
                return await self._wait(agent_id)
        except TimeoutError as error:
            why = "" if self._elsewhere is None else await self._elsewhere.blame(agent_id)
            raise AgentUnreachable(agent_id, why) from error

    async def _wait(self, agent_id: UUID) -> Mux:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S), self._came:
                    await self._came.wait_for(lambda: agent_id in self._open)
            if (held := self._open.get(agent_id)) is not None:
                return held.mux
            await self._look_elsewhere(agent_id)

    async def _look_elsewhere(self, agent_id: UUID) -> None:
        """Nothing when the link is nowhere else, or who asks cannot be sent there; raises HeldElsewhere."""
        if self._elsewhere is None or not _MAY_FORWARD.get():
            return
        place = await self._elsewhere.find(agent_id)
        if place is not None:
            raise place


@contextlib.contextmanager
def forwardable() -> Iterator[None]:
    """Within the block, a link that another server holds is told of by HeldElsewhere."""
    token = _MAY_FORWARD.set(True)
    try:
        yield
    finally:
        _MAY_FORWARD.reset(token)
