"""Shells that people open in a workspace: each in a terminal of its own, going on while nobody looks."""

import asyncio
import contextlib
import itertools
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from uuid import UUID

from taskyard_agent.bell import Bell
from taskyard_agent.mux import CallFailed
from taskyard_agent.process import ProcessError
from taskyard_agent.programs import Surroundings
from taskyard_agent.protocol import Nothing, ShellOpen, ShellOpened, ShellResize
from taskyard_agent.stream import LinkError, Stream
from taskyard_agent.terminal.child import PtyChild, Terminal

if TYPE_CHECKING:
    from collections.abc import Callable

MOST: Final = 8
"""Shells of one workspace at once: a person has some windows open, and what opens more has lost count."""

REPLAYED_BYTES: Final = 64 * 1024
"""Bytes of a shell's output that are kept for whoever comes back: some screens full."""

HELD_BYTES: Final = 256 * 1024
"""Bytes that may wait for who looks, until the shell has to wait too."""

ALONE_S: Final = 600.0
"""Seconds a shell goes on without anybody: a laptop that was closed is open again, or will not be today."""

IDLE_S: Final = 4 * 3600.0
"""Seconds without a byte either way after which a shell ends, also while somebody has it open: they went home."""

LOOK_S: Final = 15.0
"""Seconds between looks whether a shell has been left."""

OPENER_S: Final = 30.0
"""Seconds that a shell which has ended waits for whoever opened it: a short command may be done before they look."""

GRACE_S: Final = 1.0
"""Seconds that a shell and what runs in it may take to end."""

HURRY_S: Final = 0.2
"""The same when the whole workspace ends, which has few seconds for everything."""

FIRST_NUMBER: Final = 65536
"""Streams to shells are opened by numbers from here on, which are no TCP ports."""

MAX_CELLS: Final = 1000
"""Columns or rows of the largest terminal, which is more than any screen shows."""

TERM: Final = "xterm-256color"
"""What every terminal of the last twenty years understands, and every program knows."""


