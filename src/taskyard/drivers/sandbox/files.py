"""Files that other people's hands were on: templates to unpack, homes to remove."""

import io
import os
import shutil
import stat
import tarfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path, PurePosixPath
from secrets import token_hex

from taskyard.drivers.sandbox.place import Place
from taskyard.errors import DriverError

_TEMPLATE_MAX_BYTES = 64 * 1024 * 1024
"""Sum of the unpacked files; several times what an upload may bring, so only a trick exceeds it."""
_TEMPLATE_MAX_FILES = 10_000
"""Entries of one archive; bounds the time that unpacking takes to about a second."""


def lay_out(place: Place, uid: int | None, hostname: str, archive: bytes) -> None:
    """Nothing; the workspace's folder holds all that a start needs. What is in the home stays.

    uid is the owner of the home, None for this process's own user.
    """
    place.home.mkdir(mode=0o700, exist_ok=True)
    if uid is not None and place.home.stat().st_uid != uid:
        os.chown(place.home, uid, uid)
    place.hosts.write_text(f"127.0.0.1 localhost {hostname}\n::1 localhost\n")
    place.hosts.chmod(0o644)
    if place.template.exists():
        shutil.rmtree(place.template)
    unpack_template(archive, place.template)


def unpack_template(archive: bytes, target: Path) -> None:
    """Nothing; target, which must not exist, holds the archive's files, readable by every user.

    Only files, folders and symlinks that stay inside are taken. Symlinks come last, so that nothing
    is ever written through one. Raises DriverError for anything else, then the target is empty.
    (The standard library's extraction filters are missing in Python 3.11.2.)
    """
    _make_folder(target, PurePosixPath("."))
    if not archive:
        return
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            members = list(_checked(tar))
            for member in members:
                if not member.issym():
                    _write_member(tar, member, target)
            for member in filter(tarfile.TarInfo.issym, members):
                _make_folder(target, PurePosixPath(member.name).parent)
                (target / member.name).symlink_to(member.linkname)
    except (tarfile.TarError, ValueError) as error:
        raise DriverError(
            f"The template's archive cannot be unpacked ({error}). Push the template again."
        ) from error


def _checked(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    total = 0
    for number, member in enumerate(tar):
        total += member.size
        if number >= _TEMPLATE_MAX_FILES or total > _TEMPLATE_MAX_BYTES:
            raise tarfile.TarError(
                f"more than {_TEMPLATE_MAX_FILES} entries or {_TEMPLATE_MAX_BYTES} bytes"
            )
        if not _is_inside(PurePosixPath(member.name)):
            raise tarfile.TarError(f"{member.name!r} leaves the folder")
        if member.issym() and not _is_inside(PurePosixPath(member.name).parent / member.linkname):
            raise tarfile.TarError(f"the link {member.name!r} leaves the folder")
        if not (member.isdir() or member.isreg() or member.issym()) or member.issparse():
            raise tarfile.TarError(f"{member.name!r} is neither file, folder nor symlink")
        yield member


def _is_inside(path: PurePosixPath) -> bool:
    depth = 0
    for part in path.parts:
        depth += -1 if part == ".." else 1
        if depth < 0 or part == "/":
            return False
    return True


def _make_folder(target: Path, name: PurePosixPath) -> None:
    """Nothing; the folder and its parents exist, open to every user whatever the umask is."""
    path = target
    for part in (".", *name.parts):
        path /= part
        path.mkdir(exist_ok=True)
        path.chmod(0o755)


def _write_member(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    name = PurePosixPath(member.name)
    if member.isdir():
        _make_folder(target, name)
        return
    _make_folder(target, name.parent)
    content = tar.extractfile(member)
    assert content is not None  # only folders and links have none
    path = target / name
    path.write_bytes(content.read())
    path.chmod(0o755 if member.mode & stat.S_IXUSR else 0o644)


def empty_folder(folder: Path, *, keep: str) -> None:
    """Nothing; all in the folder but the file `keep` is gone, whatever modes and depth it had.

    Symlinks are removed, never followed. Folders are moved up beside each other before they are
    emptied, so that no depth is too deep. Nobody may write below the folder meanwhile.
    """
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        names = (f".removed-{token_hex(8)}" for _ in count())
        pending = _empty(top, top, names, keep)
        while pending:
            name = pending.pop()
            inner = _open_inside(top, name)
            try:
                pending += _empty(inner, top, names)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)


def _empty(folder: int, top: int, names: Iterator[str], keep: str = "") -> list[str]:
    """The new names, in top, of the folders that were in this one; all else but keep is removed."""
    moved = []
    for name in os.listdir(folder):
        info = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(info.st_mode):
            # Moving a folder rewrites its "..", which needs the right to write to it.
            os.close(_open_inside(folder, name))
            moved.append(next(names))
            os.rename(name, moved[-1], src_dir_fd=folder, dst_dir_fd=top)
        elif name != keep:
            os.unlink(name, dir_fd=folder)
    return moved


def _open_inside(parent: int, name: str) -> int:
    """A handle on a folder that its owner may have closed to everyone, now open to this process."""
    handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        path = Path(f"/proc/self/fd/{handle}")
        path.chmod(0o700)
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    finally:
        os.close(handle)
