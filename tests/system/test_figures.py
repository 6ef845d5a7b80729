"""What a workspace costs while nobody asks anything of it: measured and printed, judged by people."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.kit import World, processes_of

WATCHED_S = 5.0
"""How long the idle workspace is watched: a hundredth of a second in it is 0.2 %."""


def pss_kb(pid: int) -> int:
    """The process's share of memory, in KiB: what is shared by n processes counts an nth."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))


def cpu_s(pid: int) -> float:
    """Seconds of processor time that the process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.all_tier
def test_an_idle_workspace(world: World, figure: Callable[[str], None]) -> None:
    """Memory and processor time of agent, bridge and shell together, and of the server beside them."""
    task = world.create("echo the turn is over")
    world.says(task.id, "the turn is over")
    inside = [
        pid
        for pid, line in processes_of(world.server.data_dir / "workspaces").items()
        if "python" in line.partition(" ")[0]
    ]
    server = world.server.process.pid
    assert inside
    before = {pid: cpu_s(pid) for pid in (*inside, server)}
    time.sleep(WATCHED_S)  # the thing measured
    used = {pid: cpu_s(pid) - before[pid] for pid in before}
    memory = sum(pss_kb(pid) for pid in inside) / 1024
    percent = sum(used[pid] for pid in inside) / WATCHED_S * 100
    figure(f"idle workspace: {memory:.1f} MB PSS in {len(inside)} processes (promised: 45 MB)")
    figure(f"idle workspace: {percent:.1f} % of a core (promised: 0.0 %)")
    figure(f"server with one idle task: {used[server] / WATCHED_S * 100:.1f} % of a core")
