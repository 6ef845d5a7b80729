"""Scripts and apps of a template: run with their output going to the logs."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from taskyard_agent.process import Child, Exit, ProcessError

READ_BYTES = 64 * 1024
"""Bytes of output read at once: what a pipe holds."""

LINE_BYTES = 8 * 1024
"""Bytes after which a line without an end is cut."""

Log = Callable[[str, str], None]
"""Takes the level and the text of a line."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every program of the workspace gets: its folder and its whole environment."""

    cwd: str
    env: Mapping[str, str]


def describe(ended: Exit) -> str:
    """How a program ended, in words."""
    if ended.code is not None:
        return f"exit code {ended.code}"
    return "an unknown exit code" if ended.signal is None else f"signal {ended.signal}"


class Programs:
    """All programs started for a template; what they leave running lives until end()."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._children: list[Child] = []
        self._ending = False

    async def run(self, argv: Sequence[str], log: Log) -> Exit:
        """How the program ended, its whole output logged by then. Raises ProcessError, OSError.

        What it started in the background goes on. When this call is cancelled, all is killed.
        """
        child = await Child.spawn(
            argv,
            env=self._surroundings.env,
            cwd=self._surroundings.cwd,
            on_stderr=lambda line: log("error", line),
        )
        self._children.append(child)
        try:
            await _log_lines(child.stdout, log)
            return await child.wait()
        except asyncio.CancelledError:
            self._children.remove(child)
            await child.end(0)
            raise

    async def keep(self, argv: Sequence[str], log: Log) -> None:
        """Returns when the app has ended, or could not be started; the log says how."""
        try:
            ended = await self.run(argv, log)
        except (ProcessError, OSError) as error:
            log("error", f"The app cannot be started: {error}")
        else:
            if self._ending:
                return
            level = "info" if ended.code == 0 else "error"
            log(level, f"The app ended with {describe(ended)}. It is not started again.")

    async def end(self, grace_s: float) -> None:
        """No program of these runs any more."""
        self._ending = True
        async with asyncio.TaskGroup() as tasks:
            for child in self._children:
                tasks.create_task(child.end(grace_s))
        self._children.clear()


async def _log_lines(stdout: asyncio.StreamReader, log: Log) -> None:
    rest = b""
    while chunk := await stdout.read(READ_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            _log_line(line, log)
        while len(rest) > LINE_BYTES:
            _log_line(rest[:LINE_BYTES], log)
            rest = rest[LINE_BYTES:]
    if rest:
        _log_line(rest, log)


def _log_line(line: bytes, log: Log) -> None:
    for start in range(0, len(line) or 1, LINE_BYTES):
        log("info", line[start : start + LINE_BYTES].decode(errors="replace").rstrip("\r"))
