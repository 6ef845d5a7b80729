"""From what a person types to the thing on the server, or a sentence that says it is not there."""

import sys
from uuid import UUID

import click

from taskyard.cli.failures import Failure
from taskyard.cli.output import plain
from taskyard.sdk import ApiError, Client
from taskyard.wire.identity import Organization
from taskyard.wire.tasks import Task
from taskyard.wire.workspaces import Workspace


def full_name(thing: Task | Workspace) -> str:
    """Owner and name of a task or a workspace, fit to be printed."""
    return plain(f"{thing.owner_name}/{thing.name}")


def find_task(client: Client, text: str) -> Task:
    """The task of an id, a name of one's own, or `owner/name`. Raises Failure."""
    if not text.strip():
        raise click.UsageError("The task's name is empty.")
    owner, _, name = text.rpartition("/")
    task_id = as_uuid(text)
    try:
        if task_id is not None:
            return client.get_task("me", task_id)
        return client.get_task(owner or "me", name)
    except ApiError as error:
        if error.status != 404:
            raise
        hint = "To see what there is: taskyard task list --all"
        raise Failure(f"there is no task {text!r} that you may see.", hint=hint) from error
    except ValueError as error:
        raise click.UsageError(f"{text!r} is no name of a task.") from error


def find_workspace(client: Client, text: str) -> Workspace:
    """The workspace of an id, a name of one's own, or `owner/name`. Raises Failure."""
    if not text.strip():
        raise click.UsageError("The workspace's name is empty.")
    owner, _, name = text.rpartition("/")
    workspace_id = as_uuid(text)
    try:
        if workspace_id is not None:
            return client.get_workspace(workspace_id)
        return client.get_workspace_by_name(owner or "me", name)
    except ApiError as error:
        if error.status not in (404, 410):
            raise
        hint = "To see what there is: taskyard list --all"
        raise Failure(f"there is no workspace {text!r} that you may see.", hint=hint) from error
    except ValueError as error:
        raise click.UsageError(f"{text!r} is no name of a workspace.") from error


def find_organization(client: Client, wanted: str | None) -> Organization:
    """One of the caller's organizations: by name or id, else the default one. Raises Failure."""
    mine = client.list_user_organizations("me")
    if wanted:
        for organization in mine:
            if wanted.lower() == organization.name.lower() or as_uuid(wanted) == organization.id:
                return organization
        names = ", ".join(plain(o.name) for o in mine) or "none"
        raise Failure(f"you are in no organization {wanted!r}; yours: {names}.")
    if not mine:
        raise Failure("you are in no organization.", hint="Ask an owner of the server to add you.")
    return next((o for o in mine if o.is_default), mine[0])


def as_uuid(text: str) -> UUID | None:
    """The UUID that a text is, if it is one."""
    try:
        return UUID(text)
    except ValueError:
        return None


def input_of(given: str | None, *, stdin: bool) -> str:
    """The text of an argument or of stdin; raises UsageError when there is none."""
    if given is not None and stdin:
        raise click.UsageError("Give the text as an argument or on stdin, not both.")
    text = sys.stdin.read() if stdin else (given or "")
    if not text.strip():
        raise click.UsageError(
            "The text is empty; give it as an argument, or on stdin with --stdin."
        )
    return text
