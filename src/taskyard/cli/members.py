"""`taskyard organizations members list`, `add`, `remove` and `roles`."""

from collections.abc import Mapping
from typing import Final

import click

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.failures import USAGE, Failure
from taskyard.cli.find import PAGE, every, find_user, finding, organization_named
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
)
from taskyard.sdk import ApiError, Client
from taskyard.wire.identity import MemberWithUserData, Organization, UpdateRolesRequest

COLUMNS: Final[Mapping[str, Column[MemberWithUserData]]] = {
    "user_id": lambda m: str(m.user_id),
    "username": lambda m: m.username,
    "name": lambda m: m.name or "",
    "email": lambda m: m.email,
    "status": lambda m: m.status.value,
    "roles": lambda m: ", ".join(role.display_name or role.name for role in m.roles),
    "site_roles": lambda m: ", ".join(r.display_name or r.name for r in m.global_roles),
    "member_since": lambda m: at(m.created_at),
}
SHOWN: Final = ("username", "email", "status", "roles", "member_since")

organization_argument = click.argument("organization", metavar="ORGANIZATION")
users_argument = click.argument("names", metavar="USER...", nargs=-1, required=True)


@click.command("list")
@organization_argument
@click.argument("search", default="")
@ids_option
@output_option
@columns_option(COLUMNS, SHOWN)
@signed_in
def list_members(
    client: Client,
    *,
    organization: str,
    search: str,
    quiet: bool,
    output: str,
    columns: list[str],
) -> Status:
    """List the members of ORGANIZATION that you may see; SEARCH narrows them as in `users list`."""
    within = organization_named(client, organization)

    def page(offset: int) -> tuple[list[MemberWithUserData], int]:
        found = client.list_paginated_members(within.id, q=search, limit=PAGE, offset=offset)
        return found.members, found.count

    empty = "There are no such members."
    print_list(every(page), COLUMNS, columns, output=output, quiet=quiet, empty=empty)
    return None


@click.command()
@organization_argument
@users_argument
@signed_in
def add(client: Client, *, organization: str, names: tuple[str, ...]) -> Status:
    """Put each USER into ORGANIZATION, without roles. Names must be exact."""
    found = organization_named(client, organization)
    for name in names:
        hint = "Check the spelling, or make the user: taskyard users create"
        with finding("user", name, hint):
            client.add_member(found.id, name)
        print(f"{plain(name)} is in {plain(found.name)} now.")
    return None


@click.command()
@organization_argument
@users_argument
@signed_in
def remove(client: Client, *, organization: str, names: tuple[str, ...]) -> Status:
    """Take each USER out of ORGANIZATION; what they own there stays theirs."""
    found = organization_named(client, organization)
    for user in [_member(client, found, name) for name in names]:
        client.remove_member(found.id, user.user_id)
        print(f"{plain(user.username)} is not in {plain(found.name)} any more.")
    return None


@click.command()
@organization_argument
@click.argument("name", metavar="USER")
@click.argument("words", metavar="[ROLE...]", nargs=-1)
@click.option("--none", "clear", is_flag=True, help="Take all roles away.")
@output_option
@signed_in
def roles(
    client: Client,
    *,
    organization: str,
    name: str,
    words: tuple[str, ...],
    clear: bool,
    output: str,
) -> Status:
    """Show the roles that USER has in ORGANIZATION; with ROLE..., make it those and no others.

    The role is organization-admin.
    """
    if clear and words:
        raise Failure("--none takes all roles away, so give none with it.", status=USAGE)
    found = organization_named(client, organization)
    member = _member(client, found, name)
    if clear or words:
        request = UpdateRolesRequest(roles=list(words))
        client.update_member_roles(found.id, member.user_id, request)
        member = client.get_member(found.id, member.user_id)
    if output == "json":
        print_json(member.roles)
    else:
        for role in member.roles:
            print(plain(role.name))
        if not member.roles:
            note(f"{plain(member.username)} is a member, without roles.")
    return None


def _member(client: Client, organization: Organization, name: str) -> MemberWithUserData:
    """A member by name or id; raises Failure for who is none."""
    user = find_user(client, name)
    try:
        return client.get_member(organization.id, user.id)
    except ApiError as error:
        if error.status != 404:
            raise
        raise Failure(
            f"{plain(user.username)} is not in {plain(organization.name)}.",
            hint=f"To see who is: taskyard organizations members list {plain(organization.name)}",
        ) from error
