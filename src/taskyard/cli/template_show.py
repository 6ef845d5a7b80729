"""`taskyard templates list`, `show`, `versions` and `presets`."""

from collections.abc import Mapping
from typing import Final

import click

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.find import find_template, find_version
from taskyard.cli.output import (
    Column,
    at,
    columns_option,
    output_option,
    print_facts,
    print_json,
    print_list,
)
from taskyard.sdk import Client
from taskyard.wire.templates import Preset, Template, TemplateVersion

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
@columns_option(COLUMNS, SHOWN)
@signed_in
def list_templates(
    client: Client, *, everything: bool, query: str, output: str, columns: list[str]
) -> Status:
    """List the templates that tasks can be made from."""
    wanted = query if everything else f"has-ai-task:true {query}"
    found = client.list_templates(wanted.strip())
    none = "There are no templates yet. Write and push one: taskyard templates init my-template"
    empty = "There are no such templates." if query else none
    print_list(found, COLUMNS, columns, output=output, empty=empty)
    return None


@click.command()
@click.argument("name", metavar="TEMPLATE")
@organization_option
@output_option
@signed_in
def show(client: Client, *, name: str, organization: str | None, output: str) -> Status:
    """Show the settings of TEMPLATE."""
    template = find_template(client, organization, name)
    if output == "json":
        print_json(template)
        return None
    active = client.get_template_version(template.active_version_id)
    print_facts(_facts(template, active), width=22)
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
        "deprecated": template.deprecation_message or "no",
        "users": str(template.active_user_count),
        "start takes": "not known yet"
        if times.p50 is None
        else f"{times.p50} ms, at most {times.p95} ms for 95 %",
        "stopped after": _span(template.default_ttl_ms) or "what its taskyard.toml says",
        "activity adds": _span(template.activity_bump_ms) or "nothing",
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
@columns_option(PRESET_COLUMNS, PRESETS_SHOWN)
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
    template = find_template(client, organization, name)
    version_id = (
        find_version(client, template, version).id if version else template.active_version_id
    )
    found = client.list_presets(version_id)
    empty = f"The template {name} has no presets."
    print_list(found, PRESET_COLUMNS, columns, output=output, empty=empty)
    return None


@click.command()
@click.argument("name", metavar="TEMPLATE")
@click.option("--archived", is_flag=True, help="Also those that are archived.")
@organization_option
@output_option
@columns_option([*VERSION_COLUMNS, "active"], VERSIONS_SHOWN)
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
    template = find_template(client, organization, name)
    found = client.list_template_versions(template.id, include_archived=archived)

    def active(version: TemplateVersion) -> str:
        return "yes" if version.id == template.active_version_id else ""

    empty = f"The template {name} has no versions."
    all_columns = {**VERSION_COLUMNS, "active": active}
    print_list(found, all_columns, columns, output=output, empty=empty)
    return None
