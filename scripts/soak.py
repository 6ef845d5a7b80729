"""`./yard soak [--minutes 30]`: everything that breaks the product on purpose, again and again, beside a steady load.

What it found goes to tests/faults/soak.json, of which `./yard docs` makes a part of docs/reference/reliability.md.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from taskyard.sdk import Client, SdkError
from taskyard.wire.enums import TaskState, TaskStatus
from taskyard.wire.tasks import CreateTaskRequest, TaskSendRequest
from tests.system.kit import World, open_folder, serving

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "tests" / "faults" / "soak.json"

FAULTS = "tests/faults"

SAMPLE_S = 5.0
"""Seconds between looks at the memory and the descriptors of the server under load."""

LOOK_S = 0.1
"""Seconds between looks whether a task is done."""

STEP_S = 60.0
"""Seconds after which a step of the load is given up and counted as a failure."""

RESTS_S = 2.0
"""Seconds between two tasks of the load: it is steady, not all that the machine can do."""


class Soak(msgspec.Struct, frozen=True):
    """What a run found, as pairs of words and figures."""

    figures: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Part:
    """Tests that are run for long. repeats: again in each round; else once."""

    name: str
    path: str
    environment: Mapping[str, str]
    repeats: bool = True


PARTS = (
    Part(
        "kill matrix, all cells",
        f"{FAULTS}/test_kill_matrix.py",
        {"TASKYARD_MATRIX": "all", "TASKYARD_WRITE_MATRIX": "1"},
    ),
    Part("walks of verbs, 40", f"{FAULTS}/test_state_machine.py", {"TASKYARD_WALKS": "40"}),
    Part("races of 50 clients", f"{FAULTS}/test_races.py", {"TASKYARD_RACE_ROUNDS": "40"}),
    Part("bad lines", f"{FAULTS}/test_network.py", {}),
    Part("clocks", f"{FAULTS}/test_clocks.py", {}),
    Part(
        "disk full, Postgres down for 30 s",
        f"{FAULTS}/test_disk_and_database.py",
        {"TASKYARD_SOAK_OUTAGE_S": "30"},
    ),
    Part(
        "leaks: 1,000 echo and 100 sandbox cycles",
        f"{FAULTS}/test_leaks.py",
        {"TASKYARD_SOAK_ECHO_CYCLES": "1000", "TASKYARD_SOAK_SANDBOX_CYCLES": "100"},
        repeats=False,
    ),
)


def load_soak() -> Soak | None:
    """What the last run found; null where none was noted."""
    if not FIGURES.exists():
        return None
    return msgspec.json.decode(FIGURES.read_bytes(), type=Soak)


@dataclass(slots=True)
class Load:
    """One client's steady work: create, answer, send, pause, resume, send, delete."""

    world: World
    over: threading.Event = field(default_factory=threading.Event)
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failures: Counter[str] = field(default_factory=Counter)
    tasks: int = 0
    memory_mb: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)

    def run(self) -> None:
        """Works until it is over."""
        with Client(self.world.server.url, self.world.token) as client:
            while not self.over.wait(RESTS_S):
                self.tasks += 1
                name = f"load-{self.tasks}"
                try:
                    self.one_task(client, name)
                except (SdkError, TimeoutError) as error:
                    self.failures[f"{type(error).__name__}: {error}".splitlines()[0]] += 1
                    with suppress(SdkError):
                        client.delete_task("me", name, force=True)

    def one_task(self, client: Client, name: str) -> None:
        """A task from its beginning to its end. Raises SdkError, TimeoutError."""
        wanted = CreateTaskRequest(
            template_version_id=self.world.version_id, input="echo begun", name=name
        )
        self.timed("create", lambda: client.create_task("me", wanted))
        began = time.monotonic()
        self.until_idle(client, name)
        self.seconds["create to first answer"].append(time.monotonic() - began)
        self.timed(
            "send", lambda: client.send_task_input("me", name, TaskSendRequest(input="date"))
        )
        self.until_idle(client, name)
        self.timed("logs", lambda: client.get_task_logs("me", name))
        self.timed("list", client.list_tasks)
        self.timed("pause", lambda: client.pause_task("me", name))
        self.until(client, name, TaskStatus.PAUSED)
        self.timed("resume", lambda: client.resume_task("me", name))
        self.until_idle(client, name)
        self.timed("delete", lambda: client.delete_task("me", name))

    def timed(self, call: str, work: Callable[[], object]) -> None:
        """Does a call and notes how long it took."""
        began = time.monotonic()
        work()
        self.seconds[call].append(time.monotonic() - began)

    def until_idle(self, client: Client, name: str) -> None:
        """Returns once the task waits for a message."""
        deadline = time.monotonic() + STEP_S
        while time.monotonic() < deadline:
            task = client.get_task("me", name)
            state = task.current_state
            if task.status is TaskStatus.ACTIVE and state and state.state is TaskState.IDLE:
                return
            time.sleep(LOOK_S)
        raise TimeoutError(f"{name} did not become idle")

    def until(self, client: Client, name: str, wanted: TaskStatus) -> None:
        """Returns once the task has this status."""
        deadline = time.monotonic() + STEP_S
        while time.monotonic() < deadline:
            if client.get_task("me", name).status is wanted:
                return
            time.sleep(LOOK_S)
        raise TimeoutError(f"{name} did not become {wanted}")

    def sample(self) -> None:
        """Notes memory and descriptors of the server until it is over."""
        process = Path(f"/proc/{self.world.server.process.pid}")
        while not self.over.wait(SAMPLE_S):
            pages = int((process / "statm").read_text().split()[1])
            self.memory_mb.append(pages * os.sysconf("SC_PAGESIZE") / 2**20)
            self.descriptors.append(len(list((process / "fd").iterdir())))


