"""Running git with nothing of the workspace in its way: no configuration, no hooks, no questions, no end of time."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from taskyard_agent.memory_score import expose
from taskyard_agent.repository.credentials import Askpass

TOLD_LINES = 12
"""Lines of what git said last that are passed on: an error of another server takes up to ten."""

LINE_CHARS = 500
"""Characters of each of them."""

READ_BYTES = 64 * 1024
"""Bytes read at once: what a pipe holds."""

OUTPUT_BYTES = 16 * 1024 * 1024
"""Most output kept of a command whose answer is not for people: the names of a hundred thousand files."""

PROXIES = frozenset(
    name
    for word in ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    for name in (word, word.upper())
)
"""What leads to the network from a workspace without one."""

_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.askPass=",
    "core.alternateRefsCommand=true",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.autocrlf=false",
    "core.safecrlf=false",
    "core.bigFileThreshold=4m",
    "credential.helper=",
    "diff.ignoreSubmodules=all",
    "submodule.recurse=false",
    "push.recurseSubmodules=no",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "safe.directory=*",
    "advice.addEmbeddedRepo=false",
    "advice.detachedHead=false",
    "http.followRedirects=initial",
    "http.lowSpeedLimit=100",
    "http.lowSpeedTime=60",
    "protocol.allow=never",
)
"""What holds for every command, whatever a repository's own configuration says: these go before it."""

_ABROAD = ("protocol.http.allow=always", "protocol.https.allow=always")
_AT_HOME = ("protocol.file.allow=always",)

Line = Callable[[str], None]


class GitFailed(Exception):
    """A command of git did not do what it should; str() is what it said last, without secrets."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a command wrote; cut: more than was wanted, so it was ended."""

    code: int
    out: bytes
    err: str
    cut: bool

    @property
    def text(self) -> str:
        """The output as one stripped text."""
        return self.out.decode(errors="replace").strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command. codes: exit codes that are fine. askpass: signs in, and then only http and https are spoken."""

    args: Sequence[str]
    cwd: Path
    timeout_s: float
    stdin: bytes = b""
    limit: int = OUTPUT_BYTES
    codes: tuple[int, ...] = (0,)
    abroad: bool = False
    askpass: Askpass | None = None
    on_line: Line | None = None


class Git:
    """git as this workspace has it. env is that of the workspace's programs: only the way to the network is used."""

    def __init__(self, env: Mapping[str, str], home: Path, scratch: Path) -> None:
        self._program = _find(env, home)
        self._env = {
            "PATH": os.pathsep.join(_folders(env, home)),
            "HOME": str(scratch),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            **{name: env[name] for name in PROXIES & env.keys()},
        }

    async def run(self, command: Command) -> Output:
        """What the command wrote. Raises GitFailed."""
        askpass = command.askpass
        output = await self._run(command)
        if output.code in command.codes or output.cut:
            return output
        said = output.err.strip() or output.text[-LINE_CHARS:] or f"exit code {output.code}"
        raise GitFailed(said if askpass is None else askpass.mask(said))

    async def _run(self, command: Command) -> Output:
        process = await self._start(command)
        lines: deque[str] = deque(maxlen=TOLD_LINES)
        try:
            async with asyncio.timeout(command.timeout_s), asyncio.TaskGroup() as tasks:
                tasks.create_task(_feed(process, command.stdin))
                tasks.create_task(_listen(process, lines, command.on_line))
                reading = tasks.create_task(_read(process, command.limit))
            code = await process.wait()
        except TimeoutError:
            told = f"git {command.args[0]} was ended after {command.timeout_s:g} s"
            raise GitFailed("\n".join([*lines, told])) from None
        finally:
            _kill(process)
        out, cut = reading.result()
        return Output(code, out, "\n".join(lines), cut)

    async def _start(self, command: Command) -> asyncio.subprocess.Process:
        settings = (*_SETTINGS, *(_ABROAD if command.abroad else _AT_HOME))
        argv = [part for setting in settings for part in ("-c", setting)]
        askpass = command.askpass
        try:
            process = await asyncio.create_subprocess_exec(
                self._program,
                *argv,
                *command.args,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self._env if askpass is None else self._env | askpass.env,
                cwd=command.cwd,
                pass_fds=() if askpass is None else askpass.fds,
                start_new_session=True,
            )
        except OSError as error:
            raise GitFailed(f"git cannot be run: {error.strerror}") from error
        expose(process.pid)
        return process


def _find(env: Mapping[str, str], home: Path) -> str:
    """The program, from folders that only an administrator can change. Raises GitFailed."""
    found = shutil.which("git", path=os.pathsep.join(_folders(env, home)))
    if found is None:
        raise GitFailed("there is no git in the workspace; install it on the server's machine")
    return found


def _folders(env: Mapping[str, str], home: Path) -> list[str]:
    folders = env.get("PATH", os.defpath).split(os.pathsep)
    return [
        folder for folder in folders if folder.startswith("/") and not _is_in(Path(folder), home)
    ]


def _is_in(folder: Path, home: Path) -> bool:
    return folder.resolve().is_relative_to(home.resolve())


async def _feed(process: asyncio.subprocess.Process, data: bytes) -> None:
    assert process.stdin is not None
    with contextlib.suppress(ConnectionError):
        process.stdin.write(data)
        await process.stdin.drain()
        process.stdin.close()
        await process.stdin.wait_closed()


async def _read(process: asyncio.subprocess.Process, limit: int) -> tuple[bytes, bool]:
    """What the process writes, up to the limit, and whether there was more."""
    assert process.stdout is not None
    found = bytearray()
    while chunk := await process.stdout.read(READ_BYTES):
        found += chunk
        if len(found) > limit:
            _kill(process)
            return bytes(found[:limit]), True
    return bytes(found), False


async def _listen(
    process: asyncio.subprocess.Process, lines: deque[str], on_line: Line | None
) -> None:
    """Keeps the last lines of what is said, of a line that was written over only its last form."""
    assert process.stderr is not None
    rest = b""
    while chunk := await process.stderr.read(READ_BYTES):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            _note(line, lines, on_line)
        rest = rest[-READ_BYTES:]
    if rest:
        _note(rest, lines, on_line)


def _note(line: bytes, lines: deque[str], on_line: Line | None) -> None:
    text = line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace").rstrip()[:LINE_CHARS]
    if text:
        lines.append(text)
        if on_line is not None:
            on_line(text)


def _kill(process: asyncio.subprocess.Process) -> None:
    """Ends git and what it started, if it has not ended by itself."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
