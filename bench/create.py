"""How long a task takes: to be accepted, to be usable, to be paused and resumed."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from uuid import UUID

from bench.fresh import first_client, fresh_server, shell_version, wait
from bench.measure import Figure, figure, interleave
from taskyard.sdk import Client
from taskyard.wire.enums import TaskState, TaskStatus
from taskyard.wire.tasks import CreateTaskRequest, Task, TaskSendRequest

QUESTION = (
    "How long from POST to 201, to `active` with the shell agent, from pause to `paused`, and from resume to `active` "
    "with the conversation as it was, beside the same programs started and stopped by hand? One task at a time."
)

SAID = "echo so far so good"
"""What is said to the shell before the pause, and must be there afterwards."""

FLOOR = (
    "import taskyard_agent.run, subprocess, sys;"
    "p = subprocess.Popen([sys.executable, '-m', 'taskyard_agent.shell'], stdin=subprocess.PIPE, stdout=subprocess.PIPE);"
    'p.stdin.write(b\'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":1}}\\n\');'
    "p.stdin.flush(); p.stdout.readline(); print(flush=True); sys.stdin.read(); p.kill(); p.wait()"
)
"""The same programs with nothing between them: agent and bridge imported, the shell agent answering, until input ends."""

START, STOP = "fork and exec of the same programs", "end of the same programs"


def measure(*, quick: bool) -> list[Figure]:
    """Times of one task at a time on a fresh server."""
    with fresh_server() as server, first_client(server.url) as client:
        return _Run(client).measure(2 if quick else 30)


def started() -> "subprocess.Popen[bytes]":
    """The floor's programs, once the shell agent has answered."""
    process = subprocess.Popen(
        [sys.executable, "-c", FLOOR],
        env={"PATH": os.defpath},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


class _Run:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._version = shell_version(client)
        self._times: dict[str, list[float]] = {}

    def measure(self, rounds: int) -> list[Figure]:
        interleave(rounds, self._floor, self._task)
        floors = {
            "POST to active": START,
            "pause to paused": STOP,
            "resume to active, with its conversation": START,
        }
        found = []
        for name, took in self._times.items():
            floor = floors.get(name)
            found.append(figure(name, took, None if floor is None else (floor, self._times[floor])))
        return found

    def _timed(self, name: str, work: Callable[[], object]) -> None:
        began = time.perf_counter()
        work()
        self._times.setdefault(name, []).append(time.perf_counter() - began)

    def _floor(self) -> None:
        made: list[subprocess.Popen[bytes]] = []
        self._timed(START, lambda: made.append(started()))
        self._timed(STOP, made[0].communicate)

    def _task(self) -> None:
        made: list[Task] = []
        began = time.perf_counter()
        self._timed("POST to 201", lambda: made.append(self._create()))
        task = made[0].id
        self._until(task, TaskStatus.ACTIVE)
        self._times.setdefault("POST to active", []).append(time.perf_counter() - began)
        self._talk(task)
        self._timed("pause to paused", lambda: self._pause(task))
        self._timed("resume to active, with its conversation", lambda: self._resume(task))
        self._client.delete_task("me", task)

    def _create(self) -> Task:
        request = CreateTaskRequest(template_version_id=self._version, input="")
        return self._client.create_task("me", request)

    def _talk(self, task: UUID) -> None:
        """Returns once the shell has answered and the server has heard that it waits."""
        wait(lambda: self._is_idle(task))
        self._client.send_task_input("me", task, TaskSendRequest(input=SAID))
        wait(lambda: self._knows(task))
        wait(lambda: self._is_idle(task))

    def _pause(self, task: UUID) -> None:
        self._client.pause_task("me", task)
        self._until(task, TaskStatus.PAUSED)

    def _resume(self, task: UUID) -> None:
        self._client.resume_task("me", task)
        self._until(task, TaskStatus.ACTIVE)
        wait(lambda: self._knows(task))

    def _until(self, task: UUID, status: TaskStatus) -> None:
        wait(lambda: self._client.get_task("me", task).status is status)

    def _is_idle(self, task: UUID) -> bool:
        state = self._client.get_task("me", task).current_state
        return state is not None and state.state is TaskState.IDLE

    def _knows(self, task: UUID) -> bool:
        """Whether the coding agent that runs now, not what is kept of an earlier one, tells the answer to what was said."""
        found = self._client.get_task_logs("me", task)
        return found.snapshot is not True and any(
            log.type == "output" and "so far so good" in log.content for log in found.logs
        )
