"""What other people notice of a hostile workspace: the server's answers beside it, and without it."""

import shutil
import tempfile
import time
from functools import partial
from pathlib import Path
from uuid import UUID

from bench.fresh import first_client, pushed_version, wait
from bench.measure import Figure, figure
from taskyard.sdk import Client
from taskyard.sdk.local import LocalServer
from taskyard.wire.enums import TaskStatus
from taskyard.wire.tasks import CreateTaskRequest

QUESTION = (
    "How long do a list of tasks and POST to 201 take while a workspace burns processor time, forks, and fills memory and disk within "
    "its limits (1 core, 64 processes, 256 MiB, 256 MiB)? Goal: at most twice as long as without it."
)

TEMPLATE = """
[task]
app = "agent"
[agent]
type = "shell"
[workspace]
cpu = 1.0
memory = "256MiB"
disk = "256MiB"
processes = 64
"""

HOSTILE = """
for i in 1 2 3 4; do (while :; do :; done) & done
(while :; do python3 -c 'bytearray(512 << 20)'; done) 2>/dev/null &
(while :; do head -c 512M /dev/zero > ~/big; rm -f ~/big; done) 2>/dev/null &
echo begun
while :; do (for i in $(seq 100); do sleep 1 & done; wait) 2>/dev/null; done
"""

SETTLE_S = 3.0
"""Seconds in which its programs are all at work."""


def measure(*, quick: bool) -> list[Figure]:
    """The same requests without it, beside it, and without it again."""
    home = Path(tempfile.mkdtemp(prefix="taskyard-bench-"))
    home.chmod(0o711)
    try:
        with LocalServer(home) as server, first_client(server.url) as client:
            return _Run(client).measure(*((2, 0.5) if quick else (100, SETTLE_S)))
    finally:
        shutil.rmtree(home)


class _Run:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._version = pushed_version(client, "attacked", {"taskyard.toml": TEMPLATE})
        self._times: dict[str, list[float]] = {}

    def measure(self, rounds: int, settle_s: float) -> list[Figure]:
        self._phase("without", rounds // 2)
        task_id = self._create(HOSTILE)
        wait(partial(self._is_begun, task_id))
        time.sleep(settle_s)
        self._phase("beside", rounds)
        self._client.delete_task("me", task_id)
        wait(partial(self._is_gone, task_id))
        self._phase("without", rounds - rounds // 2)
        found = []
        for what in ("a list of tasks", "POST to 201"):
            floor = (f"{what}, without it", self._times[f"{what}, without"])
            found.append(figure(*floor))
            found.append(figure(f"{what}, beside it", self._times[f"{what}, beside"], floor))
        return found

    def _phase(self, name: str, rounds: int) -> None:
        for _ in range(rounds):
            began = time.perf_counter()
            self._client.list_tasks()
            listed = time.perf_counter()
            task_id = self._create("")
            made = time.perf_counter()
            self._times.setdefault(f"a list of tasks, {name}", []).append(listed - began)
            self._times.setdefault(f"POST to 201, {name}", []).append(made - listed)
            wait(partial(self._is_active, task_id))
            self._client.delete_task("me", task_id)
            wait(partial(self._is_gone, task_id))

    def _create(self, text: str) -> UUID:
        request = CreateTaskRequest(template_version_id=self._version, input=text)
        return self._client.create_task("me", request).id

    def _is_active(self, task_id: UUID) -> bool:
        return self._client.get_task("me", task_id).status is TaskStatus.ACTIVE

    def _is_begun(self, task_id: UUID) -> bool:
        if not self._is_active(task_id):
            return False
        logs = self._client.get_task_logs("me", task_id).logs
        return any("begun" in entry.content for entry in logs[1:])

    def _is_gone(self, task_id: UUID) -> bool:
        return all(task.id != task_id for task in self._client.list_tasks().tasks)
