"""That the page about security is as the tests' marks say, and that each file of that folder says what it stops."""

from pathlib import Path

from scripts.write_security import NOT_HERE, PAGE, SECURITY, page, suites
from tests.house.tree import ROOT


def test_the_page_is_fresh() -> None:
    """Mend with ./yard docs."""
    assert PAGE.read_text() == page(), "docs/reference/security.md is stale: ./yard docs"


def test_each_file_says_what_it_stops() -> None:
    """A file of the security folder that names no attack is missing on the page. The kit's own tests try nothing."""
    files = {path.name for path in SECURITY.glob("test_*.py")} - {"test_hostile_kit.py"}
    told = {Path(suite.path).name for suite in suites() if suite.attacks}
    assert not files - told, f"@pytest.mark.attack(...) is missing in {sorted(files - told)}"


def test_what_is_tried_elsewhere_exists() -> None:
    """The page names only tests that are there."""
    assert not [path for _, path in NOT_HERE if not (ROOT / path).exists()]
