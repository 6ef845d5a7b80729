"""A Postgres of our own, in a folder of ours, that lives as long as this process at most.

What lies in the folder:

    lock              held by the one process that may run this Postgres, with its pid
    running           held by each process of Postgres itself, for it may outlive the first a little
    cluster/data      Postgres's own files
    cluster/password  of the role that owns our database; the socket opens to nothing else
    socket/           where Postgres listens and nowhere else, or a link to that folder (see below)
    log, log.1        what Postgres says, now and before
    programs/         the programs, where the user that Postgres runs as cannot reach the installed ones
    making-*          a cluster half made by a process that was killed; removed by the next start

A socket's path may have 107 bytes, and clients split it at commas. Where the folder's own is longer
or has commas, a folder named after its hash, in $XDG_RUNTIME_DIR (not for root) or else in /tmp,
takes its place.
"""

import asyncio
import hashlib
import os
import shutil
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from signal import Signals
from urllib.parse import quote

import anyio

from taskyard.daemon.postgres_cluster import (
    NAME,
    begin_cluster,
    clear_and_look,
    data_major,
    finish_cluster,
    first_statements,
    give,
    initdb_arguments,
)
from taskyard.daemon.postgres_process import (
    POLL_S,
    ProcessLog,
    alone_with,
    cluster_name,
    exit_of,
    how_it_ended,
    is_ready,
    locked,
    running_on,
    spawn,
)
from taskyard.daemon.postgres_programs import Identity, Programs, choose_programs
from taskyard.errors import StartupError

SOCKET_PATH_BYTES = 107  # sockaddr_un.sun_path has 108, one for the closing zero
PORT = 5432  # only a part of the socket's file name: nothing listens on TCP
START_TIMEOUT_S = 600  # replaying the log after a crash: up to max_wal_size, 1 GB, on any disk
INIT_TIMEOUT_S = 120  # 0.5-2 s as measured; minutes mean a hung disk
FAST_STOP_S = (
    3  # a fast stop takes 0.1 s; the server promises 10 s for all that it ends and this together
)
QUICK_STOP_S = 1  # an immediate stop only sends signals on
KILLED_S = 5  # for the kernel to take the processes away

SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    # 10 a process for a server and some workers, and room for a person with psql; 3.7 MB each.
    "max_connections": "100",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Without it a violated constraint would write the row, with whatever a user typed, to the log.
    "log_error_verbosity": "terse",
    "logging_collector": "off",
    "log_checkpoints": "off",  # a line every five minutes that nobody reads
}
FORGETFUL_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
}


