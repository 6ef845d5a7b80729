"""`taskyard templates list`, `show`, `versions` and `presets`."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

import click

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.failures import Failure
from taskyard.cli.find import find_organization
from taskyard.cli.output import Column, at, choose_columns, note, one_line, print_json, print_table
from taskyard.sdk import ApiError, Client
from taskyard.wire.templates import Preset, Template, TemplateVersion

MAX_LINE: Final = 300
"""Characters of a value where each has a line of its own."""

COLUMNS: Final[Mapping[str, Column[Template]]] = {
    "id": lambda t: str(t.id),
    "name": lambda t: t.name,
    "display_name": lambda t: t.display_name,
    "description": lambda t: t.description,
    "organization": lambda t: t.organization_name,
    "active_version_id": lambda t: str(t.active_version_id),
    "deprecated": lambda t: t.deprecation_message,
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
    "archived": lambda v: "yes" if v.archived else "",
    "created_by": lambda v: v.created_by.username,
    "created_at": lambda v: at(v.created_at),
}
VERSIONS_SHOWN: Final = ("name", "import", "active", "created_by", "created_at", "message")

output_option = click.option(
    "-o", "--output", type=click.Choice(("table", "json")), default="table", help="Default: table."
)


organization_option = click.option(
    "-O",
    "--org",
    "organization",
    envvar=["TASKYARD_ORGANIZATION", "CODER_ORGANIZATION"],
    help="Name or id. Default: your default one.",
)

PRESET_COLUMNS: Final[Mapping[str, Column[Preset]]] = {
    "id": lambda p: str(p.id),
    "name": lambda p: p.name,
    "default": lambda p: "yes" if p.default else "",
    "parameters": lambda p: " ".join(f"{each.name}={each.value}" for each in p.parameters),
    "description": lambda p: p.description,
}
PRESETS_SHOWN: Final = ("name", "default", "parameters", "description")


@click.command("list")
@click.option("-a", "--all", "everything", is_flag=True, help="Also those that run no tasks.")
@click.option("-q", "--query", default="", help="A search, such as name:web or deprecated:true.")
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
def list_templates(
    client: Client, *, everything: bool, query: str, output: str, columns: list[str]
) -> Status:
    """List the templates that tasks can be made from."""
    wanted = query if everything else f"has-ai-task:true {query}"
    found = client.list_templates(wanted.strip())
    if output == "json":
        print_json(found)
    elif not found and query:
        note("There are no such templates.")
    elif not found:
        note("There are no templates yet. Write and push one: taskyard templates init my-template")
    else:
        print_table(found, COLUMNS, columns)
    return None


@click.command()
@click.argument("name", metavar="TEMPLATE")
@organization_option
@output_option
@signed_in
def show(client: Client, *, name: str, organization: str | None, output: str) -> Status:
    """Show the settings of TEMPLATE."""
    template = find_template(client, find_organization(client, organization).id, name)
    if output == "json":
        print_json(template)
        return None
    active = client.get_template_version(template.active_version_id)
    for label, value in _facts(template, active).items():
        print(f"{label:<22}{one_line(value, MAX_LINE)}".rstrip())
    return None


def _facts(template: Template, active: TemplateVersion) -> dict[str, str]:
    """What people ask about a template."""
    times = template.build_time_stats.start
    return {
        "name": template.name,
        "display name": template.display_name,
        "organization": template.organization_name,
        "description": template.description,
        "id": str(template.id),
        "active version": f"{active.name} ({active.job.status.value})",
        "deprecated": template.deprecation_message,
        "users": str(template.active_user_count),
        "start takes": ""
        if times.p50 is None
        else f"{times.p50} ms, at most {times.p95} ms for 95 %",
        "stopped after": _span(template.default_ttl_ms),
        "activity adds": _span(template.activity_bump_ms),
        "users may cancel": "yes" if template.allow_user_cancel_workspace_jobs else "no",
        "active version only": "yes" if template.require_active_version else "no",
        "made by": template.created_by_name,
        "made": at(template.created_at),
        "changed": at(template.updated_at),
    }


def _span(ms: int) -> str:
    """A duration in its largest whole unit; nothing for none."""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if ms and ms % size == 0:
            return f"{ms // size}{unit}"
    return f"{ms} ms" if ms else ""


@click.command()
@click.argument("name", metavar="TEMPLATE")
@click.option("--version", help="Name of a version. Default: the active one.")
@organization_option
@output_option
@click.option(
    "-c",
    "--column",
    "columns",
    metavar="NAME,...",
    callback=choose_columns(list(PRESET_COLUMNS), PRESETS_SHOWN),
    help=f"Columns of the table, of: {', '.join(PRESET_COLUMNS)}.",
)
@signed_in
def presets(
    client: Client,
    *,
    name: str,
    version: str | None,
    organization: str | None,
    output: str,
    columns: list[str],
) -> Status:
    """List the presets of TEMPLATE: parameter values that belong together."""
    template = find_template(client, find_organization(client, organization).id, name)
    version_id = (
        find_version(client, template, version).id if version else template.active_version_id
    )
    found = client.list_presets(version_id)
    if output == "json":
        print_json(found)
    elif not found:
        note(f"The template {name} has no presets.")
    else:
        print_table(found, PRESET_COLUMNS, columns)
    return None


@click.command()
@click.argument("name", metavar="TEMPLATE")
@click.option("--archived", is_flag=True, help="Also those that are archived.")
@organization_option
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
    client: Client,
    *,
    name: str,
    archived: bool,
    organization: str | None,
    output: str,
    columns: list[str],
) -> Status:
    """List the versions of TEMPLATE, oldest first."""
    template = find_template(client, find_organization(client, organization).id, name)
    found = client.list_template_versions(template.id, include_archived=archived)
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


def find_version(client: Client, template: Template, name: str) -> TemplateVersion:
    """A version of a template by its name. Raises Failure when it is not there."""
    try:
        return client.get_template_version_by_name(template.id, name)
    except ApiError as error:
        if error.status != 404:
            raise
        hint = f"To see what there is: taskyard templates versions {template.name} --archived"
        raise Failure(f"{template.name} has no version {name!r}.", hint=hint) from error
    except ValueError as error:
        raise click.UsageError(f"{name!r} is no name of a version.") from error
