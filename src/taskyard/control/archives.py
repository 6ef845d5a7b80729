"""Archives of templates: read with every limit checked, made, and turned from zip to tar and back.

All of it is work for a thread: an archive may be 100 MiB. Nothing here touches the file system.
"""

import io
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from taskyard.errors.templates import ArchiveInvalid, ArchiveTooLarge

MAX_ARCHIVE_BYTES = 100 * 1024 * 1024
"""Largest upload, and the most that a zip may unpack to. Source: supporting-api 6."""

MAX_TEMPLATE_BYTES = 64 * 1024 * 1024
"""Sum of a template's files: each workspace gets a copy, and drivers take no more."""

MAX_ENTRIES = 10_000
"""Entries of an archive at most: a template is read by people, and each entry costs memory."""

MAX_NAME_CHARS = 1024
"""Longest path in an archive: time is spent on each folder on the way."""

MAX_PART_BYTES = 255
"""Longest part of a path that Linux has room for."""

MAX_EXTRA_BYTES = 8 * 1024 * 1024
"""All that a tar may say about its entries in headers of its own: a block of 512 bytes an entry is usual."""

_EXTRAS = frozenset(
    {
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    }
)
"""Types of such headers."""

_MANY_DIGITS = re.compile(rb"[0-9]{41}")
"""No time, size or position has so many. For each digit, tarfile looks at all that follow it without a break,
and nothing else is done by this process in the meantime: without a bound for hours."""

EXECUTABLE, PLAIN = 0o755, 0o644
"""The two modes that files of an archive of ours have."""

_ZIP_ENTRY = b"PK\x01\x02"
_GZIP = b"\x1f\x8b"

_TAR_TROUBLE = (tarfile.TarError, EOFError, OSError, ValueError, RecursionError)
"""What reading a broken or hostile tar may raise; text that is no UTF-8 is a ValueError."""

_ZIP_TROUBLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    IndexError,
    struct.error,
    RuntimeError,
    NotImplementedError,
)
"""What reading a broken zip may raise; RuntimeError is a password that nobody has, IndexError an empty name."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of an archive; name is its path from the top, with `/` between the parts."""

    name: str
    content: bytes
    executable: bool


@dataclass(frozen=True, slots=True)
class Archive:
    """The files of a template. folder is the one that all of them were in, empty for none."""

    files: list[File]
    folder: str


class _Entry(tarfile.TarInfo):
    """An entry of an uploaded tar, its headers looked at before tarfile makes anything of them."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> "_Entry":
        """The next entry; raises ArchiveInvalid, HeaderError."""
        assert isinstance(tarfile, _Tar)
        tarfile.check_header()
        return super().fromtarfile(tarfile)


class _Tar(tarfile.TarFile):
    """An uploaded tar."""

    tarinfo = _Entry

    def __init__(self, data: bytes) -> None:
        self._source = io.BytesIO(data)
        self._extra_bytes = 0
        super().__init__(fileobj=self._source, mode="r")

    def check_header(self) -> None:
        """Nothing for a header that can be read in little time; raises ArchiveInvalid, HeaderError."""
        start = self._source.tell()
        block = self._source.read(tarfile.BLOCKSIZE)
        if block.strip(b"\0"):
            header = tarfile.TarInfo.frombuf(block, self.encoding or "utf-8", self.errors or "")
            if header.size < 0:
                raise ArchiveInvalid("An entry of the archive has a size below 0.")
            if header.type in _EXTRAS:
                self._check_extra(header.size)
        self._source.seek(start)

    def _check_extra(self, size: int) -> None:
        size += -size % tarfile.BLOCKSIZE  # what fills the last block is looked at too
        self._extra_bytes += size
        if self._extra_bytes > MAX_EXTRA_BYTES:
            raise ArchiveInvalid(
                f"The archive says more about its entries than the {MAX_EXTRA_BYTES} bytes that are read."
            )
        if _MANY_DIGITS.search(self._source.read(size)):
            raise ArchiveInvalid("An extended header of the archive has a number that is too long.")


def read_archive(data: bytes) -> Archive:
    """The files of a tar, by name; a single folder around everything is taken away.

    Raises ArchiveInvalid for whatever is not a plain tree of files within the limits.
    """
    if data.startswith(_GZIP):
        raise ArchiveInvalid("The archive is compressed; upload a plain tar, or a zip.")
    try:
        with _Tar(data) as tar:
            files = {file.name: file for file in _files(tar)}
    except _TAR_TROUBLE as error:
        raise ArchiveInvalid(f"The archive is not a tar that can be read: {error}.") from error
    _check_nesting(files)
    return _without_folder(list(files.values()))


def pack(files: Iterable[File]) -> bytes:
    """A tar of these files; the same files give the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for file in sorted(files, key=lambda each: each.name):
            info = tarfile.TarInfo(file.name)
            info.size = len(file.content)
            info.mode = EXECUTABLE if file.executable else PLAIN
            tar.addfile(info, io.BytesIO(file.content))
    return buffer.getvalue()


