"""`taskyard list` and `taskyard show`."""

from collections.abc import Mapping
from typing import Final

import click

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.find import find_workspace, full_name
from taskyard.cli.output import (
    Column,
    at,
    columns_option,
    ids_option,
    note,
    output_option,
    plain,
    print_json,
    print_list,
    with_owner,
)
from taskyard.cli.task_show import search_text
from taskyard.cli.unconfined import warn_if_unconfined
from taskyard.cli.why import note_trouble
from taskyard.sdk import Client
from taskyard.wire.enums import WorkspaceStatus
from taskyard.wire.workspaces import Workspace

COLUMNS: Final[Mapping[str, Column[Workspace]]] = {
    "id": lambda w: str(w.id),
    "name": lambda w: w.name,
    "owner": lambda w: w.owner_name,
    "template": lambda w: w.template_name,
    "status": lambda w: w.latest_build.status.value,
    "healthy": lambda w: "yes" if w.health.healthy else "no",
    "outdated": lambda w: "yes" if w.outdated else "no",
    "task": lambda w: str(w.task_id or ""),
    "stops_at": lambda w: at(w.latest_build.deadline),
    "last_used_at": lambda w: at(w.last_used_at),
    "created_at": lambda w: at(w.created_at),
}

SHOWN: Final = ("name", "template", "status", "healthy", "last_used_at")
"""The columns of a table that was told none."""


@click.command("list")
@click.option("--status", type=click.Choice([s.value for s in WorkspaceStatus]), help="Only these.")
@click.option("-a", "--all", "everybody", is_flag=True, help="Workspaces of everybody you may see.")
@click.option("--user", default="me", help="Whose workspaces. Default: yours.")
@ids_option
@output_option
@columns_option(COLUMNS, SHOWN)
@signed_in
def list_workspaces(
    client: Client,
    *,
    status: str | None,
    everybody: bool,
    user: str,
    quiet: bool,
    output: str,
    columns: list[str],
) -> Status:
    """List workspaces, with and without tasks: favorites first, then those that run."""
    found = client.list_workspaces(search_text(None if everybody else user, status)).workspaces
    chosen = with_owner(columns, SHOWN) if everybody else columns
    empty = "There are no such workspaces."
    print_list(found, COLUMNS, chosen, output=output, quiet=quiet, empty=empty)
    return None


@click.command()
@click.argument("name", metavar="WORKSPACE")
@output_option
@signed_in
def show(client: Client, *, name: str, output: str) -> Status:
    """Show one workspace with its newest build and what runs in it."""
    workspace = find_workspace(client, name)
    warn_if_unconfined(client)
    if output == "json":
        print_json(workspace)
        return None
    build = workspace.latest_build
    print(f"{full_name(workspace)} is {build.status}.")
    facts = {
        "id": str(workspace.id),
        "template": f"{workspace.template_name} {build.template_version_name}",
        "build": f"{build.build_number}, to {build.transition}, by {build.initiator_name}, {build.reason}",
        "made": at(workspace.created_at),
        "last used": at(workspace.last_used_at),
        "stops": at(build.deadline) or "by hand",
        "task": str(workspace.task_id or "none"),
    }
    for key, value in facts.items():
        print(f"  {key + ':':<12}{plain(value)}")
    for resource in build.resources:
        for agent in resource.agents or []:
            print(f"  agent {plain(agent.name)}: {agent.status}, {agent.lifecycle_state}")
            for app in agent.apps:
                print(f"    app {plain(app.slug)}: {app.health}")
    if build.job.error:
        note(f"The last build failed: {build.job.error}")
    if workspace.task_id:
        note_trouble(client, client.get_task(workspace.owner_name, workspace.task_id))
    return None
