"""`taskyard start`, `stop`, `restart` and `delete`: a build of a workspace, watched to its end."""

from datetime import UTC, datetime

import click

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.failures import Failure
from taskyard.cli.find import find_workspace, full_name
from taskyard.cli.output import at, confirm, yes_option
from taskyard.cli.parameters import parameter_option, parameter_values
from taskyard.cli.unconfined import warn_if_unconfined
from taskyard.cli.watch import watch_build
from taskyard.sdk import Client
from taskyard.wire.enums import BuildReason, Transition, WorkspaceStatus
from taskyard.wire.workspaces import CreateWorkspaceBuildRequest, Workspace

DOING = {
    Transition.START: ("starting", "started"),
    Transition.STOP: ("stopping", "stopped"),
    Transition.DELETE: ("deleting", "deleted"),
}
"""What goes on, and what then was done."""


@click.command()
@click.argument("name", metavar="WORKSPACE")
@parameter_option
@signed_in
def start(client: Client, *, name: str, parameters: tuple[str, ...]) -> Status:
    """Start WORKSPACE and watch the build."""
    workspace = find_workspace(client, name)
    if workspace.latest_build.status is WorkspaceStatus.RUNNING:
        raise Failure(f"the workspace {full_name(workspace)} runs already.")
    warn_if_unconfined(client)
    _build(client, workspace, Transition.START, parameters=parameters)
    return None


@click.command()
@click.argument("name", metavar="WORKSPACE")
@yes_option
@signed_in
def stop(client: Client, *, name: str, yes: bool) -> Status:
    """Stop WORKSPACE; its files are kept. A task in it is paused by that.

    Of one that is frozen this ends the processes and frees the memory.
    """
    workspace = find_workspace(client, name)
    # Also one that is stopped: it may be frozen, and only a stop frees what it has.
    confirm(f"Stop {full_name(workspace)}?", yes=yes)
    _build(client, workspace, Transition.STOP)
    return None


@click.command()
@click.argument("name", metavar="WORKSPACE")
@parameter_option
@yes_option
@signed_in
def restart(client: Client, *, name: str, parameters: tuple[str, ...], yes: bool) -> Status:
    """Stop WORKSPACE if it runs, and start it again."""
    workspace = find_workspace(client, name)
    warn_if_unconfined(client)
    confirm(f"Restart {full_name(workspace)}?", yes=yes)
    if workspace.latest_build.status is not WorkspaceStatus.STOPPED:
        _build(client, workspace, Transition.STOP)
    _build(client, workspace, Transition.START, parameters=parameters)
    return None


@click.command()
@click.argument("name", metavar="WORKSPACE")
@yes_option
@click.option(
    "--orphan", is_flag=True, help="Leave alone what the driver holds; for administrators."
)
@signed_in
def delete(client: Client, *, name: str, yes: bool, orphan: bool) -> Status:
    """Delete WORKSPACE with all files in it, and its task if it has one."""
    workspace = find_workspace(client, name)
    confirm(f"Delete {full_name(workspace)} with everything in it?", yes=yes)
    _build(client, workspace, Transition.DELETE, orphan=orphan)
    return None


def _build(
    client: Client,
    workspace: Workspace,
    transition: Transition,
    *,
    parameters: tuple[str, ...] = (),
    orphan: bool = False,
) -> None:
    """Makes a build and watches it; raises Failure, and UsageError for a parameter without a value."""
    request = CreateWorkspaceBuildRequest(
        transition=transition,
        reason=BuildReason.CLI,
        rich_parameter_values=parameter_values(parameters),
        orphan=orphan,
    )
    doing, done = DOING[transition]
    build = client.create_workspace_build(workspace.id, request)
    watch_build(client, build, f"{doing} {full_name(workspace)}")
    print(f"Workspace {full_name(workspace)} was {done} at {at(datetime.now(UTC))}.")
