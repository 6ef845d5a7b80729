"""`taskyard task`: the group; its commands are imported when they are called."""

from typing import Final

import click

from taskyard.cli.lazy import LazyGroup

COMMANDS: Final = {
    "create": ("taskyard.cli.task_create:create", "Give a coding agent something to do."),
    "phases": (
        "taskyard.cli.task_phases:phases",
        "Show what a start went through, and why it failed.",
    ),
    "list": ("taskyard.cli.task_show:list_tasks", "List tasks."),
    "status": ("taskyard.cli.task_show:status", "Show one task, once or until it settles."),
    "send": ("taskyard.cli.task_talk:send", "Send a message to a task's coding agent."),
    "queue": ("taskyard.cli.task_queue:queue", "List and change what waits for a coding agent."),
    "interrupt": ("taskyard.cli.task_queue:interrupt", "End the turn of a coding agent."),
    "logs": ("taskyard.cli.task_talk:logs", "Print the conversation of a task."),
    "transcript": (
        "taskyard.cli.task_transcript:transcript",
        "Print or save all that a task said and did.",
    ),
    "watch": ("taskyard.cli.task_watch:watch", "Print each change of tasks as it comes."),
    "attach": ("taskyard.cli.task_attach:attach", "See and steer a coding agent while it works."),
    "shell": ("taskyard.cli.task_shell:shell", "Open a shell in the workspace of a task."),
    "open": ("taskyard.cli.task_shell:open_app", "Print an address that shows an app of a task."),
    "permissions": ("taskyard.cli.task_permissions:permissions", "List what a coding agent asks."),
    "answer": (
        "taskyard.cli.task_permissions:answer",
        "Permit or forbid what a coding agent asks.",
    ),
    "network": (
        "taskyard.cli.task_network:network",
        "Show what a task's workspace tried to reach.",
    ),
    "diff": ("taskyard.cli.task_work:diff", "Show what a task changed in its repository."),
    "push": ("taskyard.cli.task_work:push", "Push the work branch of a task."),
    "pause": ("taskyard.cli.task_life:pause", "Stop a task's workspace and keep its files."),
    "resume": ("taskyard.cli.task_life:resume", "Start a paused task again."),
    "retry": ("taskyard.cli.task_life:retry", "Do again what failed last."),
    "rename": ("taskyard.cli.task_life:rename", "Give a task another display name."),
    "delete": ("taskyard.cli.task_life:delete", "Delete tasks with their workspaces."),
}
"""Every command of the group: where it is, and its line in the help."""

ALIASES: Final = {"ls": "list", "stat": "status", "get": "status", "rm": "delete"}


@click.command(cls=LazyGroup, table=COMMANDS, aliases=ALIASES)
def task() -> None:
    """Create tasks, talk to them, pause and delete them.

    A task is named by its id, its name, or OWNER/NAME.
    """
