"""`taskyard organizations create`, `list` and `show`."""

from collections.abc import Mapping
from typing import Final

import click

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.failures import Failure
from taskyard.cli.output import Column, at, choose_columns, one_line, plain, print_json, print_table
from taskyard.cli.user_show import MAX_LINE, output_option
from taskyard.sdk import ApiError, Client
from taskyard.wire.identity import CreateOrganizationRequest, Organization

COLUMNS: Final[Mapping[str, Column[Organization]]] = {
    "id": lambda o: str(o.id),
    "name": lambda o: o.name,
    "display_name": lambda o: o.display_name,
    "default": lambda o: "yes" if o.is_default else "",
    "description": lambda o: o.description,
    "icon": lambda o: o.icon,
    "created_at": lambda o: at(o.created_at),
}
SHOWN: Final = ("name", "display_name", "default", "created_at", "description")


def organization_named(client: Client, name: str) -> Organization:
    """An organization by name or id; raises Failure where there is none to be seen."""
    try:
        return client.get_organization(name)
    except ApiError as error:
        if error.status != 404:
            raise
        hint = "To see which there are: taskyard organizations list"
        raise Failure(
            f"there is no organization {plain(name)!r} that you may see.", hint=hint
        ) from error
    except ValueError as error:
        raise click.UsageError(f"{name!r} is no name of an organization.") from error


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
@click.option("-q", "--quiet", is_flag=True, help="Print only the ids.")
@output_option
@click.option(
    "-c",
    "--column",
    "columns",
    metavar="NAME,...",
    callback=choose_columns(list(COLUMNS), SHOWN),
    help=f"Columns of the table, of: {', '.join(COLUMNS)}.",
)
@signed_in
def list_organizations(client: Client, *, quiet: bool, output: str, columns: list[str]) -> Status:
    """List the organizations that you may see."""
    found = client.list_organizations()
    if quiet:
        for organization in found:
            print(organization.id)
    elif output == "json":
        print_json(found)
    else:
        print_table(found, COLUMNS, columns)
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
        for label, value in COLUMNS.items():
            line = one_line(value(organization), MAX_LINE)
            print(f"{label.replace('_', ' '):<16}{line}".rstrip())
    return None
