"""`taskyard doctor` on this machine, as its tests run: what it says was tried, and nothing of it stays."""

import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from taskyard.lifecycle.walls import Wall
from tests.cli.conftest import PROGRAM, Ended, Program
from tests.house.tree import ROOT
from tests.security.hostile import as_account, environment_of, why_not

pytestmark = pytest.mark.all_tier
NEEDED = {
    "account",
    "data",
    "database",
    "port",
    "bubblewrap",
    "namespaces",
    "uids",
    "confined",
    "seccomp",
}


def lines_of(ended: Ended) -> dict[str, dict[str, Any]]:
    return {line["name"]: line for line in json.loads(ended.out)["lines"]}


def test_a_machine_that_runs_these_tests_is_well(tmp_path: Path) -> None:
    """What a server needs is ok, every word of workspace.require has its line, and no file is left behind."""
    data = tmp_path / "data"
    data.mkdir()
    ended = Program(tmp_path)("doctor", "--json", "--port", "0", "--data-dir", str(data))
    lines = lines_of(ended)
    assert (ended.status, json.loads(ended.out)["ok"]) == (0, True), ended
    assert {name for name in NEEDED if lines[name]["standing"] != "ok"} == set()
    assert set(lines) == NEEDED | set(Wall)
    assert all(line["means"] for line in lines.values() if line["standing"] != "ok")
    assert list(data.iterdir()) == []


def test_what_is_missing_is_named_with_its_cure(tmp_path: Path) -> None:
    """A port that another program has and a database that is not there: exit 1, what follows, what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        url = "postgresql://nobody:hush@127.0.0.1:1/none"
        ended = Program(tmp_path)(
            "doctor", "--data-dir", str(tmp_path), "--port", port, "--postgres-url", url
        )
    assert ended.status == 1
    assert "Missing: database, port." in ended.out
    assert "taskyard server --port 0" in ended.out
    assert "so: the server does not start" in ended.out
    assert "hush" not in ended.out + ended.err


def test_going_without_walls_is_said_loudly(tmp_path: Path) -> None:
    """As root of a container without the ids of workspaces walls are missing; --allow-unconfined makes that loud, not well."""
    inside = ("unshare", "--user", "--map-root-user", *PROGRAM, "doctor", "--port", "0")
    options: dict[str, Any] = {
        "capture_output": True,
        "text": True,
        "cwd": tmp_path,
    }
    environ = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
    command = [*inside, "--data-dir", str(tmp_path)]
    strict = subprocess.run(command, check=False, env=environ, **options)
    assert strict.returncode == 1, strict
    assert "missing  uids" in strict.stdout
    assert "missing  confined" in strict.stdout
    environ["TASKYARD_ALLOW_UNCONFINED"] = "true"
    loud = subprocess.run(command, check=False, env=environ, **options)
    assert "off      confined" in loud.stdout
    assert "workspaces have all of its rights" in loud.stdout.splitlines()[-1]


@pytest.mark.skipif(os.geteuid() != 0, reason="the tests run as an ordinary user already")
def test_an_ordinary_user_learns_what_only_root_has(tmp_path: Path) -> None:
    """As a user without any rights the walls are ok, and what is off says so, with what follows from it."""
    if why := why_not("user"):
        pytest.skip(why)
    command = [*as_account("user"), "-m", "taskyard.cli.main", "doctor", "--json", "--port", "0"]
    done = subprocess.run(
        [*command, "--data-dir", "/var/tmp"],
        cwd=ROOT,
        env=environment_of("user"),
        capture_output=True,
        text=True,
        check=False,
    )
    lines = lines_of(Ended(done.returncode, done.stdout, done.stderr))
    assert done.returncode == 0, done
    assert lines["confined"]["standing"] == "ok"
    assert lines["runc"]["standing"] == "off"
    assert "root" in lines["runc"]["seen"]
