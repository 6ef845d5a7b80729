"""How a server and all that it works with are: for those who run it. All of it is ours."""

from enum import StrEnum
from uuid import UUID

import msgspec

from taskyard.wire.base import Time


class Presence(StrEnum):
    """Whether a server or a worker gave its signs of life lately."""

    UP = "up"
    AWAY = "away"


class Severity(StrEnum):
    """error: something does not work, or is dangerous. warning: it soon may be."""

    ERROR = "error"
    WARNING = "warning"


class HealthProblem(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong and what to do about it, a sentence or two each; code is a word for programs."""

    severity: Severity
    code: str
    what: str
    action: str


class DatabaseHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The Postgres: its version, milliseconds from the question to the answer, and bytes on its disk."""

    version: str
    latency_ms: float
    size_bytes: int


class ServerHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The server of a data directory, or the directory alone while none serves it.

    id is that of the directory, the same at each start. Of a server that ended, roles and version are empty and
    started_at is null. links: agents connected to it. workspaces: those whose files are there.
    """

    id: UUID
    hostname: str
    status: Presence
    roles: list[str]
    version: str
    started_at: Time | None
    last_seen_at: Time
    links: int
    workspaces: int


class WorkerHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What runs jobs: how many it has in hand, of how many at once."""

    id: UUID
    name: str
    status: Presence
    last_seen_at: Time
    running: int
    capacity: int


class JobsHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs of all servers that are not over; oldest_queued_at is null where none waits for a worker.

    Starts that wait for room are not among them.
    """

    queued: int
    running: int
    oldest_queued_at: Time | None


class WorkspacesHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Places that are taken, and starts that wait for one, of all servers.

    max_running: how many places there are, where there is one server; else null.
    """

    running: int
    waiting: int
    max_running: int | None


class DriverHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What makes workspaces on the server that answers, in words for people.

    limits: those of a template's limits that the machine itself holds. problem: why workspaces have no walls, null
    where they have.
    """

    name: str
    mode: str
    confined: bool
    limits: list[str]
    problem: str | None


class DiskHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The disk of the data directory of the server that answers, in bytes; free is what the server may use."""

    path: str
    free_bytes: int
    size_bytes: int


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """All of it at a moment; version and server_id are of the server that answers, drivers and disk too.

    drivers is empty where that server runs no workspaces. problems: errors first, empty where all is well.
    """

    at: Time
    version: str
    server_id: UUID
    database: DatabaseHealth
    servers: list[ServerHealth]
    workers: list[WorkerHealth]
    jobs: JobsHealth
    workspaces: WorkspacesHealth
    drivers: list[DriverHealth]
    disk: DiskHealth | None
    problems: list[HealthProblem]
