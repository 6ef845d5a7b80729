"""All bytes that a program wrote to its terminal, the newest ones of them on disk. Source: N27."""

import os
from pathlib import Path

from taskyard_agent.bell import Bell

CAP_BYTES = 64 * 1024 * 1024
"""Bytes that are kept. Source: N27."""

PREFIX = "terminal-"
SUFFIX = ".log"
"""Around the number of the first byte of a segment: its file's name."""

READ_BYTES = 1024 * 1024
"""Bytes that one read returns at most."""


class PtyLog:
    """An endless file of which the oldest half goes when it is full. Offsets survive restarts.

    lost: bytes that could not be written; they have no offset.
    """

    def __init__(self, folder: Path, cap_bytes: int = CAP_BYTES) -> None:
        """Goes on with what is in the folder, which must exist. Raises OSError."""
        self.lost = 0
        self._folder = folder
        self._segment_bytes = max(1, cap_bytes // 2)
        self._bell = Bell()
        self._starts = sorted(_start(path) for path in folder.glob(f"{PREFIX}*{SUFFIX}"))[-2:]
        if not self._starts:
            self._starts = [0]
        self._fd = self._open(self._starts[-1])
        self.end = self._starts[-1] + os.fstat(self._fd).st_size

    @property
    def first(self) -> int:
        """The offset of the oldest byte that is kept."""
        return self._starts[0]

    def append(self, data: bytes) -> None:
        """Adds bytes at the end, or counts them as lost."""
        rest = memoryview(data)
        try:
            while rest:
                room = self._starts[-1] + self._segment_bytes - self.end
                if room <= 0:
                    self._rotate()
                    continue
                size = os.write(self._fd, rest[:room])
                self.end += size
                rest = rest[size:]
        except OSError:
            self.lost += len(rest)
        self._bell.ring()

    def _rotate(self) -> None:
        fresh = self._open(self.end)
        os.close(self._fd)
        self._fd = fresh
        self._starts.append(self.end)
        while len(self._starts) > 2:
            self._path(self._starts.pop(0)).unlink(missing_ok=True)

    def read(self, offset: int, limit: int) -> bytes:
        """Up to so many bytes from an offset on, from `first` if that one is gone; empty at the end."""
        offset = max(offset, self.first)
        start = max((one for one in self._starts if one <= offset), default=self.first)
        if offset >= self.end or limit <= 0:
            return b""
        with self._path(start).open("rb") as file:
            file.seek(offset - start)
            return file.read(min(limit, READ_BYTES))

    async def wait_beyond(self, offset: int) -> None:
        """Returns as soon as there are bytes behind the offset."""
        while self.end <= offset:
            await self._bell.rung()

    def close(self) -> None:
        """Nothing is added any more; reading goes on."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self, start: int) -> int:
        return os.open(self._path(start), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def _path(self, start: int) -> Path:
        return self._folder / f"{PREFIX}{start}{SUFFIX}"


def _start(path: Path) -> int:
    number = path.name.removeprefix(PREFIX).removesuffix(SUFFIX)
    return int(number) if number.isdecimal() else 0
