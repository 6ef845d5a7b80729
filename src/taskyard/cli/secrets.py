"""`taskyard secrets`: what workspaces need and nobody should see. Values are typed or piped in, and never shown."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import UUID

import click

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.failures import Failure
from taskyard.cli.find import find_organization, find_template, find_user
from taskyard.cli.output import (
    Column,
    at,
    columns_option,
    confirm,
    ids_option,
    output_option,
    plain,
    print_list,
    yes_option,
)
from taskyard.sdk import ApiError, Client
from taskyard.wire.secrets import Secret, SetSecretRequest

Command = TypeVar("Command", bound=Callable[..., object])

DEFAULT: Final = ""
"""What `--organization` means without a name: the organization one is in."""

COLUMNS: Final[Mapping[str, Column[Secret]]] = {
    "name": lambda s: s.name,
    "id": lambda s: str(s.id),
    "updated_at": lambda s: at(s.updated_at),
    "created_at": lambda s: at(s.created_at),
}
SHOWN: Final = ("name", "updated_at", "created_at")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose secrets a command works on; label is how a person would say it."""

    id: UUID
    label: str
    flags: str
    give: Callable[[UUID, str, SetSecretRequest], Secret]
    look: Callable[[UUID], list[Secret]]
    drop: Callable[[UUID, str], None]


@click.group()
def secrets() -> None:
    """Keep keys and tokens for workspaces: your own, a template's, or an organization's.

    A workspace gets all secrets of its template, and of yours and the organization's those that the template
    names in requires_env. Nobody can read a value again.
    """


def owner_options(command: Command) -> Command:
    """The options that say whose secrets are meant."""
    for option in (
        click.option(
            "--organization",
            "--org",
            "organization",
            metavar="[NAME]",
            is_flag=False,
            flag_value=DEFAULT,
            help="Of an organization: yours, or the one named. With --template, where that is.",
        ),
        click.option("--template", metavar="NAME", help="Of a template."),
        click.option(
            "--user",
            metavar="[NAME]",
            is_flag=False,
            flag_value="me",
            help="Of a user. Default: you.",
        ),
    ):
        command = option(command)
    return command


@secrets.command("set")
@click.argument("name", metavar="NAME")
@owner_options
@signed_in
def set_secret(
    client: Client, *, name: str, user: str | None, template: str | None, organization: str | None
) -> Status:
    """Give the secret NAME a value: asked for without showing it, or read from stdin.

    NAME is that of an environment variable. Workspaces get the value when they start next.
    """
    owner = find_owner(client, user, template, organization)
    owner.give(owner.id, name, SetSecretRequest(value=_value(name)))
    print(f"Set the secret {plain(name)} of {owner.label}.")
    return None


@secrets.command("list")
@owner_options
@ids_option
@output_option
@columns_option(COLUMNS, SHOWN)
@signed_in
def list_secrets(
    client: Client,
    *,
    user: str | None,
    template: str | None,
    organization: str | None,
    quiet: bool,
    output: str,
    columns: list[str],
) -> Status:
    """List the names of secrets, without their values."""
    owner = find_owner(client, user, template, organization)
    found = owner.look(owner.id)
    empty = (
        f"There are no secrets of {owner.label}. Set one: taskyard secrets set NAME{owner.flags}"
    )
    print_list(found, COLUMNS, columns, output=output, quiet=quiet, empty=empty)
    return None


@secrets.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@owner_options
@yes_option
@signed_in
def delete(
    client: Client,
    *,
    names: tuple[str, ...],
    user: str | None,
    template: str | None,
    organization: str | None,
    yes: bool,
) -> Status:
    """Delete secrets; workspaces that run keep what they were given until they stop."""
    owner = find_owner(client, user, template, organization)
    shown = plain(", ".join(names))
    confirm(f"Delete {shown} of {owner.label}?", yes=yes)
    for name in names:
        try:
            owner.drop(owner.id, name)
        except ApiError as error:
            if error.status != 404:
                raise
            hint = f"To see what there is: taskyard secrets list{owner.flags}"
            sentence = f"there is no secret {plain(name)!r} of {owner.label}."
            raise Failure(sentence, hint=hint) from error
        print(f"Deleted the secret {plain(name)} of {owner.label}.")
    return None


def find_owner(
    client: Client, user: str | None, template: str | None, organization: str | None
) -> Owner:
    """Whose secrets are meant. Raises UsageError for two owners at once, Failure for one that is not there."""
    if user is not None and (template is not None or organization is not None):
        raise click.UsageError("Give --user, or --template and --organization, not both.")
    if template is not None:
        found = find_template(client, organization or None, template)
        return Owner(
            found.id,
            f"the template {plain(found.name)}",
            f" --template {plain(found.name)}",
            client.set_template_secret,
            client.list_template_secrets,
            client.delete_template_secret,
        )
    if organization is not None:
        where = find_organization(client, organization or None)
        return Owner(
            where.id,
            f"the organization {plain(where.name)}",
            f" --organization {plain(where.name)}",
            client.set_organization_secret,
            client.list_organization_secrets,
            client.delete_organization_secret,
        )
    who = find_user(client, user or "me")
    return Owner(
        who.id,
        f"the user {plain(who.username)}",
        "" if user in (None, "me") else f" --user {plain(who.username)}",
        client.set_user_secret,
        client.list_user_secrets,
        client.delete_user_secret,
    )


def _value(name: str) -> str:
    """What the person types, or what stdin holds, without the line end of its last line."""
    if sys.stdin.isatty():
        return str(click.prompt(f"Value of {plain(name)}", hide_input=True, err=True))
    value = sys.stdin.read()
    return value.removesuffix("\n").removesuffix("\r")
