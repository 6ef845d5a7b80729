"""How the command line tells of tasks that wait, and of ways out."""

import pytest

from taskyard.cli.failures import Failure
from taskyard.cli.task_life import way_out
from taskyard.cli.task_show import message_of
from taskyard.wire.enums import QueueReason, TaskStatus
from taskyard.wire.tasks import TaskQueue
from tests.cli.test_cli_text import task


@pytest.mark.parametrize(
    ("queue", "text"),
    [
        (
            TaskQueue(position=3, size=7, reason=QueueReason.USER, limit=2),
            "queued 3 of 7 ({owner}'s limit of 2 running)",
        ),
        (
            TaskQueue(position=1, size=4, reason=QueueReason.ORGANIZATION, limit=20),
            "queued 1 of 4 (the organization's limit of 20 running)",
        ),
        (
            TaskQueue(position=2, size=2, reason=QueueReason.SERVER),
            "queued 2 of 2 (for a place on the server)",
        ),
    ],
)
def test_a_task_that_waits_shows_its_place(queue: TaskQueue, text: str) -> None:
    """Its message says the place, among how many, and for what."""
    waiting = task(TaskStatus.PENDING, None, {"queue": queue})
    assert message_of(waiting) == text.format(owner=waiting.owner_name)


def test_a_build_that_failed_names_the_ways_out() -> None:
    """Retry and force; a failure that has a hint of its own keeps it."""
    broken = task(TaskStatus.ERROR)
    with pytest.raises(Failure) as told, way_out(broken):
        raise Failure("pausing it failed: no")
    assert "taskyard task retry" in told.value.hint
    assert "taskyard task delete --force" in told.value.hint
    with pytest.raises(Failure) as told, way_out(broken):
        raise Failure("no", hint="Do this.")
    assert told.value.hint == "Do this."
