"""How long a task takes: to be accepted, to be usable, to be paused and resumed."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from bench.measure import Figure, figure, interleave
from taskyard.sdk import Client
from taskyard.sdk.local import LocalServer
from taskyard.wire.enums import JobStatus, TaskStatus
from taskyard.wire.identity import CreateFirstUserRequest, LoginRequest
from taskyard.wire.tasks import CreateTaskRequest

T = TypeVar("T")

QUESTION = (
    "How long from POST to 201, to `active` with the shell agent, to `paused`, to `active` again?"
)

PASSWORD = "a throw-away password"
LOOK_S = 0.004
FLOOR = (
    "import taskyard_agent.run, subprocess, sys;"
    "p = subprocess.Popen([sys.executable, '-m', 'taskyard_agent.shell'], stdin=subprocess.PIPE, stdout=subprocess.PIPE);"
    'p.stdin.write(b\'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":1}}\\n\');'
    "p.stdin.flush(); p.stdout.readline(); p.kill(); p.wait()"
)
"""The same programs with nothing between them: agent and bridge imported, the shell agent answering."""


def measure(*, quick: bool) -> list[Figure]:
    """Times of one task at a time on a fresh server."""
    home = Path(tempfile.mkdtemp(prefix="taskyard-bench-"))
    home.chmod(0o711)
    try:
        with LocalServer(home) as server:
            return _Run(server.url).measure(3 if quick else 30)
    finally:
        shutil.rmtree(home)


class _Run:
    def __init__(self, url: str) -> None:
        first = Client(url, "")
        first.create_first_user(
            CreateFirstUserRequest(username="bench", email="bench@example.com", password=PASSWORD)
        )
        login = LoginRequest(email="bench@example.com", password=PASSWORD)
        self._client = Client(url, first.login(login).session_token)
        self._version = self._wait(self._shell_version)
        self._times: dict[str, list[float]] = {
            name: [] for name in ("floor", "201", "active", "paused", "resumed")
        }

    def measure(self, rounds: int) -> list[Figure]:
        interleave(rounds, self._floor, self._task)
        floor = ("fork and exec of the same programs", self._times["floor"])
        return [
            figure(floor[0], floor[1]),
            figure("POST to 201", self._times["201"]),
            figure("POST to active", self._times["active"], floor),
            figure("pause to paused", self._times["paused"]),
            figure("resume to active", self._times["resumed"], floor),
        ]

    def _floor(self) -> None:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", FLOOR], check=True, env={"PATH": os.defpath})
        self._times["floor"].append(time.perf_counter() - began)

    def _task(self) -> None:
        request = CreateTaskRequest(template_version_id=self._version, input="")
        began = time.perf_counter()
        task = self._client.create_task("me", request)
        self._times["201"].append(time.perf_counter() - began)
        self._wait(lambda: self._is(task.id, TaskStatus.ACTIVE))
        self._times["active"].append(time.perf_counter() - began)
        began = time.perf_counter()
        self._client.pause_task("me", task.id)
        self._wait(lambda: self._is(task.id, TaskStatus.PAUSED))
        self._times["paused"].append(time.perf_counter() - began)
        began = time.perf_counter()
        self._client.resume_task("me", task.id)
        self._wait(lambda: self._is(task.id, TaskStatus.ACTIVE))
        self._times["resumed"].append(time.perf_counter() - began)
        self._client.delete_task("me", task.id)

    def _is(self, task_id: UUID, status: TaskStatus) -> bool | None:
        return True if self._client.get_task("me", task_id).status is status else None

    def _shell_version(self) -> UUID | None:
        for template in self._client.list_templates("has-ai-task:true"):
            version = self._client.get_template_version(template.active_version_id)
            if template.name == "shell" and version.job.status is JobStatus.SUCCEEDED:
                return version.id
        return None

    def _wait(self, look: Callable[[], T | None]) -> T:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = look()
            if found is not None:
                return found
            time.sleep(LOOK_S)
        raise TimeoutError("the server did not get there in 60 s")