class EmbeddedPostgres:
    """One Postgres in one folder: made at the first start, found again at each later one.

    Start it from the main thread: it is told to stop when the thread that started it ends, however
    that comes about. `start` and `restart` raise StartupError with a sentence for a person. An
    instance that is not started still knows the `url` of a database that was made.

    durable=False is for tests: it is faster, tidies up nothing by itself, loses the last moments when Postgres itself is killed,
    and perhaps everything when the machine crashes. A killed server loses nothing either way.
    """

    def __init__(self, datadir_path: Path, *, durable: bool = True) -> None:
        self.path = datadir_path.absolute()
        self.durable = durable
        self.log = ProcessLog(self.path / "log")
        self._lock: int | None = None
        self._programs: Programs | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """The folder that Postgres itself calls its data directory."""
        return self.path / "cluster" / "data"

    @property
    def pid(self) -> int:
        """The process id of the postmaster that was started last."""
        return self._started().pid

    @property
    def url(self) -> str:
        """Where our database is and how to open it, as asyncpg and psql take it; it holds a secret.

        StartupError where no database was made yet.
        """
        try:
            password = (self.path / "cluster" / "password").read_text()
        except FileNotFoundError as error:
            raise StartupError(
                f"there is no database in {self.path} yet. Start the server first, once."
            ) from error
        folder = quote(str((self.path / "socket").resolve()), safe="")
        return f"postgresql://{NAME}:{password}@/{NAME}?host={folder}&port={PORT}"

    async def start(self) -> None:
        """Take the folder, make the database if it is new, and return when it answers."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("start Postgres from the main thread: it ends with the thread")
        self._take()
        try:
            self._programs = None  # they may have been replaced since the last start
            await self._launch()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.stop()
            raise

    async def stop(self) -> None:
        """End Postgres, at once but cleanly, and let go of the folder; nothing if it does not run.

        Connected clients are cut off. If it takes longer than FAST_STOP_S it is ended hard, and
        recovers at its next start; nothing committed is lost either way.
        """
        await self._end_process()
        if self._lock is not None:
            _remove_socket_folder(self.path / "socket")
            os.close(self._lock)
            self._lock = None

    async def restart(self) -> None:
        """Start Postgres again, after it died or not, and return when it answers."""
        if self._lock is None:
            raise RuntimeError(f"the Postgres in {self.path} is not started")
        await self._end_process()
        await self._launch()

    async def wait_dead(self) -> int:
        """The exit code of the running postmaster, once it has ended; negative = by that signal."""
        return await exit_of(self._started())

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"the Postgres in {self.path} is not started")
        return self._process

    def _take(self) -> None:
        """Become the one process that may run Postgres here; StartupError names the one that does."""
        if self._lock is not None:
            raise RuntimeError(f"the Postgres in {self.path} is started already")
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.geteuid() == 0:
            self.path.chmod(0o711)  # whom Postgres runs as passes through
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        if not locked(lock):
            holder = os.pread(lock, 32, 0).decode() or "of another server"
            os.close(lock)
            raise StartupError(
                f"the Postgres in {self.path} is run by process {holder}. Stop that server first, "
                "or choose another data directory."
            )
        os.truncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        self._lock = lock

    async def _prepare(self) -> Programs:
        """The programs to run; afterwards there is a whole cluster of the right owner."""
        programs = choose_programs(self.path, data_major(self.data))
        if not clear_and_look(self.path):
            try:
                await self._make_cluster(programs)
            except BaseException:
                clear_and_look(self.path)
                raise
        give(self.data, programs.identity)
        return programs

    async def _make_cluster(self, programs: Programs) -> None:
        """Make a database with our role in it; it appears whole or not at all."""
        making, password = begin_cluster(self.path, programs.identity)
        arguments = initdb_arguments(making)
        await self._run(programs.command("initdb", *arguments, at_our_end=Signals.SIGKILL))
        settings = {"exit_on_error": "on"} | FORGETFUL_SETTINGS  # as initdb's --no-sync
        options = [f"-D{making / 'data'}", *_as_options(settings), "postgres"]
        single = programs.command("postgres", "--single", *options, at_our_end=Signals.SIGKILL)
        await self._run(single, stdin=first_statements(password))
        finish_cluster(making, self.path, durable=self.durable)

    async def _run(self, command: list[str], stdin: str = "") -> None:
        """Run a program to its end; StartupError with its last words if it fails."""
        before = self.log.size()
        process = spawn(command, self.log, stdin=stdin)
        try:
            async with asyncio.timeout(INIT_TIMEOUT_S):
                code = await exit_of(process)
        except TimeoutError as error:
            raise StartupError(
                f"making a database in {self.path} took more than {INIT_TIMEOUT_S} s. Is its disk "
                f"slow or full? See {self.log.path}."
            ) from error
        finally:
            process.kill()  # does nothing to one that has ended
            process.wait()
        if code != 0:
            raise StartupError(
                f"a database could not be made in {self.path} ({how_it_ended(code)}): "
                f"{self.log.since(before)}"
            )

    async def _launch(self) -> None:
        """Start the postmaster, once nothing else works here, and return when it answers."""
        async with alone_with(self.data, self.path / "running") as running:
            programs = self._programs or await self._prepare()
            self._programs = programs
            socket = _open_socket_folder(self.path, programs.identity)
            # What it still names is gone, but its pid may be somebody's again, and is in containers.
            (self.data / "postmaster.pid").unlink(missing_ok=True)
            before = self.log.size()
            self._process = spawn(self._command(programs, socket), self.log, keep=(running,))
        await self._wait_ready(self._process, before)

    def _command(self, programs: Programs, socket: Path) -> list[str]:
        """The command of the postmaster. SIGINT asks it for a fast, clean stop."""
        listed = '"' + str(socket).replace('"', '""') + '"'
        own = {"unix_socket_directories": listed, "cluster_name": cluster_name(self.data)}
        options = _as_options(SETTINGS | own | ({} if self.durable else FORGETFUL_SETTINGS))
        return programs.command("postgres", f"-D{self.data}", *options, at_our_end=Signals.SIGINT)

    async def _wait_ready(self, process: subprocess.Popen[bytes], log_start: int) -> None:
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while not is_ready(self.data, process.pid):
                    if (code := process.poll()) is not None:
                        raise StartupError(
                            f"Postgres did not start in {self.path} ({how_it_ended(code)}): "
                            f"{self.log.since(log_start)}"
                        )
                    await asyncio.sleep(POLL_S)
        except TimeoutError as error:
            raise StartupError(
                f"Postgres in {self.path} was not ready after {START_TIMEOUT_S} s; "
                f"see {self.log.path}."
            ) from error

    async def _end_process(self) -> None:
        """Have the postmaster end, asking with rising force; nothing if there is none."""
        process = self._process
        if process is None:
            return
        for signal, patience_s in (
            (Signals.SIGINT, FAST_STOP_S),
            (Signals.SIGQUIT, QUICK_STOP_S),
            (Signals.SIGKILL, KILLED_S),
        ):
            process.send_signal(signal)  # does nothing to one that has ended
            if signal is Signals.SIGKILL:
                self._kill_rest()
            try:
                async with asyncio.timeout(patience_s):
                    await exit_of(process)
            except TimeoutError:
                continue
            break
        self._process = None

    def _kill_rest(self) -> None:
        """End what a postmaster leaves that is killed: what was frozen with it would not see that it is gone."""
        for pid in running_on(self.data):
            with suppress(ProcessLookupError):
                os.kill(pid, Signals.SIGKILL)


def _as_options(settings: dict[str, str]) -> list[str]:
    """Settings of Postgres as arguments of its programs."""
    return [f"--{name}={value}" for name, value in settings.items()]


def _socket_folder(path: Path) -> Path:
    """Where the Postgres of a folder is to listen: in it, if a socket's path may be that long."""
    own = path / "socket"
    length = len(os.fsencode(own / f".s.PGSQL.{PORT}"))
    if length <= SOCKET_PATH_BYTES and "," not in str(own):
        return own
    # Root's runtime folder is closed to whom Postgres runs as.
    runtime = Path("/tmp" if os.geteuid() == 0 else os.environ.get("XDG_RUNTIME_DIR", "/tmp"))  # noqa: S108 its owner is checked
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return (runtime if runtime.is_dir() else Path("/tmp")) / f"{NAME}-{os.geteuid()}-{name}"  # noqa: S108 likewise


def _open_socket_folder(path: Path, identity: Identity) -> Path:
    """The folder to listen in, made if need be, open to nobody but whom Postgres runs as.

    A link in our own folder leads to one elsewhere, for who looks for the socket later.
    """
    folder, own = _socket_folder(path), path / "socket"
    _remove_socket_folder(own)
    folder.mkdir(mode=0o700, exist_ok=True)
    facts = folder.lstat()
    if folder.is_symlink() or facts.st_uid not in {os.geteuid(), identity.uid}:
        raise StartupError(
            f"{folder}, where Postgres would listen, belongs to user {facts.st_uid}. Remove it, or "
            "choose a data directory with a shorter path."
        )
    os.chown(folder, identity.uid, identity.gid)
    folder.chmod(0o700)
    if folder != own:
        own.symlink_to(folder)
    return folder


def _remove_socket_folder(own: Path) -> None:
    """Remove the folder of a Postgres that is gone, or the link and the folder that it leads to."""
    if own.is_symlink():
        shutil.rmtree(own.readlink(), ignore_errors=True)
        own.unlink()
    elif own.exists():
        shutil.rmtree(own)
