"""That the page about reliability is as the tests saw it, and that the matrix and the code name the same points."""

import re

from scripts.write_reliability import PAGE, page
from tests.faults.matrix import STEPS
from tests.faults.report import load
from tests.house.tree import ROOT

POINT = re.compile(r"points\.(?:reached|passed)\(\s*\"([a-z.]+)\"")


def test_the_page_is_fresh() -> None:
    """Mend with ./yard docs."""
    assert PAGE.read_text() == page(), "docs/reference/reliability.md is stale: ./yard docs"


def test_the_matrix_is_green() -> None:
    """What was noted held."""
    assert not [str(one.cell) for one in load().values() if one.wrong]


def test_points_are_steps() -> None:
    """Each point of the code is a step of the matrix, and each step a point."""
    found = {
        name
        for path in (ROOT / "src").rglob("*.py")
        for name in POINT.findall(path.read_text(encoding="utf-8"))
    }
    assert found == {step for steps in STEPS.values() for step in steps}
