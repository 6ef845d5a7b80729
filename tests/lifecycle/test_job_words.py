"""Where jobs are, when they are tried again, and how long a lease holds."""

from datetime import UTC, datetime, timedelta

import pytest

from taskyard.lifecycle.job import (
    AGENT_LEASE_S,
    MAX_ATTEMPTS,
    agent_lease_lapsed,
    is_active,
    job_status,
    retry_at,
)
from taskyard.wire.enums import JobStatus

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("started", [None, NOW])
@pytest.mark.parametrize("completed", [None, NOW])
@pytest.mark.parametrize("canceled", [None, NOW])
@pytest.mark.parametrize("error", [None, "", "the driver gave up"])
def test_a_job_is_where_its_four_facts_put_it(
    started: datetime | None,
    completed: datetime | None,
    canceled: datetime | None,
    error: str | None,
) -> None:
    """S3, over the whole product of facts."""
    rows = [
        (bool(error), JobStatus.FAILED),
        (completed is not None and canceled is not None, JobStatus.CANCELED),
        (completed is not None, JobStatus.SUCCEEDED),
        (canceled is not None, JobStatus.CANCELING),
        (started is None, JobStatus.PENDING),
        (True, JobStatus.RUNNING),
    ]
    expected = next(status for holds, status in rows if holds)
    assert job_status(started, completed, canceled, error) is expected


def test_three_statuses_are_active() -> None:
    """S3: pending, running and canceling jobs hold their workspace."""
    active = [status for status in JobStatus if is_active(status)]
    assert active == [JobStatus.PENDING, JobStatus.RUNNING, JobStatus.CANCELING]


def test_tries_are_spaced_out_and_end() -> None:
    """The wait grows up to its limit; the last try has none after it."""
    waits = []
    for attempt in range(1, MAX_ATTEMPTS):
        again = retry_at(attempt, NOW)
        assert again is not None
        waits.append((again - NOW).total_seconds())
    assert waits == [1, 2, 4, 5]
    assert retry_at(MAX_ATTEMPTS, NOW) is None
    assert retry_at(MAX_ATTEMPTS + 1, NOW) is None


def test_attempts_are_counted_from_one() -> None:
    """A zeroth try is a mistake of the caller."""
    with pytest.raises(ValueError, match="from 1"):
        retry_at(0, NOW)


def test_an_agent_keeps_its_lease_while_it_is_heard() -> None:
    """120 seconds of silence end it, not one less."""
    assert not agent_lease_lapsed(NOW - timedelta(seconds=AGENT_LEASE_S - 1), NOW)
    assert agent_lease_lapsed(NOW - timedelta(seconds=AGENT_LEASE_S), NOW)
