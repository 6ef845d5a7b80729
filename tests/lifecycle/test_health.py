"""What is found to be wrong with a server, from what was seen of it."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import pytest
from msgspec.structs import replace

from taskyard.lifecycle.health import GIB, SLOW_MS, WAITS, problems
from taskyard.wire import health as wire

NOW: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
HERE, THERE = UUID(int=1), UUID(int=2)

SERVER = wire.ServerHealth(
    id=HERE,
    hostname="yard-1",
    status=wire.Presence.UP,
    roles=["api", "worker"],
    version="0.1.0",
    started_at=NOW,
    last_seen_at=NOW,
    links=2,
    workspaces=3,
)
OTHER = replace(SERVER, id=THERE, hostname="yard-2")
WORKER = wire.WorkerHealth(
    id=HERE, name="yard-1", status=wire.Presence.UP, last_seen_at=NOW, running=8, capacity=8
)
DRIVER = wire.DriverHealth(
    name="sandbox", mode="bubblewrap", confined=True, limits=[], problem=None
)
WELL = wire.Health(
    at=NOW,
    version="0.1.0",
    server_id=HERE,
    database=wire.DatabaseHealth(version="17.2", latency_ms=0.4, size_bytes=9_000_000),
    servers=[SERVER],
    workers=[WORKER],
    jobs=wire.JobsHealth(queued=1, running=8, oldest_queued_at=NOW - WAITS),
    workspaces=wire.WorkspacesHealth(running=3, waiting=0, max_running=64),
    drivers=[DRIVER],
    disk=wire.DiskHealth(path="/data", free_bytes=40 * GIB, size_bytes=80 * GIB),
    problems=[],
)
"""A busy server with nothing wrong."""


def disk(free: float, size: int) -> wire.DiskHealth:
    return wire.DiskHealth(path="/data", free_bytes=int(free * GIB), size_bytes=size * GIB)


def test_nothing_is_wrong() -> None:
    """A busy server is well, and so are one that runs no workspaces and one that ended and left none behind."""
    assert problems(WELL) == []
    gone = replace(OTHER, status=wire.Presence.AWAY, workspaces=0, version="0.0.9")
    assert problems(replace(WELL, servers=[SERVER, gone], drivers=[], disk=None)) == []


@pytest.mark.parametrize(
    ("seen", "found", "said"),
    [
        (
            replace(WELL, drivers=[replace(DRIVER, confined=False, problem="no namespaces")]),
            "error unconfined",
            "without walls",
        ),
        (
            replace(WELL, servers=[SERVER, replace(OTHER, status=wire.Presence.AWAY)]),
            "error server_away",
            "yard-2 has not been heard of since 2026-03-01 12:00 UTC. It has the files of 3 workspaces.",
        ),
        (
            replace(WELL, servers=[SERVER, replace(OTHER, version="0.2.0")]),
            "warning versions_differ",
            "0.1.0, 0.2.0",
        ),
        (
            replace(WELL, workers=[replace(WORKER, status=wire.Presence.AWAY)]),
            "error no_workers",
            "Jobs that wait: 1.",
        ),
        (replace(WELL, workers=[]), "error no_workers", "no worker"),
        (
            replace(WELL, at=NOW + timedelta(seconds=1)),
            "warning jobs_wait",
            "8 of 8 jobs in hand",
        ),
        (
            replace(WELL, database=replace(WELL.database, latency_ms=SLOW_MS + 1)),
            "warning database_slow",
            "101 ms",
        ),
        (replace(WELL, disk=disk(4.9, 80)), "warning disk_tight", "4.9 GiB of 80 GiB free"),
        (replace(WELL, disk=disk(0.9, 2)), "error disk_full", "/data has 0.9 GiB"),
    ],
)
def test_each_by_itself(seen: wire.Health, found: str, said: str) -> None:
    """One thing that is wrong is one problem, which says what is seen and what to do."""
    [problem] = problems(seen)
    assert f"{problem.severity} {problem.code}" == found
    assert said in problem.what
    assert problem.action.endswith(".")


def test_a_small_disk_is_not_nearly_full() -> None:
    """Little room is enough where it is much of the disk, and a tenth of a large disk is much room."""
    assert problems(replace(WELL, disk=disk(2, 10))) == []
    assert problems(replace(WELL, disk=disk(40, 2000))) == []


def test_errors_come_first() -> None:
    """Whatever is found, what does not work is told before what soon may not."""
    found = problems(
        replace(
            WELL,
            at=NOW + timedelta(days=1),
            database=replace(WELL.database, latency_ms=900.0),
            disk=disk(0.1, 10),
        )
    )
    assert [problem.severity for problem in found] == ["error", "warning", "warning"]
