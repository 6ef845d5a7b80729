"""A home directory as a tar, for exports; whoever works in the home may be at it, and may be hostile.

Files, folders and links are kept with mode, time and holes; owners are not, as each server has its own. Pipes,
sockets and devices are what running programs made, and are left out. Nothing is ever reached through a symlink.
"""

import io
import os
import stat
import tarfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

HOLES_FROM_BYTES = 64 * 1024
"""Files with holes of fewer bytes than this are kept as if they had none: the map would gain nothing."""

DEEPEST = 200
"""Folders below each other that are followed; each is open meanwhile, and no honest home comes near."""

PATH_BYTES = 3800
"""Longest path that is kept: the other side makes it below a folder of its own, and Linux takes 4096."""

NAMES_TOLD = 20
"""Entries that were left out whose names are kept; of the rest there is the number."""

PIECE_BYTES = 1024 * 1024
"""How much of a file is in memory at once."""

_BLOCK = 512


class DiskBroken(Exception):
    """A file could not be read to its end, after its beginning was put into the archive."""


class Sink(Protocol):
    """Where the archive goes."""

    def write(self, data: bytes, /) -> int:
        """Takes all of it."""


@dataclass(slots=True)
class Packed:
    """What was put into an archive. missed: names, of the first of those that could not be read."""

    entries: int = 0
    missed: int = 0
    names: list[str] = field(default_factory=list)

    def miss(self, path: str, cause: str) -> None:
        """Counts an entry that was left out."""
        self.missed += 1
        if len(self.names) < NAMES_TOLD:
            self.names.append(f"{ascii(path)[1:-1]}: {cause}")


@dataclass(slots=True)
class _Folder:
    """A folder that is being walked: its handle, its path from the top, and the names that are left."""

    handle: int
    path: str
    names: Iterator[str]


class _Counted(io.RawIOBase):
    """A sink that tarfile can write to: it asks where it is."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._at = 0

    def write(self, data: bytes) -> int:  # type: ignore[override]  # tarfile gives bytes
        self._at += len(data)
        return self._sink.write(data)

    def tell(self) -> int:
        return self._at


class _Pieces(io.RawIOBase):
    """The parts of a file that hold something, one after the other, behind a beginning; always so long as promised.

    A file that got shorter since is filled up with zeros.
    """

    def __init__(self, head: bytes, handle: int, spans: Sequence[tuple[int, int]]) -> None:
        self._head = head
        self._handle = handle
        self._spans = list(reversed(spans))

    def read(self, size: int = -1) -> bytes:
        """Exactly so many bytes, as tarfile wants them."""
        piece, self._head = self._head[:size], self._head[size:]
        while len(piece) < size and self._spans:
            offset, length = self._spans.pop()
            wanted = min(length, size - len(piece))
            try:
                more = os.pread(self._handle, wanted, offset) or bytes(wanted)
            except OSError as error:
                raise DiskBroken(error.strerror) from error
            piece += more
            if len(more) < length:
                self._spans.append((offset + len(more), length - len(more)))
        return piece


def pack_home(home: Path | int, sink: Sink, *, only: Collection[str] | None = None) -> Packed:
    """Writes the archive of a home, given as a path or a folder's handle; only: the names that are taken, null for all.

    Raises OSError where the home itself cannot be read, and DiskBroken.
    """
    folder_flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    within = home if isinstance(home, int) else None
    top = os.open("." if isinstance(home, int) else home, folder_flags, dir_fd=within)
    names = _names(top)
    folder = _Folder(top, "", names if only is None else filter(only.__contains__, names))
    # It only asks where it is, and writes.
    output: BinaryIO = _Counted(sink)  # type: ignore[assignment]
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as tar:
        return _Packer(tar).pack(folder)


def _names(handle: int) -> Iterator[str]:
    return iter(sorted(os.listdir(handle)))


class _Packer:
    """Walks a home and adds what it finds to an archive."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._packed = Packed()
        self._first: dict[tuple[int, int], str] = {}

    def pack(self, top: _Folder) -> Packed:
        """Adds everything below a folder, which is closed at the end, as are those in it."""
        folders = [top]
        try:
            while folders:
                name = next(folders[-1].names, None)
                if name is None:
                    os.close(folders.pop().handle)
                    continue
                inner = self._take(folders[-1], name)
                self._tar.members = []  # type: ignore[attr-defined]  # typeshed lacks it; it would keep every entry
                if inner is not None:
                    folders.append(inner)
                    if len(folders) > DEEPEST:
                        self._packed.miss(inner.path, "too deep")
                        os.close(folders.pop().handle)
        finally:
            for folder in folders:
                os.close(folder.handle)
        return self._packed

    def _take(self, folder: _Folder, name: str) -> _Folder | None:
        """Adds one entry, or counts it as left out; the folder to go on with if it is one."""
        path = f"{folder.path}{name}"
        if len(os.fsencode(path)) > PATH_BYTES:
            self._packed.miss(path, "its path is too long")
            return None
        try:
            inner = self._add(folder, name, path)
        except FileNotFoundError:
            return (
                None  # what is gone meanwhile was on its way out, as files of running programs are
            )
        except OSError as error:  # closed to us, or something else by now
            self._packed.miss(path, error.strerror or str(error))
            return None
        self._packed.entries += 1
        return inner

    def _add(self, folder: _Folder, name: str, path: str) -> _Folder | None:
        facts = os.stat(name, dir_fd=folder.handle, follow_symlinks=False)
        entry = _entry(path, facts)
        if stat.S_ISLNK(facts.st_mode):
            entry.type = tarfile.SYMTYPE
            entry.linkname = os.readlink(name, dir_fd=folder.handle)
            self._tar.addfile(entry)
        elif stat.S_ISDIR(facts.st_mode):
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            handle = os.open(name, flags, dir_fd=folder.handle)
            try:
                names = _names(handle)
            except OSError:
                os.close(handle)
                raise
            entry.type = tarfile.DIRTYPE
            self._tar.addfile(entry)
            return _Folder(handle, f"{path}/", names)
        elif stat.S_ISREG(facts.st_mode):
            known = self._first.get((facts.st_dev, facts.st_ino))
            if known is None:
                _add_file(self._tar, folder.handle, name, entry)
            else:
                entry.type, entry.linkname = tarfile.LNKTYPE, known
                self._tar.addfile(entry)
            if facts.st_nlink > 1:
                self._first.setdefault((facts.st_dev, facts.st_ino), path)
        return None


