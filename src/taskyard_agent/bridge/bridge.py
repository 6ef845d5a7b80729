"""The bridge: a coding agent behind AgentAPI, with its conversation on disk."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from taskyard_agent.bridge.launch import launch
from taskyard_agent.bridge.life import Life
from taskyard_agent.bridge.options import Options
from taskyard_agent.bridge.parts import Parts
from taskyard_agent.bridge.port import LOOPBACK, bind, port_of
from taskyard_agent.bridge.record import Log, Record
from taskyard_agent.bridge.recover import rebuild, settle_prompts
from taskyard_agent.bridge.session import Keeper, Place, Session
from taskyard_agent.bridge.terminal_options import TerminalOptions
from taskyard_agent.journal import Journal, JournalBusy, SessionFile

FOLDER = ".taskyard"
"""Where in the home directory transcript and session lie; 0700."""

DEFAULT_PORT = 3284
"""AgentAPI's port, for an app whose url names none."""

BUSY_S = 10.0
BUSY_POLL_S = 0.1
"""Seconds that the last run of this workspace may take to let go of the transcript, and how often to look."""


@dataclass(frozen=True, slots=True)
class BridgeOrder:
    """What a bridge is to do.

    floor: item numbers start above it, because the server holds those. ports: gets the port that the
    bridge listens on, by the port that its url names. folder: where its files lie, null for the usual
    place in the home directory. listening: a socket that is bound already, null for one of the loopback.
    warning: to be told to everybody who listens, now and later.
    """

    home: Path
    url: str
    place: Place
    floor: int
    ports: dict[int, int]
    log: Log
    on_health: Callable[[str], None]
    options: Options = field(default_factory=Options)
    terminal: TerminalOptions = field(default_factory=TerminalOptions)
    life: Life = field(default_factory=Life)
    folder: Path | None = None
    listening: socket.socket | None = None
    warning: str = ""


class Bridge:
    """One run of a bridge: open(), run() until close(); stop() ends the turn before."""

    def __init__(self, order: BridgeOrder) -> None:
        self._order = order
        self._journal: Journal | None = None
        self._session: Session | None = None
        self._keeper: Keeper | None = None
        self._closing = asyncio.Event()
        self._closed = asyncio.Event()
        self._health: str | None = None
        self._listening = False

    async def open(self) -> Journal:
        """The transcript, ready to be read and written by this bridge. Raises JournalBusy, OSError."""
        folder = self._folder
        folder.mkdir(mode=0o700, exist_ok=True)
        self._journal = await open_journal(
            folder / "transcript.jsonl", self._order.options.limits.transcript_bytes
        )
        self._journal.raise_to(self._order.floor)
        return self._journal

    @property
    def record(self) -> Record | None:
        """The conversation; None before run()."""
        return None if self._session is None else self._session.record

    @property
    def file(self) -> SessionFile | None:
        """What is remembered of the session; None before run()."""
        return None if self._session is None else self._session.file

    async def run(self) -> None:
        """Serves until close()."""
        assert self._journal is not None
        record = Record(self._journal, _now)
        rebuilt = rebuild(record)
        file = SessionFile(self._folder / "session.json")
        listening = self._order.listening or bind(
            self._wanted_port
        )  # first: the coding agent is told the port
        try:
            async with asyncio.TaskGroup() as tasks:
                parts = Parts(
                    place=self._order.place,
                    launch=launch(self._order.place.agent, self._order.place.env),
                    url=f"http://{LOOPBACK}:{port_of(listening)}",
                    token=self._order.options.token,
                    record=record,
                    file=file,
                    tasks=tasks,
                    log=self._order.log,
                    on_health=self._on_health,
                    cut_off=rebuilt.cut_off,
                    life=self._order.life,
                    tool_bytes=self._order.options.limits.tool_bytes,
                    inline_tools=self._order.options.inline_tools,
                )
                session, self._keeper = self._make(parts)
                self._session = session
                if self._order.warning:
                    record.fault(self._order.warning, level="warning")
                await settle_prompts(record, file, rebuilt.prompts)
                keeping = tasks.create_task(self._keeper.run())
                # Gives the agent's process its start before this one is busy with imports.
                await asyncio.sleep(0)
                await self._serve(session, listening, tasks)
                keeping.cancel()
        finally:
            self._closed.set()

    def _make(self, parts: Parts) -> tuple[Session, Keeper]:
        """The session by its transport; the other one is never loaded. Source: N1."""
        if parts.launch.transport == "acp":
            # Imported here: see above.
            from taskyard_agent.bridge.acp_made import make_acp

            return make_acp(parts)
        # Imported here: as above.
        from taskyard_agent.bridge.terminal_keeper import make_terminal

        return make_terminal(parts, self._order.terminal, self._folder)

    @property
    def _folder(self) -> Path:
        return self._order.folder or self._order.home / FOLDER

    @property
    def _wanted_port(self) -> int:
        return urlsplit(self._order.url).port or DEFAULT_PORT

    async def _serve(
        self, session: Session, listening: socket.socket, tasks: asyncio.TaskGroup
    ) -> None:
        # Imported here: that takes 70 ms, in which the coding agent starts.
        from taskyard_agent.bridge.serving import Serving, Setup

        wanted, port = self._wanted_port, port_of(listening)
        setup = Setup(self._order.options, self._folder)
        serving = Serving(session, self._order.place.agent.type, listening, setup)
        try:
            await serving.start(tasks)
            self._order.ports[wanted] = port
            if port != wanted:
                told = f"Port {wanted} is taken; the bridge listens on {port}."
                self._order.log("warn", told)
            self._listening = True
            if self._health is not None:
                self._order.on_health(self._health)
            await self._closing.wait()
        finally:
            await serving.close()

    def _on_health(self, health: str) -> None:
        """Passes the agent's health on, once whoever hears of it can also reach it."""
        self._health = health
        if self._listening:
            self._order.on_health(health)

    async def stop(self, grace_s: float) -> None:
        """No turn runs any more and no prompt is taken; reading goes on. Source: N20."""
        if self._session is not None:
            await self._session.stop(grace_s)

    async def end_agent(self, grace_s: float) -> None:
        """The coding agent's processes are gone."""
        if self._keeper is not None:
            await self._keeper.stop(grace_s)

    async def close(self) -> None:
        """run() has returned and everything is on stable storage."""
        self._closing.set()
        if self._session is not None:
            await self._closed.wait()
        if self._journal is not None:
            await self._journal.close()


async def open_journal(path: Path, max_bytes: int) -> Journal:
    """The transcript, as soon as the last run has let go of it. Raises JournalBusy, OSError."""
    deadline = asyncio.get_running_loop().time() + BUSY_S
    while True:
        try:
            return Journal(path, max_bytes)
        except JournalBusy:
            if asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(BUSY_POLL_S)


def _now() -> datetime:
    return datetime.now(UTC)
