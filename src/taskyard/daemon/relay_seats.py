"""Connections of workspaces through the relay, as long as they last."""

import asyncio
from dataclasses import dataclass, field
from uuid import UUID

from taskyard.control.egress import Grant
from taskyard.daemon.relay_tls import Inside
from taskyard_agent.splice import End

IDLE_S = 900.0
"""Seconds without a byte after which a connection ends: a model may think for ten minutes."""

HALF_OPEN_IDLE_S = 60.0
"""The same where one side has said that it sends no more."""

NAMES = 2
"""Names that are resolved for one workspace at once, or wait for their turn: slow answers tie up hands.

A name counts until its answer is there, which may be long after anybody waits for it.
"""

HANDS = 64
"""Names that are resolved at once for all workspaces, a thread each: thirty workspaces have to work together to hold
them all, and then wait in turns, as no workspace has more than two in the queue.
"""


@dataclass(slots=True, eq=False)
class Line:
    """One connection through the relay. quiet_s: for how long no byte went either way, as last looked."""

    inside: Inside
    outside: End | None = None
    quiet_s: float = 0.0

    def look(self, passed_s: float) -> None:
        """Ends the connection when it was quiet for too long."""
        if self.outside is None:
            return
        ends = (self.inside, self.outside)
        self.quiet_s = 0.0 if any(end.moved for end in ends) else self.quiet_s + passed_s
        for end in ends:
            end.moved = False
        if self.quiet_s >= (HALF_OPEN_IDLE_S if any(end.ended for end in ends) else IDLE_S):
            self.end()

    def end(self) -> None:
        """Ends both connections at once: one alone would wait for its peer to read what is left."""
        self.inside.abort()
        if self.outside is not None:
            self.outside.abort()


@dataclass(slots=True, eq=False)
class Seat:
    """A workspace generation that has connections."""

    token: str
    grant: Grant
    lines: set[Line] = field(default_factory=set)
    names: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(NAMES))
    looking: int = 0

    @property
    def key(self) -> tuple[UUID, int]:
        """The agent and its generation, which have one token."""
        return self.grant.actor.agent_id, self.grant.actor.generation

    def end(self) -> None:
        """Ends every connection of the workspace, those too that are not made yet."""
        for line in self.lines:
            line.end()
