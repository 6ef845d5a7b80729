"""Two connections that become one: each end's bytes go to the other, held up where the other does not read.

An end is first read by hand, up to the end of a head; then it is spliced. Server and workspace both
relay with this. Neither holds more of a connection than a write buffer and one read in each direction.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import cast

HEAD_END = b"\r\n\r\n"

HELD_BYTES = 64 * 1024
"""Bytes that an end takes before it is spliced; its peer waits with more."""


class HeadTooLong(Exception):
    """A head did not end within its limit."""


class End(asyncio.Protocol):
    """One connection. on_made is called with it once it stands.

    moved: whether bytes came since it was last set to false. ended: its peer sends no more.
    is_full: more is to be sent than its peer reads.
    """

    def __init__(self, on_made: Callable[["End"], None] | None = None) -> None:
        self.moved = False
        self.ended = False
        self.over = asyncio.Event()
        self._on_made = on_made
        self._transport: asyncio.Transport | None = None
        self._other: End | None = None
        self._held = bytearray()
        self._came = asyncio.Event()
        self.is_full = False

    @property
    def transport(self) -> asyncio.Transport:
        """The connection's transport."""
        assert self._transport is not None  # connection_made comes before anything else
        return self._transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not checked: uvloop's are of no class of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        if self._on_made is not None:
            self._on_made(self)

    def data_received(self, data: bytes) -> None:
        self.moved = True
        if self._other is not None:
            self._other.write(data)
            return
        self._held += data
        if len(self._held) > HELD_BYTES:
            self.transport.pause_reading()
        self._came.set()

    def eof_received(self) -> bool:
        """The peer sends no more; true, because it may still read."""
        self.ended = True
        self._came.set()
        if self._other is not None:
            self._pass_end(self._other)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self.over.set()
        self._came.set()
        if self._other is None:
            return
        if exc is None:
            self._other.close()
        else:
            self._other.abort()

    def pause_writing(self) -> None:
        self.is_full = True
        if self._other is not None and not self._other.over.is_set():
            self._other.transport.pause_reading()

    def resume_writing(self) -> None:
        self.is_full = False
        self._came.set()
        if self._other is not None and not self._other.over.is_set():
            self._other.transport.resume_reading()

    async def head(self, limit: int) -> bytes:
        """All bytes up to and with the first empty line; what follows is kept.

        Raises HeadTooLong, and ConnectionError when the peer ends before.
        """
        start = 0
        while (end := self._held.find(HEAD_END, max(0, start))) < 0:
            if len(self._held) > limit:
                raise HeadTooLong
            start = len(self._held) - len(HEAD_END) + 1
            if self.ended:
                raise ConnectionResetError("the connection ended within a head")
            await self._more()
        end += len(HEAD_END)
        if end > limit:
            raise HeadTooLong
        found = bytes(self._held[:end])
        del self._held[:end]
        return found

    async def read(self) -> bytes:
        """Some bytes, empty when the peer sends no more. For an end that is not spliced."""
        while not self._held and not self.ended:
            await self._more()
        found = bytes(self._held)
        self._held.clear()
        return found

    def write(self, data: bytes) -> None:
        """Sends; nothing happens any more on a connection that is closing."""
        if data and not self.transport.is_closing():
            self.transport.write(data)

    def close(self) -> None:
        """Ends the connection once everything is sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Ends the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def reset(self) -> None:
        """Ends the connection at once, and so that its peer takes it for an error and not for an end."""
        made = self.transport.get_extra_info("socket")
        if made is not None and not self.transport.is_closing():
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()

    def join(self, other: "End") -> None:
        """What came from here goes to the other end, as will what comes. Then flow() both ends."""
        self._other = other
        held, self._held = bytes(self._held), bytearray()
        other.write(held)

    def flow(self) -> None:
        """Goes on reading, or passes on that there is nothing more to read."""
        other = self._other
        assert other is not None  # joined before
        if self.over.is_set():
            other.close()
        elif self.ended:
            self._pass_end(other)
        elif not other.is_full:
            self.transport.resume_reading()

    def _pass_end(self, other: "End") -> None:
        if other.over.is_set() or other.transport.is_closing():
            return
        other.transport.write_eof()
        if other.ended:
            other.close()
            self.close()

    async def drain(self) -> None:
        """Returns once the peer has read enough of what was sent. For an end that is not spliced."""
        while self.is_full and not self.over.is_set():
            self._came.clear()
            await self._came.wait()

    async def hung_up(self) -> None:
        """Returns once the peer sends no more; what it sent until then is kept."""
        while not self.ended:
            self._came.clear()
            await self._came.wait()

    async def _more(self) -> None:
        self._came.clear()
        if not self.over.is_set():
            self.transport.resume_reading()
        await self._came.wait()


async def splice(one: End, two: End) -> None:
    """Returns when both connections are over; when it is cancelled they are ended at once."""
    try:
        one.join(two)
        two.join(one)
        one.flow()
        two.flow()
        await one.over.wait()
        await two.over.wait()
    finally:
        one.abort()
        two.abort()
