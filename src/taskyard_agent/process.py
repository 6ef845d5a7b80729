"""Child processes in groups of their own: started, listened to, and ended with all that they left."""

import asyncio
import contextlib
import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Self

import msgspec

from taskyard_agent.memory_score import expose

STDERR_LINES = 1_000
"""Lines of standard error kept in memory. Source: agentapi 7.2 row 15."""

STDERR_LINE_BYTES = 8 * 1024
"""Bytes after which a line without an end is cut, so that the ring is bounded in bytes too."""

STDOUT_BYTES = 64 * 1024
"""Bytes of output buffered before reading stops for a while: one pipe's worth."""

TAIL_LINES = 20
"""Lines of standard error quoted when a program ended by itself: what a screen shows at a glance."""

KILL_WAIT_S = 5.0
"""Seconds a killed process may take to vanish; only one stuck in the kernel takes longer."""

REAP_WAIT_MS = 500
"""Milliseconds for which a cancelled end() blocks until the killed process has ended: usually 2."""


class ProcessError(Exception):
    """The root of what can go wrong with a program that we start; str() is a sentence."""


class AgentNotFound(ProcessError):
    """There is no such program that can be run; path is the PATH that was searched."""

    def __init__(self, command: str, path: str) -> None:
        super().__init__(
            f"The program {command!r} cannot be started: there is no executable file of that name, "
            f"or its interpreter is missing. PATH is {path!r}. "
            "Install it in the workspace, or name it by its full path."
        )
        self.command = command
        self.path = path


class Exit(msgspec.Struct, frozen=True):
    """How a process ended: an exit code or a signal, the other is null. Both null: nobody knows."""

    code: int | None
    signal: int | None


class AgentExited(ProcessError):
    """The program ended; stderr holds its last lines, oldest first."""

    def __init__(self, ended: Exit, stderr: Sequence[str]) -> None:
        how = "an unknown exit code"
        if ended.code is not None:
            how = f"exit code {ended.code}"
        elif ended.signal is not None:
            how = f"signal {ended.signal}"
        said = next((line.strip() for line in reversed(stderr) if line.strip()), "nothing")
        super().__init__(f"The program ended with {how}. The last that it said: {said}")
        self.exit = ended
        self.stderr = tuple(stderr)


def _popen(argv: Sequence[str], env: Mapping[str, str], cwd: str) -> subprocess.Popen[bytes]:
    try:
        popen = subprocess.Popen(
            list(argv),
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
    except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
        if error.filename != argv[0]:
            raise  # the folder is at fault, not the program
        raise AgentNotFound(argv[0], env.get("PATH", os.defpath)) from error
    expose(popen.pid)
    return popen


def _waiting(pipe: IO[bytes]) -> bytes:
    """What is in a pipe right now."""
    size = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0\0\0\0"))[0]
    return os.read(pipe.fileno(), size) if size else b""


async def _gone(pid: int) -> None:
    """Returns when a process that is not our child has ended."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop.add_reader(pidfd, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)


class _Lines(asyncio.Protocol):
    """Cuts a pipe's bytes into lines for a ring and a callback."""

    def __init__(self, on_line: Callable[[str], None] | None) -> None:
        self.ring: deque[str] = deque(maxlen=STDERR_LINES)
        self._on_line = on_line
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._emit(line)
        while len(self._rest) > STDERR_LINE_BYTES:
            self._emit(self._rest[:STDERR_LINE_BYTES])
            self._rest = self._rest[STDERR_LINE_BYTES:]

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # whatever ended the pipe, what came is kept
        self.end()

    def end(self) -> None:
        if self._rest:
            self._emit(self._rest)
        self._rest = b""

    def _emit(self, line: bytes) -> None:
        for start in range(0, len(line) or 1, STDERR_LINE_BYTES):
            text = line[start : start + STDERR_LINE_BYTES].decode(errors="replace").rstrip("\r")
            self.ring.append(text)
            if self._on_line is not None:
                self._on_line(text)


class _Output(asyncio.StreamReaderProtocol):
    """Feeds a stream until it is over; what comes then is read and thrown away."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        super().__init__(stream)
        self._stream = stream
        self._over = False

    def data_received(self, data: bytes) -> None:
        if not self._over:
            super().data_received(data)

    def end(self) -> None:
        self._over = True
        self._stream.feed_eof()


class Leader(ABC):
    """A running program that leads a session of its own, and the end of all that it started there.

    The process stays a zombie until end(), so that its number, and with it its group's, cannot
    become somebody else's. Always call end(), also when the program ended by itself.
    """

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self.pid = popen.pid
        self.exit: Exit | None = None
        self._popen = popen
        self._ended = asyncio.Event()
        self._pidfd = os.pidfd_open(popen.pid)

    @abstractmethod
    def _take_last_words(self) -> None:
        """Hands on what the program wrote before it ended."""

    @abstractmethod
    def _close(self) -> None:
        """Lets go of what it read from and wrote to."""

    def _watch(self) -> None:
        asyncio.get_running_loop().add_reader(self._pidfd, self._on_exit)

    def _on_exit(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        self.exit = self._look()
        self._take_last_words()
        self._ended.set()

    def _look(self) -> Exit:
        """How the process ended; it stays a zombie."""
        try:
            seen = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        except ChildProcessError:
            seen = None  # somebody else reaped it
        if seen is None:
            return Exit(None, None)
        own = seen.si_code == os.CLD_EXITED
        return Exit(seen.si_status, None) if own else Exit(None, seen.si_status)

    async def wait(self) -> Exit:
        """How the program ended, as soon as it has; what it wrote was read by then."""
        await self._ended.wait()
        assert self.exit is not None
        return self.exit

    async def end(self, grace_s: float) -> Exit:
        """How the program ended, once it and all of its session are gone; may be called again.

        It is asked to end at once; SIGKILL to what is left after grace_s. A cancelled call kills at once.
        """
        try:
            if self._popen.returncode is None:
                await self._ask_to_end(grace_s)
                self._signal(signal.SIGKILL)
                await self._wait_gone(KILL_WAIT_S)
        finally:
            self._kill_and_reap()
        return self.exit or Exit(None, None)

    async def _ask_to_end(self, grace_s: float) -> None:
        """Returns when all are gone, or after grace_s."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # a stopped process would not hear of it
        await self._wait_gone(grace_s)

    async def _wait_gone(self, within_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.wait()
                while (pid := next(self._survivors(), None)) is not None:
                    await _gone(pid)

    def _survivors(self) -> Iterator[int]:
        """Living members of the session other than the leader; without /proc: none."""
        for entry in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError, ValueError):  # gone meanwhile
                number, _, rest = entry.read_bytes().partition(b" (")
                state, _, group, session = rest.rpartition(b")")[2].split()[:4]
                ours = self.pid in (int(group), int(session))
                if ours and int(number) != self.pid and state not in b"ZX":
                    yield int(number)

    def _signal(self, number: int) -> None:
        """To the group, and to those who made groups of their own, as a shell does for its jobs."""
        if self._popen.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)
        for pid in self._survivors():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getpgid(pid) != self.pid:
                    os.kill(pid, number)

    def _kill_and_reap(self) -> None:
        if self._popen.returncode is not None:
            return
        self._signal(signal.SIGKILL)
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        if not poll.poll(REAP_WAIT_MS):
            return  # stuck in the kernel: a later end() may reap it
        if self.exit is None:
            self._on_exit()
        self._popen.wait()
        os.close(self._pidfd)
        self._close()


