"""Following tasks on the command line: over connections that break, and everything that a task said in a file."""

import json
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import Popen
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from taskyard.sdk import ApiError, Client
from taskyard.wire.tasks import CreateTaskRequest, Task
from tests.cli.conftest import DEADLINE_S, Program
from tests.sdk.yard_kit import Yard
from tests.waiting import until


class Wire:
    """A way to a server that can be cut."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self._there = (place.hostname or "", place.port or 0)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Cuts every connection there is."""
        for sock in self._open:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Ends it."""
        self._listening.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listening.accept()
                there = socket.create_connection(self._there)
                self._open += [here, there]
                for one, other in ((here, there), (there, here)):
                    threading.Thread(target=_pass_on, args=(one, other), daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while part := one.recv(1 << 16):
            other.sendall(part)
    with suppress(OSError):
        other.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def wire(yard: Yard) -> Iterator[Wire]:
    """A way to the server that all share."""
    found = Wire(yard.url)
    yield found
    found.close()


@pytest.fixture
def task(client: Client) -> Iterator[Task]:
    """A task that has said something and waits."""

    def version() -> UUID | None:
        found = client.list_templates("has-ai-task:true")
        return next((t.active_version_id for t in found if t.name == "shell"), None)

    version_id = until("the shell template", version)
    made = client.create_task(
        "me", CreateTaskRequest(template_version_id=version_id, input="echo one")
    )
    until("the answer", lambda: _said(client, made, "one"))
    yield made
    with suppress(ApiError):  # the test did, or a build is at work
        client.delete_task("me", made.id)


def _said(client: Client, task: Task, text: str) -> bool | None:
    found = client.get_task_transcript("me", task.id, kinds="agent_message").items
    return any(text in bytes(item.data).decode() for item in found) or None


class Reader:
    """What a program has printed so far."""

    def __init__(self, process: Popen[str]) -> None:
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._read, args=(process,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Returns when all is read that the program has printed, which has ended."""
        self._thread.join(DEADLINE_S)

    def has(self, text: str) -> bool | None:
        """Whether it was printed."""
        return any(text in line for line in list(self.lines)) or None

    def _read(self, process: Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.append(line.rstrip("\n"))


@contextmanager
def reading(program: Program, *arguments: str) -> Iterator[tuple[Popen[str], Reader]]:
    with program.started(*arguments) as process:
        yield process, Reader(process)


def test_a_log_goes_on_where_it_was(
    tmp_path: Path, yard: Yard, wire: Wire, client: Client, task: Task
) -> None:
    """A connection that is cut costs one line on stderr and nothing of the log; Ctrl-C ends it."""
    program = Program(tmp_path, TASKYARD_URL=wire.url, TASKYARD_SESSION_TOKEN=yard.token)
    with reading(program, "task", "logs", "-f", task.name) as (process, reader):
        until("the beginning", lambda: reader.has("> echo one"))
        for text in ("two", "three"):
            wire.cut()
            program.good("task", "send", task.name, f"echo {text}")
            until(text, lambda: reader.has(f"> echo {text}"))  # noqa: B023 - asked for at once
        process.send_signal(signal.SIGINT)
        process.wait(DEADLINE_S)
        assert process.stderr is not None
        err = process.stderr.read()
        reader.end()
    told = "\n".join(reader.lines)
    assert [told.count(f"> echo {text}") for text in ("one", "two", "three")] == [1, 1, 1]
    assert err.count("connection to the server was lost") in (1, 2)
    assert "Traceback" not in err


def test_watch_prints_each_change(owner: Program, client: Client, task: Task) -> None:
    """What the task is, then each change on a line of its own, over cuts once, until it is deleted."""
    with reading(owner, "task", "watch", task.name) as (process, reader):
        until("what it is", lambda: reader.has("active"))
        owner.good("task", "pause", "-y", task.name)
        until("the pause", lambda: reader.has("paused"))
        owner.good("task", "delete", "-y", str(task.id))
        process.wait(DEADLINE_S)
        reader.end()
    assert process.returncode == 0
    assert all(f"/{task.name}  " in line for line in reader.lines)
    assert reader.lines[-1].endswith("  deleted")
    assert len(set(reader.lines)) == len(reader.lines)


def test_watch_all_as_json(owner: Program, client: Client, task: Task) -> None:
    """Each line is an object, which has a task; Ctrl-C is no error."""
    with reading(owner, "task", "watch", "--all", "-o", "json") as (process, reader):
        until("the task", lambda: reader.has(str(task.id)))
        process.send_signal(signal.SIGINT)
        process.wait(DEADLINE_S)
        assert process.stderr is not None
        assert (process.returncode, process.stderr.read()) == (0, "")
        reader.end()
    assert all("task" in json.loads(line) for line in reader.lines)
    assert owner("task", "watch").status == 2
    assert owner("task", "watch", "--all", task.name).status == 2


def test_a_transcript_in_a_file(owner: Program, client: Client, task: Task) -> None:
    """As JSONL it is what the server has, as Markdown it can be read; also after the task was deleted, by its id."""
    path = owner.home / "out.jsonl"
    ended = owner("task", "transcript", task.name, "--format", "jsonl", "-o", str(path))
    assert (ended.status, ended.out) == (0, "")
    items = [json.loads(line) for line in path.read_text().splitlines()]
    assert [item["number"] for item in items] == list(range(1, len(items) + 1))
    some = owner.good(
        "task", "transcript", task.name, "--format", "jsonl", "--kinds", "user_message"
    )
    assert [json.loads(line)["kind"] for line in some.splitlines()] == ["user_message"]
    wrong = owner("task", "transcript", task.name, "--format", "jsonl", "--kinds", "user_mesage")
    assert wrong.status == 1
    assert "user_message" in wrong.err
    assert owner.good("task", "transcript", task.name) == owner.good("task", "logs", task.name)
    owner.good("task", "delete", "-y", task.name)
    assert "> echo one" in owner.good("task", "transcript", str(task.id), "--format", "markdown")
    assert owner("task", "transcript", task.name).status == 1
