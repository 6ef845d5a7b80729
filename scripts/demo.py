"""The main job, from an empty directory to a finished task, in a throw-away server.

Prints what happens as it happens and a table of times at the end. Any step that is not as the
contract says ends it with the reason and a status other than 0.
"""

import os
import shutil
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from taskyard.errors import StartupError
from taskyard.sdk import ApiError, Client
from taskyard.sdk.local import LocalServer
from taskyard.wire.enums import JobStatus, LogEntryType, TaskState, TaskStatus, WorkspaceStatus
from taskyard.wire.identity import CreateFirstUserRequest, CreateTokenRequest, LoginRequest
from taskyard.wire.tasks import (
    CreateTaskRequest,
    Task,
    TaskLogsResponse,
    TaskSendRequest,
    UpdateTaskInputRequest,
)

T = TypeVar("T")

PASSWORD = "a throw-away password"  # noqa: S105 - of a server that lives for seconds
JOB = """\
cd "$TASKYARD_TEMPLATE_DIR/words"
echo "The ten most frequent words of $(find . -name '*.txt' | wc -l) files:"
find . -name '*.txt' -exec cat {} + | tr 'A-Z' 'a-z' | tr -cs 'a-z' '\\n' \
  | grep -E '.{5,}' | sort | uniq -c | sort -rn | head -10 > ~/ranking.txt
while read -r line; do echo "  $line"; sleep 0.1; done < ~/ranking.txt
"""
FOLLOW_UP = "echo \"The winner is: $(awk 'NR==1 {print $2}' ~/ranking.txt)\""
CHANGED = 'echo "Still here after the pause: $(wc -l < ~/ranking.txt) lines in ranking.txt"'

STARTING = "Starting workspace"
"""The part of a build's log that says how the workspace runs."""

PATIENCE_S = 60.0
"""How long any one step may take before the demo gives up; each takes seconds at most."""

LOOK_S = 0.02
"""Pause between looks at something that changes."""


class Wrong(Exception):
    """A step did not end as the contract says."""


