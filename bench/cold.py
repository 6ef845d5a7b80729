"""How long until a server answers: on an empty directory, on a full one, and after a crash."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.crowd import FEW, TASKS
from bench.measure import Figure, figure, interleave
from bench.seed import fill_stopped
from taskyard.daemon.postgres import EmbeddedPostgres
from taskyard.sdk.local import LocalServer

QUESTION = (
    "How long does `./yard server` take from its first instruction to `ready`? A full data directory is one of "
    f"{TASKS:,} tasks; kill -9 ends the server right after it was ready."
)

EMPTY_FLOOR, FULL_FLOOR = "initdb and Postgres alone", "Postgres alone, full data directory"

FLOORS = {
    "server, empty data directory": EMPTY_FLOOR,
    "server, full data directory": FULL_FLOOR,
    "server, full, after kill -9 of it": FULL_FLOOR,
}
"""What each is judged by."""


def measure(*, quick: bool) -> list[Figure]:
    """Start-up times beside those of Postgres alone."""
    times: dict[str, list[float]] = {name: [] for name in (EMPTY_FLOOR, FULL_FLOOR, *FLOORS)}
    bare, full, crashed = FLOORS

    def on_empty() -> None:
        with _folder() as home:
            times[EMPTY_FLOOR].append(asyncio.run(_start_postgres(home)))
        with _folder() as home:
            times[bare].append(_start(home, kill=False))

    with _folder() as home:
        _start(home, kill=False)
        asyncio.run(fill_stopped(home / "data" / "postgres", FEW if quick else TASKS))

        def on_full() -> None:
            times[FULL_FLOOR].append(asyncio.run(_start_postgres(home)))
            times[full].append(_start(home, kill=True))
            times[crashed].append(_start(home, kill=False))

        interleave(1 if quick else 10, on_empty, on_full)
    floors = {name: (floor, times[floor]) for name, floor in FLOORS.items()}
    return [figure(name, took, floors.get(name)) for name, took in times.items()]


def _start(home: Path, *, kill: bool) -> float:
    # Into a file, as the workspaces of these tasks are missed by the server, and that is no news here.
    server = LocalServer(home / "data", log=home / "log")
    began = time.perf_counter()
    server.start()
    took = time.perf_counter() - began
    if kill:
        server.kill()
    else:
        server.stop(by_hand=False)
    return took


async def _start_postgres(home: Path) -> float:
    postgres = EmbeddedPostgres(home / "data" / "postgres")
    began = time.perf_counter()
    await postgres.start()
    took = time.perf_counter() - began
    await postgres.stop()
    return took


@contextmanager
def _folder() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="taskyard-bench-"))
    home.chmod(0o711)
    try:
        yield home
    finally:
        shutil.rmtree(home)
