"""How long workspaces may run, and what time alone does to them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from taskyard.lifecycle.plan import Action, AutoPause, Desired, Discard, Rest, plan
from taskyard.lifecycle.workspace import deadline_problem, schedule_problem, ttl_problem
from taskyard.wire.enums import BuildReason, JobStatus, Transition

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1)
ONE = UUID(int=1)
STOPPED = Desired(
    workspace_id=ONE,
    transition=Transition.STOP,
    job=JobStatus.SUCCEEDED,
    generation=3,
    settled_at=NOW - timedelta(hours=1),
    restarts=0,
    agent_last_seen=None,
    deadline=None,
    is_task=False,
)
FAILED = replace(STOPPED, transition=Transition.START, job=JobStatus.FAILED)


def decide(desired: Desired) -> list[Action]:
    return plan([desired], {}, NOW, listening_since=NOW)


@pytest.mark.parametrize(
    ("ttl_ms", "good"),
    [(None, True), (0, True), (60_000, True), (59_999, False), (-1, False), (2_592_000_001, False)],
)
def test_times_to_live(ttl_ms: int | None, good: bool) -> None:  # noqa: FBT001 - a parametrized value
    """From a minute to thirty days, or none."""
    assert (ttl_problem(ttl_ms) is None) is good


@pytest.mark.parametrize(
    ("schedule", "good"),
    [
        ("", True),
        ("30 9 * * 1-5", True),
        ("CRON_TZ=America/New_York 0 */2 1,15 * MON", True),
        ("9 * * *", False),
        ("CRON_TZ= 0 9 * * *", False),
        ("0 9 * * *\n", False),
    ],
)
def test_schedules(schedule: str, good: bool) -> None:  # noqa: FBT001 - a parametrized value
    """Five fields, behind a time zone if there is one."""
    assert (schedule_problem(schedule) is None) is good


@pytest.mark.parametrize(
    ("minutes", "latest", "good"),
    [
        (30, None, True),
        (28, None, False),
        (60, 50, False),
        (60, 60, True),
        (60 * 24 * 31, None, False),
    ],
)
def test_deadlines(minutes: int, latest: int | None, good: bool) -> None:  # noqa: FBT001 - a parametrized value
    """At least half an hour off, and not beyond the last one that is allowed."""
    last = None if latest is None else NOW + timedelta(minutes=latest)
    assert (deadline_problem(NOW + timedelta(minutes=minutes), last, NOW) is None) is good


def test_a_failed_start_is_stopped_at_its_time() -> None:
    """The reason says what kind of workspace it is; not a moment before."""
    due = replace(FAILED, tidy_from=NOW)
    assert decide(due) == [AutoPause(ONE, BuildReason.AUTOSTOP)]
    assert decide(replace(due, is_task=True)) == [AutoPause(ONE, BuildReason.TASK_AUTO_PAUSE)]
    assert decide(replace(due, tidy_from=LATER)) == []
    assert decide(FAILED) == []


def test_rest_comes_before_the_end() -> None:
    """What is unused rests first; what rests long enough goes, but not while a build is on its way."""
    assert decide(replace(STOPPED, rest_from=NOW)) == [Rest(ONE)]
    assert decide(replace(STOPPED, rest_from=LATER)) == []
    assert decide(replace(STOPPED, discard_from=NOW)) == [Discard(ONE)]
    assert decide(replace(STOPPED, discard_from=LATER)) == []
    busy = replace(STOPPED, job=JobStatus.RUNNING, rest_from=NOW, discard_from=NOW)
    assert decide(busy) == []


def test_a_failed_delete_is_left_to_people() -> None:
    """It is not tried again by itself."""
    failed = replace(STOPPED, transition=Transition.DELETE, job=JobStatus.FAILED, discard_from=NOW)
    assert decide(failed) == []
