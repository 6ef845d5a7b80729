"""The inner end of a tunnel to a name: what the workspace says first is looked at on its way out.

Nothing waits for it: what the other side says goes in at once, and bytes that are not TLS go out at once.
"""

import asyncio
from collections.abc import Callable

from taskyard.lifecycle.egress import Reason
from taskyard.lifecycle.tls_name import NameWatch
from taskyard_agent.splice import End

ALERT = bytes((21, 3, 3, 0, 2, 2, 112))
"""TLS for: I do not know that name. Programs then say so, and not that the connection broke."""

Told = Callable[[Reason], None]


class Inside(End):
    """An end that can be told to watch which name is asked for."""

    _watch: NameWatch | None = None
    _told: Told | None = None
    _late: asyncio.TimerHandle | None = None
    _hello_s: float = 0.0

    def watch(self, name: str, told: Told, hello_s: float) -> None:
        """From now on TLS has to be for this name; else the connection ends, and told is called.

        hello_s: seconds in which a hello that was begun has to be there whole.
        """
        self._watch, self._told, self._hello_s = NameWatch(name), told, hello_s

    def join(self, other: End) -> None:
        if self._watch is None:
            super().join(other)
            return
        self._other = other
        held, self._held = bytes(self._held), bytearray()
        self._see(held)

    def data_received(self, data: bytes) -> None:
        if self._watch is None or self._other is None:
            super().data_received(data)
            return
        self.moved = True
        self._see(data)

    def eof_received(self) -> bool:
        if self._watch is not None and self._other is not None:
            self._pass(self._watch.end())
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._in_time()
        super().connection_lost(exc)

    def _see(self, data: bytes) -> None:
        watch = self._watch
        assert watch is not None  # who calls has looked
        first = not watch.waits
        self._pass(watch.take(data))
        if self._watch is not None and watch.waits and first:
            self._late = asyncio.get_running_loop().call_later(self._hello_s, self._end_late)

    def _pass(self, data: bytes) -> None:
        watch, other = self._watch, self._other
        assert watch is not None
        assert other is not None
        if watch.problem is not None:
            self._refuse(watch.problem)
            return
        other.write(data)
        if watch.is_over:
            self._watch = None
        if not watch.waits:
            self._in_time()

    def _end_late(self) -> None:
        self._late = None
        if self._watch is not None:
            # Never passed on unread: the rest of a hello could follow it.
            self._watch.late()
            self._pass(b"")

    def _refuse(self, reason: Reason) -> None:
        self._in_time()
        self._watch = None
        if self._told is not None:
            self._told(reason)
        self.write(ALERT)
        if self._other is not None:
            self._other.abort()
        self.close()

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
