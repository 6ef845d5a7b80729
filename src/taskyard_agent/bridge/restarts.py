"""How often a coding agent that ended is started again. Source: N26."""

import asyncio
from collections import deque

RESTARTS = 3
RESTARTS_WITHIN_S = 600.0
"""So many restarts in so many seconds, then it stays down. Source: N26."""

PAUSES_S = (0.0, 0.5, 1.5)
"""Seconds before each of them: at once at first, then time for what it trips over to pass."""


class Restarts:
    """Counts the newest restarts."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=RESTARTS)

    def next_pause_s(self) -> float | None:
        """Seconds until the next start, which counts; null when there were too many."""
        now = asyncio.get_running_loop().time()
        while self._times and self._times[0] < now - RESTARTS_WITHIN_S:
            self._times.popleft()
        if len(self._times) == RESTARTS:
            return None
        self._times.append(now)
        return PAUSES_S[len(self._times) - 1]

    def told(self, sentence: str) -> str:
        """The sentence, with how often it was tried again."""
        if not self._times:
            return sentence
        return (
            f"The coding agent was started again {RESTARTS} times in 10 minutes and stays down. "
            f"{sentence}"
        )
