"""Secrets by commands: values come from stdin or a prompt, and are nowhere afterwards."""

import json
import os
import pty
import subprocess
import time

from tests.cli.conftest import DEADLINE_S, PROGRAM, Program
from tests.sdk.yard_kit import Yard

VALUE = "nobody-reads-this-again"


def test_a_secret_by_stdin(owner: Program) -> None:
    """Set, said where it went, listed without its value, replaced, deleted; deleted twice is an error."""
    said = owner.good("secrets", "set", "CLI_KEY", stdin=f"{VALUE}\n")
    assert said == "Set the secret CLI_KEY of the user ada.\n"
    owner.good("secrets", "set", "CLI_KEY", stdin="another")
    listed = owner.good("secrets", "list")
    assert "CLI_KEY" in listed
    assert VALUE not in listed
    assert "CLI_KEY" in owner.good("secrets", "list", "--user", "-q").split()
    rows = json.loads(owner.good("secrets", "list", "-o", "json"))
    assert {"id", "name", "created_at", "updated_at"} == set(rows[0])
    assert "Deleted" in owner.good("secrets", "delete", "CLI_KEY", "--yes")
    gone = owner("secrets", "delete", "CLI_KEY", "--yes")
    assert (gone.status, "CLI_KEY" in gone.err) == (1, True)


def test_secrets_of_templates_and_organizations(owner: Program) -> None:
    """The flags say whose, and the command says it back; two owners at once are wrong usage."""
    owner.good("templates", "list")
    template = owner.good("secrets", "set", "T_KEY", "--template", "shell", stdin=VALUE)
    assert template == "Set the secret T_KEY of the template shell.\n"
    shared = owner.good("secrets", "set", "O_KEY", "--organization", stdin=VALUE)
    assert "of the organization" in shared
    assert owner.good("secrets", "list", "--template", "shell", "-q") == "T_KEY\n"
    assert "O_KEY" in owner.good("secrets", "list", "--org", "-q").split()
    assert "T_KEY" not in owner.good("secrets", "list", "-q").split()
    both = owner("secrets", "list", "--user", "ada", "--template", "shell")
    assert both.status == 2
    owner.good("secrets", "delete", "T_KEY", "--template", "shell", "--yes")
    owner.good("secrets", "delete", "O_KEY", "--organization", "--yes")


def test_a_refused_name_says_why(owner: Program) -> None:
    """A name that would change a workspace is refused, and nothing is stored."""
    ended = owner("secrets", "set", "LD_PRELOAD", stdin=VALUE)
    assert ended.status == 1
    assert "LD_PRELOAD" in ended.err
    assert VALUE not in ended.err + ended.out
    empty = owner("secrets", "set", "CLI_EMPTY")
    assert (empty.status, "empty" in empty.err) == (1, True)


def test_a_prompt_shows_nothing(owner: Program, yard: Yard) -> None:
    """On a terminal the value is asked for, and does not appear on it."""
    outer, inner = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, "secrets", "set", "TYPED"],
        stdin=inner,
        stdout=inner,
        stderr=inner,
        env={**os.environ, "TASKYARD_URL": yard.url, "TASKYARD_SESSION_TOKEN": yard.token},
        start_new_session=True,
        cwd=owner.home,
    ) as process:
        os.close(inner)
        shown = _until(outer, "TYPED: ")
        os.write(outer, f"{VALUE}\n".encode())
        shown += _until(outer, "Set the secret")
        assert process.wait(DEADLINE_S) == 0
    os.close(outer)
    assert VALUE not in shown
    owner.good("secrets", "delete", "TYPED", "--yes")


def _until(terminal: int, wanted: str) -> str:
    """What the terminal shows up to there."""
    shown, deadline = "", time.monotonic() + DEADLINE_S
    while wanted not in shown and time.monotonic() < deadline:
        try:
            shown += os.read(terminal, 4096).decode(errors="replace")
        except OSError:
            break
    return shown
