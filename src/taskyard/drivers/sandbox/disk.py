"""How much disk a workspace may use: its home is a file system of its own, or it is measured.

As root a home that is new gets an image of the size of the limit, a sparse file with ext4 in it. The launcher mounts it
in the workspace's own mount namespace: nothing of it shows on the machine, nothing has to be unmounted, and the kernel
lets go of it with the workspace's last process. Everywhere else files are counted, a little at each look, and whoever
uses too much is stopped.
"""

import errno
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path
from threading import Lock

from taskyard.drivers.sandbox.launch_disk import open_home
from taskyard.drivers.sandbox.memory import in_words
from taskyard.drivers.sandbox.place import Place, Record
from taskyard.drivers.sandbox.unlinked import unlinked
from taskyard.errors import DriverError

BYTES_PER_FILE = 16384
"""Disk for each file that may be made: what ext4 takes by default, so that both ways bound files alike."""
LEAST_BYTES = 16 * 1024 * 1024
"""Smallest image: ext4 with its journal needs some."""
_STEP_S = 0.02
"""Seconds of counting at one look: some thousand files, so that a hundred workspaces do not stall a pass."""
_REST_S = 5.0
"""Seconds between the end of a count and the beginning of the next."""
_MKFS_TIMEOUT_S = 60.0
"""It takes some 20 ms; more on a disk that is nearly dead."""
_MOST_PATH = 3500
"""Characters of a path that can still be opened; Linux takes 4095."""
_MKFS = "mkfs.ext4"
_OPTIONS = ("-q", "-F", "-b", "4096", "-m", "0", "-J", "size=4", "-i", str(BYTES_PER_FILE))
_FAST = "lazy_itable_init=1,lazy_journal_init=1,nodiscard"


def image_of(place: Place) -> Path:
    """The file with the home's file system; there only where the home has one."""
    return place.folder / "home.img"


@cache
def why_no_image() -> str:
    """Why homes cannot be file systems of their own here, empty where they can."""
    if os.geteuid() != 0:
        return "an ordinary user cannot mount one, so disk is measured, and whoever uses too much is stopped"
    if shutil.which(_MKFS) is None:
        return f"there is no {_MKFS}, so disk is measured. Install e2fsprogs"
    if not Path("/dev/loop-control").exists():
        return "there is no /dev/loop-control, so disk is measured. Load the kernel module loop"
    return ""


def prepare_disk(
    place: Place, uid: int | None, limit: int | None, *, walls: bool = True, held: bool = False
) -> str:
    """The image that the launcher mounts, empty for none. Raises DriverError when it cannot be made, or mounted.

    A home that has files already stays as it is, unless held says that its limit must be the machine's: then raises
    DriverError too. One that once got an image keeps it.
    """
    image = image_of(place)
    if image.exists():
        if not walls or os.geteuid() != 0:
            raise DriverError(_unseen(place))
        _grow(image, limit)
        return str(image)
    if limit is not None and held and (why := why_counted(place, walls=walls)):
        raise DriverError(_not_held(place, why))
    if not walls or limit is None or uid is None or why_no_image() or _has_files(place.home):
        return ""
    fresh = image.with_suffix(".new")
    try:
        with fresh.open("wb") as file:
            file.truncate(max(limit, LEAST_BYTES))
        options = [*_OPTIONS, "-E", f"{_FAST},root_owner={uid}:{uid}"]
        program = shutil.which(_MKFS) or _MKFS
        subprocess.run(
            [program, *options, fresh], check=True, capture_output=True, timeout=_MKFS_TIMEOUT_S
        )
        fresh.replace(image)
    except (OSError, subprocess.SubprocessError) as error:
        fresh.unlink(missing_ok=True)
        raise DriverError(
            f"The disk of workspace {place.name} could not be made: {error}. Look at free space below "
            f"{place.root}, then try again."
        ) from error
    return str(image)


def why_counted(place: Place, *, walls: bool) -> str:
    """Why this workspace's files are counted; empty where its home is a file system of its own, or becomes one."""
    if image_of(place).exists():
        return ""
    if why := why_no_image():
        return why
    if not walls:
        return "without walls no workspace has a disk of its own, so files are counted"
    if _has_files(place.home):
        return (
            "its home had files before it had such a limit, or was imported, so it stays a folder whose files are "
            "counted, and whoever uses too much is stopped"
        )
    return ""


def _not_held(place: Place, why: str) -> str:
    return (
        f"The template demands that the machine itself holds the limit of disk, which it does not for workspace "
        f'{place.name}: {why}. Take "disk" out of the template\'s `require`, or make a new workspace and bring its '
        "files there."
    )


def _unseen(place: Place) -> str:
    """Why a workspace is not started whose files would be out of its sight, and what it writes out of sight later."""
    return (
        f"The home of workspace {place.name} is a file system of its own, in {image_of(place)}, which can be mounted only "
        "by a server that runs as root, behind walls. Start the server as root without --allow-unconfined, or delete "
        "the workspace; `taskyard export` as root reads its files."
    )


