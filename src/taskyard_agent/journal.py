"""The transcript on disk: files of JSON lines, one Item each, written once and never changed.

An item is in the file, in the kernel's hands, before append() returns: it survives SIGKILL. fsync
follows in a thread, at once after a turn's end, else within a second. Memory holds the newest items
only; older ones are found in the file by bisection, because their numbers rise with their offsets.

A file that is long enough is set aside, and another one begun; the oldest go when all together are too
long. Source: N41.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from taskyard_agent.bell import Bell
from taskyard_agent.journal_file import Lines, decode
from taskyard_agent.journal_pages import Pages
from taskyard_agent.protocol import Item, ItemKind
from taskyard_agent.session_file import PromptState, Session, SessionFile, sync_folder

__all__ = ["Data", "Journal", "JournalBusy", "PromptState", "Session", "SessionFile"]

SYNC_WITHIN_S = 1.0
"""Seconds that an item may be without fsync: what a power cut may cost. Source: N15."""

READ_BYTES = 1024 * 1024
"""Bytes of lines after which a read ends early, so that no reader holds a large part of the file."""

TRANSCRIPT_BYTES = 1024 * 1024 * 1024
"""Bytes of all files of a transcript. Source: N41."""

PAGES = 16
"""Files that make a whole transcript: with each that goes, so large a part of it is lost."""

WINDOW_ITEMS = 256
WINDOW_BYTES = 256 * 1024
"""Newest items kept in memory, for those who follow the file; whichever bound is met first."""

Data = Mapping[str, object] | msgspec.Struct | msgspec.Raw
"""What an item is about: anything that msgspec encodes as one JSON object."""


log = logging.getLogger("taskyard.bridge")


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
    dropped_bytes: length of the torn or damaged end that opening cut off. held_above: items above it are
    not dropped, however long the transcript gets; null holds none. preface: makes what the first item of a
    new file says, for those who will find the older files gone.
    """

    def __init__(self, path: Path, max_bytes: int = TRANSCRIPT_BYTES) -> None:
        """Opens or makes the file; its folder must exist. Raises JournalBusy, OSError."""
        self.held_above: int | None = None
        self.preface: Callable[[], tuple[ItemKind, Data]] | None = None
        self._path = path
        self._max_bytes = max_bytes
        self._page_bytes = max_bytes // PAGES
        self._page_at = self._page_bytes
        fd = _open_locked(path)
        self._window: deque[tuple[Item, int]] = deque()
        self._window_bytes = 0
        self._bell = Bell()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0  # kept here: a timer that is due at once need not know its time
        self._syncing: asyncio.Future[None] | None = None
        self._sync_error: OSError | None = None
        self._retired: list[int] = []
        self._floor = 0
        found = os.fstat(fd).st_size
        if not found:
            sync_folder(path.parent)  # else a power cut may take the whole new file
        self._file = Lines(fd, found)
        self._pages = Pages(path)
        self._file.size, self.last_seq = self._file.whole_end()
        self.last_seq = self.last_seq or self._pages.last_seq()
        self.dropped_bytes = found - self._file.size
        if self.dropped_bytes:
            os.ftruncate(fd, self._file.size)
        self._size = self._synced = self._file.size
        self.first_seq = self._oldest()

    def _oldest(self) -> int:
        return self._pages.first_seq or self._file.first_seq() or 1

    def append(self, kind: ItemKind, turn: int, data: Data, now: datetime) -> Item:
        """The new item, already on disk. Raises OSError, and then nothing was written."""
        if self._sync_error is not None:
            raise self._sync_error
        if self._file.size >= self._page_at:
            self._turn_page(turn, now)
        item = self._add(kind, turn, data, now)
        self._arm(0.0 if kind is ItemKind.TURN_END else SYNC_WITHIN_S)
        self.wake()
        return item

    def wake(self) -> None:
        """All who wait for news look again."""
        self._bell.ring()

    def _add(self, kind: ItemKind, turn: int, data: Data, now: datetime) -> Item:
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
        return item

    def _write(self, line: bytes) -> None:
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._file.fd, rest) :]
        except OSError:
            os.ftruncate(self._file.fd, self._file.size)  # half a line would spoil the next one
            raise
        self._file.size += len(line)
        self._size += len(line)

    def _turn_page(self, turn: int, now: datetime) -> None:
        """Another file is written from now on, if that can be done; else this one gets longer."""
        try:
            fd = self._pages.turn(self._file.first_seq() or self.last_seq, self._file.size)
        except OSError as error:
            log.warning("the transcript goes on in the same file: %s", error)
            self._page_at = self._file.size + self._page_bytes
            return
        self._retired.append(self._file.fd)
        self._file = Lines(fd, 0)
        self._page_at = self._page_bytes
        self._pages.drop_beyond(self._max_bytes - self._page_bytes, self.held_above)
        self.first_seq = self._pages.first_seq or self.last_seq + 1
        if self.preface is not None:
            kind, data = self.preface()
            self._add(kind, turn, data, now)

    def _remember(self, item: Item, size: int) -> None:
        self._window.append((item, size))
        self._window_bytes += size
        while len(self._window) > WINDOW_ITEMS or self._window_bytes > WINDOW_BYTES:
            self._window_bytes -= self._window.popleft()[1]

    def raise_to(self, seq: int) -> None:
        """The next item's number will be above seq too: somebody holds items that this file lost."""
        self._floor = max(self._floor, seq)

    # reading

    def read(self, after: int, limit: int, max_bytes: int = READ_BYTES) -> list[Item]:
        """Items with seq > after, in order: up to limit, and about max_bytes; empty means no more.

        A short answer is not the end: ask again with the last seq got.
        """
        if after >= self.last_seq or limit <= 0:
            return []
        if self._window and after >= self._window[0][0].seq - 1:
            return [item for item, _ in self._window if item.seq > after][:limit]
        items: list[Item] = []
        size = 0
        for line in self._lines_after(after):
            item = decode(line, Item)
            if item is not None and item.seq > after:
                items.append(item)
                size += len(line)
                if len(items) == limit or size >= max_bytes:
                    break
        return items

    def _lines_after(self, after: int) -> Iterator[bytes]:
        yield from self._pages.lines_after(after)
        yield from self._file.from_start_of(after)

    async def wait_beyond(self, seq: int) -> int:
        """last_seq, as soon as it is above seq."""
        while self.last_seq <= seq:
            await self.news(seq)
        return self.last_seq

    async def news(self, seq: int) -> None:
        """Returns once last_seq is above seq, or somebody wants all to look again."""
        if self.last_seq > seq:
            return
        await self._bell.rung()

    # stable storage

    def _arm(self, delay_s: float) -> None:
        """Sees to it that an fsync starts within delay_s; one at a time."""
        loop = asyncio.get_running_loop()
        due = loop.time() + delay_s
        if self._timer is not None:
            if self._due <= due:
                return
            self._timer.cancel()
        self._due = due
        self._timer = loop.call_at(due, self._start_sync)

    def _start_sync(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._syncing is None:  # else its end looks again
            size = self._size
            retired, self._retired = self._retired, []
            self._syncing = asyncio.get_running_loop().run_in_executor(
                None, _sync, retired, self._file.fd, self._path.parent
            )
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
            for fd in (*self._retired, self._file.fd):
                os.close(fd)


def _open_locked(path: Path) -> int:
    """The file, which no other process writes. Raises JournalBusy, OSError."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(fd), path.stat()):
                return fd  # else its writer set it aside in between
        except BlockingIOError:
            os.close(fd)
            raise JournalBusy(path) from None
        os.close(fd)


def _sync(retired: list[int], fd: int, folder: Path) -> None:
    """All of these are on stable storage; the retired ones are closed."""
    for old in retired:
        os.fsync(old)
        os.close(old)
    os.fsync(fd)
    if retired:
        sync_folder(folder)
