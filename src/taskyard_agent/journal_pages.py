"""The older files of a transcript: each ended where the next one begins, and the oldest may be gone."""

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from taskyard_agent.journal_file import Lines


class Page(msgspec.Struct, frozen=True):
    """One of them. first: the number of its first item."""

    path: Path
    first: int
    size: int


class Pages:
    """All older files beside the one that is written, oldest first."""

    def __init__(self, path: Path) -> None:
        """path: of the file that is written. Raises OSError."""
        self._path = path
        self._all = self._found()

    def _found(self) -> list[Page]:
        pattern = re.compile(re.escape(self._path.stem) + r"\.(\d{20})" + self._path.suffix)
        found = []
        for path in self._path.parent.iterdir():
            match = pattern.fullmatch(path.name)
            if match is None:
                continue
            if path.samefile(self._path):
                path.unlink()  # a crash between the two steps of turn(): the file is not full yet
                continue
            found.append(Page(path, int(match[1]), path.stat().st_size))
        return sorted(found, key=lambda page: page.first)

    @property
    def first_seq(self) -> int | None:
        """The oldest number of all; None when there are no older files."""
        return self._all[0].first if self._all else None

    @property
    def size(self) -> int:
        """Bytes of all together."""
        return sum(page.size for page in self._all)

    def last_seq(self) -> int:
        """The newest number of all, 0 for none."""
        for page in reversed(self._all):
            with _opened(page) as lines:
                found = lines.whole_end()[1]
            if found:
                return found
        return 0

    def lines_after(self, after: int) -> Iterator[bytes]:
        """All lines from a little before the first one with a number above `after`."""
        ends = [page.first for page in self._all[1:]]
        passed = sum(first <= after + 1 for first in ends)
        for page in self._all[passed:]:
            with contextlib.suppress(FileNotFoundError), _opened(page) as lines:
                yield from lines.from_start_of(after)

    def turn(self, first: int, size: int) -> int:
        """A new file to write, locked; the one so far is the newest of the older ones. Raises OSError."""
        fresh = self._path.with_name(self._path.name + ".new")
        fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        older = self._path.with_name(f"{self._path.stem}.{first:020}{self._path.suffix}")
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            older.hardlink_to(self._path)
            fresh.replace(self._path)  # at no moment there is no file of that name
        except OSError:
            os.close(fd)
            for path in (fresh, older):
                with contextlib.suppress(OSError):
                    path.unlink()
            raise
        self._all.append(Page(older, first, size))
        return fd

    def drop_beyond(self, size: int, held_above: int | None) -> None:
        """The oldest are gone until the rest fits; one with numbers above the bound stays, and all after it."""
        while self._all and self.size > size:
            upper = self._all[1].first - 1 if len(self._all) > 1 else None
            if held_above is not None and (upper is None or upper > held_above):
                return
            with contextlib.suppress(FileNotFoundError):
                self._all[0].path.unlink()
            del self._all[0]


@contextlib.contextmanager
def _opened(page: Page) -> Iterator[Lines]:
    fd = os.open(page.path, os.O_RDONLY)
    try:
        yield Lines(fd, page.size)
    finally:
        os.close(fd)