class Child(Leader):
    """A running program behind pipes. stdout is a stream; standard error goes to a ring and a callback."""

    def __init__(
        self, popen: subprocess.Popen[bytes], on_stderr: Callable[[str], None] | None
    ) -> None:
        assert popen.stdin is not None
        assert popen.stdout is not None
        assert popen.stderr is not None
        super().__init__(popen)
        self.stdout = asyncio.StreamReader(limit=STDOUT_BYTES)
        self._pipes = (popen.stdin, popen.stdout, popen.stderr)
        self._lines = _Lines(on_stderr)
        self._output = _Output(self.stdout)
        self._readers: list[asyncio.ReadTransport] = []
        self._stdin: asyncio.StreamWriter | None = None

    @classmethod
    async def spawn(
        cls,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str,
        on_stderr: Callable[[str], None] | None = None,
    ) -> Self:
        """A program running in a session of its own, with exactly this environment.

        on_stderr gets each line without its end, and must not raise.
        Raises AgentNotFound, or OSError when cwd is no folder.
        """
        child = cls(_popen(argv, env, cwd), on_stderr)
        try:
            await child._connect()
        except BaseException:
            child._kill_and_reap()
            raise
        return child

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        stdin, stdout, stderr = self._pipes
        self._watch()
        unread = asyncio.StreamReader()
        to_child, flow = await loop.connect_write_pipe(
            lambda: asyncio.StreamReaderProtocol(unread), stdin
        )
        to_child.set_write_buffer_limits(0)  # drain() then means: in the pipe
        self._stdin = asyncio.StreamWriter(to_child, flow, None, loop)
        out, _ = await loop.connect_read_pipe(lambda: self._output, stdout)
        err, _ = await loop.connect_read_pipe(lambda: self._lines, stderr)
        self._readers = [out, err]
        if self.exit is not None:
            self._take_last_words()

    def _take_last_words(self) -> None:
        """Hands on what the leader wrote. Grandchildren that hold its pipes are not waited for.

        The pipes stay open until end(): a grandchild that is saving its work would die of a closed one.
        """
        if not self._readers:
            return  # not connected yet
        protocols: tuple[_Output | _Lines, ...] = (self._output, self._lines)
        for transport, pipe, protocol in zip(
            self._readers, self._pipes[1:], protocols, strict=True
        ):
            if not transport.is_closing() and (data := _waiting(pipe)):
                protocol.data_received(data)
            protocol.end()
            transport.resume_reading()

    def write_now(self, data: bytes) -> None:
        """Bytes for standard input, in order, without waiting; none when the program has ended."""
        if self._stdin is not None and not self._stdin.is_closing():
            self._stdin.write(data)

    async def drain(self) -> None:
        """Everything written is in the pipe. Raises ConnectionError when nobody reads any more."""
        if self._stdin is None or self._stdin.is_closing():
            raise BrokenPipeError
        await self._stdin.drain()

    def stderr_tail(self, lines: int = TAIL_LINES) -> list[str]:
        """The newest lines of standard error, oldest first, at most STDERR_LINES."""
        return list(self._lines.ring)[-lines:]

    async def _ask_to_end(self, grace_s: float) -> None:
        """By the end of its input, and a signal."""
        if self._stdin is not None:
            self._stdin.close()
        await super()._ask_to_end(grace_s)

    def _close(self) -> None:
        for transport in self._readers:
            transport.close()
        if self._stdin is not None:
            self._stdin.close()
        else:
            for pipe in self._pipes:
                pipe.close()
