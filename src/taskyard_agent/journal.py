"""The transcript on disk: a file of JSON lines, one Item each, written once and never changed.

An item is in the file, in the kernel's hands, before append() returns: it survives SIGKILL. fsync
follows in a thread, at once after a turn's end, else within a second. Memory holds the newest items
only; older ones are found in the file by bisection, because their numbers rise with their offsets.
"""

import asyncio
import contextlib
import fcntl
import os
import re
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from taskyard_agent.protocol import Item, ItemKind
from taskyard_agent.session_file import PromptState, Session, SessionFile, sync_folder

__all__ = ["Data", "Journal", "JournalBusy", "PromptState", "Session", "SessionFile"]

SYNC_WITHIN_S = 1.0
"""Seconds that an item may be without fsync: what a power cut may cost. Source: N15."""

READ_BYTES = 1024 * 1024
"""Bytes of lines after which a read ends early, so that no reader holds a large part of the file."""

BLOCK_BYTES = 64 * 1024
"""Bytes read at once; bisection ends when its range is one block."""

WINDOW_ITEMS = 256
WINDOW_BYTES = 256 * 1024
"""Newest items kept in memory, for those who follow the file; whichever bound is met first."""

HEAD_BYTES = 64
"""Bytes of a line that always hold its number, which comes first."""

_SEQ = re.compile(rb'\{"seq":(\d+),')

Data = Mapping[str, object] | msgspec.Struct | msgspec.Raw
"""What an item is about: anything that msgspec encodes as one JSON object."""


T = TypeVar("T")


class _Head(msgspec.Struct):
    """What makes a line an item, also one that a newer release wrote."""

    seq: int
    kind: str


