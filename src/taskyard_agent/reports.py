"""What the agent has to tell the server, kept until the server has heard it."""

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime

import msgspec

from taskyard_agent.link import Link
from taskyard_agent.mux import TIMEOUT, CallFailed
from taskyard_agent.protocol import AppHealthReport, LifecycleReport, LogLine, LogLines, Nothing

LINES_KEPT = 2_000
"""Log lines that wait for the server; of more, the oldest go and their number is told."""

BATCH_LINES = 200
BATCH_CHARS = 64 * 1024
"""Most of one call; whichever is met first."""

FIRST = "starting"
"""The lifecycle state that all others follow."""

STALE = "stale_generation"
"""Code of a call's refusal that ends this run of the workspace: a newer one has begun."""


class Stale(Exception):
    """The server says that a newer generation of this workspace is running."""


async def tell(link: Link, method: str, params: msgspec.Struct) -> None:
    """Returns once the server has heard it, or refused it for good. Raises Stale, LinkError."""
    try:
        await link.call(method, params, Nothing)
    except CallFailed as error:
        if error.code == STALE:
            raise Stale from error
        if error.code == TIMEOUT:
            raise


class Reports:
    """Lifecycle states, app health and log lines on their way to the server, in this order of urgency."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lifecycles: deque[LifecycleReport] = deque()
        self._health: dict[str, str] = {}
        self._lines: deque[tuple[str, LogLine]] = deque()
        self._dropped = 0
        self._said: list[str] = []
        self._well: dict[str, str] = {}
        self._waiting = asyncio.Event()
        self._told = asyncio.Event()
        self._told.set()

    def lifecycle(self, state: str) -> None:
        """The agent is in that state from now on."""
        self._said = [state] if state == FIRST else [*self._said[:1], state]
        self._lifecycles.append(LifecycleReport(state, self._clock()))
        self._ring()

    def health(self, slug: str, health: str) -> None:
        """An app's health is another one."""
        self._health[slug] = self._well[slug] = health
        self._ring()

    def again(self) -> None:
        """What holds now is told once more, to a server that knows nothing of it."""
        self._lifecycles.clear()
        for state in tuple(self._said):
            self._lifecycles.append(LifecycleReport(state, self._clock()))
        self._health = dict(self._well)
        self._ring()

    def log(self, source: str, level: str, text: str) -> None:
        """A line of that source."""
        if len(self._lines) >= LINES_KEPT:
            self._lines.popleft()
            self._dropped += 1
        self._lines.append((source, LogLine(self._clock(), level, text)))
        self._ring()

    async def told(self) -> None:
        """Returns once the server has heard everything."""
        await self._told.wait()

    async def send(self, link: Link) -> None:
        """Tells for ever. Raises Stale, or LinkError with what was under way still to be told."""
        while True:
            await self._waiting.wait()
            if self._lifecycles:
                await tell(link, "lifecycle", self._lifecycles[0])
                self._lifecycles.popleft()
            elif self._health:
                slug, health = next(iter(self._health.items()))
                await tell(link, "app_health", AppHealthReport(slug, health))
                if self._health[slug] == health:
                    del self._health[slug]
            elif self._lines:
                await self._send_lines(link)
            else:
                self._waiting.clear()
                self._told.set()

    async def _send_lines(self, link: Link) -> None:
        source = self._lines[0][0]
        batch: list[LogLine] = []
        size = 0
        if self._dropped:
            told = (
                f"{self._dropped} older lines were dropped: they came faster than they were sent."
            )
            batch.append(LogLine(self._clock(), "warn", told))
        while self._lines and self._lines[0][0] == source:
            line = self._lines[0][1]
            size += len(line.text)
            if batch and (len(batch) >= BATCH_LINES or size > BATCH_CHARS):
                break
            batch.append(self._lines.popleft()[1])
        dropped, self._dropped = self._dropped, 0
        try:
            await tell(link, "logs", LogLines(source, batch))
        except BaseException:
            self._dropped += dropped
            self._lines.extendleft((source, line) for line in reversed(batch[bool(dropped) :]))
            raise

    def _ring(self) -> None:
        self._told.clear()
        self._waiting.set()
