"""The page for new tasks, in a real browser: which template, what it asks, what is kept, what is refused."""

from pathlib import Path

import pytest

from taskyard.wire.enums import JobStatus
from tests.system.kit import PASSWORD, World, pushed
from tests.ui.page_kit import Browser

pytestmark = pytest.mark.all_tier

ASKING = """
[template]
display_name = "With questions"
description = "Asks one question of each kind."
[task]
app = "agent"
[agent]
type = "shell"
[[parameter]]
name = "size"
display_name = "Size"
default = "s"
options = [
  { value = "s", name = "Small", description = "One core." },
  { value = "l", name = "Large", description = "All that there are." },
]
[[parameter]]
name = "count"
display_name = "How many"
type = "number"
default = 2
validation = { min = 1, max = 8, error = "from 1 to 8" }
[[parameter]]
name = "who"
display_name = "Who asks"
description = "A name, in letters."
validation = { regex = '(?i)^[a-z]+$', error = "letters only" }
[[parameter]]
name = "fast"
display_name = "Be quick"
type = "bool"
default = false
[[parameter]]
name = "words"
display_name = "Words"
type = "list(string)"
default = ["one"]
[[preset]]
name = "Small"
default = true
description = "What most take."
parameters = { size = "s" }
[[preset]]
name = "Large"
description = "For work that is hard."
parameters = { size = "l", count = 4 }
"""
"""A template with a pattern that only the server can try: its syntax is not a browser's."""


def test_new_task(browser: Browser, world: World, tmp_path: Path) -> None:
    """By the keyboard alone, from a card over a preset and wrong values to a task that got the right ones."""
    version = pushed(world, "with-questions", {"taskyard.toml": ASKING})
    assert version.job.status is JobStatus.SUCCEEDED, version.job.error
    browser.plays(
        "new_task",
        tmp_path,
        address=world.server.url,
        email="ada@example.com",
        password=PASSWORD,
    )
