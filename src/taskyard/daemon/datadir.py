"""The data directory: everything that a server keeps, in one folder, for one server at a time.

What lies in it:

    format         the number of this layout
    server.lock    held by the server that runs here, with its pid
    deployment_id  a random id of this directory; that of the first one is the whole installation's
    secrets.key    what secrets are sealed by, unless a setting names another file; 0600
    postgres/      our own Postgres (see postgres.py)
    run/           sockets; run/link/agent.sock is where workspaces reach the server, and
                   run/link/relay.sock where they reach what their templates list; run/peer.sock
                   is for other servers on the same database
    workspaces/    the files of workspaces

Where the server is root, what runs with fewer rights passes through these folders but lists none.
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID, uuid4

from taskyard.errors import DataDirInUse, StartupError

FORMAT = 1  # of the layout above; raised when an older release could no longer read it
# What a folder that is not yet ours may hold: what a killed first start left, what mkfs puts there.
HARMLESS = frozenset({"server.lock", "format.new", "lost+found"})
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
FOLDERS = ("postgres", "run", "run/link", "workspaces")


class DataDir:
    """An open data directory: it exists, is ours, is of a format we know, and nobody else serves it.

    attach=True is for a worker beside the server: the directory must exist, and is not locked.
    Raises StartupError, which names the directory; what is not ours is left as it was.
    """

    def __init__(self, path: Path, *, attach: bool = False) -> None:
        self.path = path.absolute()
        self._lock: int | None = None
        try:
            self._open(attach=attach)
            self.host_id = self._host_id(create=not attach)
        except OSError as error:
            self.close()
            raise StartupError(
                f"data directory {self.path} cannot be used: {error.strerror} ({error.filename}). "
                "Make it writable for this user, or choose another with --data-dir."
            ) from error
        except StartupError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def postgres(self) -> Path:
        """The folder of our own Postgres."""
        return self.path / "postgres"

    @property
    def run(self) -> Path:
        """The folder of sockets."""
        return self.path / "run"

    @property
    def link_socket(self) -> Path:
        """The socket on which the server listens for workspaces; they see its folder, which holds only sockets."""
        return self.run / "link" / "agent.sock"

    @property
    def relay_socket(self) -> Path:
        """The socket beside it on which the server connects them to what their templates list."""
        return self.run / "link" / "relay.sock"

    @property
    def peer_socket(self) -> Path:
        """The socket on which other servers of this machine send on what is for our workspaces."""
        return self.run / "peer.sock"

    @property
    def workspaces(self) -> Path:
        """The folder of workspaces' files."""
        return self.path / "workspaces"

    @property
    def place(self) -> str:
        """What tells this folder from all copies of it, on this machine and others, for as long as that runs."""
        lock = (self.path / "server.lock").stat()
        return f"{BOOT_ID.read_text().strip()} {lock.st_dev}:{lock.st_ino}"

    def close(self) -> None:
        """Let another server have the directory."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _open(self, *, attach: bool) -> None:
        if attach:
            if self._format() is None:
                raise StartupError(
                    f"there is no data directory at {self.path}. Start the server with it first."
                )
            return
        self._check_ours()
        self._make_folder(self.path)
        self._take_lock()
        if self._check_ours() is None:  # again: another server may have been faster
            self._write_whole("format", str(FORMAT))
        for name in FOLDERS:
            self._make_folder(self.path / name)

    def _check_ours(self) -> int | None:
        """The format of the directory; None where it is new. StartupError where it is not ours."""
        # Listed before the format is read: a server that is faster writes the format first of all.
        names = {entry.name for entry in self.path.iterdir()} if self.path.exists() else set()
        found = self._format()
        others = sorted(names - HARMLESS)
        if found is None and others:
            raise StartupError(
                f"{self.path} is no data directory of this program, and not empty: it holds "
                f"{others[0]}. Choose an empty or a new folder with --data-dir."
            )
        return found

    def _format(self) -> int | None:
        """The number in the format file; None if there is none. StartupError if we cannot use it."""
        file = self.path / "format"
        try:
            text, owner = file.read_text().strip(), file.stat().st_uid
        except FileNotFoundError:
            return None
        if not text.isdecimal():
            raise StartupError(
                f"{file} should hold a number, but holds {text[:20]!r}. If {self.path} is a data "
                "directory of this program, restore it from a backup; else choose another."
            )
        if int(text) > FORMAT:
            raise StartupError(
                f"data directory {self.path} was made by a newer release: its format is {text}, "
                f"and this release knows formats up to {FORMAT}. Install the newer release again, "
                "or choose another data directory."
            )
        if owner != os.geteuid():
            raise StartupError(
                f"data directory {self.path} belongs to user {owner}, and this is user "
                f"{os.geteuid()}. Start the server as that user, or choose another data directory."
            )
        return int(text)

    def _make_folder(self, folder: Path) -> None:
        mode = 0o711 if os.geteuid() == 0 else 0o700
        folder.mkdir(parents=True, exist_ok=True, mode=mode)
        if folder.stat().st_mode & mode != mode:  # an older folder, or our umask
            folder.chmod(mode)

    def _take_lock(self) -> None:
        lock = os.open(self.path / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(lock, 32, 0).decode() or "unknown"
            os.close(lock)
            raise DataDirInUse(
                f"data directory {self.path} is in use by another server (process {holder}). "
                "Stop that one first, or choose another data directory."
            ) from error
        self._lock = lock
        os.truncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)

    def _host_id(self, *, create: bool) -> UUID:
        file = self.path / "deployment_id"
        if create and not file.exists():
            self._write_whole(file.name, str(uuid4()))
        text = file.read_text().strip()
        try:
            return UUID(text)
        except ValueError as error:
            raise StartupError(
                f"{file} should hold a UUID, but holds {text[:40]!r}. Restore it from a backup, or "
                "remove it: the server then makes a new one."
            ) from error

    def _write_whole(self, name: str, text: str) -> None:
        """Write a small file that is there whole or not at all, even after a power cut."""
        unfinished = self.path / f"{name}.new"
        with unfinished.open("w") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(self.path / name)
