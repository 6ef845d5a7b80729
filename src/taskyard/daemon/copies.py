"""An export as a folder: what lies in it, and how one that is not whole is told.

    manifest.json   what is here, with a checksum of each file; written last
    tables/         a file a table, as Postgres's COPY writes text
    homes/          a tar a workspace; only where homes were asked for
    secrets.key     what secrets are sealed by, unless it was left out

The folder appears under its name when it is whole. It holds password hashes, and with the key all secrets.
"""

import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Self
from uuid import UUID

import anyio
import msgspec

from taskyard.control.vault import KEY_FILE
from taskyard.errors import StartupError

FORMAT = 1
"""Of the folder; raised when an older release could no longer read it."""

MANIFEST = "manifest.json"

MANIFEST_MAX_BYTES = 256 * 1024 * 1024
"""More than a million homes take."""

PIECE_BYTES = 1024 * 1024
"""How much of a file is in memory at once."""

UNFINISHED = "unfinished"
"""The end of the name of a folder that is being written."""

Say = Callable[[str], None]
"""Takes a line that tells how far things are."""


class TableFile(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of a table."""

    name: str
    columns: list[str]
    rows: int
    bytes: int
    sha256: str

    @property
    def path(self) -> str:
        """Where it is in the folder."""
        return f"tables/{self.name}.txt"


class HomeFile(msgspec.Struct, frozen=True, kw_only=True):
    """The home directory of a workspace.

    running: it was copied while programs worked in it. missed: how many entries could not be read, with the
    names of the first of them.
    """

    workspace_id: UUID
    driver: str
    running: bool
    missed: int
    missed_names: list[str]
    bytes: int
    sha256: str

    @property
    def path(self) -> str:
        """Where it is in the folder."""
        return f"homes/{self.workspace_id}.tar"


class KeyFile(msgspec.Struct, frozen=True, kw_only=True):
    """The key that secrets are sealed by."""

    bytes: int
    sha256: str

    @property
    def path(self) -> str:
        """Where it is in the folder."""
        return KEY_FILE


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an export holds.

    migration: the last one of the database. counters: by `table.column`, the highest number that was given away.
    key_id: of the key that secrets are sealed by, null before there was any. key null: it was left out.
    """

    format: int
    made_at: datetime
    server_version: str
    migration: int
    tables: list[TableFile]
    counters: dict[str, int]
    key_id: str | None
    key: KeyFile | None
    with_homes: bool
    homes: list[HomeFile]

    def rows(self, table: str) -> int:
        """How many rows of a table there are; 0 for one that is not here."""
        return next((entry.rows for entry in self.tables if entry.name == table), 0)


class _Format(msgspec.Struct, frozen=True):
    """What every release can tell of a manifest."""

    format: int
    server_version: str


class SumFile:
    """A new file that knows its length and checksum; on the disk once it is closed. Raises StartupError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with _told(path):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(handle, "wb")
        self._sum = hashlib.sha256()
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            with suppress(OSError):  # the disk may be full, and nothing of it is kept
                self._file.close()
            return
        with _told(self._path), self._file:
            self._file.flush()
            os.fsync(self._file.fileno())

    @property
    def sha256(self) -> str:
        """Of all that was written, as hex."""
        return self._sum.hexdigest()

    def write(self, data: bytes, /) -> int:
        """Adds a piece."""
        with _told(self._path):
            self._file.write(data)
        self._sum.update(data)
        self.size += len(data)
        return len(data)

    async def take(self, data: bytes) -> None:
        """The same without holding up others."""
        await anyio.to_thread.run_sync(self.write, data)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What the file system refuses becomes a StartupError that says where."""
    try:
        yield
    except OSError as error:
        raise StartupError(
            f"{path} cannot be written: {error.strerror}. Nothing was kept. Look at rights and free "
            "space there, then try again."
        ) from error


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill, which takes the name of target when the block ends well, and is gone when it does not.

    Raises StartupError where there is something already, or nothing can be made.
    """
    target = target.absolute()
    check_free(target)
    work = target.with_name(f".{target.name}.{token_hex(4)}.{UNFINISHED}")
    with _told(target):
        work.mkdir(mode=0o700, parents=True)
    try:
        yield work
        with _told(target):
            _sync_folders(work)
            work.rename(target)  # takes the place of an empty folder, and of nothing else
            _sync(target.parent)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def check_free(target: Path) -> None:
    """Nothing where a folder can be made of this name. Raises StartupError."""
    try:
        taken = next(target.iterdir(), None) if target.is_dir() else None
        if target.is_symlink() or (target.exists() and not target.is_dir()):
            taken = target
    except OSError as error:
        raise StartupError(f"{target} cannot be read: {error.strerror}") from error
    if taken is not None:
        raise StartupError(
            f"{target} is not empty: it holds {taken.name}. Give a new folder, or an empty one."
        )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Says what the folder holds."""
    with SumFile(folder / MANIFEST) as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")


def read_manifest(folder: Path) -> Manifest:
    """What a folder holds, by its own word. Raises StartupError for one that is no export, or a newer one."""
    path = folder / MANIFEST
    try:
        if path.stat().st_size > MANIFEST_MAX_BYTES:
            raise StartupError(f"{path} is too large to be what an export has there")
        text = path.read_bytes()
        known = msgspec.json.decode(text, type=_Format)
        if known.format > FORMAT:
            raise StartupError(
                f"the export in {folder} was made by release {known.server_version}, in format "
                f"{known.format}; this release knows formats up to {FORMAT}. Install that release."
            )
        return msgspec.json.decode(text, type=Manifest)
    except FileNotFoundError as error:
        raise StartupError(
            f"{folder} is no export: there is no {MANIFEST} in it. Give the folder that `taskyard "
            "export` or `taskyard backup` made."
        ) from error
    except OSError as error:
        raise StartupError(f"{path} cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StartupError(
            f"{path} is damaged: {error}. Take another copy of the export."
        ) from error


def check_sums(folder: Path, manifest: Manifest, say: Say) -> None:
    """Nothing when every file is there as it was written. Raises StartupError, which names the first that is not."""
    files = [(table.path, table.bytes, table.sha256) for table in manifest.tables]
    files += [(home.path, home.bytes, home.sha256) for home in manifest.homes]
    if manifest.key is not None:
        files.append((manifest.key.path, manifest.key.bytes, manifest.key.sha256))
    for name, size, expected in files:
        path = folder / name
        if path.resolve() != folder.resolve() / name:
            raise StartupError(f"{path} is not in the export: {name!r} leads elsewhere")
        _check_sum(path, size, expected)
    say(f"checked {len(manifest.tables)} tables and {len(manifest.homes)} homes: all are whole")


def _check_sum(path: Path, size: int, expected: str) -> None:
    found = hashlib.sha256()
    try:
        with path.open("rb") as file:
            length = os.fstat(file.fileno()).st_size
            while length == size and (piece := file.read(PIECE_BYTES)):
                found.update(piece)
    except OSError as error:
        raise StartupError(
            f"{path} of the export cannot be read: {error.strerror}. Take another copy of the export."
        ) from error
    if length != size or found.hexdigest() != expected:
        told = f"it has {length} bytes instead of {size}" if length != size else "its sum is wrong"
        raise StartupError(
            f"{path} is not as it was exported: {told}. Take another copy of the export."
        )


async def pieces(path: Path) -> AsyncIterator[bytes]:
    """A file, piece by piece."""
    async with await anyio.open_file(path, "rb") as file:
        while piece := await file.read(PIECE_BYTES):
            yield piece


def _sync_folders(folder: Path) -> None:
    for inner in [folder, *(path for path in folder.iterdir() if path.is_dir())]:
        _sync(inner)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # some file systems cannot; what is in it is on the disk
            os.fsync(handle)
    finally:
        os.close(handle)
