"""`taskyard templates edit`, `promote`, `deprecate` and `delete`."""

from typing import TypeVar

import click
from msgspec import UNSET, UnsetType

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.find import find_template, find_version
from taskyard.cli.output import confirm, plain, yes_option
from taskyard.cli.template_show import organization_option
from taskyard.lifecycle.quantity import DURATION_EXAMPLE, parse_duration
from taskyard.sdk import Client
from taskyard.wire.templates import PromoteTemplateVersionRequest, UpdateTemplateRequest

T = TypeVar("T")


def _given(value: T | None) -> T | UnsetType:
    """What an option says, or nothing."""
    return UNSET if value is None else value


def _milliseconds(_ctx: click.Context, _option: click.Parameter, value: str | None) -> int | None:
    """A duration such as 8h in milliseconds, 0 for none; raises BadParameter."""
    if value is None or value == "0":
        return None if value is None else 0
    seconds = parse_duration(value)
    if seconds is None:
        raise click.BadParameter(
            f"{value!r} is no duration; write it like {DURATION_EXAMPLE}, or 0"
        )
    return seconds * 1000


@click.command()
@click.argument("name", metavar="TEMPLATE")
@click.option("--name", "new_name", help="Another name.")
@click.option("--display-name", help="Name for people.")
@click.option("--description", help="One sentence about it.")
@click.option("--icon", help="Path or address of a picture.")
@click.option("--default-ttl", callback=_milliseconds, help="Workspaces stop after: 8h, or 0.")
@click.option("--activity-bump", callback=_milliseconds, help="Activity moves that by: 1h, or 0.")
@click.option(
    "--allow-user-cancel/--no-allow-user-cancel",
    default=None,
    help="Whether users may cancel builds.",
)
@click.option(
    "--require-active-version/--no-require-active-version",
    default=None,
    help="Whether workspaces must use the active version.",
)
@organization_option
@signed_in
def edit(
    client: Client,
    *,
    name: str,
    new_name: str | None,
    display_name: str | None,
    description: str | None,
    icon: str | None,
    default_ttl: int | None,
    activity_bump: int | None,
    allow_user_cancel: bool | None,
    require_active_version: bool | None,
    organization: str | None,
) -> Status:
    """Change settings of TEMPLATE; what is not named stays."""
    request = UpdateTemplateRequest(
        name=_given(new_name),
        display_name=_given(display_name),
        description=_given(description),
        icon=_given(icon),
        default_ttl_ms=_given(default_ttl),
        activity_bump_ms=_given(activity_bump),
        allow_user_cancel_workspace_jobs=_given(allow_user_cancel),
        require_active_version=_given(require_active_version),
    )
    if request == UpdateTemplateRequest():
        raise click.UsageError("Say what to change, for example --display-name.")
    template = find_template(client, organization, name)
    changed = client.update_template(template.id, request)
    print(f"Template {plain(changed.name)} was changed.")
    return None


@click.command()
@click.argument("name", metavar="TEMPLATE")
@click.argument("version", metavar="VERSION")
@organization_option
@signed_in
def promote(client: Client, *, name: str, version: str, organization: str | None) -> Status:
    """Make new tasks of TEMPLATE use VERSION."""
    template = find_template(client, organization, name)
    found = find_version(client, template, version)
    client.promote_template_version(template.id, PromoteTemplateVersionRequest(id=found.id))
    print(f"Template {name} uses version {plain(found.name)} now.")
    return None


@click.command()
@click.argument("name", metavar="TEMPLATE")
@click.option("-m", "--message", help="What to use instead; shown to whoever tries the template.")
@click.option("--undo", is_flag=True, help="Take it back.")
@organization_option
@signed_in
def deprecate(
    client: Client, *, name: str, message: str | None, undo: bool, organization: str | None
) -> Status:
    """Let nothing new be made of TEMPLATE; what there is goes on."""
    if undo == bool(message):
        raise click.UsageError("Give a --message that says what to use instead, or --undo.")
    template = find_template(client, organization, name)
    request = UpdateTemplateRequest(deprecation_message="" if undo else _given(message))
    client.update_template(template.id, request)
    print(f"Template {name} is {'not deprecated any more' if undo else 'deprecated'}.")
    return None


@click.command()
@click.argument("name", metavar="TEMPLATE")
@yes_option
@organization_option
@signed_in
def delete(client: Client, *, name: str, yes: bool, organization: str | None) -> Status:
    """Delete TEMPLATE, which no workspace may be of."""
    template = find_template(client, organization, name)
    confirm(f"Delete the template {name} with all its versions?", yes=yes)
    client.delete_template(template.id)
    print(f"Template {name} was deleted.")
    return None
