"""A driver for the tests of what goes wrong: verbs that fail some times, or for ever, and verbs that are held."""

import asyncio
from collections import Counter
from pathlib import Path
from uuid import UUID

from taskyard.drivers.base import LogSink, WorkspaceSpec
from taskyard.drivers.echo.driver import EchoDriver
from taskyard.errors import DriverError

FOR_EVER = 1_000_000
"""More often than any test asks."""

CAUSE = "The disk of this place does not answer. Look at it, then try again."
"""What a verb that fails says."""


class Held:
    """A moment before a verb begins, at which its next caller is held."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.let_go = asyncio.Event()


class TrickyDriver(EchoDriver):
    """An echo driver whose verbs fail as often as `failing` says; the next caller of one in `held` waits there.

    A verb `ensured` comes right after what it is called for is there.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.failing: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.held: dict[str, Held] = {}

    def hold(self, verb: str) -> Held:
        """The next caller of the verb waits until it is let go."""
        return self.held.setdefault(verb, Held())

    async def ensure(self, spec: WorkspaceSpec, log: LogSink) -> None:
        await self._before("ensure")
        await super().ensure(spec, log)
        await self._before("ensured")

    async def stop(self, workspace_id: UUID, *, grace_s: float, up_to: int | None = None) -> None:
        await self._before("stop")
        await super().stop(workspace_id, grace_s=grace_s, up_to=up_to)

    async def destroy(self, workspace_id: UUID, *, up_to: int | None = None) -> None:
        await self._before("destroy")
        await super().destroy(workspace_id, up_to=up_to)

    async def _before(self, verb: str) -> None:
        self.calls[verb] += 1
        held = self.held.pop(verb, None)
        if held is not None:
            held.reached.set()
            await held.let_go.wait()
        if self.failing[verb] > 0:
            self.failing[verb] -= 1
            raise DriverError(CAUSE)
