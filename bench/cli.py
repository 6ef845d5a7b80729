"""How long a person waits for the command line."""

import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from bench.crowd import FEW, crowded
from bench.measure import Figure, figure, interleave
from taskyard.sdk import Client
from taskyard.wire.enums import TaskStatus

QUESTION = (
    "How long from the start of `taskyard` until it has ended, beside a Python that does nothing? "
    f"The list is of ten tasks, from a server with {FEW:,}."
)

LISTED = 10

FLOOR = "python -c pass"


def measure(*, quick: bool) -> list[Figure]:
    """Times of whole processes, one at a time."""
    with tempfile.TemporaryDirectory() as home, crowded(FEW) as (port, _, member):
        url = f"http://127.0.0.1:{port}"
        _keep_few(url, member)
        environment = {
            "PATH": os.defpath,
            "HOME": home,
            "TASKYARD_URL": url,
            "TASKYARD_SESSION_TOKEN": member,
        }
        command = str(Path(sys.executable).with_name("taskyard"))
        words = {
            FLOOR: [sys.executable, "-c", "pass"],
            "taskyard --help": [command, "--help"],
            "taskyard task list": [command, "task", "list"],
        }
        times: dict[str, list[float]] = {name: [] for name in words}
        works = [partial(_run, times[name], argv, environment) for name, argv in words.items()]
        interleave(5 if quick else 100, *works)
    floor = (FLOOR, times[FLOOR])
    return [figure(name, times[name], None if name == FLOOR else floor) for name in words]


def _keep_few(url: str, token: str) -> None:
    """Deletes all tasks but as many as are to be listed."""
    with Client(url, token) as client:
        found = client.list_tasks("owner:me").tasks
        # Whatever waits for a worker stays: it must begin before it can be deleted.
        waiting = [task for task in found if task.status is TaskStatus.PENDING]
        others = [task for task in found if task.status is not TaskStatus.PENDING]
        for task in others[LISTED - len(waiting) :]:
            client.delete_task("me", task.id)
        left = len(client.list_tasks("owner:me").tasks)
    if left != LISTED:
        raise RuntimeError(f"{left} tasks are listed, not {LISTED}")


def _run(times: list[float], argv: list[str], environment: dict[str, str]) -> None:
    began = time.perf_counter()
    subprocess.run(argv, check=True, env=environment, capture_output=True)
    times.append(time.perf_counter() - began)
