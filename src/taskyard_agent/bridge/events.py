"""Server-sent events: each stream is a place in what is known, and is never behind a queue. Source: A6-A11, N39."""

import asyncio
from collections.abc import Iterator

import msgspec
from starlette.types import Receive, Send

from taskyard_agent.bridge.record import Record

COALESCE_S = 0.1
"""Least seconds between two revisions of a message on one stream. Source: N39."""

WRITE_S = 5.0
"""Seconds that a reader may leave a frame unread before its stream ends. Source: A11."""

HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-store, must-revalidate"),
    (b"pragma", b"no-cache"),
    (b"expires", b"0"),
    (b"x-accel-buffering", b"no"),
    (b"x-proxy-buffering", b"no"),
    (b"connection", b"keep-alive"),
]

BLANK = " \t\r\n\f\v"
"""What is cut off the end of a screen. Source: A7."""


def frame(event: str, data: dict[str, object]) -> bytes:
    """One event as it goes over the wire."""
    return b"event: " + event.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"


class Messages:
    """The events of `/events` from one place on."""

    def __init__(self, record: Record, agent_type: str) -> None:
        self._record = record
        self._agent_type = agent_type
        self._revision = 0
        self._flips = record.flips_seen
        self._faults = record.faults_seen

    def replay(self) -> Iterator[bytes]:
        """What everybody gets who connects: messages, one status, the errors so far. Source: A6."""
        yield from self._messages()
        yield self._status(self._record.status)
        yield from map(self._fault, range(-len(self._record.faults), 0))

    def news(self) -> Iterator[bytes]:
        """What happened since, in the order of A10."""
        faults = self._record.faults_seen - self._faults
        flips = self._record.flips_seen - self._flips
        self._faults, self._flips = self._record.faults_seen, self._record.flips_seen
        yield from map(self._fault, range(-min(faults, len(self._record.faults)), 0))
        yield from map(self._status, list(self._record.flips)[-flips:] if flips else [])
        yield from self._messages()

    def _messages(self) -> Iterator[bytes]:
        conversation = self._record.conversation
        seen, self._revision = self._revision, conversation.revision
        for message in conversation.messages:
            if message.revision > seen:
                yield frame(
                    "message_update",
                    {
                        "id": message.id,
                        "role": message.role,
                        "message": message.content,
                        "time": message.time,
                    },
                )

    def _status(self, status: str) -> bytes:
        return frame("status_change", {"status": status, "agent_type": self._agent_type})

    def _fault(self, place: int) -> bytes:
        fault = self._record.faults[place]
        data: dict[str, object] = {
            "message": fault.message,
            "level": fault.level,
            "time": fault.time,
        }
        return frame("agent_error", data)


class Screen:
    """The events of `/internal/screen`: the answer so far. Source: A7, A59."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._shown: str | None = None

    def replay(self) -> Iterator[bytes]:
        """The text as it is."""
        return self.news()

    def news(self) -> Iterator[bytes]:
        """The text, when it is another one."""
        messages = self._record.conversation.messages
        text = messages[-1].content.rstrip(BLANK) if messages else ""
        if text != self._shown:
            self._shown = text
            yield frame("screen", {"screen": text})


class EventStream:
    """An answer that goes on until the caller hangs up or the bridge closes."""

    def __init__(self, record: Record, source: Messages | Screen) -> None:
        self._record = record
        self._source = source

    async def run(self, receive: Receive, send: Send) -> None:
        """Sends the replay and then news, as fast as it is read but not faster than is useful."""
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(_until_hung_up(receive))
            work = group.create_task(self._feed(send))
            await asyncio.wait({watch, work}, return_when=asyncio.FIRST_COMPLETED)
            watch.cancel()
            work.cancel()

    async def _feed(self, send: Send) -> None:
        try:
            await _write(send, self._source.replay())
            while not self._record.closed:
                await self._record.changed()
                await _write(send, self._source.news())
                if not self._record.closed:
                    await asyncio.sleep(COALESCE_S)
                    await _write(send, self._source.news())
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            return


async def _write(send: Send, frames: Iterator[bytes]) -> None:
    for data in frames:
        async with asyncio.timeout(WRITE_S):
            await send({"type": "http.response.body", "body": data, "more_body": True})


async def _until_hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
