"""Byte streams of a link and the outbox that all frames leave by; used by both sides through mux.py.

A stream is a two-way byte pipe with credit: nobody sends more than the reader has room for, so one slow
reader costs STREAM_WINDOW_BYTES and holds up nobody else. Each side sends Close exactly once per stream;
a stream is forgotten when both Closes have passed, so no id is ever ambiguous.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Self

import msgspec

from taskyard_agent.protocol import (
    MAX_DATA_BYTES,
    STREAM_WINDOW_BYTES,
    Close,
    Credit,
    Data,
    Frame,
    Opened,
)

CREDIT_STEP_BYTES = STREAM_WINDOW_BYTES // 4
"""Bytes consumed before the reader grants them back: few Credit frames, and the writer never runs dry."""

MAX_ERROR_CHARS = 500
"""Characters kept of an error sentence from the other side: room for a path and a cause, none for a flood."""

Send = Callable[[bytes], Awaitable[None]]
"""Writes one binary message; returns when the transport has room again, raises LinkLost when it is gone."""

_ENCODER = msgspec.msgpack.Encoder()


class LinkError(Exception):
    """The root of what can go wrong on a link; str() is a sentence."""


class LinkLost(LinkError):
    """The link ended; whatever was under way on it may or may not have happened."""


class ProtocolError(LinkError):
    """The other side broke the rules of the link; the link must end."""


class StreamError(LinkError):
    """One stream went wrong; the link itself is fine."""


class StreamRefused(StreamError):
    """A stream could not be opened; the sentence says why."""


class StreamClosed(StreamError):
    """A stream was closed, by either side, before what was asked of it was done."""


class Parcel:
    """One frame on its way out; withdraw() takes it back while it still waits."""

    __slots__ = ("_data", "_on_taken", "_written")

    def __init__(self, data: bytes, on_taken: Callable[[], None] | None) -> None:
        self._data: bytes | None = data
        self._on_taken = on_taken
        self._written: asyncio.Future[None] | None = None

    def withdraw(self) -> bool:
        """Whether the frame had not left yet; then it never will."""
        waiting = self._data is not None
        self._data = None
        return waiting

    def take(self) -> bytes | None:
        """The frame's bytes, once; None when it was withdrawn."""
        data, self._data = self._data, None
        if data is not None and self._on_taken is not None:
            self._on_taken()
        return data

    def written(self) -> asyncio.Future[None]:
        """Done when the transport took the frame; made on first use."""
        if self._written is None:
            self._written = asyncio.get_running_loop().create_future()
        return self._written

    def settle(self, error: LinkLost | None) -> None:
        """Wake who waits for written()."""
        if self._written is None or self._written.done():
            return
        if error is None:
            self._written.set_result(None)
        else:
            self._written.set_exception(error)


