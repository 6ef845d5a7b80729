"""A task with all that is known of it."""

from datetime import datetime

from taskyard.control.services import Services
from taskyard.control.task_failures import task_failures
from taskyard.control.task_queue import queue_places
from taskyard.control.tasks_view import task_view
from taskyard.db.tasks import TaskRow
from taskyard.wire.tasks import Task


async def show_task(services: Services, task: TaskRow, now: datetime) -> Task:
    """The task, with its place in the queue and why it failed."""
    places = await queue_places(services, [task])
    failures = await task_failures(services, [task])
    workspace = task.workspace_id
    return task_view(task, now, queue=places.get(workspace), failure=failures.get(workspace))
