"""When to look at a screen: soon after the output has paused, and never without any. Source: N28."""

import asyncio
import time
from collections.abc import Callable

QUIET_S = 0.016
"""Seconds without output after which a screen has settled. Source: A16."""

LATEST_S = 0.048
"""Seconds after the first output at which it is looked at in any case. Source: A16."""

SHARE = 20
"""At most one part in so many of the time is spent on looking while output never pauses: 6 ms each."""

RARELY_S = 0.25
"""Seconds after which a screen is looked at however long that takes: people watch it."""

HELD_S = 0.1
"""Seconds for which a program that says it is drawing is believed. Source: N24."""


class Settle:
    """Calls back once for each burst of output. Without output it does nothing at all."""

    def __init__(self, on_settled: Callable[[], None], drawing: Callable[[], bool]) -> None:
        """drawing: whether the program is in the middle of drawing, by its own word."""
        self._on_settled = on_settled
        self._drawing = drawing
        self._timer: asyncio.TimerHandle | None = None
        self._first = 0.0
        self._last = 0.0
        self._latest_s = LATEST_S

    @property
    def pending(self) -> bool:
        """Whether there was output that nobody has looked at."""
        return self._timer is not None

    def output(self) -> None:
        """There was output just now."""
        loop = asyncio.get_running_loop()
        self._last = loop.time()
        if self._timer is None:
            self._first = self._last
            self._timer = loop.call_at(self._last + QUIET_S, self._look)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        due = min(self._last + QUIET_S, self._first + self._latest_s)
        if self._drawing():
            due = self._first + HELD_S
        if now < due:
            self._timer = loop.call_at(due, self._look)
            return
        self._timer = None
        self._tell()

    def _tell(self) -> None:
        began = time.thread_time()
        self._on_settled()
        took_s = time.thread_time() - began
        self._latest_s = min(max(LATEST_S, SHARE * took_s), RARELY_S)

    def now(self) -> None:
        """Calls back at once if there was output that nobody has looked at."""
        if self._timer is not None:
            self.close()
            self._on_settled()

    def close(self) -> None:
        """There will be no call any more until the next output."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