class Demo:
    """The steps in order, and how long each took."""

    def __init__(self, server: LocalServer) -> None:
        self.times: list[tuple[str, float]] = []
        self._server = server
        self._client = Client("http://127.0.0.1", "")
        self._task_id = UUID(int=0)
        self._shown = 0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Times a step and says that it began."""
        print(f"\n== {name}", flush=True)
        began = time.perf_counter()
        yield
        self.times.append((name, time.perf_counter() - began))

    def run(self) -> None:
        """Every step; raises Wrong, ApiError."""
        with self.step("server: cold start, empty data directory"):
            url = self._start_server()
        with self.step("first user, login, token"):
            self._sign_in(url)
        with self.step("starter templates are imported"):
            version_id = self._until("the template shell", self._shell_version)
        with self.step("task: created to active"):
            self._create(version_id)
            self._until("the task to be active", self._is(TaskStatus.ACTIVE))
            self._show_walls()
        with self.step("task: the job runs, its log as it grows"):
            self._watch_turn()
        with self.step("follow-up is sent and answered"):
            self._client.send_task_input("me", self._task_id, TaskSendRequest(input=FOLLOW_UP))
            self._watch_turn("The winner is: ")
        with self.step("pause"):
            self._pause()
        with self.step("log of the paused task, then its input is changed"):
            self._read_paused()
        with self.step("resume: to active"):
            self._resume()
        with self.step("the conversation is still there, the new input is answered"):
            self._watch_turn("Still here after the pause: 10 lines")
            self._expect_history()
        with self.step("delete"):
            self._delete()
        with self.step("server: stop"):
            self._stop_server()

    def _start_server(self) -> str:
        url = self._server.start()
        print(f"   {url}, everything under {self._server.data_dir}")
        return url

    def _sign_in(self, url: str) -> None:
        with Client(url, "") as nobody:
            nobody.create_first_user(
                CreateFirstUserRequest(username="demo", email="demo@example.com", password=PASSWORD)
            )
            session = nobody.login(LoginRequest(email="demo@example.com", password=PASSWORD))
        with Client(url, session.session_token) as client:
            key = client.create_token("me", CreateTokenRequest(token_name="demo")).key  # noqa: S106
        self._client = Client(url, key)
        me = self._client.get_user("me")
        print(f"   user {me.username}, token {key[:10]}-...")

    def _shell_version(self) -> UUID | None:
        names = {t.name: t for t in self._client.list_templates("has-ai-task:true")}
        if "shell" not in names:
            return None
        version = self._client.get_template_version(names["shell"].active_version_id)
        return version.id if version.job.status is JobStatus.SUCCEEDED else None

    def _create(self, version_id: UUID) -> None:
        request = CreateTaskRequest(template_version_id=version_id, input=JOB, name="word-count")
        task = self._client.create_task("me", request)
        self._task_id = task.id
        self._expect(task.status is TaskStatus.PENDING, f"a new task is {task.status}")
        print(f"   task {task.name}, {task.id}")

    def _show_walls(self) -> None:
        """What the build says of where the task runs, whether it is confined above all."""
        workspace_id = self._client.get_task("me", self._task_id).workspace_id
        assert workspace_id is not None
        build = self._client.get_workspace(workspace_id).latest_build
        for line in self._client.get_workspace_build_logs(build.id):
            if line.stage == STARTING:
                print(f"   {line.output}")

    def _is(self, status: TaskStatus) -> Callable[[], Task | None]:
        def look() -> Task | None:
            task = self._client.get_task("me", self._task_id)
            if task.status is TaskStatus.ERROR:
                raise Wrong("the task failed; the server's log says why")
            return task if task.status is status else None

        return look

    def _watch_turn(self, wanted: str = "") -> None:
        """Prints the log as it grows until the coding agent waits, having said what is wanted."""

        def look() -> bool | None:
            task = self._client.get_task("me", self._task_id)
            text = self._print_new(self._client.get_task_logs("me", self._task_id))
            state = task.current_state.state if task.current_state else None
            # At the start of a line: the message itself, shown after "> ", may hold these words too.
            said = any(line.startswith(wanted) for line in text.splitlines())
            return True if state is TaskState.IDLE and said else None

        self._until(f"the coding agent to answer {wanted!r}", look)

    def _print_new(self, logs: TaskLogsResponse) -> str:
        """The whole conversation as text; prints what was not printed before."""
        text = "".join(
            f"> {entry.content.strip()}\n"
            if entry.type is LogEntryType.INPUT
            else f"{entry.content}\n"
            for entry in logs.logs
        )
        stable = text.rstrip("\n")
        for line in stable[self._shown :].splitlines():
            if line:
                print(f"   | {line}", flush=True)
        self._shown = max(self._shown, len(stable))
        return stable

    def _pause(self) -> None:
        build = self._client.pause_task("me", self._task_id).workspace_build
        self._until("the workspace to stop", self._built(build.id, WorkspaceStatus.STOPPED))
        self._until("the task to be paused", self._is(TaskStatus.PAUSED))

    def _read_paused(self) -> None:
        logs = self._client.get_task_logs("me", self._task_id)
        self._expect(logs.snapshot is True, "the log of a paused task is no snapshot")
        self._expect(len(logs.logs) == 4, f"the snapshot has {len(logs.logs)} messages, not 4")
        print(f"   {len(logs.logs)} messages, kept at {logs.snapshot_at}")
        self._client.update_task_input("me", self._task_id, UpdateTaskInputRequest(input=CHANGED))
        task = self._client.get_task("me", self._task_id)
        self._expect(task.initial_prompt == CHANGED, "the changed input is not shown")

    def _resume(self) -> None:
        build = self._client.resume_task("me", self._task_id).workspace_build
        self._until("the workspace to start", self._built(build.id, WorkspaceStatus.RUNNING))
        self._until("the task to be active", self._is(TaskStatus.ACTIVE))

    def _built(self, build_id: UUID, wanted: WorkspaceStatus) -> Callable[[], bool | None]:
        def look() -> bool | None:
            build = self._client.get_workspace_build(build_id)
            if build.job.status in (JobStatus.FAILED, JobStatus.CANCELED):
                raise Wrong(f"the build {build.job.status}: {build.job.error}")
            return True if build.status is wanted else None

        return look

    def _expect_history(self) -> None:
        logs = self._client.get_task_logs("me", self._task_id).logs
        text = "\n".join(entry.content for entry in logs)
        self._expect("ten most frequent words" in text, "the first answer is gone")
        self._expect("The winner is" in text, "the second answer is gone")
        self._expect(len(logs) == 6, f"the conversation has {len(logs)} messages, not 6")
        print(f"   {len(logs)} messages")

    def _delete(self) -> None:
        workspace_id = self._client.get_task("me", self._task_id).workspace_id
        assert workspace_id is not None
        self._client.delete_task("me", self._task_id)
        self._expect(
            self._status_of(lambda: self._client.get_task("me", self._task_id)) == 404,
            "a deleted task can be read",
        )

        def gone() -> bool | None:
            look = self._status_of(lambda: self._client.get_workspace(workspace_id))
            return True if look == 410 else None

        self._until("the workspace to be gone", gone)

    def _status_of(self, call: Callable[[], object]) -> int:
        try:
            call()
        except ApiError as error:
            return error.status
        return 200

    def _stop_server(self) -> None:
        status = self._server.stop()
        self._expect(status == 0, f"the server ended with status {status}")

    def _until(self, what: str, look: Callable[[], T | None]) -> T:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            found = look()
            if found is not None:
                return found
            time.sleep(LOOK_S)
        raise Wrong(f"waited {PATIENCE_S:g} s in vain for {what}")

    def _expect(self, holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
        if not holds:
            raise Wrong(otherwise)


def main() -> int:
    """Runs the demo; 0 when every step was right."""
    parser = ArgumentParser("./yard demo", description="The main job, in a throw-away server.")
    parser.add_argument(
        "--allow-unconfined",
        action="store_true",
        help="run the task without walls where this machine cannot have them",
    )
    options = ["--allow-unconfined"] if parser.parse_args().allow_unconfined else []
    began = time.perf_counter()
    data_dir = Path(tempfile.mkdtemp(prefix="taskyard-demo-"))
    data_dir.chmod(0o711)  # a database that gave up root must be able to pass
    server = LocalServer(data_dir, options=options)
    demo = Demo(server)
    try:
        demo.run()
    except (Wrong, ApiError, StartupError, OSError) as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    finally:
        server.stop()
        shutil.rmtree(data_dir, ignore_errors=os.geteuid() != 0)
    width = max(len(name) for name, _ in demo.times)
    print(f"\n{'step':{width}}  seconds")
    for name, seconds in demo.times:
        print(f"{name:{width}}  {seconds:7.2f}")
    print(f"{'first line to last':{width}}  {time.perf_counter() - began:7.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