class Outbox:
    """Everything on its way out. Urgent frames overtake bulk ones; within a lane, order is kept.

    Bounded because each poster is: a stream has one Data, one Close and a few Credits here, a call one frame.
    One task runs run(), so that the transport sees one send at a time and a cancelled
    caller never leaves a frame half sent.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._urgent: deque[Parcel] = deque()
        self._bulk: deque[Parcel] = deque()
        self._wake = asyncio.Event()
        self._lost: str | None = None

    def post(
        self, frame: Frame, *, bulk: bool = False, on_taken: Callable[[], None] | None = None
    ) -> Parcel:
        """The parcel of a frame that waits for its turn; on_taken runs just before it is written."""
        return self.post_encoded(_ENCODER.encode(frame), bulk=bulk, on_taken=on_taken)

    def post_encoded(
        self, data: bytes, *, bulk: bool = False, on_taken: Callable[[], None] | None = None
    ) -> Parcel:
        """Like post, for a frame that is encoded already."""
        parcel = Parcel(data, on_taken)
        if self._lost is None:
            (self._bulk if bulk else self._urgent).append(parcel)
            self._wake.set()
        return parcel

    async def deliver(self, frame: Frame) -> None:
        """Nothing, when the transport took this bulk frame. Raises LinkLost."""
        if self._lost is not None:
            raise LinkLost(self._lost)
        parcel = self.post(frame, bulk=True)
        try:
            await parcel.written()
        except asyncio.CancelledError:
            parcel.withdraw()
            raise

    async def run(self) -> None:
        """Write parcels for ever. Raises what `send` raises: LinkLost when the transport is gone."""
        while True:
            lane = self._urgent or self._bulk
            if not lane:
                self._wake.clear()
                await self._wake.wait()
                continue
            parcel = lane.popleft()
            data = parcel.take()
            if data is not None:
                await self._write(parcel, data)

    async def _write(self, parcel: Parcel, data: bytes) -> None:
        try:
            await self._send(data)
        except BaseException:
            parcel.settle(LinkLost(self._lost or "the link ended while a frame was being written"))
            raise
        parcel.settle(None)

    def end(self, reason: str) -> None:
        """Drop everything; who waits for a frame to be written gets LinkLost."""
        self._lost = reason
        for lane in (self._urgent, self._bulk):
            for parcel in lane:
                parcel.settle(LinkLost(reason))
            lane.clear()


class Stream:
    """A byte pipe to a TCP port on the workspace's loopback. One task reads, one task writes.

    Use as `async with stream:`; leaving closes it. The feed_ methods, accept, opened and fail belong
    to the Mux and to the side that accepts.
    """

    def __init__(
        self, outbox: Outbox, stream_id: int, port: int, *, forget: Callable[[int], None]
    ) -> None:
        self.id = stream_id
        self.port = port
        self._outbox = outbox
        self._forget = forget
        self._buffer = bytearray()
        self._window = 0  # bytes that the other side may still send us
        self._credit = 0  # bytes that we may still send
        self._ungranted = 0  # bytes consumed here that the other side does not know of yet
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._is_open = False
        self._eof_received = False
        self._eof_sent = False
        self._closing = False
        self._close_sent = False
        self._close_received = False
        self._error: str | None = None
        self._lost: str | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    async def read(self) -> bytes:
        """The next bytes, at most STREAM_WINDOW_BYTES; b"" when the other side sends no more.

        Coming back for more says that the bytes before are consumed: only then is credit granted.
        A cancelled read loses nothing. Raises StreamClosed, LinkLost.
        """
        self._grant()
        while not self._buffer:
            if self._eof_received or (self._close_received and self._error is None):
                return b""
            self._raise_if_over()
            self._readable.clear()
            await self._readable.wait()
        data = bytes(self._buffer)
        self._buffer.clear()
        self._ungranted += len(data)
        return data

    async def write(self, data: bytes) -> None:
        """Nothing, when the transport took all the bytes; waits for credit, sends in turns with other streams.

        After a cancelled write the stream is fit only for close(). Raises StreamClosed, LinkLost.
        """
        view = memoryview(data)
        while view:
            while self._credit == 0:
                self._raise_if_over()
                self._writable.clear()
                await self._writable.wait()
            self._raise_if_over()
            size = min(len(view), self._credit, MAX_DATA_BYTES)
            self._credit -= size
            await self._outbox.deliver(Data(self.id, bytes(view[:size])))
            view = view[size:]

    async def write_eof(self) -> None:
        """Say that this side sends no more; reading goes on. Raises StreamClosed, LinkLost."""
        self._raise_if_over()
        if not self._eof_sent:
            self._eof_sent = True
            self._outbox.post(Data(self.id, b""), bulk=True)

    async def close(self, error: str | None = None) -> None:
        """End both directions; never waits, so it is safe while being cancelled. A second call does nothing.

        error: a sentence for the other side when the stream did not end well.
        """
        if self._closing or self._lost is not None:
            return
        self._closing = True
        self._buffer = bytearray()
        self._wake()
        self._outbox.post(Close(self.id, error), bulk=True, on_taken=self._close_taken)

    async def wait_closed(self) -> None:
        """Nothing, when the stream is over, by either side's Close. For the task that reads. Raises LinkLost."""
        while not (self._closing or self._close_received):
            if self._lost is not None:
                raise LinkLost(self._lost)
            self._readable.clear()
            await self._readable.wait()

    async def accept(self) -> None:
        """Tell the opener that the port is connected; bytes may flow. For the side that accepts."""
        self._raise_if_over()
        self._open_up()
        self._outbox.post(Opened(self.id))

    async def opened(self) -> None:
        """Nothing, when the other side accepted. Raises StreamRefused with its reason, LinkLost."""
        while not self._is_open:
            if self._close_received:
                raise StreamRefused(self._error or f"port {self.port} was not opened")
            self._raise_if_over()
            self._writable.clear()
            await self._writable.wait()

    def feed_opened(self) -> None:
        """The other side accepted. Raises ProtocolError when it said so before."""
        if self._is_open:
            raise ProtocolError(f"stream {self.id} was opened twice")
        self._open_up()

    def feed_data(self, data: bytes) -> None:
        """Bytes, or the end of them, arrived. Raises ProtocolError when there was no leave to send them."""
        if not self._is_open or self._eof_received:
            raise ProtocolError(f"stream {self.id} may not carry data now")
        if len(data) > min(MAX_DATA_BYTES, self._window):
            raise ProtocolError(f"stream {self.id} sent {len(data)} bytes without credit for them")
        self._window -= len(data)
        self._eof_received = not data
        if not self._closing:
            self._buffer += data
        self._readable.set()

    def feed_credit(self, size_bytes: int) -> None:
        """The other side consumed bytes. Raises ProtocolError when they were more than were sent."""
        if not self._is_open or size_bytes <= 0 or self._credit + size_bytes > STREAM_WINDOW_BYTES:
            raise ProtocolError(f"stream {self.id} granted credit for bytes that it never got")
        self._credit += size_bytes
        self._writable.set()

    def feed_close(self, error: str | None) -> None:
        """The other side closed; what it sent before can still be read. Raises ProtocolError the second time."""
        if self._close_received:
            raise ProtocolError(f"stream {self.id} was closed twice")
        self._close_received = True
        self._error = error[:MAX_ERROR_CHARS] if error is not None else None
        self._wake()
        self._forget_if_over()

    @property
    def closed_by_peer(self) -> bool:
        """Whether the other side's Close has arrived, after which it may send nothing here."""
        return self._close_received

    def fail(self, reason: str) -> None:
        """The link is gone: all waiting and coming reads and writes raise LinkLost."""
        self._lost = reason
        self._buffer = bytearray()
        self._wake()

    def _open_up(self) -> None:
        self._is_open = True
        self._window = self._credit = STREAM_WINDOW_BYTES
        self._writable.set()

    def _grant(self) -> None:
        over = self._eof_received or self._close_received or self._closing
        if self._ungranted < CREDIT_STEP_BYTES or over:
            return
        size, self._ungranted = self._ungranted, 0
        self._window += size
        self._outbox.post(Credit(self.id, size))

    def _raise_if_over(self) -> None:
        if self._lost is not None:
            raise LinkLost(self._lost)
        if self._closing:
            raise StreamClosed(f"the stream to port {self.port} is closed")
        if self._close_received:
            raise StreamClosed(self._error or f"port {self.port} closed the stream")

    def _wake(self) -> None:
        self._readable.set()
        self._writable.set()

    def _close_taken(self) -> None:
        self._close_sent = True
        self._forget_if_over()

    def _forget_if_over(self) -> None:
        if self._close_sent and self._close_received:
            self._forget(self.id)
