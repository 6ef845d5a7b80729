"""What a turn started and left running when it was cut off: found by a mark in its environment, and ended.

Coding agents give each command a session of its own, so that a signal for their group does not reach
it. Some keep commands running in the background when a turn is cancelled, and one that is killed ends
none of them.
"""

import asyncio
import contextlib
import math
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

MARK = "TASKYARD_RUN"
"""The variable by which the processes of one run of a bridge are known."""

CUT_OFF = frozenset({"cancelled", "interrupted", "agent_exit"})
"""Ends of a turn after which nobody waits for what it has started."""

GRACE_S = 1.0
"""Seconds that they have to end by themselves: what they save belongs to a turn that nobody wants any more."""

LOOK_S = 0.02
"""Seconds between looks whether they have ended; there are some only after a turn was cut off."""

TICKS_S = 1 / os.sysconf("SC_CLK_TCK")
"""Seconds of a tick, in which the kernel counts when a process was started."""


def now_s() -> float:
    """Seconds since the machine was started, the clock by which the kernel tells when a process was."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


_NOBODYS = -1
"""No process session has that number."""


@dataclass(frozen=True, slots=True)
class _Turn:
    """Seconds from a turn's beginning to its end. session: the process session of the agent itself."""

    began_s: float
    ended_s: float
    session: int


class Strays:
    """Knows what the turns of a coding agent started. mark: what its environment has under MARK."""

    def __init__(self) -> None:
        self.mark = uuid4().hex
        self._turn_mark = self.mark
        self._began_s = 0.0
        self._session = 0

    def begin(self, leader: int) -> None:
        """A turn begins, of the agent whose process leads the process session of that number."""
        self._began_s, self._session = now_s(), leader
        self._turn_mark = self.mark

    def renew(self) -> str:
        """The mark of an agent that is about to start, which is no stray of the last one's turn."""
        self.mark = uuid4().hex
        return self.mark

    async def end_all(self, mark: str | None = None) -> int:
        """How many were ended of all that an agent started, in whatever turn; it is gone itself.

        mark: the agent's, null for the newest one.
        """
        return await _end(mark or self.mark, _Turn(0.0, math.inf, _NOBODYS))

    async def end(self) -> int:
        """How many processes were ended that the turn had started in other sessions than the agent's.

        What its own session holds is the agent's affair: among them are servers that later turns need.
        """
        return await _end(self._turn_mark, _Turn(self._began_s, now_s(), self._session))


async def _end(mark: str, turn: _Turn) -> int:
    known: set[int] = set()
    clock = asyncio.get_running_loop().time
    kill_at = clock() + GRACE_S
    while (found := list(_strays(mark, turn))) and clock() < kill_at + GRACE_S:
        number = signal.SIGTERM if clock() < kill_at else signal.SIGKILL
        for pid, handle in found:
            if pid not in known or number is signal.SIGKILL:
                _send(handle, number)
            known.add(pid)
            os.close(handle)
        await asyncio.sleep(LOOK_S)
    return len(known)


def _send(handle: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        signal.pidfd_send_signal(handle, number)


def _strays(mark: str, turn: _Turn) -> Iterator[tuple[int, int]]:
    """Each with a handle that stays its own when the number is somebody else's."""
    needle = f"{MARK}={mark}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        try:
            handle = os.pidfd_open(pid)
        except OSError:
            continue
        if _belongs(entry, needle, turn):
            yield pid, handle
        else:
            os.close(handle)


def _belongs(entry: Path, needle: bytes, turn: _Turn) -> bool:
    try:
        if needle not in (entry / "environ").read_bytes().split(b"\0"):
            return False
        fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:  # gone, or somebody else's
        return False
    state, session, started_s = fields[0], int(fields[3]), int(fields[19]) * TICKS_S
    in_turn = turn.began_s - TICKS_S <= started_s <= turn.ended_s
    return in_turn and session != turn.session and state not in b"ZX"
