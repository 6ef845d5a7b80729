"""The sandbox driver: workspaces as confined process trees on this machine, without any daemon.

The trees do not depend on the server: they have their own session, their output goes to a file, and
a record on disk is enough to find and end them again. All verbs may be called at once, by several
server processes on one folder; those on one workspace take turns.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from taskyard.drivers.base import LogSink, Observation, PlaceState, WorkspaceSpec
from taskyard.drivers.sandbox.abilities import Ground, ground_of, lacks
from taskyard.drivers.sandbox.cgroups.groups import find_cgroups
from taskyard.drivers.sandbox.disk import why_counted
from taskyard.drivers.sandbox.frozen import freeze, is_frozen
from taskyard.drivers.sandbox.launchers import Launchers
from taskyard.drivers.sandbox.limits import unheld
from taskyard.drivers.sandbox.orders import check_spec
from taskyard.drivers.sandbox.place import Place, Record, load_record, workspaces
from taskyard.drivers.sandbox.probe import try_walls
from taskyard.drivers.sandbox.process import send
from taskyard.drivers.sandbox.programs import find_programs
from taskyard.drivers.sandbox.runc import find_runc
from taskyard.drivers.sandbox.runtime import Bubblewrap, find_bubblewrap
from taskyard.drivers.sandbox.strays import end_strays
from taskyard.drivers.sandbox.trials import sweep_trials
from taskyard.drivers.sandbox.waiting import WORK_S, Locks, Threads, ended_within
from taskyard.drivers.sandbox.workspace import (
    GOES_ON,
    Maker,
    destroy,
    finish,
    go_on,
    is_later,
    look,
    runs,
    settle,
)
from taskyard.errors import DriverError, DriverUnavailable
from taskyard.lifecycle.walls import Backend, Wall
from taskyard.wire.enums import LogLevel

T = TypeVar("T")

LOOK_S = 3.0
"""Seconds to look at one workspace among all, which takes a millisecond; one that hangs must not hide the others."""

STRAYS_S = 20.0
"""Seconds to look through all processes of the machine and to end some, each within one."""

_UNCONFINED = "unconfined"
TRYING = "what this machine can do for workspaces"
"""What the work of finding out is about."""
_LAST_RESORT = (
    "To run workspaces without any walls, with all rights of this server, start it with "
    "--allow-unconfined."
)


class SandboxDriver:
    """Workspaces below root; each can reach the server only by the socket in link_dir.

    link_dir is bound into every workspace, read-only, as a folder, so that a new socket in it is seen.
    The server sees to it that every user may pass the folder and connect to the socket, and that no
    other process of the machine comes that far. root and link_dir must be on this machine's disks.
    allow_unconfined: where bubblewrap cannot run, make plain processes instead of refusing.
    agent_argv and bubblewrap replace the agent's command and the program found on this machine.
    programs are folders that every workspace sees, read-only, and finds programs in.
    """

    def __init__(
        self,
        root: Path,
        link_dir: Path,
        *,
        allow_unconfined: bool,
        agent_argv: Sequence[str] | None = None,
        bubblewrap: Path | None = None,
        programs: Sequence[str] = (),
    ) -> None:
        self._root = root.absolute()
        self._link_dir = link_dir.absolute()
        self._allow_unconfined = allow_unconfined
        self._agent_argv = agent_argv
        self._bubblewrap = Bubblewrap(bubblewrap, None) if bubblewrap else find_bubblewrap()
        self._programs = programs
        self._maker: Maker | None = None
        self._mode = "not tried yet"
        self._why_unconfined = ""
        self._threads = Threads()
        self._locks = Locks(self._threads)
        self._launchers = Launchers()
        self._ground: Ground | None = None
        (self._root / ".locks").mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def name(self) -> str:
        """The word that templates put behind `workspace.driver`."""
        return "sandbox"

    @property
    def mode(self) -> str:
        """How workspaces are confined here, for people to read; known after the first probe or ensure."""
        return self._mode

    @property
    def why_unconfined(self) -> str:
        """Why workspaces here have no walls; empty where they have them, known as mode is."""
        return self._why_unconfined

    @property
    def holds(self) -> str:
        """What of a template's limits the machine itself holds, by their words; known as mode is."""
        found = None if self._maker is None else self._maker.cgroups
        return "" if found is None else ", ".join(sorted(found.controllers))

    async def probe(self) -> None:
        """Nothing, after a program ran behind all walls, or where unconfined workspaces are allowed.

        Raises DriverUnavailable with cause and fix.
        """
        programs = find_programs(self._programs, self._root.parent)
        cgroups = await self._in_thread("control groups", partial(find_cgroups, self._root))
        await self._in_thread("control groups that were left", cgroups.sweep)
        await self._in_thread("trials that were left", partial(sweep_trials, self._root))
        tried = partial(try_walls, self._root, self._link_dir, self._bubblewrap, self._launchers)
        try:
            walls, version = await self._in_thread("the first workspace, which is a try", tried)
        except DriverUnavailable as error:
            if not self._allow_unconfined:
                raise DriverUnavailable(f"{error} {_LAST_RESORT}") from error
            self._why_unconfined = str(error)
            self._mode = _UNCONFINED
            self._maker = Maker(self._link_dir, None, self._agent_argv, programs, cgroups)
            return
        self._mode = f"{version} as root (uid per workspace)" if os.geteuid() == 0 else version
        walls = replace(walls, programs=programs, runc=find_runc())
        self._maker = Maker(self._link_dir, walls, self._agent_argv, programs, cgroups)

    async def lacks(self, walls: Collection[Wall]) -> Mapping[Wall, str]:
        """Those of the walls that workspaces cannot have here, with the cause and what to do.

        Each is tried at the first question about it.
        """
        if self._maker is None:
            await self.probe()
        if self._why_unconfined:
            return dict.fromkeys(walls, f"Nothing is confined here. {self._why_unconfined}")
        return await self._in_thread(TRYING, partial(self._lacking, walls))

    def _lacking(self, walls: Collection[Wall]) -> Mapping[Wall, str]:
        if self._ground is None:
            self._ground = ground_of(self._root, self._link_dir, self._bubblewrap)
            self._ground.launchers = self._launchers
        return lacks(self._ground, walls)

    async def ensure(self, spec: WorkspaceSpec, log: LogSink) -> None:
        """Returns once the workspace runs with the spec's generation and its agent was started.

        A lower generation is killed first, its home stays; the same one, running, is left alone.
        Raises DriverError, then nothing of this generation runs; also for a generation lower than
        the workspace's.
        """
        check_spec(spec)
        if self._maker is None:
            await self.probe()
        assert self._maker is not None  # probe raised otherwise
        async with self._held(spec.workspace_id) as place:
            work = partial(_started, self._maker, place, spec, self._launchers)
            woken, started, counted = await self._in_thread(place.about, work)
        if woken is not None:
            log(LogLevel.INFO if woken == GOES_ON else LogLevel.WARN, woken)
        self._tell(spec, log, counted, started=started)

    def _tell(self, spec: WorkspaceSpec, log: LogSink, counted: str, *, started: bool) -> None:
        verb = "was started" if started else "runs already"
        mode = self._mode
        if spec.backend is Backend.RUNC and not self._why_unconfined:
            mode = "runc"
        log(LogLevel.INFO, f"Workspace generation {spec.generation} {verb} ({mode}).")
        if self._mode == _UNCONFINED:
            log(
                LogLevel.WARN,
                "THIS WORKSPACE IS NOT CONFINED: its programs have all rights of the server, its "
                f"files and the network. {self._why_unconfined}",
            )
        assert self._maker is not None  # it started the workspace
        for sentence in unheld(spec.limits, self._maker.cgroups, counted):
            log(LogLevel.WARN, sentence)

    async def observe(self, workspace_id: UUID) -> Observation:
        """The workspace as it is now. Processes that outlived its agent are ended on the way."""
        place = self._place(workspace_id)
        seen = await self._in_thread(place.about, partial(look, place, workspace_id))
        if seen is not None:
            return seen
        async with self._held(workspace_id) as place:
            return await self._in_thread(place.about, partial(settle, place, workspace_id))

    async def stop(self, workspace_id: UUID, *, grace_s: float, up_to: int | None = None) -> None:
        """Returns once no process of the workspace is left; its home directory stays.

        The agent gets SIGTERM and grace_s seconds to end by itself, then everything is killed.
        A workspace of a generation above up_to is left alone.
        """
        place = self._place(workspace_id)
        if not await self._in_thread(place.about, place.folder.is_dir):
            return
        async with self._held(workspace_id):
            record = await self._in_thread(place.about, partial(_ask_to_end, place, up_to))
            if record is None:
                return
            assert record.agent is not None
            in_time = await ended_within(record.agent, grace_s)
            cause = "stopped" if in_time else f"stopped; killed after {grace_s:g} s of grace"
            await self._in_thread(place.about, partial(finish, place, record, cause))

    async def freeze(self, workspace_id: UUID, *, up_to: int | None = None) -> None:
        """Returns once every process of the workspace stands still, and is kept. Raises CannotFreeze.

        A workspace of a generation above up_to is left alone.
        """
        async with self._held(workspace_id) as place:
            await self._in_thread(place.about, partial(freeze, place, up_to))

    async def destroy(self, workspace_id: UUID, *, up_to: int | None = None) -> None:
        """Returns once processes, files and the driver's own record of the workspace are gone.

        A workspace of a generation above up_to is left alone.
        """
        async with self._held(workspace_id) as place:
            await self._in_thread(place.about, partial(destroy, place, workspace_id, up_to))

    def _place(self, workspace_id: UUID) -> Place:
        return Place(self._root, str(workspace_id))

    @asynccontextmanager
    async def _held(self, workspace_id: UUID) -> AsyncIterator[Place]:
        place = self._place(workspace_id)
        async with self._locks.hold(place):
            try:
                yield place
            finally:
                if not self._threads.left(place.about):
                    drop = partial(_drop_lock_of_nothing, place)
                    with suppress(DriverError):  # an empty file stays
                        await self._in_thread(place.about, drop, within_s=LOOK_S)

    async def _in_thread(self, about: str, work: Callable[[], T], *, within_s: float = WORK_S) -> T:
        """What the work returns. Raises DriverError for whatever the file system refuses, or never answers."""
        try:
            return await self._threads.to_end(about, work, within_s=within_s)
        except OSError as error:
            raise DriverError(
                f"The machine refused something that workspaces in {self._root} need: {error}. "
                "Look at rights and free space there, then try again."
            ) from error

    async def list(self) -> Sequence[Observation]:
        """Every workspace this driver holds a folder of, in no order; one that is damaged or hangs hides no others."""
        ids = await self._glance(
            f"the folder {self._root}", partial(workspaces, self._root), LOOK_S
        )
        return [await self._seen(workspace_id) for workspace_id in ids]

    async def strays(self) -> Sequence[str]:
        """What is there without a record, a sentence each; processes that are certainly ours were ended.

        Raises DriverError.
        """
        about = f"what lies in {self._root}"
        return await self._glance(about, partial(end_strays, self._root), STRAYS_S)

    async def _glance(self, about: str, work: Callable[[], T], within_s: float) -> T:
        """What the work returns; raises DriverError at once where such work was left behind."""
        self._threads.refuse(about)
        return await self._in_thread(about, work, within_s=within_s)

    async def _seen(self, workspace_id: UUID) -> Observation:
        try:
            self._threads.refuse(self._place(workspace_id).about)
            async with asyncio.timeout(LOOK_S):
                return await self.observe(workspace_id)
        except DriverError as error:
            detail = str(error)
        except TimeoutError:
            detail = f"It could not be seen within {LOOK_S:g} s."
        return Observation(workspace_id, PlaceState.UNKNOWN, 0, detail)


def _started(
    maker: Maker, place: Place, spec: WorkspaceSpec, launchers: Launchers
) -> tuple[str | None, bool, str]:
    """What became of a workspace that stood still, whether this one was started, and why its disk is only counted."""
    woken = go_on(place, spec)
    started = maker.start(place, spec, launchers)
    return woken, started, why_counted(place, walls=maker.walls is not None)


def _drop_lock_of_nothing(place: Place) -> None:
    """Nothing; whoever waited while a workspace was destroyed made its lock anew, and nobody else would remove it."""
    if not place.folder.exists():
        place.lock.unlink(missing_ok=True)


def _ask_to_end(place: Place, up_to: int | None) -> Record | None:
    """The record of a workspace whose agent was told to end; None when nothing runs any more that should."""
    record = load_record(place)
    if record is None or record.monitor is None or is_later(record, up_to):
        return None
    if not runs(record):
        finish(place, record, "")
        return None
    if is_frozen(place, record):  # it could not act on the signal, and its token is dead
        finish(place, record, "ended while it was frozen")
        return None
    assert record.agent is not None
    send(record.agent, signal.SIGTERM)
    return record
