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
import structlog

from taskyard.control.services import Services
from taskyard.control.transcript import end_observation
from taskyard.db import jobs, runs
from taskyard.db import servers as db
from taskyard.db.pool import Database
from taskyard.db.servers import Server, StrandedRow
from taskyard.errors import DatabaseAway, DatabaseBusy, HeldElsewhere
from taskyard.lifecycle.job import SERVER_BEAT_S
from taskyard.wire.enums import LogLevel, LogSource, Transition
from taskyard.wire.link import AgentState, StateNews

log = structlog.get_logger()

BEAT_TROUBLE = (TimeoutError, DatabaseAway, DatabaseBusy, asyncpg.PostgresError)
"""What may keep a sign of life from being given; the next one comes."""

LEAST_PAUSE_S = 0.1
"""Seconds between two looks at links that somebody else may hold by now."""

LEAVE_S = 2.0
"""Seconds a server that ends has to say so; else its silence says it."""

AWAY = "Server away"
"""The stage of the line that says, once a build, that the host of a workspace is gone."""


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


async def report_stranded(services: Services, now: datetime) -> int:
    """Tells of workspaces whose host is gone: in the log of what waits for it, and as what the coding agent does.

    Once a build, by whichever server looks first. Returns how many were told of. The agents of such a host have ended
    by themselves: their lease is the time it is given.
    """
    away = timedelta(seconds=services.settings.agent_lease_s)
    async with services.db.connection() as conn:
        rows = await db.list_stranded_as_system(conn, away, AWAY)
    for row in rows:
        await _tell(services, row, now)
    return len(rows)


async def _tell(services: Services, row: StrandedRow, now: datetime) -> None:
    text = f"{away_sentence(row.name, row.seen_at)}. {WAY_OUT}"
    async with services.db.transaction() as conn:
        place = await runs.lock_place(conn, row.workspace_id)
        if place is None or await runs.has_log_stage(conn, place.job_id, AWAY):
            return
        line = (now, LogSource.PROVISIONER_DAEMON, LogLevel.ERROR, AWAY, text)
        await jobs.append_job_logs(conn, place.job_id, [line])
        if place.transition is Transition.START:
            news = StateNews(AgentState.FAILED, "error", reason=_in_short(row))
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