def _entry(path: str, facts: os.stat_result) -> tarfile.TarInfo:
    """What all entries say; times to the nanosecond, as programs compare them."""
    entry = tarfile.TarInfo(path)
    entry.mode = stat.S_IMODE(facts.st_mode)
    entry.mtime = facts.st_mtime_ns // 10**9
    seconds, rest = divmod(abs(facts.st_mtime_ns), 10**9)
    if rest:
        sign = "-" if facts.st_mtime_ns < 0 else ""
        entry.pax_headers = {"mtime": f"{sign}{seconds}.{rest:09d}"}
    return entry


def _add_file(tar: tarfile.TarFile, folder: int, name: str, entry: tarfile.TarInfo) -> None:
    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(0, "it became something else")
        spans = list(_spans(handle, facts.st_size))
        kept = sum(length for _, length in spans)
        head = b""
        if facts.st_size - kept >= HOLES_FROM_BYTES:
            head = _map(entry, spans, facts.st_size)
        else:
            spans, kept = [(0, facts.st_size)], facts.st_size
        entry.size = len(head) + kept
        # tarfile only reads from it.
        content: BinaryIO = _Pieces(head, handle, spans)  # type: ignore[assignment]
        tar.addfile(entry, content)
    finally:
        os.close(handle)


def _spans(handle: int, size: int) -> Iterator[tuple[int, int]]:
    """Where a file holds data: offsets and lengths."""
    at = 0
    while at < size:
        try:
            begin = os.lseek(handle, at, os.SEEK_DATA)
        except OSError:  # nothing but a hole is left
            return
        at = min(os.lseek(handle, begin, os.SEEK_HOLE), size)
        if begin < at:
            yield begin, at - begin


def _map(entry: tarfile.TarInfo, spans: Sequence[tuple[int, int]], size: int) -> bytes:
    """Makes the entry one of a file with holes, as GNU tar 1.0 has it; what its content begins with."""
    entry.pax_headers = dict(entry.pax_headers) | {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": entry.name,
        "GNU.sparse.realsize": str(size),
    }
    numbers = [len(spans), *(number for span in spans for number in span)]
    text = "".join(f"{number}\n" for number in numbers).encode()
    return text + bytes(-len(text) % _BLOCK)