def measured_limit(limit: int | None, image: str, *, overlay: bool) -> int | None:
    """Bytes up to which files are to be counted; None where nothing has to be: the image bounds all there is."""
    return None if image and not overlay else limit


@contextmanager
def opened_home(place: Place) -> Iterator[int]:
    """A handle of the home's top folder, to be read while the block lasts, also while the workspace runs or starts.

    Raises OSError when its image cannot be mounted.
    """
    image = image_of(place)
    if image.exists():
        # For writing, as the launcher has it: the kernel lets both have one file system only if both may write.
        file = os.open(image, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            handle = open_home(file)
        finally:
            os.close(file)
    else:
        handle = os.open(place.home, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield handle
    finally:
        os.close(handle)


def _grow(image: Path, limit: int | None) -> None:
    """Nothing; the file is as large as the limit is now. The launcher tells the file system; it never shrinks."""
    if limit is not None and image.stat().st_size < limit:
        os.truncate(image, limit)


def _has_files(home: Path) -> bool:
    try:
        with os.scandir(home) as entries:
            return any(True for _ in entries)
    except FileNotFoundError:
        return False


@dataclass(slots=True)
class _Count:
    """What was counted so far. walk is null between two counts."""

    disk_bytes: int = 0
    files: int = 0
    problem: str = ""
    linked: set[tuple[int, int]] = field(default_factory=set)
    walk: Iterator[None] | None = None
    begins_at: float = 0.0
    said: str = ""
    lock: Lock = field(default_factory=Lock)


_counts: dict[Path, _Count] = {}


def too_much(place: Place, record: Record) -> str:
    """Why the workspace is to be stopped: `disk full, limit 10 GiB`; empty while it is not, or not known yet.

    Counts for some milliseconds and goes on at the next call.
    """
    if record.disk_bytes is None:
        return ""
    count = _counts.setdefault(place.folder, _Count())
    if not count.lock.acquire(blocking=False):
        return count.said
    try:
        _step(count, place, record, record.disk_bytes)
        return count.said
    finally:
        count.lock.release()


def forget_disk(place: Place) -> None:
    """Nothing; what was counted of the workspace says nothing of its next start."""
    _counts.pop(place.folder, None)


def _step(count: _Count, place: Place, record: Record, limit: int) -> None:
    until = time.monotonic() + _STEP_S
    if count.walk is None:
        if time.monotonic() < count.begins_at:
            return
        count.disk_bytes, count.files, count.problem = 0, 0, ""
        count.linked.clear()
        count.walk = chain(
            _walk(count, [place.home, place.overlay]), _take_unlinked(count, place, record)
        )
    for _ in count.walk:
        if over := _over(count, limit):
            count.said = over
            return
        if time.monotonic() > until:
            return
    count.walk, count.begins_at = None, time.monotonic() + _REST_S
    count.said = _over(count, limit)


def _over(count: _Count, limit: int) -> str:
    if count.disk_bytes > limit:
        return f"disk full, limit {in_words(limit)}"
    most = max(limit, LEAST_BYTES) // BYTES_PER_FILE
    if count.files > most:
        return f"disk full, limit {most} files (of {in_words(limit)})"
    return count.problem


def _walk(count: _Count, folders: list[Path]) -> Iterator[None]:
    """Counts one folder at each step, never through a symlink. Files with several names count once."""
    pending = [str(folder) for folder in folders]
    while pending:
        folder = pending.pop()
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno == errno.EACCES:
                count.problem = (
                    "disk cannot be measured: a folder in the home is closed to its owner"
                )
            yield
            continue
        try:
            with os.scandir(handle) as entries:
                for entry in entries:
                    if _take(count, entry):
                        pending.append(f"{folder}/{entry.name}")
                    if count.files % 256 == 0:
                        yield
        finally:
            os.close(handle)
        if pending and len(pending[-1]) > _MOST_PATH:
            count.problem = "disk cannot be measured: folders in the home are too deep"
            return
        yield


def _take(count: _Count, entry: "os.DirEntry[str]") -> bool:
    """Whether the entry is a folder; it was counted."""
    with suppress(OSError):
        info = entry.stat(follow_symlinks=False)
        count.files += 1
        if stat.S_ISDIR(info.st_mode):
            count.disk_bytes += info.st_blocks * 512
            return True
        if info.st_nlink == 1 or _is_new(count, info):
            count.disk_bytes += info.st_blocks * 512
    return False


def _take_unlinked(count: _Count, place: Place, record: Record) -> Iterator[None]:
    """Counts what is open and has no name, at each step one."""
    for info in unlinked(place, record):
        if info is not None and _is_new(count, info):
            count.files += 1
            count.disk_bytes += info.st_blocks * 512
        yield


def _is_new(count: _Count, info: os.stat_result) -> bool:
    """Whether the file was not met before; it is from now on."""
    known = len(count.linked)
    count.linked.add((info.st_dev, info.st_ino))
    return len(count.linked) > known
