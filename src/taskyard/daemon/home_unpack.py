"""Home directories out of an import: from whom the archive is, nobody knows, and the server may be root.

Everything is made in a folder that nobody else can write to yet. Symlinks are made last, so that nothing is ever
written through one; pipes, devices and names that leave the folder are refused.
"""

import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from taskyard.daemon.home_archive import DEEPEST, PATH_BYTES, PIECE_BYTES

KEPT_MODE = 0o1777
"""Of a mode. Programs that run as their owner are no good in a home, and a way out of one for others."""

_KINDS = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE)


class HomeRefused(Exception):
    """An archive that holds what no home of ours does; str() is a clause."""


def check_home(archive: BinaryIO) -> None:
    """Nothing for an archive that can be unpacked. Raises HomeRefused."""
    seen: set[str] = set()
    for _, member in _members(archive):
        if member.islnk() and member.linkname not in seen:
            raise HomeRefused(f"{member.name!r} is a link to a file that did not come before it")
        if member.isreg():
            seen.add(member.name)


def unpack_home(archive: BinaryIO, home: Path, owner: int | None) -> None:
    """Makes the home, which must not exist, of a checked archive. owner None: this process's user.

    Raises OSError, HomeRefused.
    """
    home.mkdir(mode=0o700)
    folders: list[tuple[Path, tarfile.TarInfo]] = []
    links: list[tarfile.TarInfo] = []
    for tar, member in _members(archive):
        path = home / member.name
        if member.issym():
            links.append(member)
        elif member.isdir():
            path.mkdir(mode=0o700)
            folders.append((path, member))
        elif member.islnk():
            os.link(home / member.linkname, path, follow_symlinks=False)
        else:
            _write_file(tar, member, path)
            _settle(path, member, owner)
    for member in links:
        path = home / member.name
        path.symlink_to(member.linkname)
        _own(path, owner)
        _set_time(path, member)
    for path, member in reversed(folders):  # later, as they are written into, and may be read-only
        _settle(path, member, owner)
    _own(home, owner)


def _members(archive: BinaryIO) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Every entry, checked, with the archive that it is read from. Raises HomeRefused."""
    archive.seek(0)
    try:
        with tarfile.open(fileobj=archive, mode="r:", errorlevel=2) as tar:
            while (member := tar.next()) is not None:
                _check(member)
                yield tar, member
                tar.members = []  # type: ignore[attr-defined]  # typeshed lacks it; it would keep every entry
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise HomeRefused(f"it is no tar that can be read: {error}") from error


def _check(member: tarfile.TarInfo) -> None:
    """Raises HomeRefused for what is not to be made."""
    names = [member.name, *([member.linkname] if member.islnk() else [])]
    for name in names:
        parts = PurePosixPath(name).parts
        if not parts or ".." in parts or "/" in parts or "\0" in name:
            raise HomeRefused(f"{name!r} leaves the folder")
        if len(os.fsencode(name)) > PATH_BYTES or len(parts) > DEEPEST:
            raise HomeRefused(f"the path {name[:80]!r}... is too long")
    if member.type not in _KINDS and not member.isreg():
        raise HomeRefused(f"{member.name!r} is neither file, folder nor link")
    if member.issym() and (not member.linkname or "\0" in member.linkname):
        raise HomeRefused(f"the link {member.name!r} leads nowhere")
    if member.size < 0 or any(
        offset < 0 or length < 0 or offset + length > member.size
        for offset, length in _spans(member)
    ):
        raise HomeRefused(f"{member.name!r} has holes that cannot be")


def _spans(member: tarfile.TarInfo) -> list[tuple[int, int]]:
    """Where the file holds data; all of it without holes."""
    # tarfile keeps the map of a file with holes here, and gives no other way to it.
    found: list[tuple[int, int]] | None = getattr(member, "sparse", None)
    return [(0, member.size)] if found is None else found


def _write_file(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    source = tar.fileobj
    assert source is not None
    source.seek(member.offset_data)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        for offset, length in _spans(member):
            file.seek(offset)
            while length > 0:
                piece = source.read(min(length, PIECE_BYTES))
                if not piece:
                    raise HomeRefused(f"it ends in the middle of {member.name!r}")
                file.write(piece)
                length -= len(piece)  # noqa: PLW2901 - what is left of it
        file.truncate(member.size)


def _settle(path: Path, member: tarfile.TarInfo, owner: int | None) -> None:
    """Owner, mode and time, in the order in which each stays."""
    _own(path, owner)
    path.chmod(stat.S_IMODE(member.mode) & KEPT_MODE)
    _set_time(path, member)


def _own(path: Path, owner: int | None) -> None:
    if owner is not None:
        os.chown(path, owner, owner, follow_symlinks=False)


def _set_time(path: Path, member: tarfile.TarInfo) -> None:
    seconds, _, rest = str(member.pax_headers.get("mtime", member.mtime)).partition(".")
    sign = -1 if seconds.startswith("-") else 1
    nanoseconds = int(seconds) * 10**9 + sign * int((rest + "0" * 9)[:9])
    os.utime(path, ns=(nanoseconds, nanoseconds), follow_symlinks=False)