class JournalBusy(Exception):
    """Another process writes this journal; str() is a sentence."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is being written by another process. End that one first: "
            "two writers would mix two transcripts."
        )
        self.path = path


class Journal:
    """A transcript file opened by its one writer. append() and all that waits need a running loop.

    last_seq: number of the newest item on disk, 0 for none. first_seq: of the oldest, 1 for none.
    dropped_bytes: length of the torn or damaged end that opening cut off.
    """

    def __init__(self, path: Path) -> None:
        """Opens or makes the file; its folder must exist. Raises JournalBusy, OSError."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise JournalBusy(path) from None
        self._window: deque[tuple[Item, int]] = deque()
        self._window_bytes = 0
        self._waiters: set[asyncio.Future[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._syncing: asyncio.Future[None] | None = None
        self._sync_error: OSError | None = None
        found = os.fstat(self._fd).st_size
        if not found:
            sync_folder(path.parent)  # else a power cut may take the whole new file
        self._size, self.last_seq = self._whole_end(found)
        self.dropped_bytes = found - self._size
        if self.dropped_bytes:
            os.ftruncate(self._fd, self._size)
        self._synced = self._size
        self._floor = 0
        self.first_seq = (self._seq_at(0) if self._size else None) or 1

    def append(self, kind: ItemKind, turn: int, data: Data, now: datetime) -> Item:
        """The new item, already on disk. Raises OSError, and then nothing was written."""
        if self._sync_error is not None:
            raise self._sync_error
        raw = msgspec.json.encode(data)
        if b"\n" in raw:  # only possible in JSON that was made elsewhere
            raw = msgspec.json.format(raw, indent=-1)
        item = Item(max(self.last_seq, self._floor) + 1, now, turn, kind, msgspec.Raw(raw))
        line = msgspec.json.encode(item) + b"\n"
        self._write(line)
        if self.last_seq == 0:
            self.first_seq = item.seq
        self.last_seq = item.seq
        self._remember(item, len(line))
        self._arm(0.0 if kind is ItemKind.TURN_END else SYNC_WITHIN_S)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        return item

    def _write(self, line: bytes) -> None:
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError:
            os.ftruncate(self._fd, self._size)  # half a line would spoil the next one
            raise
        self._size += len(line)

    def _remember(self, item: Item, size: int) -> None:
        self._window.append((item, size))
        self._window_bytes += size
        while len(self._window) > WINDOW_ITEMS or self._window_bytes > WINDOW_BYTES:
            self._window_bytes -= self._window.popleft()[1]

    def raise_to(self, seq: int) -> None:
        """The next item's number will be above seq too: somebody holds items that this file lost."""
        self._floor = max(self._floor, seq)

    # reading

    def read(self, after: int, limit: int) -> list[Item]:
        """Items with seq > after, in order: up to limit, and about 1 MiB; empty means no more.

        A short answer is not the end: ask again with the last seq got.
        """
        if after >= self.last_seq or limit <= 0:
            return []
        if self._window and after >= self._window[0][0].seq - 1:
            return [item for item, _ in self._window if item.seq > after][:limit]
        items: list[Item] = []
        size = 0
        for line in self._lines(self._offset_before(after)):
            item = _decode(line, Item)
            if item is not None and item.seq > after:
                items.append(item)
                size += len(line)
                if len(items) == limit or size >= READ_BYTES:
                    break
        return items

    def _offset_before(self, after: int) -> int:
        """A line's start at or before the first item above `after`, and near it."""
        low, high = 0, self._size
        while high - low > BLOCK_BYTES:
            middle = self._line_start((low + high) // 2)
            seq = self._seq_at(middle) if middle < high else None
            if seq is not None and seq <= after:
                low = middle
            else:
                high = (low + high) // 2
        return low

    def _line_start(self, offset: int) -> int:
        """The start of the first line that begins after an offset; the file's end for none."""
        while offset < self._size:
            block = os.pread(self._fd, BLOCK_BYTES, offset)
            found = block.find(b"\n")
            if found >= 0:
                return offset + found + 1
            offset += len(block) or self._size
        return self._size

    def _seq_at(self, offset: int) -> int | None:
        """The number of the item whose line starts there; None when it cannot be read."""
        match = _SEQ.match(os.pread(self._fd, HEAD_BYTES, offset))
        return int(match[1]) if match else None

    def _lines(self, offset: int) -> Iterator[bytes]:
        parts: list[bytes] = []
        while offset < self._size:
            block = os.pread(self._fd, BLOCK_BYTES, offset)
            offset += len(block) or self._size
            *ended, rest = block.split(b"\n")
            for piece in ended:
                yield b"".join([*parts, piece])
                parts = []
            parts.append(rest)

    def _whole_end(self, end: int) -> tuple[int, int]:
        """Where the last readable line ends, and its number: all behind it is a crash's debris."""
        end = self._newline_before(end)
        while end > 0:
            start = self._newline_before(end - 1)
            head = _decode(os.pread(self._fd, end - start, start), _Head)
            if head is not None:
                return end, head.seq
            end = start
        return 0, 0

    def _newline_before(self, end: int) -> int:
        """The offset behind the last line end before an offset; 0 for none."""
        while end > 0:
            start = max(0, end - BLOCK_BYTES)
            found = os.pread(self._fd, end - start, start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
        return 0

    async def wait_beyond(self, seq: int) -> int:
        """last_seq, as soon as it is above seq."""
        while self.last_seq <= seq:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)
        return self.last_seq

    # stable storage

    def _arm(self, delay_s: float) -> None:
        """Sees to it that an fsync starts within delay_s; one at a time."""
        loop = asyncio.get_running_loop()
        due = loop.time() + delay_s
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = loop.call_at(due, self._start_sync)

    def _start_sync(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._syncing is None:  # else its end looks again
            size = self._size
            self._syncing = asyncio.get_running_loop().run_in_executor(None, os.fsync, self._fd)
            self._syncing.add_done_callback(lambda done: self._end_sync(done, size))

    def _end_sync(self, done: asyncio.Future[None], size: int) -> None:
        self._syncing = None
        with contextlib.suppress(asyncio.CancelledError):
            error = done.exception()
            if isinstance(error, OSError):
                self._sync_error = (
                    error  # later fsyncs would hide it: nothing may be added any more
                )
                return
        self._synced = max(self._synced, size)
        if self._synced < self._size:
            self._arm(SYNC_WITHIN_S)

    async def sync(self) -> None:
        """Everything appended so far is on stable storage. Raises OSError."""
        wanted = self._size
        while self._synced < wanted:
            if self._sync_error is not None:
                raise self._sync_error
            self._start_sync()
            assert self._syncing is not None
            await asyncio.wait([self._syncing])

    async def close(self) -> None:
        """Synced and closed. Raises OSError; it is closed even then."""
        try:
            await self.sync()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            if self._syncing is not None:
                await asyncio.wait([self._syncing])
            os.close(self._fd)


def _decode(line: bytes, type_: type[T]) -> T | None:
    try:
        return msgspec.json.decode(line, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
