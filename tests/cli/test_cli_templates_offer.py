"""What `templates init` offers."""

from pathlib import Path

import taskyard
from taskyard.cli.template_push import STARTERS


def test_every_starter_can_be_written() -> None:
    """Each template that comes along can be started from."""
    folder = Path(taskyard.__file__).parent / "starters"
    there = {path.name for path in folder.iterdir() if (path / "taskyard.toml").is_file()}
    assert set(STARTERS) == there
