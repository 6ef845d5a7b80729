"""A task that cannot work says why, in every command that runs into it."""

from pathlib import Path

import pytest

from taskyard.sdk import Client
from taskyard.wire.enums import AgentLifecycle, TaskStatus
from tests.cli.conftest import Program
from tests.waiting import until

NO_SUCH_PROGRAM = """
[task]
app = "agent"
[agent]
type = "custom"
transport = "acp"
command = ["no-such-program"]
"""

FAILING_START = """
[task]
app = "agent"
[agent]
type = "shell"
[scripts]
start = "setup.sh"
"""


@pytest.fixture
def broken(tmp_path: Path, owner: Program) -> str:
    """The name of a task whose coding agent is missing."""
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "taskyard.toml").write_text(NO_SUCH_PROGRAM)
    owner.good("templates", "push", "-y", str(folder))
    made = owner("task", "create", "--template", "broken", "--name", "broken", "hello")
    assert made.status == 1
    assert "failed at coding agent" in made.err
    assert "`no-such-program` not found" in made.err
    assert "taskyard task resume" in made.err
    return "broken"


def test_a_task_in_error_says_why(owner: Program, client: Client, broken: str) -> None:
    """status, logs and send name the program that is missing; status says it in short, its log stands on stderr."""
    error = TaskStatus.ERROR
    until("the error", lambda: client.get_task("me", broken).status is error or None)
    status = owner("task", "status", broken)
    assert "`no-such-program` not found" in status.out
    assert "is in error" in status.err
    assert "is in error" not in status.out
    assert "no-such-program" in status.err
    logs = owner("task", "logs", broken)
    followed = owner("task", "logs", "-f", broken)
    sent = owner("task", "send", broken, "hello")
    assert [ended.status for ended in (status, logs, followed, sent)] == [0, 1, 0, 1]
    for ended in (logs, followed, sent):
        assert "no-such-program" in ended.err, ended
        assert ended.out == ""
    assert "taskyard task resume" in sent.err
    assert owner("task", "status", "-o", "json", broken).err == ""
    owner.good("task", "delete", "-y", broken)


def test_a_start_script_that_failed_is_told(tmp_path: Path, owner: Program, client: Client) -> None:
    """The task works all the same; its status says what the script said last."""
    folder = tmp_path / "half"
    folder.mkdir()
    (folder / "taskyard.toml").write_text(FAILING_START)
    (folder / "setup.sh").write_text("#!/bin/sh\necho the mirror is down >&2\nexit 7\n")
    owner.good("templates", "push", "-y", str(folder))
    owner.good("task", "create", "--template", "half", "--name", "half", "true")
    failed = AgentLifecycle.START_ERROR
    until(
        "the script to fail",
        lambda: client.get_task("me", "half").workspace_agent_lifecycle is failed or None,
    )
    assert "start script failed" in owner("task", "status", "half").err
    until(
        "what the script said last",
        lambda: "the mirror is down" in owner("task", "status", "half").err or None,
    )
    owner.good("task", "delete", "-y", "half")
