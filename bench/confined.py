"""What many confined workspaces take at once that have nothing to do, each with agent, bridge and the shell agent."""

import json
import time
from functools import partial
from pathlib import Path
from uuid import UUID

from bench.bridged import pss_mb
from bench.fresh import first_client, fresh_server, pushed_version, wait
from bench.measure import Figure, amount, figure
from taskyard.sdk import Client
from taskyard.wire.enums import TaskState, TaskStatus
from taskyard.wire.tasks import CreateTaskRequest, Task

COUNT = 50
QUESTION = (
    f"Do {COUNT} idle workspaces fit on this machine at once, behind all walls, with limits and the shell agent? How long until "
    "all are in, and how much memory does each take (PSS of all its processes)?"
)

TEMPLATE = """
[task]
app = "agent"
[agent]
type = "shell"
[workspace]
cpu = 1.0
memory = "256MiB"
processes = 128
"""


def measure(*, quick: bool) -> list[Figure]:
    """All are made at once, and weighed when the last one waits for input."""
    count = 5 if quick else COUNT
    with (
        fresh_server("--max-running", str(count)) as server,
        first_client(server.url) as client,
    ):
        return _weigh(client, server.data_dir / "workspaces", count)


def _weigh(client: Client, root: Path, count: int) -> list[Figure]:
    version = pushed_version(client, "confined", {"taskyard.toml": TEMPLATE})
    request = CreateTaskRequest(template_version_id=version, input="")
    began = time.perf_counter()
    tasks = [client.create_task("me", request) for _ in range(count)]
    wait(partial(all_idle, client, {task.id for task in tasks}))
    took_s = time.perf_counter() - began
    weights = [pss_of(root, task) for task in tasks]
    found = [
        amount("workspaces that wait for input at once", "", [float(count)]),
        figure("until all of them do", [took_s]),
        amount("memory of each (PSS)", "MB", weights),
    ]
    for task in tasks:
        client.delete_task("me", task.id)
    wait(lambda: not client.list_tasks().tasks)
    return found


def all_idle(client: Client, ids: set[UUID]) -> bool:
    """Whether each of these tasks is active and waits for input."""
    seen = [task for task in client.list_tasks().tasks if task.id in ids]
    return len(seen) == len(ids) and all(map(_is_idle, seen))


def _is_idle(task: Task) -> bool:
    if task.status is not TaskStatus.ACTIVE or task.current_state is None:
        return False
    return task.current_state.state is TaskState.IDLE


def pss_of(root: Path, task: Task) -> float:
    """Memory of all processes of a task, in MB."""
    record = json.loads((root / str(task.workspace_id) / "record.json").read_text())
    return sum(pss_mb(pid) for pid in descendants(record["monitor"]["pid"]))


def descendants(pid: int) -> list[int]:
    """A process and all that came of it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in descendants(int(child)))]
