"""Writes docs/reference/reliability.md from what the tests showed; `./yard docs` runs it.

With --check it writes nothing and exits 1 when the page is stale.
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from scripts.soak import Soak, load_soak
from tests.faults.matrix import STEPS, Cell, Victim, Way, cells
from tests.faults.report import Shown, counted, load

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "reliability.md"

HEAD = """\
# Reliability

What was broken on purpose, and what came of it. The page is made by `./yard docs` from what tests noted.

## Kill matrix

A task is held at a step: a point in the code, named below, at which a process waits until a test lets it go on. There somebody is
struck: killed by `kill -9`, or frozen by SIGSTOP for longer than three leases and then continued. Then everybody goes on; a server or worker that was
killed is started again, as a service manager does. A cell holds when the flow comes to its end (a task that takes a message and answers it,
that is paused, or that is gone), the transcript has every item once and no gap, each prompt was run once or the transcript says that
it was cut off, and no process, file, open job or lease is left over.

"""

WORDS = """
`ok`: it holds. `resumed`: the start failed, the task said why, and one resume mended it. `-`: there is no such cell, for a reason below.
`not tried`: nobody noted it.

"""

REASONS = """
### Cells that do not exist

"""

SOAK = """
## Soak

`./yard soak` runs all of this for half an hour beside a steady load on one more server, whose figures these are.

"""

FOOT = """
To see it anew, run `TASKYARD_WRITE_MATRIX=1 TASKYARD_MATRIX=all ./yard test --all tests/faults/test_kill_matrix.py`, or `./yard soak`, then
`./yard docs`. How it is done: [0029](../decisions/0029-faults.md).
"""

STRUCK = {Way.KILL: "### kill -9", Way.STOP: "### Stop, then continue"}


def page() -> str:
    """The whole page."""
    found = load()
    tables = "".join(f"\n{title}\n\n{matrix(found, way)}" for way, title in STRUCK.items())
    return f"{HEAD}{counted(found)}.\n{tables}{WORDS}{REASONS}{reasons()}{SOAK}{soaked(load_soak())}{FOOT}"


def matrix(found: Mapping[Cell, Shown], way: Way) -> str:
    """The table of a way."""
    rows = [
        (flow, f"`{step}`", *(say(Cell(flow, step, victim, way), found) for victim in Victim))
        for flow, steps in STEPS.items()
        for step in steps
    ]
    return table(("Of", "Step", *Victim), rows)


def say(cell: Cell, found: Mapping[Cell, Shown]) -> str:
    """A cell in a word."""
    if cell.why_not is not None:
        return "-"
    if cell not in found:
        return "not tried"
    if found[cell].wrong:
        return "**wrong**"
    return "resumed" if found[cell].resumed else "ok"


def reasons() -> str:
    """Which victims are not there at which steps, and why."""
    why: dict[tuple[str, str], list[str]] = {}
    for cell in cells():
        if cell.why_not is not None and cell.way is Way.KILL:
            why.setdefault((cell.victim, cell.why_not), []).append(f"{cell.flow} at `{cell.step}`")
    rows = [
        (victim, reason, "all" if victim is Victim.BRIDGE else ", ".join(steps))
        for (victim, reason), steps in why.items()
    ]
    return table(("Victim", "Why", "Steps"), rows)


def soaked(soak: Soak | None) -> str:
    """The figures of the last long run."""
    if soak is None:
        return "Nobody noted a run.\n"
    return table(("What", "Figure"), soak.figures)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(head), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main(arguments: list[str]) -> int:
    """The exit status: 1 when --check finds a stale page."""
    text = page()
    if arguments == ["--check"]:
        return int(not PAGE.exists() or PAGE.read_text() != text)
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
