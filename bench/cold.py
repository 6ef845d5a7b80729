"""How long until a server answers: on an empty directory, on its own of before, and after a crash."""

import asyncio
import shutil
import tempfile
import time
from pathlib import Path

from bench.measure import Figure, figure, interleave
from taskyard.daemon.postgres import EmbeddedPostgres
from taskyard.sdk.local import LocalServer

QUESTION = "How long does `./yard server` take from its first instruction to `ready`?"


def measure(*, quick: bool) -> list[Figure]:
    """Start-up times beside those of Postgres alone."""
    empty: list[float] = []
    full: list[float] = []
    crashed: list[float] = []
    floor_empty: list[float] = []
    floor_full: list[float] = []

    def server() -> None:
        home = _folder()
        empty.append(_start(home, kill=False))
        full.append(_start(home, kill=True))
        crashed.append(_start(home, kill=False))
        shutil.rmtree(home)

    def postgres() -> None:
        home = _folder()
        floor_empty.append(asyncio.run(_start_postgres(home)))
        floor_full.append(asyncio.run(_start_postgres(home)))
        shutil.rmtree(home)

    interleave(2 if quick else 10, server, postgres)
    return [
        figure("initdb and Postgres alone", floor_empty),
        figure("Postgres alone, its data there", floor_full),
        figure("server, empty data directory", empty, ("initdb and Postgres alone", floor_empty)),
        figure(
            "server, data directory of before", full, ("Postgres alone, its data there", floor_full)
        ),
        figure(
            "server, after kill -9 of it", crashed, ("Postgres alone, its data there", floor_full)
        ),
    ]


def _start(home: Path, *, kill: bool) -> float:
    server = LocalServer(home)
    began = time.perf_counter()
    server.start()
    took = time.perf_counter() - began
    if kill:
        server.kill()
    else:
        server.stop()
    return took


async def _start_postgres(home: Path) -> float:
    postgres = EmbeddedPostgres(home / "postgres")
    began = time.perf_counter()
    await postgres.start()
    took = time.perf_counter() - began
    await postgres.stop()
    return took


def _folder() -> Path:
    home = Path(tempfile.mkdtemp(prefix="taskyard-bench-"))
    home.chmod(0o711)
    return home
