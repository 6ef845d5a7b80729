"""What is read off a screen becomes items: only what is new, now and then, all of it in the end."""

import asyncio
import time
from collections.abc import Callable

from taskyard_agent.bridge.record import Record
from taskyard_agent.bridge.updates import PIECE_CHARS, SEGMENT_CHARS
from taskyard_agent.protocol import ItemKind

GROWN_S = 0.1
"""Least seconds between two items of a text that grows. Source: N39."""

REDRAWN_S = 0.5
"""The same when its end was drawn anew, which spinners and clocks do without saying anything."""

SHARE = 20
"""At most one part in so many of the time is spent on reading long texts off a screen."""


class Speech:
    """The message that the agent is writing. read: its whole text now, null to leave it as it is.

    spoke: hears of every change that was stored.
    """

    def __init__(
        self, record: Record, read: Callable[[], str | None], spoke: Callable[[], None]
    ) -> None:
        self._record = record
        self._read = read
        self._spoke = spoke
        self._number = record.conversation.last_segment
        self._said = ""
        self._ended = True
        self._next = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def said(self) -> str:
        """What the message says, as far as it is stored."""
        return self._said

    def begin(self) -> None:
        """What is read from now on is another message; the first one is there at once. Source: A24."""
        self.close()
        self._said, self._ended, self._next = "", False, 0.0
        self._number = self._record.conversation.last_segment + 1
        if not self._record.conversation.messages:
            self._record.put(ItemKind.AGENT_TEXT, {"message_id": self._number, "text": ""})

    def changed(self) -> None:
        """The screen is not what it was: its text is stored soon."""
        if self._timer is not None:
            return
        loop = asyncio.get_running_loop()
        if loop.time() >= self._next:
            self.flush()
        else:
            self._timer = loop.call_at(self._next, self.flush)

    def flush(self) -> None:
        """The text as it is now is stored."""
        self.close()
        began = time.perf_counter()
        text = self._read()
        redrawn = False
        if text is not None and text != self._said:
            redrawn = self._store(text)
            self._spoke()
        pause_s = max(SHARE * (time.perf_counter() - began), REDRAWN_S if redrawn else GROWN_S)
        self._next = asyncio.get_running_loop().time() + pause_s

    def _store(self, text: str) -> bool:
        """Whether anything that was there is not any more."""
        keep = _common(self._said, text)
        redrawn = keep < len(self._said)
        data: dict[str, object] = {"message_id": self._number, "keep": keep} if redrawn else {}
        for start in range(keep, max(len(text), keep + 1), PIECE_CHARS):
            piece = data | {"message_id": self._number, "text": text[start : start + PIECE_CHARS]}
            self._record.put(ItemKind.AGENT_TEXT, piece)
            data = {}
        self._said = text
        return redrawn

    def end(self) -> None:
        """The message is stored, also as a whole when it is not too long; it may change all the same."""
        self.flush()
        if self._said and not self._ended and len(self._said) <= SEGMENT_CHARS:
            data = {"message_id": self._number, "text": self._said}
            self._record.put(ItemKind.AGENT_MESSAGE, data)
        self._ended = True

    def close(self) -> None:
        """Nothing is stored by itself any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _common(one: str, other: str) -> int:
    """How many characters both begin with."""
    if other.startswith(one):
        return len(one)
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
