"""The longest time of one start: a template's key, and what it makes of a deadline."""

from datetime import UTC, datetime, timedelta

from taskyard.lifecycle.workspace import deadline_after_start, first_deadline

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_the_earlier_of_two_ends_counts() -> None:
    """With a wall time a start has an end although it has no time to live, and never a later one."""
    wall, late = NOW + timedelta(hours=2), NOW + timedelta(hours=8)
    assert deadline_after_start(NOW, 7200) == wall
    assert first_deadline(None, wall) == wall
    assert first_deadline(late, wall) == wall
    assert first_deadline(late, None) == late
    assert first_deadline(None, None) is None
