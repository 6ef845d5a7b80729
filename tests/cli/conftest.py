"""The program as people run it: a process of its own, with a home of its own, against a real server."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from taskyard.cli.main import run
from taskyard.cli.template_push import STARTERS
from taskyard.sdk import Client
from tests.sdk.yard_kit import Yard, running
from tests.waiting import until

PROGRAM = (sys.executable, "-P", "-m", "taskyard.cli.main")
DEADLINE_S = 90.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


class Program:
    """Runs commands with a home folder of their own and nothing else that could point to a server."""

    def __init__(self, home: Path, **environ: str) -> None:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TASKYARD_", "CODER_"))
        }
        self.home = home
        self._environ = {**kept, "XDG_CONFIG_HOME": str(home / "config"), **environ}

    def __call__(self, *arguments: str, stdin: str = "", **environ: str) -> Ended:
        """Runs a command to its end."""
        done = subprocess.run(
            [*PROGRAM, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=self.home,
            env={**self._environ, **environ},
            timeout=DEADLINE_S,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)

    def good(self, *arguments: str, stdin: str = "") -> str:
        """What a command that must succeed prints."""
        ended = self(*arguments, stdin=stdin)
        assert ended.status == 0, ended
        return ended.out

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """A command while it runs; ended at the latest afterwards."""
        with subprocess.Popen(
            [*PROGRAM, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home,
            env=self._environ,
        ) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGKILL)


@pytest.fixture(scope="session")
def yard(postgres_url: str) -> Iterator[Yard]:
    """A server of this process's tests, which has imported its templates; they only add to it."""
    with running(postgres_url) as found:
        with Client(found.url, found.token) as client:
            until("the templates", partial(_starters, client))
        yield found


def _starters(client: Client) -> bool | None:
    """Whether all that come along are there, and known to run tasks."""
    names = {template.name for template in client.list_templates("has-ai-task:true")}
    return set(STARTERS) <= names or None


@pytest.fixture(scope="session")
def idle_yard(postgres_url: str) -> Iterator[Yard]:
    """A server without a worker: whatever is asked for waits in the queue."""
    with running(postgres_url, "--roles", "api", "--no-starter-templates") as found:
        yield found


@pytest.fixture
def stranger(tmp_path: Path) -> Program:
    """The program of somebody who never signed in anywhere."""
    return Program(tmp_path)


@pytest.fixture
def owner(tmp_path: Path, yard: Yard) -> Program:
    """The program with the owner's token in its environment."""
    return Program(tmp_path, TASKYARD_URL=yard.url, TASKYARD_SESSION_TOKEN=yard.token)


@pytest.fixture
def quick(
    tmp_path: Path,
    yard: Yard,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Ended]:
    """The owner's program inside this process: for the many command lines that end at once."""
    for name in [name for name in os.environ if name.startswith(("TASKYARD_", "CODER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("TASKYARD_URL", yard.url)
    monkeypatch.setenv("TASKYARD_SESSION_TOKEN", yard.token)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Ended:
        status = run(arguments)
        captured = capsys.readouterr()
        return Ended(status, captured.out, captured.err)

    return call


@pytest.fixture
def client(yard: Yard) -> Iterator[Client]:
    """The owner's client, to look at what a command did."""
    with Client(yard.url, yard.token) as found:
        yield found