class _Shell:
    """One shell, and the end of its output."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.bell = Bell()
        self.touched_s = self.left_s = asyncio.get_running_loop().time()
        self._child: PtyChild | None = None
        self._kept = bytearray()
        self._end = 0
        self._shown = 0
        self._viewer: object | None = None
        self.seen = asyncio.Event()

    @property
    def child(self) -> PtyChild:
        """The program."""
        assert self._child is not None  # set right after the shell was made
        return self._child

    @child.setter
    def child(self, child: PtyChild) -> None:
        self._child = child

    def take(self, data: bytes) -> None:
        """The program wrote this."""
        self._kept += data
        self._end += len(data)
        self.touched_s = asyncio.get_running_loop().time()
        unseen = self._end - self._shown if self._viewer is not None else 0
        del self._kept[: max(0, len(self._kept) - max(REPLAYED_BYTES, unseen))]
        if unseen >= HELD_BYTES:
            self.child.pause_reading()
        self.bell.ring()

    async def show(self, stream: Stream) -> None:
        """Returns when the shell or its viewer is gone, or a newer one looks in its place. Raises LinkError."""
        viewer = self._viewer = object()
        self.seen.set()
        self._shown = self._end - len(self._kept)
        self.bell.ring()
        async with asyncio.TaskGroup() as group:
            typing = group.create_task(self._type(stream, viewer))
            with contextlib.suppress(LinkError):
                await self._send(stream, viewer)
            typing.cancel()
        self._leave(viewer)

    async def _send(self, stream: Stream, viewer: object) -> None:
        while self._viewer is viewer:
            unseen = self._end - self._shown
            if unseen:
                piece = bytes(self._kept[len(self._kept) - unseen :])
                self._shown += len(piece)
                await stream.write(piece)
                self.child.resume_reading()
            elif self.child.exit is not None:
                return
            else:
                await self.bell.rung()

    async def _type(self, stream: Stream, viewer: object) -> None:
        with contextlib.suppress(LinkError, BrokenPipeError):
            while data := await stream.read():
                self.touched_s = asyncio.get_running_loop().time()
                await self.child.write(data)
        self._leave(viewer)

    def _leave(self, viewer: object) -> None:
        if self._viewer is viewer:
            self._viewer = None
            self.left_s = asyncio.get_running_loop().time()
            self.child.resume_reading()
        self.bell.ring()

    def is_left(self) -> bool:
        """Whether nobody has looked, or nothing has happened, for too long."""
        now = asyncio.get_running_loop().time()
        alone = self._viewer is None and now - self.left_s >= ALONE_S
        return alone or now - self.touched_s >= IDLE_S


class Shells:
    """The shells of a workspace, by the ids that their openers gave them. They end with its agent."""

    def __init__(
        self, tasks: asyncio.TaskGroup, where: "Callable[[], Surroundings | None]"
    ) -> None:
        """where: what a shell gets to begin with, None while the workspace is not prepared."""
        self._tasks = tasks
        self._where = where
        self._shells: dict[UUID, _Shell] = {}
        self._keepers: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(FIRST_NUMBER)
        self._closed = False

    async def open(self, order: ShellOpen) -> ShellOpened:
        """The number of a stream to the shell of that id, a new one where there is none. Raises CallFailed."""
        size = _size(order.cols, order.rows)
        shell = self._shells.get(order.id)
        if shell is not None:
            shell.child.resize(*size)
            return ShellOpened(shell.number, fresh=False)
        if len(self._shells) >= MOST:
            raise CallFailed(
                "too_many_shells", f"{MOST} shells are open in this workspace. Leave one of them."
            )
        where = self._where()
        if where is None or self._closed:
            raise CallFailed("not_ready", "The workspace is not ready for a shell.")
        shell = self._spawn(order.command, where, size)
        self._shells[order.id] = shell
        keeper = self._tasks.create_task(self._keep(order.id, shell))
        self._keepers.add(keeper)
        keeper.add_done_callback(self._keepers.discard)
        return ShellOpened(shell.number, fresh=True)

    def _spawn(self, command: Sequence[str], where: Surroundings, size: tuple[int, int]) -> _Shell:
        shell = _Shell(next(self._numbers))
        has_bash = shutil.which("bash", path=where.env.get("PATH"))
        try:
            shell.child = PtyChild.spawn(
                command or (["bash", "-l"] if has_bash else ["sh", "-l"]),
                env=where.env,
                cwd=where.cwd,
                terminal=Terminal(*size, kind=TERM),
                on_output=shell.take,
            )
        except (ProcessError, OSError) as error:
            raise CallFailed("no_shell", f"No shell can be started: {error}") from error
        return shell

    async def _keep(self, shell_id: UUID, shell: _Shell) -> None:
        """Returns when the shell is gone, with all that ran in it."""
        try:
            while shell.child.exit is None and not shell.is_left():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await shell.child.wait()
            shell.bell.ring()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(OPENER_S):
                    await shell.seen.wait()
        finally:
            del self._shells[shell_id]
            await shell.child.end(HURRY_S if self._closed else GRACE_S)
            shell.bell.ring()

    async def resize(self, order: ShellResize) -> Nothing:
        """The shell of that id, if there is one, has a terminal of that size. Raises CallFailed."""
        size = _size(order.cols, order.rows)
        if (shell := self._shells.get(order.id)) is not None:
            shell.child.resize(*size)
        return Nothing()

    async def serve(self, stream: Stream) -> None:
        """Connects a stream to the shell of its number until either is over."""
        shell = next((one for one in self._shells.values() if one.number == stream.port), None)
        if shell is None:
            await stream.close("there is no such shell any more")
            return
        await stream.accept()
        await shell.show(stream)

    async def end(self) -> None:
        """No shell any more, and none again."""
        self._closed = True
        keepers = list(self._keepers)
        for keeper in keepers:
            keeper.cancel()
        if keepers:
            await asyncio.wait(keepers)


def _size(cols: int, rows: int) -> tuple[int, int]:
    """The size of a terminal. Raises CallFailed for one that is none."""
    if not (0 < cols <= MAX_CELLS and 0 < rows <= MAX_CELLS):
        raise CallFailed("size_invalid", f"A terminal has 1 to {MAX_CELLS} columns and rows.")
    return cols, rows
