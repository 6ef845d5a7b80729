"""The page's own checks and tests, which need no browser and no server."""

import subprocess

import pytest

from scripts.build_page import UI, Wrong, find_node, install, one_at_a_time
from tests.npm import missing

pytestmark = pytest.mark.all_tier

SCRIPT_S = 100
"""Seconds for one of them; pytest ends a process whose test takes 120."""


@pytest.mark.parametrize("script", ["check", "test"])
def test_the_page_itself(script: str) -> None:
    """Types and format of ui/ are as they should be, and the tests of its logic pass."""
    try:
        node = find_node()
        with one_at_a_time():
            install(node)
    except Wrong as error:
        missing(str(error))
    done = subprocess.run(
        [*node.npm, "run", "--silent", script],
        cwd=UI,
        env={**node.environment, "CI": "true", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=SCRIPT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
