"""`taskyard task network`: what a workspace tried to reach, as a table for people and as JSON for programs."""

import json
from pathlib import Path

from tests.cli.test_cli_permissions import GOLDENS, ask
from tests.sdk.peer import answer

NETWORK = answer((GOLDENS / "task_network.json").read_bytes())
NOTHING = answer(b'{"decisions":[],"more":[]}')


def test_attempts_are_a_table(tmp_path: Path) -> None:
    """One a line with its place, request, reason and count; what is not told apart is counted on stderr."""
    ended, server = ask(tmp_path, [NETWORK], "network", "fix")
    assert ended.status == 0, ended.err
    lines = [line.split() for line in ended.out.splitlines()]
    assert lines[1][:5] == ["refused", "store.example:80", "POST", "/index/", "method"]
    assert lines[2][:4] == ["allowed", "api.example.org:443", "listed", "12"]
    assert "4000000000 times more refused" in ended.err
    assert server.asked[-1][1].split(b" ")[1].endswith(b"/network")


def test_only_what_was_refused(tmp_path: Path) -> None:
    """In the table and in JSON; the columns can be chosen."""
    ended, _ = ask(tmp_path, [NETWORK], "network", "fix", "--refused", "-c", "host,first_at")
    assert [line.split()[0] for line in ended.out.splitlines()[1:]] == [
        "store.example:80",
        "0x7f.1:80",
    ]
    ended, _ = ask(tmp_path, [NETWORK], "network", "fix", "--refused", "--json")
    found = json.loads(ended.out)
    assert {each["verdict"] for each in found["decisions"]} == {"refused"}


def test_nothing_was_tried(tmp_path: Path) -> None:
    """It says so on stderr, and prints nothing."""
    ended, _ = ask(tmp_path, [NOTHING], "network", "fix", "--refused")
    assert (ended.status, ended.out) == (0, "")
    assert "refused nothing" in ended.err
