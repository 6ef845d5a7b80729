"""A folder as the archive that a template version is made from, and back; the same folder gives the same bytes."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from taskyard.cli.failures import Failure

MAX_BYTES: Final = 100 * 1024 * 1024
"""What a server takes of an archive. Source: supporting-api 6."""

LEFT_OUT: Final = frozenset(
    {".git", ".hg", ".svn", "__pycache__", ".venv", "node_modules", ".DS_Store"}
)
"""What lies in folders but belongs into no template."""


def pack(folder: Path) -> bytes:
    """A tar of the folder's files, modes kept, owners and times not. Raises Failure for what cannot go in."""
    buffer = io.BytesIO()
    size = 0
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in _paths(folder):
            entry = _entry(archive, path, folder)
            size += entry.size
            if size > MAX_BYTES:
                raise Failure(
                    f"{folder} holds more than {MAX_BYTES // 1024**2} MiB, which no server takes.",
                    hint="Leave large files out and fetch them in the start script.",
                )
            if entry.isreg():
                with path.open("rb") as file:
                    archive.addfile(entry, file)
            else:
                archive.addfile(entry)
    return buffer.getvalue()


def unpack(data: bytes, folder: Path) -> int:
    """How many files of a template's tar were written below the folder.

    Raises Failure, with nothing written, for an archive with anything but plain files and folders inside.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            members = [(_place(member), member) for member in archive if not member.isdir()]
            for place, member in members:
                source = archive.extractfile(member)
                assert source is not None
                target = folder / place
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read())
                target.chmod(0o755 if member.mode & 0o100 else 0o644)
    except tarfile.TarError as error:
        raise Failure(f"the archive of this version cannot be read: {error}.") from error
    return len(members)


def _place(member: tarfile.TarInfo) -> Path:
    """Where a member goes below the folder; raises Failure for what does not stay below it."""
    place = Path(member.name)
    if not member.isreg() or place.is_absolute() or ".." in place.parts:
        raise Failure(
            f"the archive holds {member.name!r}, which is no plain file below it; nothing was written.",
            hint="To look at it all the same: --tar writes the archive to stdout.",
        )
    return place


def _paths(folder: Path) -> Iterator[Path]:
    """Everything below a folder in a fixed order, folders before what is in them."""
    for path in sorted(folder.iterdir()):
        if path.name in LEFT_OUT:
            continue
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _paths(path)


def _entry(archive: tarfile.TarFile, path: Path, folder: Path) -> tarfile.TarInfo:
    entry = archive.gettarinfo(path, path.relative_to(folder).as_posix())
    if not (entry.isreg() or entry.isdir() or entry.issym() or entry.islnk()):
        raise Failure(f"{path} is no file, folder or link; take it out of the template.")
    if entry.islnk():
        entry.type, entry.linkname, entry.size = tarfile.REGTYPE, "", path.stat().st_size
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    return entry
