"""What the walls cost: the start of an empty workspace behind them, and the memory that they take."""

import asyncio
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

from bench.measure import Figure, amount, figure, interleave
from taskyard.drivers.base import Limits, WorkspaceSpec
from taskyard.drivers.sandbox.driver import SandboxDriver
from taskyard.lifecycle.walls import Overlay
from taskyard.wire.enums import LogLevel

QUESTION = "What does it cost to run a program in a workspace of its own, over running it?"
SLEEPER = ("/bin/sh", "-c", "exec sleep 1000")
"""An agent that does nothing, so that only walls and driver are measured."""
PLAIN = "fork and exec of a shell"


class _Yard:
    """A driver in a folder of its own."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="taskyard-bench-"))
        self.root, link = self.folder / "workspaces", self.folder / "link"
        link.mkdir()
        link.chmod(0o711)
        self.driver = SandboxDriver(self.root, link, allow_unconfined=False, agent_argv=SLEEPER)
        self.pss_kib: list[float] = []

    def start(self, workspace_id: UUID, generation: int, overlay: Overlay) -> float:
        """Seconds until the program runs behind the walls."""
        spec = WorkspaceSpec(
            workspace_id, generation, "bench", "no token", b"", {}, Limits(), overlay=overlay
        )
        began = time.perf_counter()
        asyncio.run(self.driver.ensure(spec, _quiet))
        return time.perf_counter() - began

    def end(self, workspace_id: UUID) -> None:
        asyncio.run(self.driver.destroy(workspace_id))

    def weigh(self, workspace_id: UUID) -> None:
        """Notes what the walls' own processes take."""
        record = json.loads((self.root / str(workspace_id) / "record.json").read_text())
        self.pss_kib.append(sum(_pss(record[name]["pid"]) for name in ("monitor", "init")))


def measure(*, quick: bool) -> list[Figure]:
    """Starts beside a plain process, interleaved."""
    yard = _Yard()
    asyncio.run(yard.driver.probe())
    plain: list[float] = []
    fresh: list[float] = []
    changed: list[float] = []
    kept = uuid4()
    yard.start(kept, 1, Overlay.KEPT)
    generation = iter(range(2, 1_000_000))

    def alone() -> None:
        plain.append(_timed(_shell))

    def walled() -> None:
        workspace_id = uuid4()
        fresh.append(yard.start(workspace_id, 1, Overlay.NONE))
        yard.weigh(workspace_id)
        yard.end(workspace_id)

    def overlaid() -> None:
        changed.append(yard.start(kept, next(generation), Overlay.KEPT))

    interleave(5 if quick else 40, alone, walled, overlaid)
    yard.end(kept)
    shutil.rmtree(yard.folder)
    return [
        figure(PLAIN, plain),
        figure("a new workspace, until its program runs", fresh, (PLAIN, plain)),
        figure("a kept one, with an overlay over /usr", changed, (PLAIN, plain)),
        amount("memory of the walls (PSS)", "KiB", yard.pss_kib),
    ]


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _shell() -> None:
    pid = os.posix_spawn("/bin/sh", ["/bin/sh", "-c", "exec true"], {"PATH": "/usr/bin:/bin"})
    os.waitpid(pid, 0)


def _pss(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _quiet(level: LogLevel, line: str) -> None:
    """Nobody reads the build log here."""
