"""What it costs a server to have many agents connected that do nothing."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from bench.bridged import cpu_s, ended, pss_mb
from bench.crowd import Line, Site, crowded_site
from bench.linked import admit_agents
from bench.measure import Figure, amount, figure, interleave
from bench.seed import identify
from taskyard.daemon.guard import raise_file_limit

AGENTS = 2_000

QUESTION = (
    f"What do {AGENTS:,} agents cost a server that only beat, each every 20 s, and that then report once a minute as "
    "well, and how quick are reads meanwhile, beside as many bare WebSockets on which as much is said? Of the process "
    "that serves the API, without Postgres and without workers."
)

CORE = "% of a core"
READ_FLOOR = "`select 1` behind a bare handler, meanwhile"

ROUND_S = 60.0
"""Seconds for which CPU time is counted: three heartbeats of each agent, and one report."""

ROUND_QUICK_S = 2.0

READS = 2_000
WARM = 30
PAUSE_S = 0.01
"""Seconds between two reads."""


def measure(*, quick: bool) -> list[Figure]:
    """Times until all are there, memory, CPU time while they only beat and with reports, times of reads."""
    raise_file_limit()
    count, round_s = (200, ROUND_QUICK_S) if quick else (AGENTS, ROUND_S)
    found = _Pairs()
    with crowded_site(2 * count) as site, _program("server") as bare:
        asyncio.run(admit_agents(site.database))
        bare_port, pids = int(_line(bare)), (bare.pid, site.pid)
        _reads(site, WARM)
        empty = _memory(pids)
        with (
            _program("sockets", bare_port, count) as sockets,
            _program("links", site.port, count) as links,
        ):
            found.add(
                f"until {count:,} are connected", "s", float(_line(sockets)), float(_line(links))
            )
            found.add("CPU while they only beat", CORE, *_busy(pids, round_s))
            for program in (sockets, links):
                _tell(program)
            found.add("CPU while they report as well", CORE, *_busy(pids, round_s))
            full = _memory(pids)
            found.add("memory of the server", "MB", *full)
            shares = [1024 * (now - then) / count for now, then in zip(full, empty, strict=True)]
            found.add("memory of each connection", "KiB", shares[0], shares[1])
            reads = _reads(site, 50 if quick else READS)
            if links.poll() is not None or sockets.poll() is not None:
                raise RuntimeError("the connections did not last")
    return [*found.figures, *reads]


class _Pairs:
    """Figures of single values, the floor's before ours."""

    def __init__(self) -> None:
        self.figures: list[Figure] = []

    def add(self, what: str, unit: str, floor: float, ours: float) -> None:
        name = f"bare WebSockets: {what}"
        self.figures.append(amount(name, unit, [floor]))
        # A quick run may end before anything was said.
        self.figures.append(amount(what, unit, [ours], (name, [floor]) if floor else None))


def _memory(pids: tuple[int, int]) -> tuple[float, float]:
    return pss_mb(pids[0]), pss_mb(pids[1])


def _busy(pids: tuple[int, int], seconds: float) -> tuple[float, float]:
    """How much of a core each process takes meanwhile, in percent."""
    began, before = time.perf_counter(), [cpu_s(pid) for pid in pids]
    time.sleep(seconds)
    percent = 100 / (time.perf_counter() - began)
    bare, ours = (percent * (cpu_s(pid) - was) for pid, was in zip(pids, before, strict=True))
    return bare, ours


def _reads(site: Site, count: int) -> list[Figure]:
    """Times of reads by one client that does not hurry."""
    paths = {
        READ_FLOOR: "/floor",
        "GET task meanwhile": f"/api/v2/tasks/me/{identify('task7')}",
        "list of 50 meanwhile": "/api/v2/tasks?q=owner:me",
    }
    times: dict[str, list[float]] = {name: [] for name in paths}
    client = Line(site.port, site.member)

    def read(name: str) -> None:
        began = time.perf_counter()
        client.get(paths[name])
        times[name].append(time.perf_counter() - began)
        time.sleep(PAUSE_S)

    interleave(count, *(partial(read, name) for name in paths))
    client.close()
    floor = (READ_FLOOR, times[READ_FLOOR])
    return [
        figure(name, took, None if name == READ_FLOOR else floor) for name, took in times.items()
    ]


@contextmanager
def _program(*words: str | int) -> Iterator[subprocess.Popen[str]]:
    """One side of the connections, until the context ends."""
    argv = [sys.executable, "-m", "bench.agents_peers", *map(str, words)]
    with (
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
        ended(process),
    ):
        yield process


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def _tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
