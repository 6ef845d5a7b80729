"""Server-sent events: each stream is a place in what is known, and is never behind a queue. Source: A6-A11, N39."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TypeVar, cast

import msgspec
from starlette.types import Send

from taskyard_agent.bridge.record import AgentFault, Record, Status
from taskyard_agent.bridge.session import Session, TerminalLike
from taskyard_agent.bridge.shapes import (
    AgentError,
    MessageUpdate,
    ScreenUpdate,
    Shape,
    StatusChange,
)
from taskyard_agent.bridge.streams import write

COALESCE_S = 0.1
"""Least seconds between two revisions of a message on one stream, but for the last one of a turn. Source: N39."""

WRITE_S = 5.0
"""Seconds that a reader may leave a frame unread before its stream ends. Source: A11."""

T = TypeVar("T")

BLANK = " \t\r\n\f\v"
"""What is cut off the end of a screen. Source: A7."""


def newest(log: Sequence[T], count: int) -> list[T]:
    """The last so many of a log; all that it still holds when they are more."""
    return list(log)[-count:] if count else []


def frame(event: str, data: Shape) -> bytes:
    """One event as it goes over the wire."""
    return b"event: " + event.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"


class Messages:
    """The events of `/events` from one place on."""

    def __init__(self, record: Record, agent_type: str) -> None:
        self._record = record
        self._agent_type = agent_type
        self._sent: dict[int, int] = {}
        self._flips = 0
        self._faults = 0

    def replay(self) -> Iterator[bytes]:
        """What everybody gets who connects: messages, one status, the errors so far. Source: A6."""
        record = self._record
        self._flips, self._faults = record.flips_seen, record.faults_seen
        known = [self._status(record.status), *map(self._fault, record.faults)]
        return chain(self._messages(), known)

    def news(self) -> Iterator[bytes]:
        """What happened since, in the order of A10."""
        record = self._record
        faults = newest(record.faults, record.faults_seen - self._faults)
        flips = newest(record.flips, record.flips_seen - self._flips)
        self._flips, self._faults = record.flips_seen, record.faults_seen
        known = [*map(self._fault, faults), *map(self._status, flips)]
        return chain(known, self._messages())

    def _messages(self) -> Iterator[bytes]:
        """Each message that is not as it was sent last; made one by one, since all together may be large."""
        for message in list(self._record.conversation.messages):
            if self._sent.get(message.id) != message.revision:
                self._sent[message.id] = message.revision
                update = MessageUpdate(message.id, message.role, message.content, message.time)
                yield frame("message_update", update)

    def _status(self, status: Status) -> bytes:
        return frame("status_change", StatusChange(status, self._agent_type))

    def _fault(self, fault: AgentFault) -> bytes:
        return frame("agent_error", AgentError(fault.message, fault.level, fault.time))


def screen_of(session: Session) -> Callable[[], str]:
    """What tells the screen as it is, trimmed at its end; without one, the newest message. Source: A7, A59."""
    if session.transport == "pty":
        terminal = cast(TerminalLike, session)
        return lambda: terminal.screen_text().rstrip(BLANK)
    conversation = session.record.conversation

    def newest_message() -> str:
        messages = conversation.messages
        return messages[-1].content.rstrip(BLANK) if messages else ""

    return newest_message


class Screen:
    """The events of `/internal/screen`. Source: A7."""

    def __init__(self, screen: Callable[[], str]) -> None:
        self._screen = screen
        self._shown: str | None = None

    def replay(self) -> Iterator[bytes]:
        """The text as it is."""
        return self.news()

    def news(self) -> Iterator[bytes]:
        """The text, when it is another one."""
        text = self._screen()
        if text != self._shown:
            self._shown = text
            yield frame("screen", ScreenUpdate(text))


class EventStream:
    """An answer that goes on until the caller hangs up or the bridge closes."""

    def __init__(self, record: Record, source: Messages | Screen) -> None:
        self._record = record
        self._source = source

    async def feed(self, send: Send) -> None:
        """Sends the replay and then news, as fast as it is read but not faster than is useful."""
        record = self._record
        # Taken before each look: what changes while a slow reader is served is looked at next.
        seen = record.changes
        await _write(send, self._source.replay())
        while not record.closed:
            await record.changed(seen)
            seen, flips = record.changes, record.flips_seen
            await _write(send, self._source.news())
            # The end of a turn is what people wait for: nothing holds that up.
            await record.flipped(flips, COALESCE_S)
        await _write(send, self._source.news())


async def _write(send: Send, frames: Iterator[bytes]) -> None:
    for data in frames:
        await write(send, data, WRITE_S)