def main(arguments: Sequence[str]) -> int:
    """The exit status: 1 when anything failed."""
    parser = argparse.ArgumentParser(prog="./yard soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="how long, at least one round")
    parser.add_argument("--part", action="append", help="only parts whose name has this word")
    chosen = parser.parse_args(arguments)
    parts = [
        part
        for part in PARTS
        if (ROOT / part.path).exists()
        and (not chosen.part or any(word in part.name for word in chosen.part))
    ]
    log = Path(tempfile.mkdtemp(prefix="taskyard-soak-")) / "server.log"
    with open_folder() as home, serving(home / "data", log, {}) as world:
        load = Load(world)
        threads = [threading.Thread(target=load.run), threading.Thread(target=load.sample)]
        for thread in threads:
            thread.start()
        began = time.monotonic()
        try:
            results = rounds(parts, began + chosen.minutes * 60)
        finally:
            load.over.set()
            for thread in threads:
                thread.join()
        minutes = (time.monotonic() - began) / 60
        world.tidy()
    found = Soak(figures(load, results, minutes))
    for what, figure in found.figures:
        print(f"{what:<50} {figure}")
    if not chosen.part:
        FIGURES.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    failed = load.failures or any(status for runs in results.values() for status in runs)
    return 1 if failed else 0


def rounds(parts: Sequence[Part], until: float) -> dict[str, list[int]]:
    """Exit statuses of each part; all of them once, and again while there is time."""
    found: dict[str, list[int]] = {part.name: [] for part in parts}
    first = True
    while first or time.monotonic() < until:
        for part in parts:
            if first or (part.repeats and time.monotonic() < until):
                print(f"{datetime.now(UTC):%H:%M:%S} {part.name}", flush=True)
                found[part.name].append(run_part(part))
        first = False
    return found


def run_part(part: Part) -> int:
    """The exit status of its tests; what they print comes through."""
    argv = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup"]
    argv += ["--max-worker-restart", "0", "-o", "faulthandler_timeout=1800", part.path]
    return subprocess.run(
        argv, cwd=ROOT, env={**os.environ, **part.environment}, check=False
    ).returncode


def figures(load: Load, results: Mapping[str, list[int]], minutes: float) -> list[tuple[str, str]]:
    """What is told of a run."""
    told = [
        ("Run on", f"{datetime.now(UTC):%Y-%m-%d}, {minutes:.0f} minutes, {os.cpu_count()} cores")
    ]
    for name, statuses in results.items():
        bad = sum(status != 0 for status in statuses)
        told.append((name, f"{len(statuses)} times, {bad} with failures"))
    told.append(
        ("Load: tasks from create to delete", f"{load.tasks}, {load.failures.total()} failed")
    )
    for call, seconds in load.seconds.items():
        told.append((f"Load: {call}", spread(seconds)))
    told.append(("Load: memory of the server", course(load.memory_mb, "MB")))
    told.append(("Load: descriptors of the server", course(load.descriptors, "")))
    told += [(f"Load failed: {what}", str(count)) for what, count in load.failures.items()]
    return told


def spread(seconds: Sequence[float]) -> str:
    """Median, 95th percentile and most."""
    ordered = sorted(seconds)
    at = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    return (
        f"{len(ordered)} calls, p50 {statistics.median(ordered) * 1000:.0f} ms, "
        f"p95 {at * 1000:.0f} ms, most {ordered[-1] * 1000:.0f} ms"
    )


def course(samples: Sequence[float], unit: str) -> str:
    """What it was in the first and the last tenth of the run, and at most."""
    if not samples:
        return "not measured"
    tenth = max(1, len(samples) // 10)
    first, last = statistics.mean(samples[:tenth]), statistics.mean(samples[-tenth:])
    return f"{first:.0f} at first, {last:.0f} at last, {max(samples):.0f} at most {unit}".strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
