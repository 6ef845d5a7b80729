"""Processes of Postgres: ours, started and waited for, and those that an earlier server left."""

import asyncio
import fcntl
import hashlib
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from signal import Signals

import anyio

from taskyard.errors import StartupError

ORPHAN_TIMEOUT_S = 60  # a Postgres whose server was killed writes out its buffers, at most 128 MB
POLL_S = 0.005  # Postgres tells what it is doing in a file only
LOG_BYTES = 10_000_000  # a log larger than this is put aside at the next start
LOG_TAIL_BYTES = 2_000  # of the log go into an error message


@dataclass(frozen=True, slots=True)
class ProcessLog:
    """The file that our processes write to, all after each other."""

    path: Path

    @contextmanager
    def open_to_add(self) -> Iterator[int]:
        """The log, open for a child to add to; a large one is put aside first."""
        if self.size() > LOG_BYTES:
            self.path.rename(self.path.with_suffix(".1"))
        log = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            yield log
        finally:
            os.close(log)

    def size(self) -> int:
        """The length in bytes; 0 where there is none."""
        return self.path.stat().st_size if self.path.exists() else 0

    def since(self, start: int) -> str:
        """What was written from that place on: its last lines, as one line."""
        size = self.size()
        with self.path.open("rb") as file:
            file.seek(max(start if start <= size else 0, size - LOG_TAIL_BYTES))
            return " / ".join(file.read().decode(errors="replace").splitlines())


def spawn(
    command: list[str], log: ProcessLog, *, stdin: str = "", keep: tuple[int, ...] = ()
) -> subprocess.Popen[bytes]:
    """The command as a child with a session of its own, so that Ctrl-C reaches only us.

    stdin is written at once: it must fit a pipe. keep: the descriptors that it inherits. Of our
    environment it gets nothing that steers Postgres.
    """
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    with log.open_to_add() as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd="/",
            env=kept | {"LC_ALL": "C", "TZ": "UTC"},
            start_new_session=True,
            pass_fds=keep,
        )
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin:  # it has ended already; its exit code tells
        process.stdin.write(stdin.encode())
    return process


async def exit_of(process: subprocess.Popen[bytes]) -> int:
    """The exit code of a child of ours once it has ended; negative = killed by that signal."""
    if process.poll() is None:
        descriptor = os.pidfd_open(process.pid)
        try:
            await anyio.wait_readable(descriptor)
        finally:
            os.close(descriptor)
    return process.wait()


def how_it_ended(code: int) -> str:
    """An exit code in words."""
    return f"exit code {code}" if code >= 0 else f"killed by {Signals(-code).name}"


def is_ready(data: Path, pid: int) -> bool:
    """Whether the postmaster of that pid says that it takes connections.

    A pid file of any other pid is a leftover. Its first line is the pid, the eighth the state.
    """
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


@asynccontextmanager
async def alone_with(data: Path, lock_file: Path) -> AsyncIterator[int]:
    """The lock that a Postgres on the data holds, taken by us: a descriptor, for us to hand to it.

    Each process of Postgres inherits the descriptor, so the lock is free when the last of them is
    gone, and not before; no pid has to be trusted. Only for who runs the folder: whatever works
    there has lost its server, then. A postmaster is asked to stop (it was told so when its server
    ended) and given time; what survived its postmaster is of no use and is ended.
    StartupError names what does not go.
    """
    lock = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        await _take_over(lock, data)
        yield lock
    finally:
        os.close(lock)


async def _take_over(lock: int, data: Path) -> None:
    told: set[int] = set()
    try:
        async with asyncio.timeout(ORPHAN_TIMEOUT_S):
            while not locked(lock):
                told |= _tell_to_end(data, running_on(data), told)
                await asyncio.sleep(POLL_S)
    except TimeoutError as error:
        pids = ", ".join(map(str, sorted(running_on(data)))) or "of another container"
        raise StartupError(
            f"an earlier Postgres (process {pids}) still works on {data} and did not stop within "
            f"{ORPHAN_TIMEOUT_S} s. See what it does, end it, then start again."
        ) from error


def locked(lock: int) -> bool:
    """Whether the open file is now locked by us alone."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def cluster_name(data: Path) -> str:
    """The word by which the processes of a Postgres on that data show themselves in `ps`."""
    return f"taskyard-{hashlib.sha256(os.fsencode(data)).hexdigest()[:8]}"


def running_on(data: Path) -> set[int]:
    """The processes of a Postgres on that data, whoever started them.

    A pid file proves nothing: its process may be gone and the number be somebody else's. What they
    work on may not be read in containers, but what they show themselves as may.
    """
    try:
        owner = data.stat().st_uid
    except FileNotFoundError:
        return set()
    return {
        int(entry.name)
        for entry in Path("/proc").glob("[0-9]*")
        if _is_of_postgres(entry, owner) and _shows_itself_on(data, entry)
    }


def _is_of_postgres(process: Path, owner: int) -> bool:
    try:
        return process.stat().st_uid == owner and (process / "comm").read_text() == "postgres\n"
    except OSError:  # it is gone
        return False


def _shows_itself_on(data: Path, process: Path) -> bool:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:  # it is gone
        return False
    title = f"postgres: {cluster_name(data)}: ".encode()
    return words[0].startswith(title) or os.fsencode(f"-D{data}") in words


def _tell_to_end(data: Path, running: set[int], told: set[int]) -> set[int]:
    """Those of the processes that were now told to end: their postmaster, or all when it is gone."""
    try:
        postmaster = int((data / "postmaster.pid").read_text().split("\n")[0])
    except (FileNotFoundError, ValueError):
        postmaster = 0
    signal = Signals.SIGINT if postmaster in running else Signals.SIGQUIT
    addressed = ({postmaster} & running or running) - told
    for pid in addressed:
        with suppress(ProcessLookupError):
            os.kill(pid, signal)
    return addressed
