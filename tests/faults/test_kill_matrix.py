"""For each step of what is done to a task, each process is struck there: the task can be used after, and is whole.

kill -9 is tried in every cell; to stop and continue takes seconds, so each day has a third of those, and
TASKYARD_MATRIX=all all of them.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import pytest

from tests.faults.matrix import Cell, Flow, Victim, Way, is_due, legal
from tests.faults.report import CELL
from tests.faults.waves import Herd, run_cells, waves
from tests.faults.yard import Yard


def parts(flow: Flow, victim: Victim, way: Way) -> list[int | None]:
    """A test for each wave, so that none takes long; which waves there are of what takes seconds is up to the day."""
    found = legal(flow, victim, way)
    if way is Way.KILL:
        return [number for number, _ in enumerate(waves(found), start=1)]
    return [None] if found else []


CASES = [
    pytest.param(
        *(flow, victim, way, part),
        id=f"{victim}-{way}-{flow}{part or ''}".replace(" ", "_").replace(",", ""),
        marks=pytest.mark.xdist_group(f"matrix-{number % 2}"),
    )
    for way in Way
    for number, victim in enumerate(Victim)
    for flow in Flow
    for part in parts(flow, victim, way)
]
"""In two groups, each with servers of its own, for a machine with two cores."""


def tried(flow: Flow, victim: Victim, way: Way, part: int | None) -> list[Cell]:
    """The cells of today, of one part of them where they are in parts."""
    found = legal(flow, victim, way)
    if part is not None:
        return waves(found)[part - 1]
    if os.environ.get("TASKYARD_MATRIX") == "all":
        return found
    today = datetime.now(UTC).toordinal()
    return [cell for cell in found if is_due(cell, today)]


@pytest.mark.all_tier
@pytest.mark.parametrize(("flow", "victim", "way", "part"), CASES)
def test_struck(
    broken_yard: Yard,
    herd: Herd,
    flow: Flow,
    victim: Victim,
    way: Way,
    part: int | None,
    record_property: Callable[[str, object], None],
) -> None:
    """The flow comes to its end, the transcript is whole, effects happened once, and nothing is left over."""
    outcomes = run_cells(broken_yard, herd, tried(flow, victim, way, part))
    for outcome in outcomes:
        record_property(CELL, msgspec.to_builtins(outcome))
    wrong = [f"{one.cell}: {'; '.join(one.wrong)}" for one in outcomes if one.wrong]
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)
