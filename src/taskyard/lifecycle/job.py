"""Where a job is, when it may be tried again, and how long a promise to work on it holds."""

from datetime import datetime, timedelta

from taskyard.wire.enums import JobStatus

AGENT_LEASE_S = 120
"""Seconds a workspace agent may live without an answered heartbeat: longer than any restart of a server."""

SERVER_BEAT_S = 5
"""Seconds between a server's signs of life to the others."""

SERVER_SILENCE_S = 4 * SERVER_BEAT_S
"""Seconds without one after which a server is taken for dead: three may fail."""

MAX_ATTEMPTS = 5
"""Tries of one job before it fails: five kills of a worker in a row are survived, a bad job ends soon."""

RETRY_FIRST_S = 1
"""Seconds before the second try: a passing trouble is over, and a person is waiting."""

RETRY_MAX_S = 5
"""Seconds between tries at most: all tries together wait 12 seconds."""


def job_status(
    started_at: datetime | None,
    completed_at: datetime | None,
    canceled_at: datetime | None,
    error: str | None,
) -> JobStatus:
    """Where a job is, from its four stored facts; an empty error is none.

    canceled_at is when somebody asked, completed_at when the worker was done. Source: S3.
    """
    if error:
        return JobStatus.FAILED
    if completed_at is not None:
        return JobStatus.SUCCEEDED if canceled_at is None else JobStatus.CANCELED
    if canceled_at is not None:
        return JobStatus.CANCELING
    return JobStatus.PENDING if started_at is None else JobStatus.RUNNING


ACTIVE = frozenset({JobStatus.PENDING, JobStatus.RUNNING, JobStatus.CANCELING})
"""The statuses of a job that is not over. Source: S3."""


def is_active(status: JobStatus) -> bool:
    """Whether the job is not over yet."""
    return status in ACTIVE


def retry_at(attempt: int, failed_at: datetime) -> datetime | None:
    """When a failed job may be claimed again; None means it has had its last try.

    attempt: tries so far, from 1. Delays double from RETRY_FIRST_S up to RETRY_MAX_S.
    Raises ValueError if attempt < 1.
    """
    if attempt < 1:
        raise ValueError(f"attempts are counted from 1, not {attempt}")
    if attempt >= MAX_ATTEMPTS:
        return None
    return failed_at + timedelta(seconds=min(RETRY_FIRST_S * 2 ** (attempt - 1), RETRY_MAX_S))


def agent_lease_lapsed(last_seen: datetime, now: datetime, lease_s: float = AGENT_LEASE_S) -> bool:
    """Whether an agent last heard of then must have ended its workspace by now."""
    return now - last_seen >= timedelta(seconds=lease_s)
