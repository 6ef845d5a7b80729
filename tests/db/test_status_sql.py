"""The database derives statuses for filters; it must never disagree with the code that decides."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import product

import pytest

from taskyard.db.pool import Database
from taskyard.lifecycle.job import job_status
from taskyard.lifecycle.task import TaskFacts, derive_status
from taskyard.lifecycle.workspace import workspace_status
from taskyard.wire.enums import AgentLifecycle, AppHealth, JobStatus, Transition

pytestmark = pytest.mark.anyio

THEN = datetime(2026, 1, 31, 12, tzinfo=UTC)

TASKS = """
select task_status(f.transition, f.job, f.lifecycle, f.health)
from unnest($1::text[], $2::text[], $3::text[], $4::text[]) with ordinality
    as f (transition, job, lifecycle, health, place)
order by f.place
"""

JOBS = """
select job_status(f.started, f.completed, f.canceled, f.error)
from unnest($1::timestamptz[], $2::timestamptz[], $3::timestamptz[], $4::text[]) with ordinality
    as f (started, completed, canceled, error, place)
order by f.place
"""

WORKSPACES = """
select workspace_status(f.transition, f.job)
from unnest($1::text[], $2::text[]) with ordinality as f (transition, job, place)
order by f.place
"""


async def answers(
    database: Database, sql: str, rows: Sequence[Sequence[object]]
) -> list[str | None]:
    """What the database says to each row of arguments."""
    async with database.connection() as conn:
        return [
            row[0] for row in await conn.fetch(sql, *(list(c) for c in zip(*rows, strict=True)))
        ]


async def test_task_status_is_the_same_in_both(database: Database) -> None:
    """Every combination of transition, job, agent lifecycle and app health has one status."""
    rows = list(
        product(
            (None, *Transition), (None, *JobStatus), (None, *AgentLifecycle), (None, *AppHealth)
        )
    )
    derived = [
        derive_status(
            TaskFacts(
                has_workspace=True,
                transition=transition,
                job=job,
                agent_lifecycle=lifecycle,
                app_health=health,
            )
        ).status
        for transition, job, lifecycle, health in rows
    ]
    assert len(rows) == 4 * 8 * 10 * 5
    assert await answers(database, TASKS, rows) == derived


async def test_job_status_is_the_same_in_both(database: Database) -> None:
    """Every combination of a job's four facts has one status."""
    times = (None, THEN)
    rows = list(product(times, times, times, (None, "broken")))
    derived = [
        job_status(started, completed, canceled, error)
        for started, completed, canceled, error in rows
    ]
    assert await answers(database, JOBS, rows) == derived


async def test_workspace_status_is_the_same_in_both(database: Database) -> None:
    """Every transition and job status has one word."""
    rows = list(product(Transition, JobStatus))
    derived = [workspace_status(job, transition) for transition, job in rows]
    assert await answers(database, WORKSPACES, rows) == derived