def zip_to_tar(data: bytes) -> bytes:
    """The same files as a tar; times are left out, so that the same files give the same bytes.

    Raises ArchiveTooLarge, ArchiveInvalid.
    """
    # Counted before the list of entries is read: each takes ten times its size in memory.
    if data.count(_ZIP_ENTRY) > MAX_ENTRIES:
        raise ArchiveTooLarge(f"{MAX_ENTRIES} entries")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(info.file_size for info in archive.infolist()) > MAX_ARCHIVE_BYTES:
                raise ArchiveTooLarge(f"{MAX_ARCHIVE_BYTES} bytes")
            return pack(_unzipped(archive))
    except _ZIP_TROUBLE as error:
        raise ArchiveInvalid(f"The zip is incomplete or broken: {error}. Pack it again.") from error


def tar_to_zip(data: bytes) -> bytes:
    """The same files as a zip; raises ArchiveInvalid for a tar that is no template."""
    buffer = io.BytesIO()
    try:
        with (
            _Tar(data) as tar,
            zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            for file in _files(tar):
                info = zipfile.ZipInfo(file.name)
                info.compress_type = zipfile.ZIP_DEFLATED
                mode = stat.S_IFREG | (EXECUTABLE if file.executable else PLAIN)
                info.external_attr = mode << 16
                archive.writestr(info, file.content)
    except _TAR_TROUBLE as error:
        raise ArchiveInvalid(f"The archive is not a tar that can be read: {error}.") from error
    return buffer.getvalue()


def _files(tar: tarfile.TarFile) -> Iterator[File]:
    """Each regular file; raises ArchiveInvalid for what is neither that nor a folder."""
    size_bytes = 0
    for number, member in enumerate(tar):
        size_bytes += member.size
        if number >= MAX_ENTRIES:
            raise ArchiveInvalid(f"The archive has more than {MAX_ENTRIES} entries.")
        if size_bytes > MAX_TEMPLATE_BYTES:
            raise ArchiveInvalid(
                f"The files of the archive have more than {MAX_TEMPLATE_BYTES} bytes."
            )
        name = _name(member.name)
        if member.isdir():
            continue
        content = tar.extractfile(member) if member.isreg() and not member.issparse() else None
        if content is None or not name:
            raise ArchiveInvalid(
                f'"{name or member.name}" is a link, a device or the like; a template holds only files '
                "and folders. Put a copy of the file in its place."
            )
        yield File(name, content.read(), bool(member.mode & stat.S_IXUSR))


def _name(raw: str) -> str:
    """The path from the top without `.` parts; raises ArchiveInvalid for one that leads elsewhere."""
    if len(raw) > MAX_NAME_CHARS:
        raise ArchiveInvalid(
            f'The name "{raw[:80]}…" has more than {MAX_NAME_CHARS} characters; use a shorter one.'
        )
    parts = [part for part in raw.split("/") if part not in {"", "."}]
    if raw.startswith("/") or ".." in parts:
        raise ArchiveInvalid(f'"{raw}" leads out of the template; use paths from its top.')
    if not raw.isprintable():
        raise ArchiveInvalid(f"The name {raw!r} is not UTF-8 text without control characters.")
    if any(len(part.encode()) > MAX_PART_BYTES for part in parts):
        raise ArchiveInvalid(
            f'The name "{raw[:80]}…" has a part of more than {MAX_PART_BYTES} bytes; use a shorter one.'
        )
    return "/".join(parts)


def _check_nesting(files: dict[str, File]) -> None:
    """Nothing when no file stands where another needs a folder; else raises ArchiveInvalid."""
    for name in files:
        parts = name.split("/")
        for depth in range(1, len(parts)):
            if (above := "/".join(parts[:depth])) in files:
                raise ArchiveInvalid(f'"{above}" is both a file and the folder of "{name}".')


def _without_folder(files: list[File]) -> Archive:
    tops = {file.name.partition("/")[0] for file in files}
    if len(tops) != 1 or any("/" not in file.name for file in files):
        return Archive(files, "")
    folder = tops.pop()
    shorter = [
        File(file.name.removeprefix(f"{folder}/"), file.content, file.executable) for file in files
    ]
    return Archive(shorter, folder)


def _unzipped(archive: zipfile.ZipFile) -> Iterator[File]:
    """Each file of a zip. Sizes are those that the zip tells: reading stops there."""
    for info in archive.infolist():
        if info.is_dir():
            continue
        # The other methods may ask for gigabytes of memory before the first byte.
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise ArchiveInvalid(f'"{info.filename}" is packed by a method that is not supported.')
        mode = info.external_attr >> 16
        if stat.S_ISLNK(mode):
            raise ArchiveInvalid(
                f'"{info.filename}" is a link. Put a copy of the file in its place.'
            )
        yield File(info.filename, archive.read(info), bool(mode & stat.S_IXUSR))
