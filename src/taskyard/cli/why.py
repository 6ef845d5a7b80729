"""Why a task is in error, in the words of whoever noticed: its build, or the agent in its workspace."""

from typing import Final

import msgspec

from taskyard.cli.find import full_name
from taskyard.cli.output import at, note, plain
from taskyard.sdk import ApiError, Client
from taskyard.wire.enums import (
    AgentLifecycle,
    JobStatus,
    LogLevel,
    TaskStatus,
    Transition,
    WorkspaceStatus,
)
from taskyard.wire.phases import PhaseFailure
from taskyard.wire.tasks import Task

LINES: Final = 5
"""How many lines of an agent's log are shown: the error, and what a program said before it ended."""

NEWEST: Final = 2**63 - 1
"""Before which item the newest is: the largest number that one may have."""

AGAIN: Final = "To start it again: taskyard task pause {name}, then taskyard task resume {name}"
"""What to do about a task in error, once its cause is gone."""

TRY_AGAIN: Final = "To try it again: taskyard task retry {name}; or get rid of it: taskyard task delete --force {name}"
"""What to do about a task whose newest build failed."""


class _Said(msgspec.Struct):
    message: str = ""


def error_text(data: bytes) -> str:
    """What an item of kind error says; empty where it is none of ours."""
    try:
        return plain(msgspec.json.decode(data, type=_Said).message)
    except ValueError:
        return ""


def is_wrong(task: Task) -> bool:
    """Whether something went wrong that a log tells of."""
    start_failed = task.workspace_agent_lifecycle is AgentLifecycle.START_ERROR
    return task.status is TaskStatus.ERROR or start_failed


def state_of(task: Task) -> str:
    """A task's status as one says it."""
    return "in error" if task.status is TaskStatus.ERROR else task.status.value


def why_wrong(client: Client, task: Task) -> tuple[str, ...]:
    """Why, and the last lines that say what went wrong; none where nobody said."""
    if task.failure and task.failure.phase is None:
        return (plain(task.failure.reason),)
    failure = _failure_of_start(client, task)
    if failure is not None:
        said = [line for line in failure.lines if line != failure.reason]
        return (plain(failure.reason), *(plain(line) for line in said[-LINES:]))
    if task.workspace_id is not None:
        job = client.get_workspace(task.workspace_id).latest_build.job
        if job.status is JobStatus.FAILED:
            return (plain(job.error or ""),)
    if task.workspace_agent_id is None:
        return ()
    lines = client.get_workspace_agent_logs(task.workspace_agent_id)
    serious = [line for line in lines if line.level in (LogLevel.WARN, LogLevel.ERROR)]
    return tuple(plain(line.output) for line in serious[-LINES:])


def _failure_of_start(client: Client, task: Task) -> PhaseFailure | None:
    """Why the newest start came to a bad end, where the server tells."""
    try:
        return client.get_task_phases(task.owner_name, task.id).failure
    except ApiError as error:
        if error.status != 404:
            raise
        return None  # a server of an earlier release, or one that never started it


def note_why(client: Client, task: Task) -> None:
    """Says on stderr what went wrong with a task, if anything did."""
    if not is_wrong(task):
        return
    lines = why_wrong(client, task)
    but = "" if task.status is TaskStatus.ERROR else ", but its start script failed"
    note(f"\n{full_name(task)} is {state_of(task)}{but}{':' if lines else '.'}")
    for line in lines:
        note(f"  {line}")
    if task.failure:
        note(f"What to do: {plain(task.failure.advice)}")
    elif task.workspace_status in (WorkspaceStatus.FAILED, WorkspaceStatus.CANCELED):
        note(TRY_AGAIN.format(name=full_name(task)))


def note_trouble(client: Client, task: Task) -> None:
    """Says on stderr what went wrong last: a limit that was met, why the workspace was stopped; nothing of older starts."""
    try:
        found = client.get_task_transcript(
            task.owner_name, task.id, before=NEWEST, limit=1, kinds="error"
        )
    except ApiError as error:
        if error.status != 404:
            raise
        return  # a server of an earlier release
    for item in found.items:
        said = error_text(bytes(item.data))
        if not said or (task.failure and task.failure.reason in said) or task.workspace_id is None:
            continue
        build = client.get_workspace(task.workspace_id).latest_build
        if build.transition is not Transition.START or item.stored_at >= build.created_at:
            note(f"\nThe last error, at {at(item.stored_at)}: {said}")


def note_waiting(task: Task) -> None:
    """Says on stderr what a task waits for a person to answer, if it does, and how to answer it."""
    waiting = task.waiting_for
    if not waiting:
        return
    note(f"\n{full_name(task)} waits for you: {plain(waiting.title) or 'an answer'}")
    verb = "answer" if waiting.id else "attach"
    note(f"To {verb}: taskyard task {verb} {full_name(task)}")
