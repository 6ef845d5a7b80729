"""Several servers on one database: signs of life, whose link is where, and what is out of reach.

A data directory is a host: workspaces stay where their files are, and the one server of that directory holds
their links. The others learn here where a link is, and which host is gone.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec
import structlog

from taskyard.control.services import Services
from taskyard.control.transcript import append_server_item, end_observation
from taskyard.db import jobs, observed, runs
from taskyard.db import servers as db
from taskyard.db import transcript as transcript_db
from taskyard.db.pool import Database
from taskyard.db.servers import ReturnedRow, Server, StrandedRow
from taskyard.errors import DatabaseAway, DatabaseBusy, HeldElsewhere
from taskyard.lifecycle.job import SERVER_BEAT_S
from taskyard.wire.enums import LogLevel, LogSource, Transition
from taskyard.wire.link import AgentState, ItemKind, StateNews

log = structlog.get_logger()

BEAT_TROUBLE = (TimeoutError, DatabaseAway, DatabaseBusy, asyncpg.PostgresError)
"""What may keep a sign of life from being given; the next one comes."""

LEAST_PAUSE_S = 0.1
"""Seconds between two looks at links that somebody else may hold by now."""

LEAVE_S = 2.0
"""Seconds a server that ends has to say so; else its silence says it."""

AWAY = "Server away"
"""The stage of the line that says, once an absence, that the host of a workspace is gone."""

OUT_OF_REACH = "away"
"""The session of a coding agent that is said to have failed only because its host is gone."""

WATCHED_S = 2 * SERVER_BEAT_S
"""Seconds without a sign of life that another server must have seen itself before it tells of a host: the database's
clock may have been set, or nobody could reach it, and then those who live give one within these."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where agents' links are that this server does not hold."""

    db: Database
    server_id: UUID

    async def find(self, agent_id: UUID) -> HeldElsewhere | None:
        """The living server that holds the link; None when none does, or this one is said to."""
        async with self.db.connection() as conn:
            row = await db.find_agent_as_system(conn, agent_id)
        if row is None or row.server_id == self.server_id:
            return None
        return HeldElsewhere(agent_id, row.server_id, row.url)

    async def blame(self, agent_id: UUID) -> str:
        """Why the link is nowhere, where the whole host is gone; else empty."""
        async with self.db.connection() as conn:
            row = await db.find_absent_host_as_system(conn, agent_id)
        return "" if row is None else away_sentence(row.name, row.seen_at)


class Presence:
    """Our place among the servers: its signs of life, and links that it only thinks it holds."""

    def __init__(self, services: Services, server: Server) -> None:
        self._services = services
        self._server = server
        self._others = 0
        self._wake = asyncio.Event()

    async def arrive(self) -> None:
        """The others know of this server from now on, and of no earlier one of its data directory."""
        async with self._services.db.transaction() as conn:
            await db.forget_servers_as_system(conn, self._server)
            self._others = await db.beat_server(conn, self._server)
            adopted = await db.adopt_workspaces_as_system(conn, self._server.host_id)
        log.info("server.arrived", url=self._server.url, others=self._others, adopted=adopted)

    async def run(self) -> None:
        """Gives signs of life until cancelled."""
        clock = asyncio.get_running_loop().time
        async with self._services.doorbell.on("agent", self._rung):
            due = clock() + SERVER_BEAT_S
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(due):
                        await self._wake.wait()
                        await asyncio.sleep(LEAST_PAUSE_S)
                self._wake.clear()
                try:
                    if clock() >= due:
                        due = clock() + SERVER_BEAT_S
                        await self._beat()
                    await self._let_go()
                except BEAT_TROUBLE as error:
                    log.warning("server.no_database", cause=repr(error))

    async def leave(self) -> None:
        """The others stop asking this server for anything."""
        with suppress(*BEAT_TROUBLE):
            async with asyncio.timeout(LEAVE_S), self._services.db.connection() as conn:
                await db.remove_server(conn, self._server.id)

    def _rung(self, subject: str) -> None:
        """An agent connected somewhere; which matters here if its link is held, and if there are others."""
        if self._others and (not subject or self._services.links.holds(UUID(subject))):
            self._wake.set()

    async def _beat(self) -> None:
        async with self._services.db.connection() as conn:
            self._others = await db.beat_server(conn, self._server)

    async def _let_go(self) -> None:
        """Hangs up on agents that have connected to another server since."""
        held = self._services.links.held() if self._others else []
        if not held:
            return
        async with self._services.db.connection() as conn:
            gone = await db.list_agents_elsewhere_as_system(conn, held, self._server.id)
        for agent_id in gone:
            log.info("link.moved", agent_id=str(agent_id))
            self._services.links.hang_up(agent_id)


