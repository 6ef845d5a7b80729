"""The bridge: a coding agent behind AgentAPI, with its conversation on disk."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from taskyard_agent.bridge.acp_keeper import AcpKeeper
from taskyard_agent.bridge.acp_session import AcpSession
from taskyard_agent.bridge.record import Log, Record
from taskyard_agent.bridge.recover import rebuild, settle_prompts
from taskyard_agent.bridge.session import Keeper, Place, Session
from taskyard_agent.bridge.updates import Updates
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
    bridge listens on, by the port that its url names.
    """

    home: Path
    url: str
    place: Place
    floor: int
    ports: dict[int, int]
    log: Log
    on_health: Callable[[str], None]


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
        folder = self._order.home / FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        self._journal = await _open_journal(folder / "transcript.jsonl")
        self._journal.raise_to(self._order.floor)
        return self._journal

    @property
    def record(self) -> Record | None:
        """The conversation; None before run()."""
        return None if self._session is None else self._session.record

    async def run(self) -> None:
        """Serves until close()."""
        assert self._journal is not None
        record = Record(self._journal, _now)
        on_disk = rebuild(record)
        file = SessionFile(self._order.home / FOLDER / "session.json")
        try:
            async with asyncio.TaskGroup() as tasks:
                updates = Updates(record, self._order.log)
                self._session = session = AcpSession(record, file, updates, tasks)
                await settle_prompts(record, file, on_disk)
                self._keeper = AcpKeeper(
                    self._order.place, session, self._order.log, self._on_health
                )
                keeping = tasks.create_task(self._keeper.run())
                # Gives the agent's process its start before this one is busy with imports.
                await asyncio.sleep(0)
                await self._serve(session)
                keeping.cancel()
        finally:
            self._closed.set()

    async def _serve(self, session: Session) -> None:
        # Imported here: that takes 70 ms, in which the coding agent starts.
        from taskyard_agent.bridge.serving import Serving

        wanted = urlsplit(self._order.url).port or DEFAULT_PORT
        serving = Serving(session, self._order.place.agent.type, wanted)
        try:
            await serving.start()
            self._order.ports[wanted] = serving.port
            if serving.port != wanted:
                told = f"Port {wanted} is taken; the bridge listens on {serving.port}."
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


async def _open_journal(path: Path) -> Journal:
    deadline = asyncio.get_running_loop().time() + BUSY_S
    while True:
        try:
            return Journal(path)
        except JournalBusy:
            if asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(BUSY_POLL_S)


def _now() -> datetime:
    return datetime.now(UTC)
