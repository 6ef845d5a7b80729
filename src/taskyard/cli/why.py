"""Why a task is in error, in the words of whoever noticed: its build, or the agent in its workspace."""

from typing import Final

from taskyard.cli.find import full_name
from taskyard.cli.output import note, plain
from taskyard.sdk import Client
from taskyard.wire.enums import AgentLifecycle, JobStatus, LogLevel, TaskStatus
from taskyard.wire.tasks import Task

LINES: Final = 5
"""How many lines of an agent's log are shown: the error, and what a program said before it ended."""

AGAIN: Final = "To start it again: taskyard task pause {name}, then taskyard task resume {name}"
"""What to do about a task in error, once its cause is gone."""


def is_wrong(task: Task) -> bool:
    """Whether something went wrong that a log tells of."""
    start_failed = task.workspace_agent_lifecycle is AgentLifecycle.START_ERROR
    return task.status is TaskStatus.ERROR or start_failed


def state_of(task: Task) -> str:
    """A task's status as one says it."""
    return "in error" if task.status is TaskStatus.ERROR else task.status.value


def why_wrong(client: Client, task: Task) -> tuple[str, ...]:
    """The last lines that say what went wrong; none where nobody said."""
    if task.workspace_id is not None:
        job = client.get_workspace(task.workspace_id).latest_build.job
        if job.status is JobStatus.FAILED:
            return (plain(job.error or ""),)
    if task.workspace_agent_id is None:
        return ()
    lines = client.get_workspace_agent_logs(task.workspace_agent_id)
    serious = [line for line in lines if line.level in (LogLevel.WARN, LogLevel.ERROR)]
    return tuple(plain(line.output) for line in serious[-LINES:])


def note_why(client: Client, task: Task) -> None:
    """Says on stderr what went wrong with a task, if anything did."""
    if not is_wrong(task):
        return
    lines = why_wrong(client, task)
    but = "" if task.status is TaskStatus.ERROR else ", but its start script failed"
    note(f"\n{full_name(task)} is {state_of(task)}{but}{':' if lines else '.'}")
    for line in lines:
        note(f"  {line}")


def note_waiting(task: Task) -> None:
    """Says on stderr what a task waits for a person to answer, if it does, and how to answer it."""
    waiting = task.waiting_for
    if not waiting:
        return
    note(f"\n{full_name(task)} waits for you: {plain(waiting.title) or 'an answer'}")
    verb = "answer" if waiting.id else "attach"
    note(f"To {verb}: taskyard task {verb} {full_name(task)}")
