"""What a run showed of the kill matrix: a table at its end, and the file that the reference page is made from."""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import pytest

from tests.faults.matrix import STEPS, Cell, Victim, Way, cells

CELL = "cell"
"""The name under which reports carry cells."""

SHOWN = Path(__file__).with_name("shown.json")
"""What the last run that was asked to note it showed."""

WRITE = "TASKYARD_WRITE_MATRIX"
"""The variable that asks for it."""


class Shown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A cell that was tried. wrong: nothing where all was well. resumed: its start failed, was told, and one resume mended it."""

    cell: Cell
    wrong: list[str]
    resumed: bool
    seconds: float


def load() -> dict[Cell, Shown]:
    """What was noted, by cell."""
    if not SHOWN.exists():
        return {}
    return {one.cell: one for one in msgspec.json.decode(SHOWN.read_bytes(), type=list[Shown])}


def save(found: Mapping[Cell, Shown]) -> None:
    """Notes cells; those that were not tried now stay as they were noted, if they still exist."""
    known = load() | dict(found)
    kept = [known[cell] for cell in cells() if cell in known and cell.why_not is None]
    lines = ",\n".join(msgspec.json.encode(one).decode() for one in kept)
    SHOWN.write_text(f"[\n{lines}\n]\n")


FOLDER = "tests/faults/"


def summarize(reporter: pytest.TerminalReporter) -> None:
    """Prints how long each part took, and the matrix as far as this run tried it, and notes it where that was asked for."""
    for line in took(reporter.stats.values()):
        reporter.line(line)
    found = {one.cell: one for one in _reported(reporter.stats.values())}
    if not found:
        return
    reporter.section("kill matrix")
    for way in Way:
        if any(cell.way is way for cell in found):
            for line in table(found, way):
                reporter.line(line)
    reporter.line(counted(found))
    if os.environ.get(WRITE):
        save(found)


def took(groups: Iterable[list[object]]) -> list[str]:
    """Lines: how long the tests of each file took, the matrix by victim and way; the sum of all that ran side by side."""
    seconds: dict[str, float] = defaultdict(float)
    for report in (one for group in groups for one in group):
        name = getattr(report, "nodeid", "")
        if name.startswith(FOLDER) and hasattr(report, "when"):
            file, _, test = name.removeprefix(FOLDER).partition("::")
            kind = test.partition("[")[2].rpartition("-")[0] if "matrix" in file else ""
            seconds[f"{file} {kind}".strip()] += getattr(report, "duration", 0.0)
    lines = [
        f"{what:<60}{spent:>7.1f} s"
        for what, spent in sorted(seconds.items(), key=lambda one: -one[1])
    ]
    return [*lines, f"{'all faults':<60}{sum(seconds.values()):>7.1f} s"] if lines else []


def _reported(groups: Iterable[list[object]]) -> Iterable[Shown]:
    for report in (one for group in groups for one in group):
        for name, value in getattr(report, "user_properties", ()):
            if name == CELL and getattr(report, "when", "") == "call":
                yield msgspec.convert(value, Shown)


def table(found: Mapping[Cell, Shown], way: Way) -> Iterable[str]:
    """Lines: a step each, a column for each victim."""
    yield f"{way:<38}" + "".join(f"{victim:>14}" for victim in Victim)
    for flow, steps in STEPS.items():
        for step in steps:
            words = [word(Cell(flow, step, victim, way), found) for victim in Victim]
            yield f"{flow:>8} at {step:<27}" + "".join(f"{one:>14}" for one in words)


def word(cell: Cell, found: Mapping[Cell, Shown]) -> str:
    """What is to be said of a cell in one word."""
    if cell.why_not is not None:
        return "-"
    if cell not in found:
        return "not tried"
    if found[cell].wrong:
        return "WRONG"
    return "resumed" if found[cell].resumed else "ok"


def counted(found: Mapping[Cell, Shown]) -> str:
    """How many cells there are, and how many of them were seen to hold."""
    every = cells()
    exist = [cell for cell in every if cell.why_not is None]
    held = sum(cell in found and not found[cell].wrong for cell in exist)
    steps = sum(len(steps) for steps in STEPS.values())
    return (
        f"{steps} steps, {len(Victim)} victims and {len(Way)} ways make {len(every)} cells, "
        f"of which {len(exist)} exist; {held} of them were tried and hold"
    )
