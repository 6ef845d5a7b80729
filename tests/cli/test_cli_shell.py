"""`taskyard task shell` and `taskyard task open`, against a real server with a real workspace behind it."""

import re
from urllib.parse import urlsplit

import httpx2
import pytest

from taskyard.sdk import Client
from tests.cli.conftest import Program
from tests.cli.test_cli_attach import on_a_terminal
from tests.cli.test_cli_tasks import new_task

pytestmark = pytest.mark.all_tier


def test_a_shell_on_a_terminal(owner: Program, client: Client) -> None:
    """It has the size of the person's terminal, is left and found again, ends by exit; then its app is shown."""
    task = new_task(owner, client, "echo one")
    with on_a_terminal(owner, "task", "shell", task.name) as screen:
        screen.until(rb"A new shell in the workspace of ")
        screen.type("stty size; here=kept; echo o''ver\r")
        assert b"24 80" in screen.until(rb"over\r\n")
        assert screen.is_raw()
        screen.type("\x1d")
        left = screen.until(rb"--id [0-9a-f-]{36}")
        assert screen.end() == 0
        assert not screen.is_raw()
    found = re.search(rb"--id ([0-9a-f-]{36})", left)
    assert found is not None
    with on_a_terminal(owner, "task", "shell", task.name, "--id", found[1].decode()) as screen:
        screen.until(rb"over\r\n")  # what was there is shown again
        screen.type("echo st''ill-$here\r")
        screen.until(rb"still-kept")
        screen.type("exit\r")
        screen.until(rb"The shell ended")
        assert screen.end() == 0
    wrong = owner("task", "open", task.name, "--app", "nope")
    assert (wrong.status, "no app 'nope'" in wrong.err, "There are: " in wrong.err) == (
        1,
        True,
        True,
    )
    parts = urlsplit(owner.good("task", "open", task.name, "--path", "/status").strip())
    with httpx2.Client(base_url=f"http://127.0.0.1:{parts.port}") as browser:
        host = {"Host": parts.netloc}
        entered = browser.get(f"{parts.path}?{parts.query}", headers=host)
        assert (entered.status_code, entered.headers["location"]) == (303, "/status")


def test_a_shell_needs_a_terminal(owner: Program) -> None:
    """In a pipe it says so before anything is asked."""
    ended = owner("task", "shell", "whatever")
    assert (ended.status, "needs a terminal" in ended.err) == (1, True)