class Absences:
    """What is told of workspaces whose host is gone, and taken back once it is there again."""

    def __init__(self, services: Services, *, watched_s: float = WATCHED_S) -> None:
        self._services = services
        self._watched_s = watched_s
        self._watched: dict[UUID, tuple[datetime, float]] = {}

    async def look(self, now: datetime) -> int:
        """Tells of them: in the log of what waits for the host, and as what the coding agent does.

        Once an absence, by whichever server looks first. Returns how many were told of. The agents of such a host have
        ended by themselves: their lease is the time it is given.
        """
        services = self._services
        away = timedelta(seconds=services.settings.agent_lease_s)
        async with services.db.connection() as conn:
            rows = await db.list_stranded_as_system(conn, services.host_id, away, AWAY)
            returned = await db.list_returned_as_system(conn, services.host_id, OUT_OF_REACH)
        gone = [row for row in rows if row.host_id in self._silent(rows)]
        for row in gone:
            await _tell(services, row, now)
        for workspace in returned:
            await _take_back(services, workspace, now)
        return len(gone)

    def _silent(self, rows: list[StrandedRow]) -> set[UUID]:
        """Those of their hosts that have given no sign of life for as long as they were watched."""
        clock = asyncio.get_running_loop().time()
        seen = {row.host_id: row.seen_at for row in rows}
        self._watched = {
            host_id: before
            if (before := self._watched.get(host_id)) is not None and before[0] == seen_at
            else (seen_at, clock)
            for host_id, seen_at in seen.items()
        }
        return {h for h, (_, since) in self._watched.items() if clock - since >= self._watched_s}


async def _take_back(services: Services, row: ReturnedRow, now: datetime) -> None:
    """The coding agent does what its bridge told last: that tells changes only."""
    async with services.db.transaction() as conn:
        held = await transcript_db.lock_workspace_as_system(conn, row.workspace_id)
        stored = await observed.get_observation_as_system(conn, row.task_id)
        if held is None or stored.session != OUT_OF_REACH:
            return
        news = _news(await db.get_told_state_as_system(conn, row.task_id, held.generation))
        if news is None:
            return
        await append_server_item(conn, row.workspace_id, ItemKind.STATE, news, now=now)
    log.info("workspace.back", workspace_id=str(row.workspace_id))


def _news(told: bytes | None) -> StateNews | None:
    """A state that a bridge told; None for none, and for words that are ours: a workspace may send anything."""
    try:
        news = None if told is None else msgspec.json.decode(told, type=StateNews)
    except (ValueError, RecursionError):
        return None
    return None if news is None or news.session == OUT_OF_REACH else news


async def _tell(services: Services, row: StrandedRow, now: datetime) -> None:
    text = f"{away_sentence(row.name, row.seen_at)}. {WAY_OUT}"
    async with services.db.transaction() as conn:
        place = await runs.lock_place(conn, row.workspace_id)
        if place is None:
            return
        if await runs.has_log_stage(conn, place.job_id, AWAY, since=row.seen_at):
            return
        line = (now, LogSource.PROVISIONER_DAEMON, LogLevel.ERROR, AWAY, text)
        await jobs.append_job_logs(conn, place.job_id, [line])
        if place.transition is Transition.START:
            news = StateNews(AgentState.FAILED, OUT_OF_REACH, reason=_in_short(row))
            await end_observation(conn, place.workspace_id, news, now)
        await jobs.ring_changed(conn, place.workspace_id, place.build_id)
    log.error("workspace.host_away", workspace_id=str(row.workspace_id), host=row.name)


def _in_short(row: StrandedRow) -> str:
    """The same in the few characters that a task's state has."""
    host = row.name or "the first machine"
    return (
        f"The server on {host} is away since {row.seen_at:%Y-%m-%d %H:%M} UTC. Start it again, or delete the "
        "task with --force."
    )


WAY_OUT = (
    "Start it again, and all goes on; or delete the task with --force, which gives its files up."
)
"""What to do about a host that is gone."""


def away_sentence(name: str, seen_at: datetime) -> str:
    """Which host is gone, and since when; without a full stop."""
    return (
        f"the server on {name or 'the first machine'}, which holds this workspace, has not been heard of since "
        f"{seen_at:%Y-%m-%d %H:%M:%S} UTC"
    )
