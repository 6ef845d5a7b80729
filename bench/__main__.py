"""`./yard bench [ROW...] [--quick]`: measures rows, saves them, and writes docs/numbers.md.

`./yard bench seed FOLDER [TASKS]` makes a data directory with a million tasks instead.
"""

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module

from bench import seed
from bench.goals import aimless, judge, unexplained
from bench.measure import load_all, result, save
from bench.report import goals_table, table, write_numbers

ROWS = (
    "agents",
    "attack",
    "bridge",
    "burst",
    "cli",
    "cold",
    "confined",
    "create",
    "density",
    "egress",
    "filter",
    "ingest",
    "page",
    "queue",
    "read",
    "send",
    "stream",
    "walls",
)
"""Each is a module that has a QUESTION and measures figures that answer it."""

AT_ONCE = 4
"""Rows of a quick run that are measured at the same time: its figures are of no interest."""


def main() -> None:
    """Measures the rows asked for, all without a name; ends with status 1 where something is wrong."""
    if sys.argv[1:2] == ["seed"]:
        seed.main(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="./yard bench", description=__doc__)
    parser.add_argument(
        "row", nargs="*", choices=[*ROWS, []], help="what to measure; all without one"
    )
    parser.add_argument("--quick", action="store_true", help="few samples, nothing is saved")
    arguments = parser.parse_args()
    rows: list[str] = arguments.row or list(ROWS)
    if len(rows) == 1:
        _measure(rows[0], quick=arguments.quick)
        wrong = []
    else:
        wrong = [f"{row}: it failed, see above" for row in _failing(rows, quick=arguments.quick)]
    if not arguments.quick:
        saved = load_all()
        write_numbers(saved)
        wrong += [line for found in saved if found.row in rows for line in unexplained(found)]
    if wrong:
        raise SystemExit("\n" + "\n".join(wrong))


def _measure(row: str, *, quick: bool) -> None:
    module = import_module(f"bench.{row}")
    print(f"\n## {row}\n\n{module.QUESTION}\n", flush=True)
    found = result(row, module.QUESTION, module.measure(quick=quick), quick=quick)
    print(table(found), flush=True)
    if wrong := aimless(found):
        raise SystemExit("\n".join(wrong))
    if not quick:
        print("\n" + goals_table(judge(found)), flush=True)
        save(found)


def _failing(rows: list[str], *, quick: bool) -> list[str]:
    """Measures rows, each in a process of its own, and returns those that failed."""
    with ThreadPoolExecutor(AT_ONCE if quick else 1) as pool:
        ended = list(pool.map(partial(_measure_apart, quick=quick), rows))
    return [row for row, status in zip(rows, ended, strict=True) if status]


def _measure_apart(row: str, *, quick: bool) -> int:
    argv = [sys.executable, "-m", "bench", row, *(["--quick"] if quick else [])]
    # Of several at once, each says what it has to say at its end; one alone while it runs.
    kept = subprocess.PIPE if quick else None
    ended = subprocess.run(argv, stdout=kept, stderr=subprocess.STDOUT, text=True, check=False)
    print(ended.stdout or "", end="", flush=True)
    return ended.returncode


if __name__ == "__main__":
    main()
