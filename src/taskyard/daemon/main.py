"""The composition root: a server from its settings, from the first file to the last process.

One process answers requests, holds agent links, runs jobs and repairs; a Postgres of our own is its
child. Workspaces are nobody's children: SIGTERM leaves them running and the next server finds them,
Ctrl-C pauses them first.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID, uuid5

import structlog
import uvloop

from taskyard.config import Role, Settings, load_settings
from taskyard.control import build_run, template_import
from taskyard.control.reaper import Reaper
from taskyard.control.reconciler import Reconciler
from taskyard.control.services import Services
from taskyard.control.shutdown import counting_on, pause_all, stop_what_is_left
from taskyard.control.starters import keep_starters
from taskyard.control.worker import Executor, Worker
from taskyard.daemon.answering import Answering
from taskyard.daemon.complaints import exit_status
from taskyard.daemon.database import deployment_of, open_database
from taskyard.daemon.datadir import DataDir
from taskyard.daemon.guard import raise_file_limit
from taskyard.daemon.logs import configure_logs
from taskyard.daemon.notify import notify
from taskyard.daemon.place import claim_place
from taskyard.daemon.reach import Sockets, open_sockets
from taskyard.daemon.secret_key import claim_key
from taskyard.daemon.services import make_services
from taskyard.daemon.tls import Certificate, certificate
from taskyard.db.jobs import JobKind
from taskyard.drivers.base import Driver
from taskyard.drivers.echo.driver import EchoDriver
from taskyard.drivers.sandbox.driver import SandboxDriver
from taskyard.errors import DriverError, StartupError
from taskyard.lifecycle.walls import Wall
from taskyard.wire.health import DriverHealth
from taskyard_agent import points

log = structlog.get_logger()

PAUSE_MARGIN_S = 1.0
"""Time for the bookkeeping of pausing, on top of the grace that agents get; 10 s in all is the promise."""

DATABASE_S = 5.0
"""Seconds after which what ends waits for the database no more: requests have 4 until they are cut off, and a
Postgres of our own needs the rest of the ten."""

LIMITS = (Wall.CPU, Wall.MEMORY, Wall.PROCESSES)
"""What of a template's limits a machine may hold, of the words that a driver has for what it holds."""

EXECUTORS: Mapping[str, Executor] = {
    JobKind.IMPORT: template_import.import_version,
    JobKind.BUILD: build_run.run_build,
    JobKind.REPAIR: build_run.run_repair,
}


@dataclass(slots=True)
class Stop:
    """How the server was told to stop: by hand means that no workspace is left; twice, that it hurries."""

    told: asyncio.Event
    told_again: asyncio.Event
    by_hand: bool = False

    def tell(self, *, by_hand: bool) -> None:
        """Told once more, there is no waiting for workspaces."""
        if self.told.is_set():
            self.told_again.set()
        self.by_hand = self.by_hand or by_hand
        self.told.set()


def run_server(flags: Mapping[str, object], config_file: Path | None) -> int:
    """Runs a server until it is told to stop; the exit status, 1 when it could not start."""

    def work() -> None:
        settings = load_settings(flags, os.environ, config_file)
        configure_logs(settings)
        raise_file_limit()
        points.listen_to_own(os.environ.get(points.VARIABLE))
        uvloop.run(serve(settings))

    return exit_status(work, StartupError)


async def serve(settings: Settings) -> None:
    """A server from start to stop. Raises StartupError."""
    stop = Stop(asyncio.Event(), asyncio.Event())
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, lambda: stop.tell(by_hand=True))
    loop.add_signal_handler(signal.SIGTERM, lambda: stop.tell(by_hand=False))
    async with AsyncExitStack() as stack:
        # A worker beside a server shares its data directory; one that joined has its own.
        is_alone = Role.API in settings.roles or settings.join
        data = stack.enter_context(DataDir(Path(settings.data_dir), attach=not is_alone))
        tls = certificate(settings)
        if (
            tls is not None and not sys.stdin.isatty()
        ):  # of a terminal that is closed the server ends
            loop.add_signal_handler(signal.SIGHUP, tls.told.set)
        sockets = open_sockets(settings, data, tls) if is_alone else None
        db = await stack.enter_async_context(open_database(settings, data))
        deployment = await deployment_of(db)
        services = make_services(settings, data, db, deployment_id=deployment.id)
        if is_alone:
            await claim_place(db, data)
            await claim_key(services)
        drivers = await _drivers(settings, data)
        services = replace(services, unconfined=_is_open(drivers), drivers=_found(drivers))
        async with asyncio.TaskGroup() as group:
            running = Running(group, services, drivers)
            if sockets is not None:
                running.answering = Answering(
                    group, services, sockets, deployment.peer_key, place=data.place
                )
            await running.start(sockets, tls)
            notify("READY=1")
            await stop.told.wait()
            notify("STOPPING=1")
            await running.stop(stop)


