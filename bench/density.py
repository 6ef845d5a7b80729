"""How many tasks fit on this machine that have nothing to do."""

import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench.bridge_idle import SETTLE_S
from bench.bridged import pss_mb
from bench.confined import all_idle, descendants, pss_of
from bench.create import started
from bench.fresh import first_client, fresh_server, shell_version, wait
from bench.measure import Figure, amount
from taskyard.sdk import Client
from taskyard.wire.tasks import CreateTaskRequest, Task

MOST = 500
SPARE_MB = 2048
"""Memory that is left to the machine; no more tasks are created from there on."""

STEP = 50
"""Tasks that are created at once."""

BARE = 20
"""Trees of the floor; what they have in common is divided among enough of them."""

WAIT_S = 300.0
"""Seconds until a step counts as failed."""

QUESTION = (
    f"Do {MOST} idle shell tasks fit on this machine, or as many as leave it {SPARE_MB // 1024} GB, and how much memory "
    "does each take (PSS of all its processes), beside the same programs without a server?"
)


def measure(*, quick: bool) -> list[Figure]:
    """Tasks in steps; all are weighed when the last one waits for input."""
    step, most = (3, 6) if quick else (STEP, MOST)
    floor = "memory of the same programs"
    bare = _bare(3 if quick else BARE)
    with (
        fresh_server("--max-running", str(most)) as server,
        first_client(server.url) as client,
    ):
        tasks, times = _fill(client, step, most)
        wait(partial(all_idle, client, {task.id for task in tasks}))
        time.sleep(SETTLE_S)
        weights = [pss_of(server.data_dir / "workspaces", task) for task in tasks]
        own = pss_mb(server.process.pid)
    return [
        amount("tasks that wait for input at once", "tasks", [len(tasks)]),
        amount(f"until {step} more do", "s", times),
        amount(floor, "MB", bare),
        amount("memory of each", "MB", weights, (floor, bare)),
        amount("memory of the server", "MB", [own]),
    ]


def _fill(client: Client, step: int, most: int) -> tuple[list[Task], list[float]]:
    """The tasks there are at the end, and how long each step took."""
    request = CreateTaskRequest(template_version_id=shell_version(client), input="")
    tasks: list[Task] = []
    times = []
    while len(tasks) < most and _available_mb() > SPARE_MB:
        began = time.perf_counter()
        made = [client.create_task("me", request) for _ in range(step)]
        wait(partial(all_idle, client, {task.id for task in made}), WAIT_S)
        times.append(time.perf_counter() - began)
        tasks += made
    return tasks, times


def _bare(count: int) -> list[float]:
    with ExitStack() as stack:
        made = [started() for _ in range(count)]
        for process in made:
            stack.callback(process.communicate)
        return [sum(map(pss_mb, descendants(process.pid))) for process in made]


def _available_mb() -> float:
    """Memory that programs can still have."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the kernel does not tell how much memory is left")
