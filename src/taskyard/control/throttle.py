"""How much of the server one workspace may have: few turns at the database at once, and so many bytes a second.

Whatever runs in a workspace may send without end. It then waits for itself: its calls are answered later, and nobody
else's are.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from uuid import UUID

from taskyard.errors import WorkspaceBusy

AT_ONCE = 2
"""Turns of one workspace at the database: of ten connections, hostile workspaces must fill five to be felt."""

AT_ONCE_UNKNOWN = 3
"""Agent tokens that are looked up at once, whoever sent them: who guesses waits for himself and other agents only."""

WAITING = 64
"""Calls of one workspace that may wait for their turn: an agent has 32 under way, programs beside it a few."""

LINKS = 8
"""Links of one workspace at once: an agent has one, and one more while the server has not noticed the end of the last."""

BYTES_PER_S = 4 * 1024 * 1024
"""What one workspace may have stored in the long run: a thousand times what a busy coding agent says."""

BURST_BYTES = 64 * 1024 * 1024
"""What it may send at once beyond that: the whole transcript of an agent that was cut off for hours."""

CALL_BYTES = 4096
"""What each call counts beside its content: about the work of a statement."""

LONGEST_WAIT_S = 10.0
"""Seconds by which a call is late at most: agents wait 30 for an answer."""

FORGET_FROM = 1000
"""Workspaces that are remembered before those are forgotten which owe nothing."""


class _Door:
    """Where one workspace waits. owed: bytes it is ahead of what it may send, as of the time `at`."""

    def __init__(self, at: float, at_once: int) -> None:
        self.turn = asyncio.Semaphore(at_once)
        self.inside = 0
        self.links = 0
        self.owed = 0.0
        self.at = at

    def owe(self, size_bytes: int, now: float) -> float:
        """Seconds to wait before so many more are taken."""
        self.owed = self.owed_at(now) + size_bytes
        self.at = now
        return min(LONGEST_WAIT_S, max(0.0, self.owed - BURST_BYTES) / BYTES_PER_S)

    def owed_at(self, now: float) -> float:
        """Bytes it is ahead by then."""
        return max(0.0, self.owed - max(0.0, now - self.at) * BYTES_PER_S)


class Throttle:
    """The turns of all workspaces of one server."""

    def __init__(self, *, at_once: int = AT_ONCE, unknown: int = AT_ONCE_UNKNOWN) -> None:
        self._doors: dict[UUID, _Door] = {}
        self._at_once = at_once
        self.unknown = asyncio.Semaphore(unknown)

    @asynccontextmanager
    async def turn(self, workspace_id: UUID, size_bytes: int = 0) -> AsyncIterator[None]:
        """A turn of the workspace, when it is its own. Raises WorkspaceBusy when too many wait already."""
        clock = asyncio.get_running_loop().time
        door = self._door(workspace_id, clock())
        if door.inside >= WAITING:
            raise WorkspaceBusy
        door.inside += 1
        try:
            async with door.turn:
                # Inside the turn, so that what is late keeps what comes behind it from being early.
                await asyncio.sleep(door.owe(size_bytes + CALL_BYTES, clock()))
                yield
        finally:
            door.inside -= 1

    @contextmanager
    def link(self, workspace_id: UUID) -> Iterator[None]:
        """One link of the workspace more, until the block ends. Raises WorkspaceBusy when it has too many."""
        door = self._door(workspace_id, asyncio.get_running_loop().time())
        if door.links >= LINKS:
            raise WorkspaceBusy
        door.links += 1
        try:
            yield
        finally:
            door.links -= 1

    def _door(self, workspace_id: UUID, now: float) -> _Door:
        door = self._doors.get(workspace_id)
        if door is None:
            if len(self._doors) >= FORGET_FROM:
                self._forget(now)
            door = self._doors[workspace_id] = _Door(now, self._at_once)
        return door

    def _forget(self, now: float) -> None:
        idle = [
            key
            for key, door in self._doors.items()
            if not door.inside and not door.links and not door.owed_at(now)
        ]
        for key in idle:
            del self._doors[key]
