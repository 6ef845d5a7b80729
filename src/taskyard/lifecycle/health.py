"""What is wrong with a server, from what was seen of it; pure."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from taskyard.wire.health import (
    DatabaseHealth,
    DiskHealth,
    Health,
    HealthProblem,
    Presence,
    ServerHealth,
    Severity,
)

SLOW_MS: Final = 100.0
"""Milliseconds of a question that takes one: each request asks several, one after another."""

WAITS: Final = timedelta(minutes=1)
"""How long a job waits at most while workers are well: they take new ones within seconds."""

FULL_BYTES: Final = 1024**3
"""Free bytes below which a workspace with a clone in it, or the log of the database, may not fit any more."""

TIGHT_BYTES: Final = 5 * 1024**3
"""Free bytes below which a disk is nearly full, if that is also less than TIGHT_PART of it."""

TIGHT_PART: Final = 0.1

GIB: Final = 1024**3


def problems(seen: Health) -> list[HealthProblem]:
    """What is wrong, errors first; nothing is asked, and what seen says of problems is not looked at."""
    found = [
        *_of_drivers(seen),
        *_of_servers(seen.servers),
        *_of_jobs(seen),
        *_of_database(seen.database),
        *([] if seen.disk is None else _of_disk(seen.disk)),
    ]
    return sorted(found, key=lambda problem: problem.severity is not Severity.ERROR)


def _of_drivers(seen: Health) -> Iterator[HealthProblem]:
    if any(not driver.confined for driver in seen.drivers):
        yield HealthProblem(
            severity=Severity.ERROR,
            code="unconfined",
            what="Workspaces of this server run without walls: what a coding agent runs has all rights of the server, "
            "its files and the network.",
            action='Run "taskyard doctor" on the machine: it says what is missing. Then start the server without '
            "--allow-unconfined.",
        )


def _of_servers(servers: list[ServerHealth]) -> Iterator[HealthProblem]:
    for server in servers:
        if server.status is Presence.AWAY and server.workspaces:
            yield HealthProblem(
                severity=Severity.ERROR,
                code="server_away",
                what=f"The server on {server.hostname or 'the first machine'} has not been heard of since "
                f"{server.last_seen_at:%Y-%m-%d %H:%M} UTC. It has the files of {_count(server.workspaces, 'workspace')}.",
                action="Start it again, and all goes on. If it is gone for good, delete its tasks with --force, which "
                "gives their files up.",
            )
    versions = sorted({s.version for s in servers if s.status is Presence.UP})
    if len(versions) > 1:
        yield HealthProblem(
            severity=Severity.WARNING,
            code="versions_differ",
            what=f"Servers run different releases: {', '.join(versions)}.",
            action="Bring all of them to the same one. While they are being upgraded, this is as it should be.",
        )


def _of_jobs(seen: Health) -> Iterator[HealthProblem]:
    jobs, workers = seen.jobs, [w for w in seen.workers if w.status is Presence.UP]
    waiting = jobs.queued + seen.workspaces.waiting
    if not workers:
        yield HealthProblem(
            severity=Severity.ERROR,
            code="no_workers",
            what=f"Nothing takes jobs: no worker has been heard of lately. Jobs that wait: {waiting}.",
            action="Start a server whose roles include worker, or see in the log of one why it takes no jobs.",
        )
    elif jobs.oldest_queued_at is not None and seen.at - jobs.oldest_queued_at > WAITS:
        busy = sum(worker.running for worker in workers)
        most = sum(worker.capacity for worker in workers)
        yield HealthProblem(
            severity=Severity.WARNING,
            code="jobs_wait",
            what=f"A job waits for a worker since {jobs.oldest_queued_at:%Y-%m-%d %H:%M} UTC; workers have "
            f"{busy} of {most} jobs in hand.",
            action="If they are all busy, wait or start another server. If not, the job waits for another one of "
            "its workspace, or for a server that is away: see its log.",
        )


def _of_database(database: DatabaseHealth) -> Iterator[HealthProblem]:
    if database.latency_ms > SLOW_MS:
        yield HealthProblem(
            severity=Severity.WARNING,
            code="database_slow",
            what=f"The database took {database.latency_ms:.0f} ms for a question that takes one.",
            action="See what else its machine does, and how far away it is: every request asks it several times.",
        )


def _of_disk(disk: DiskHealth) -> Iterator[HealthProblem]:
    free = disk.free_bytes
    is_full = free < FULL_BYTES
    if is_full or (free < TIGHT_BYTES and free < TIGHT_PART * disk.size_bytes):
        yield HealthProblem(
            severity=Severity.ERROR if is_full else Severity.WARNING,
            code="disk_full" if is_full else "disk_tight",
            what=f"The disk of {disk.path} has {free / GIB:.1f} GiB of {disk.size_bytes / GIB:.0f} GiB free.",
            action="Make room there, or delete tasks that nobody needs. When it is full, no workspace starts, and a "
            "database of the server's own stops.",
        )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
