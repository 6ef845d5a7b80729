"""From what a person types to the thing on the server, or a sentence that says it is not there."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click

from taskyard.cli.failures import Failure
from taskyard.cli.output import plain
from taskyard.sdk import ApiError, Client
from taskyard.wire.base import as_uuid
from taskyard.wire.identity import Organization, User
from taskyard.wire.tasks import Task
from taskyard.wire.templates import Template, TemplateVersion
from taskyard.wire.workspaces import Workspace

T = TypeVar("T")

PAGE = 100
"""Things read at once where a list comes by pages."""


@contextmanager
def finding(kind: str, name: str, hint: str, *, gone: tuple[int, ...] = (404,)) -> Iterator[None]:
    """Says of what the server does not know that it is not there. Raises Failure, UsageError for what is no name."""
    try:
        yield
    except ApiError as error:
        if error.status not in gone:
            raise
        sentence = f"there is no {kind} {plain(name)!r} that you may see."
        raise Failure(sentence, hint=hint) from error
    except ValueError as error:
        raise click.UsageError(f"{name!r} is no name of a {kind}.") from error


def every(page: Callable[[int], tuple[list[T], int]]) -> list[T]:
    """All of a list, read page by page: what comes from an offset on, and how many there are in all."""
    found: list[T] = []
    while True:
        rows, count = page(len(found))
        found += rows
        if not rows or len(found) >= count:
            return found


def full_name(thing: Task | Workspace) -> str:
    """Owner and name of a task or a workspace, fit to be printed."""
    return plain(f"{thing.owner_name}/{thing.name}")


def find_task(client: Client, text: str) -> Task:
    """The task of an id, a name of one's own, or `owner/name`. Raises Failure."""
    if not text.strip():
        raise click.UsageError("The task's name is empty.")
    owner, _, name = text.rpartition("/")
    task_id = as_uuid(text)
    with finding("task", text, "To see what there is: taskyard task list --all"):
        if task_id is not None:
            return client.get_task("me", task_id)
        return client.get_task(owner or "me", name)


def find_workspace(client: Client, text: str) -> Workspace:
    """The workspace of an id, a name of one's own, or `owner/name`. Raises Failure."""
    if not text.strip():
        raise click.UsageError("The workspace's name is empty.")
    owner, _, name = text.rpartition("/")
    workspace_id = as_uuid(text)
    hint = "To see what there is: taskyard list --all"
    with finding("workspace", text, hint, gone=(404, 410)):
        if workspace_id is not None:
            return client.get_workspace(workspace_id)
        return client.get_workspace_by_name(owner or "me", name)


def find_user(client: Client, name: str) -> User:
    """A user by name or id; raises Failure where there is none to be seen."""
    with finding("user", name, "To see whom there is: taskyard users list"):
        return client.get_user(name)


def find_template(client: Client, organization: str | None, name: str) -> Template:
    """A template by its name in one of the caller's organizations. Raises Failure."""
    within = find_organization(client, organization)
    with finding("template", name, "To see what there is: taskyard templates list --all"):
        return client.get_organization_template(within.id, name)


def find_version(client: Client, template: Template, name: str) -> TemplateVersion:
    """A version of a template by its name. Raises Failure."""
    hint = f"To see what there is: taskyard templates versions {plain(template.name)} --archived"
    with finding(f"version of {plain(template.name)}", name, hint):
        return client.get_template_version_by_name(template.id, name)


def organization_named(client: Client, name: str) -> Organization:
    """An organization by name or id; raises Failure where there is none to be seen."""
    with finding("organization", name, "To see which there are: taskyard organizations list"):
        return client.get_organization(name)


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
