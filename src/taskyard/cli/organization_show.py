"""`taskyard organizations list`, `show`, `create` and `edit`."""

from collections.abc import Mapping
from typing import Final

import click

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.failures import USAGE, Failure
from taskyard.cli.find import organization_named
from taskyard.cli.output import (
    Column,
    at,
    columns_option,
    ids_option,
    output_option,
    plain,
    print_facts,
    print_json,
    print_list,
)
from taskyard.sdk import Client
from taskyard.wire.identity import (
    CreateOrganizationRequest,
    Organization,
    UpdateOrganizationRequest,
)

COLUMNS: Final[Mapping[str, Column[Organization]]] = {
    "id": lambda o: str(o.id),
    "name": lambda o: o.name,
    "display_name": lambda o: o.display_name,
    "default": lambda o: "yes" if o.is_default else "",
    "description": lambda o: o.description,
    "icon": lambda o: o.icon,
    "max_running": lambda o: str(o.max_running or ""),
    "created_at": lambda o: at(o.created_at),
}
SHOWN: Final = ("name", "display_name", "default", "created_at", "description")


@click.command()
@click.argument("name")
@click.option("--display-name", default="", help="How it is shown. Default: its name.")
@click.option("--description", default="", help="What it is for, in a line.")
@click.option("--icon", default="", help="The address of a picture.")
@click.option("-q", "--quiet", is_flag=True, help="Print only the id of the organization.")
@signed_in
def create(
    client: Client, *, name: str, display_name: str, description: str, icon: str, quiet: bool
) -> Status:
    """Make the organization NAME, which you administer. Only owners of the server may."""
    made = client.create_organization(
        CreateOrganizationRequest(
            name=name, display_name=display_name, description=description, icon=icon
        )
    )
    print(made.id if quiet else f"Organization {plain(made.name)} was made.")
    return None


@click.command("list")
@ids_option
@output_option
@columns_option(COLUMNS, SHOWN)
@signed_in
def list_organizations(client: Client, *, quiet: bool, output: str, columns: list[str]) -> Status:
    """List the organizations that you may see."""
    found = client.list_organizations()
    empty = "You are in no organization."
    print_list(found, COLUMNS, columns, output=output, quiet=quiet, empty=empty)
    return None


@click.command()
@click.argument("name", metavar="ORGANIZATION", default="default")
@click.option("-q", "--quiet", is_flag=True, help="Print only the id.")
@output_option
@signed_in
def show(client: Client, *, name: str, quiet: bool, output: str) -> Status:
    """Show ORGANIZATION, the default one unless told."""
    organization = organization_named(client, name)
    if quiet:
        print(organization.id)
    elif output == "json":
        print_json(organization)
    else:
        print_facts({label: value(organization) for label, value in COLUMNS.items()})
    return None


@click.command()
@click.argument("organization", metavar="ORGANIZATION")
@click.option("--display-name", help="How it is shown.")
@click.option("--description", help="What it is for, in a line.")
@click.option("--icon", help="The address of a picture.")
@click.option(
    "--max-running",
    type=int,
    help="Workspaces of it that may run at once; 0 takes the limit away.",
)
@signed_in
def edit(
    client: Client,
    *,
    organization: str,
    display_name: str | None,
    description: str | None,
    icon: str | None,
    max_running: int | None,
) -> Status:
    """Change what is given of ORGANIZATION; the rest stays. Only owners of the server may."""
    change = UpdateOrganizationRequest(
        display_name=display_name, description=description, icon=icon, max_running=max_running
    )
    if change == UpdateOrganizationRequest():
        raise Failure(
            "there is nothing to change.",
            hint="Say what, such as --max-running: taskyard organizations edit --help",
            status=USAGE,
        )
    found = organization_named(client, organization)
    changed = client.update_organization(found.id, change)
    print(f"Organization {plain(changed.name)} was changed.")
    return None
