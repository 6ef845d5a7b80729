"""How this server and all that it works with are, for those who run it."""

import asyncio
import shutil
import time
from datetime import datetime
from pathlib import Path

from msgspec.structs import replace

from taskyard.config import Role
from taskyard.control.actors import Actor
from taskyard.control.admission import max_running
from taskyard.control.services import Services
from taskyard.db import health as db
from taskyard.errors import Forbidden
from taskyard.lifecycle.health import problems
from taskyard.lifecycle.permissions import Verb, can
from taskyard.wire import health as wire
from taskyard_agent import __version__


async def read_health(services: Services, actor: Actor, now: datetime) -> wire.Health:
    """All of it as of now: a few questions to the database, nothing that takes long. Raises Forbidden."""
    if not can(actor, Verb.SERVER_READ, None, None):
        raise Forbidden("see how this server is")
    async with services.db.connection() as conn:
        began = time.monotonic()  # the loop's own clock counts milliseconds
        await db.ask_nothing(conn)
        latency_ms = (time.monotonic() - began) * 1000
        figures = await db.get_figures_as_system(conn)
        servers = [_server(row) for row in await db.list_servers_as_system(conn)]
        workers = [_worker(row) for row in await db.list_workers_as_system(conn)]
    seen = wire.Health(
        at=now,
        version=__version__,
        server_id=services.host_id,
        database=wire.DatabaseHealth(
            version=figures.version, latency_ms=round(latency_ms, 1), size_bytes=figures.size_bytes
        ),
        servers=servers,
        workers=workers,
        jobs=wire.JobsHealth(
            queued=figures.queued,
            running=figures.running,
            oldest_queued_at=figures.oldest_queued_at,
        ),
        workspaces=wire.WorkspacesHealth(
            running=figures.taken, waiting=figures.waiting, max_running=_places(services, servers)
        ),
        drivers=list(services.drivers),
        disk=await asyncio.to_thread(_disk, services.settings.data_dir),
        problems=[],
    )
    return replace(seen, problems=problems(seen))


def _places(services: Services, servers: list[wire.ServerHealth]) -> int | None:
    """How many workspaces may run, as far as this server alone decides."""
    others = [s for s in servers if s.status is wire.Presence.UP and s.id != services.host_id]
    if others or Role.WORKER not in services.settings.roles:
        return None
    return max_running(services.settings)


def _server(row: db.ServerRow) -> wire.ServerHealth:
    return wire.ServerHealth(
        id=row.id,
        hostname=row.name,
        status=_presence(is_up=row.is_up),
        roles=sorted(row.roles),
        version=row.version,
        started_at=row.started_at,
        last_seen_at=row.seen_at,
        links=row.links,
        workspaces=row.workspaces,
    )


def _worker(row: db.WorkerRow) -> wire.WorkerHealth:
    return wire.WorkerHealth(
        id=row.id,
        name=row.name,
        status=_presence(is_up=row.is_up),
        last_seen_at=row.seen_at,
        running=row.running,
        capacity=row.capacity,
    )


def _presence(*, is_up: bool) -> wire.Presence:
    return wire.Presence.UP if is_up else wire.Presence.AWAY


def _disk(data_dir: str) -> wire.DiskHealth | None:
    """The disk of a folder; None where that cannot be seen, which other things then say louder."""
    folder = Path(data_dir).absolute()
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return wire.DiskHealth(path=str(folder), free_bytes=usage.free, size_bytes=usage.total)
