"""The file that holds the number of a running bridge, so that there is one of it only. Source: A52."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


class AlreadyRunning(Exception):
    """Another bridge lives; str() is a sentence."""

    def __init__(self, pid: int, path: Path) -> None:
        super().__init__(
            f"Another bridge runs as process {pid}, says {path}. End it, or give this one another --pid-file."
        )


@contextlib.contextmanager
def holding(path: Path | None) -> Iterator[None]:
    """The file holds our own number meanwhile; nothing without a path. Raises AlreadyRunning, OSError.

    A number that nobody has any more, or that is none, is overwritten. At the end the file goes, if it
    is still ours.
    """
    if path is None:
        yield
        return
    other = _pid_in(path)
    if other is not None and other != os.getpid() and _lives(other):
        raise AlreadyRunning(other, path)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(f"{os.getpid()}\n", encoding="ascii")
    fresh.chmod(0o600)
    fresh.replace(path)
    try:
        yield
    finally:
        if _pid_in(path) == os.getpid():
            path.unlink(missing_ok=True)


def _pid_in(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    return int(text) if text.isdecimal() and 0 < int(text) < 2**31 else None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_only_remembered(pid)


def _is_only_remembered(pid: int) -> bool:
    """Whether a process has ended and nobody has asked how: in a container that may stay so for ever."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[:1] == [b"Z"]
