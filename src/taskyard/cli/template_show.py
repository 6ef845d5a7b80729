"""`taskyard templates list` and `taskyard templates versions`."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

import click

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.failures import Failure
from taskyard.cli.find import find_organization
from taskyard.cli.output import Column, at, choose_columns, note, print_json, print_table
from taskyard.sdk import ApiError, Client
from taskyard.wire.templates import Template, TemplateVersion

COLUMNS: Final[Mapping[str, Column[Template]]] = {
    "id": lambda t: str(t.id),
    "name": lambda t: t.name,
    "display_name": lambda t: t.display_name,
    "description": lambda t: t.description,
    "organization": lambda t: t.organization_name,
    "active_version_id": lambda t: str(t.active_version_id),
    "users": lambda t: str(t.active_user_count) if t.active_user_count >= 0 else "",
    "created_by": lambda t: t.created_by_name,
    "created_at": lambda t: at(t.created_at),
    "updated_at": lambda t: at(t.updated_at),
}
SHOWN: Final = ("name", "display_name", "updated_at", "description")

VERSION_COLUMNS: Final[Mapping[str, Column[TemplateVersion]]] = {
    "id": lambda v: str(v.id),
    "name": lambda v: v.name,
    "import": lambda v: v.job.status.value,
    "message": lambda v: v.message,
    "error": lambda v: v.job.error or "",
    "created_by": lambda v: v.created_by.username,
    "created_at": lambda v: at(v.created_at),
}
VERSIONS_SHOWN: Final = ("name", "import", "active", "created_by", "created_at", "message")

output_option = click.option(
    "-o", "--output", type=click.Choice(("table", "json")), default="table", help="Default: table."
)


@click.command("list")
@click.option("-a", "--all", "everything", is_flag=True, help="Also those that run no tasks.")
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
def list_templates(client: Client, *, everything: bool, output: str, columns: list[str]) -> Status:
    """List the templates that tasks can be made from."""
    found = client.list_templates("" if everything else "has-ai-task:true")
    if output == "json":
        print_json(found)
    elif not found:
        note("There are no templates yet. Write and push one: taskyard templates init my-template")
    else:
        print_table(found, COLUMNS, columns)
    return None


@click.command()
@click.argument("name", metavar="TEMPLATE")
@click.option(
    "-O",
    "--org",
    "organization",
    envvar=["TASKYARD_ORGANIZATION", "CODER_ORGANIZATION"],
    help="Name or id. Default: your default one.",
)
@output_option
@click.option(
    "-c",
    "--column",
    "columns",
    metavar="NAME,...",
    callback=choose_columns([*VERSION_COLUMNS, "active"], VERSIONS_SHOWN),
    help=f"Columns of the table, of: {', '.join(VERSION_COLUMNS)}, active.",
)
@signed_in
def versions(
    client: Client, *, name: str, organization: str | None, output: str, columns: list[str]
) -> Status:
    """List the versions of TEMPLATE, oldest first."""
    template = find_template(client, find_organization(client, organization).id, name)
    found = client.list_template_versions(template.id)
    if output == "json":
        print_json(found)
        return None

    def active(version: TemplateVersion) -> str:
        return "yes" if version.id == template.active_version_id else ""

    print_table(found, {**VERSION_COLUMNS, "active": active}, columns)
    return None


def find_template(client: Client, organization_id: UUID, name: str) -> Template:
    """A template by its name. Raises Failure when it is not there."""
    try:
        return client.get_organization_template(organization_id, name)
    except ApiError as error:
        if error.status != 404:
            raise
        hint = "To see what there is: taskyard templates list --all"
        raise Failure(f"there is no template {name!r} that you may see.", hint=hint) from error
    except ValueError as error:
        raise click.UsageError(f"{name!r} is no name of a template.") from error