class Running:
    """A server's loops while they run, and the order in which they end."""

    def __init__(
        self, group: asyncio.TaskGroup, services: Services, drivers: Mapping[str, Driver]
    ) -> None:
        self._group = group
        self._services = services
        self._drivers = drivers
        self._loops: list[asyncio.Task[None]] = []
        self.answering: Answering | None = None

    async def start(self, sockets: Sockets | None, tls: Certificate | None) -> None:
        """Returns once requests are answered; says so on stdout, for whoever started the server."""
        services = self._services
        self._loop(services.doorbell.run())
        if self.answering is not None:
            await self.answering.start(tls)
        if Role.API in services.settings.roles and services.settings.starter_templates:
            self._loop(keep_starters(services))
        if Role.WORKER in services.settings.roles:
            worker = Worker(
                services,
                self._drivers,
                EXECUTORS,
                os.uname().nodename,
                worker_id=_worker_id(services),
            )
            self._loop(worker.run())
            for driver in self._drivers.values():
                if isinstance(driver, EchoDriver):
                    self._loop(driver.run())
            self._loop(Reconciler(services, self._drivers).run())
            self._loop(Reaper(services).run())
        host = sockets.address if sockets is not None else "worker"
        sys.stdout.write(f"ready {host}\n")
        sys.stdout.flush()
        log.info("server.ready", address=host, **services.settings.shown())

    async def stop(self, stop: Stop) -> None:
        """Ends everything in order; workspaces first when a person stops the server. Postgres holds nothing up."""
        async with counting_on(self._services.db):
            await self._stop(stop)

    async def _stop(self, stop: Stop) -> None:
        pausing = stop.by_hand and Role.WORKER in self._services.settings.roles
        log.info("server.stopping", workspaces="are paused" if pausing else "go on")
        if pausing:
            await self._pause(stop.told_again)
        loop = asyncio.get_running_loop()
        patience = loop.call_later(DATABASE_S, self._services.db.abandon)
        if self.answering is not None:
            await self.answering.stop()
        for work in self._loops:
            work.cancel()
        await asyncio.wait(self._loops)
        patience.cancel()
        if pausing and (left := await stop_what_is_left(self._drivers)):
            log.warning("server.workspaces_cut", count=left)

    async def _pause(self, hurry: asyncio.Event) -> None:
        """Returns once no workspace runs, or when time or somebody's patience is over."""
        within_s = self._services.settings.stop_grace_s + PAUSE_MARGIN_S
        if not await pause_all(self._services, within_s=within_s, hurry=hurry):
            log.warning("server.pausing_cut_short", by_hand=hurry.is_set())

    def _loop(self, work: Coroutine[None, None, None]) -> None:
        self._loops.append(self._group.create_task(work))


async def _drivers(settings: Settings, data: DataDir) -> dict[str, Driver]:
    """The drivers of this machine by name; none for a process that runs no jobs."""
    if Role.WORKER not in settings.roles:
        return {}
    sandbox = SandboxDriver(
        data.workspaces,
        data.link_socket.parent,
        allow_unconfined=settings.allow_unconfined,
        programs=settings.programs,
    )
    try:
        await sandbox.probe()
    except DriverError as error:
        raise StartupError(str(error)) from error
    log.info("driver.ready", driver=sandbox.name, mode=sandbox.mode, holds=sandbox.holds)
    if sandbox.why_unconfined:
        log.warning(
            "WORKSPACES ARE NOT CONFINED",
            allowed_by="--allow-unconfined",
            cause=sandbox.why_unconfined,
        )
    echo = EchoDriver(data.path / "echo", f"unix:{data.link_socket}")
    return {sandbox.name: sandbox, echo.name: echo}


def _is_open(drivers: Mapping[str, Driver]) -> bool:
    """Whether workspaces of this server have no walls."""
    found = drivers.values()
    return any(isinstance(driver, SandboxDriver) and driver.why_unconfined for driver in found)


def _found(drivers: Mapping[str, Driver]) -> tuple[DriverHealth, ...]:
    """What was found of the drivers that run programs."""
    return tuple(
        DriverHealth(
            name=driver.name,
            mode=driver.mode,
            confined=not driver.why_unconfined,
            limits=[word for word in LIMITS if word in driver.holds.split(", ")],
            problem=driver.why_unconfined or None,
        )
        for driver in drivers.values()
        if isinstance(driver, SandboxDriver)
    )


def _worker_id(services: Services) -> UUID | None:
    """The same at every start, for the server that has its directory to itself; None for others."""
    if Role.API not in services.settings.roles and not services.settings.join:
        return None
    return uuid5(services.host_id, "worker")
