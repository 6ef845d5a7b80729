"""Every row of the benchmark runs. What it measures is judged by people, on a quiet machine."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench import seed
from bench.__main__ import ROWS
from bench.goals import aimless, judge, load_goals, unexplained
from bench.measure import Result, amount, load_all
from bench.report import goals_table
from taskyard.sdk import Client
from taskyard.sdk.local import LocalServer
from tests.system.kit import open_folder

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.all_tier
def test_the_bench_runs_quickly() -> None:
    """Each row measures something, each goal is about something measured, and nothing is kept."""
    argv = [sys.executable, "-m", "bench", "--quick"]
    before = load_all()
    ran = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert [row for row in ROWS if f"\n## {row}\n" not in ran.stdout] == []
    assert load_all() == before


@pytest.mark.all_tier
def test_a_server_starts_on_what_was_seeded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder is a data directory, and the token that is printed is its owner's, who sees all tasks."""
    with open_folder() as home:
        seed.main([str(home / "data"), "100"])
        token = capsys.readouterr().out.partition("TASKYARD_SESSION_TOKEN=")[2].split()[0]
        with LocalServer(home / "data", log=tmp_path / "log") as server:
            assert server.url is not None
            with Client(server.url, token) as client:
                assert len(client.list_tasks().tasks) == 100
                assert client.list_tasks("status:pending").tasks


def test_goals_are_of_rows_and_have_one_bound() -> None:
    """No goal stands in the file that nothing is judged by."""
    found = [goal for row in ROWS for goal in load_goals(row)]
    assert all((goal.at_most is None) != (goal.at_least is None) for goal in found)
    assert all(bool(goal.cause) == bool(goal.would_take) for goal in found)


def test_a_missed_goal_needs_a_cause(tmp_path: Path) -> None:
    """A figure over its bound is told, unless the file says why; one within is not."""
    goal = '[[walls]]\nfigure = "a * one"\nof = "p95"\nat_most = 10\n'
    file = tmp_path / "goals.toml"
    file.write_text(goal)
    slow, quick = _walls("a slow one", 11), _walls("a quick one", 10)
    assert [one.is_met for one in judge(slow, file) + judge(quick, file)] == [False, True]
    assert unexplained(slow, file) == [
        "walls: p95 of 'a slow one' is 11, not at most 10, and goals.toml does not say why or what it would take"
    ]
    assert unexplained(quick, file) == []
    assert aimless(_walls("another", 1), file) == [
        "walls has no p95 of 'a * one', which has a goal"
    ]
    file.write_text(goal + 'cause = "It rains."\nwould_take = "Sun."\n')
    assert unexplained(slow, file) == []
    assert "a slow one: It rains. Sun." in goals_table(judge(slow, file))


def _walls(name: str, value: float) -> Result:
    return Result("walls", "", "2026-01-01", False, "", "", {}, [amount(name, "ms", [value])])
