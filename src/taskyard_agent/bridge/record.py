"""The one place where a bridge writes: an item goes to disk first, and only then anybody sees it."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Literal

import msgspec

from taskyard_agent.bell import Bell
from taskyard_agent.bridge.messages import Conversation
from taskyard_agent.bridge.overview import Overview
from taskyard_agent.journal import Data, Journal
from taskyard_agent.protocol import AgentState, Item, ItemKind, StateNews, Waiting

ERRORS_KEPT = 100
"""Errors told to everybody who starts to listen, newest ones. Source: A6."""

FLIPS_KEPT = 1_000
"""Changes of the status kept for listeners that lag; behind those, only the newest counts."""

Status = Literal["running", "stable"]


class SessionState(StrEnum):
    """What a session is doing, as `/v2/session` tells it; only IDLE takes a prompt. Source: agentapi 10.

    NOT_READY: up for long, and still no sign that it takes input. AWAITING_INPUT: a dialog is on its
    screen. EXITED: its program is gone. ERROR: there will be none any more. STOPPED: by us.
    """

    STARTING = "starting"
    NOT_READY = "not_ready"
    IDLE = "idle"
    RUNNING = "running"
    AWAITING_PERMISSION = "awaiting_permission"
    AWAITING_INPUT = "awaiting_input"
    EXITED = "exited"
    ERROR = "error"
    STOPPED = "stopped"


OBSERVED = {
    SessionState.STARTING: AgentState.STARTING,
    SessionState.NOT_READY: AgentState.STARTING,
    SessionState.IDLE: AgentState.IDLE,
    SessionState.RUNNING: AgentState.WORKING,
    SessionState.AWAITING_PERMISSION: AgentState.WAITING,
    SessionState.AWAITING_INPUT: AgentState.WAITING,
    SessionState.EXITED: AgentState.FAILED,
    SessionState.ERROR: AgentState.FAILED,
    SessionState.STOPPED: AgentState.STOPPED,
}
"""What each is for those who follow the task."""

Level = Literal["warning", "error"]

MEND_S = 1.0
"""Seconds between tries to write what is owed, while the transcript cannot be written."""

OWED = (ItemKind.TURN_END, ItemKind.STATE)
"""Kinds of items of which the newest is not lost when it cannot be written, in the order in which they happen."""

Log = Callable[[str, str], None]
"""Takes the level and the text of a line for the logs."""

log = logging.getLogger("taskyard.bridge")


class AgentFault(msgspec.Struct, frozen=True):
    """Something went wrong that clients should show."""

    message: str
    level: Level
    time: datetime


class Record:
    """Journal, conversation and status of one session, and the bell that tells of every change.

    faults and flips are logs with running numbers, so that each listener can be a mere place in them;
    changes counts everything that a listener may want to know.
    """

    def __init__(self, journal: Journal, clock: Callable[[], datetime]) -> None:
        self.journal = journal
        self.conversation = Conversation()
        self.overview = Overview()
        self.turn = 0
        self.status: Status = "running"
        self.state: StateNews | None = None
        self.state_since = clock()
        self.faults: deque[AgentFault] = deque(maxlen=ERRORS_KEPT)
        self.faults_seen = 0
        self.flips: deque[Status] = deque(maxlen=FLIPS_KEPT)
        self.flips_seen = 0
        self.closed = False
        self.ended = asyncio.Event()
        self.changes = 0
        self._clock = clock
        self._lost_bytes = 0
        self._warned = False
        self._owed: dict[ItemKind, tuple[int, Data]] = {}
        self._mending: asyncio.TimerHandle | None = None
        self._bell = Bell()
        self._flip = asyncio.Event()
        journal.preface = self.conversation.preface

    def now(self) -> datetime:
        """The time that the next item would get."""
        return self._clock()

    def put(self, kind: ItemKind, data: Data, at: datetime | None = None) -> bool:
        """Whether the item is on disk and in the conversation; what cannot be stored is not shown.

        at: when it began, null for now.
        """
        if kind is ItemKind.STATE:
            self._owed.pop(kind, None)  # this one takes its place
        item = self._store_gap() and self._pay() and self._store(kind, data, at)
        if not item:
            self._owe(kind, data)
            return False
        if self.learn(item):
            self._ring()
        return True

    def _owe(self, kind: ItemKind, data: Data) -> None:
        """What nobody would say again is said as soon as the disk takes it: else a turn seems to go on for ever."""
        if kind in OWED:
            self._owed[kind] = (self.turn, data)
        if self._mending is None and not self.closed:
            self._mending = asyncio.get_running_loop().call_later(MEND_S, self._mend)

    def _mend(self) -> None:
        self._mending = None
        if self._store_gap() and self._pay():
            self._warned = False
            self._ring()
        elif not self.closed:
            self._mending = asyncio.get_running_loop().call_later(MEND_S, self._mend)

    def _pay(self) -> bool:
        """Whether all that was owed is on disk, in the order in which it happens: a turn's end, then the state."""
        for kind in OWED:
            if kind in self._owed:
                (turn, data), lost = self._owed[kind], self._lost_bytes
                item = self._store(kind, data, turn=turn)
                if item is None:
                    self._lost_bytes = lost
                    return False
                del self._owed[kind]
                self.learn(item)
        return True

    def learn(self, item: Item) -> bool:
        """Whether an item that is on disk changes a message."""
        self.overview.apply(item)
        return self.conversation.apply(item)

    def fault(self, message: str, *, level: Level = "error") -> None:
        """Stores an error or warning and tells all listeners, even when it cannot be stored."""
        self.put(ItemKind.ERROR, {"level": level, "message": message})
        self.faults.append(AgentFault(message, level, self._clock()))
        self.faults_seen += 1
        self._ring()

    def set_state(
        self,
        state: SessionState,
        *,
        waiting: Waiting | None = None,
        reason: str | None = None,
        failed: bool = False,
    ) -> None:
        """Stores what the session does now, when it is news; the status of AgentAPI follows from it.

        failed: the last turn ended in an error, of which the reason tells; a new prompt is taken all the same.
        """
        observed = AgentState.FAILED if failed else OBSERVED[state]
        news = StateNews(observed, state, waiting, reason)
        if news != self.state:
            self.state, self.state_since = news, self._clock()
            self.put(ItemKind.STATE, news)
            self._ring()
        self._set_status("stable" if state is SessionState.IDLE else "running")

    def tell_again(self) -> None:
        """Stores once more what the session does, for a server that takes nothing from before for granted."""
        if self.state is not None:
            self.put(ItemKind.STATE, self.state)

    def _set_status(self, status: Status) -> None:
        """The status that AgentAPI shows. Source: A9."""
        if status != self.status:
            self.status = status
            self.flips.append(status)
            self.flips_seen += 1
            self._flip.set()
            self._flip = asyncio.Event()
            self._ring()

    def close(self) -> None:
        """Ends every listener's wait for good."""
        self.closed = True
        if self._mending is not None:
            self._mending.cancel()
        self.ended.set()
        self.journal.wake()
        self._flip.set()
        self._ring()

    async def changed(self, since: int) -> None:
        """Returns once `changes` is not what it was, at once when that is so already."""
        if self.changes != since:
            return
        await self._bell.rung()

    async def flipped(self, since: int, within_s: float) -> None:
        """Returns once `flips_seen` is not what it was, or there will be no more, or after so long."""
        if self.flips_seen != since or self.closed:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._flip.wait()

    def ring(self) -> None:
        """Something is new that is no item, such as the screen."""
        self._ring()

    def _ring(self) -> None:
        self.changes += 1
        self._bell.ring()

    def _store(
        self, kind: ItemKind, data: Data, at: datetime | None = None, turn: int | None = None
    ) -> Item | None:
        turn = self.turn if turn is None else turn
        try:
            return self.journal.append(kind, turn, data, at or self._clock())
        except OSError as error:
            if not self._warned:
                log.warning("the transcript cannot be written: %s", error)
            self._warned = True
            self._lost_bytes += len(msgspec.json.encode(data))
            return None

    def _store_gap(self) -> bool:
        """Says on disk, as soon as that works again, how much was lost. Source: N6."""
        if not self._lost_bytes:
            return True
        lost, self._lost_bytes = self._lost_bytes, 0
        reason = "The transcript could not be written; what came meanwhile is missing."
        if self._store(ItemKind.GAP, {"reason": reason, "bytes": lost}):
            return True
        self._lost_bytes = lost
        return False
