"""`taskyard users list`, `show` and `roles`."""

from collections.abc import Mapping
from typing import Final

import click

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.failures import USAGE, Failure
from taskyard.cli.find import PAGE, every, find_user
from taskyard.cli.output import (
    Column,
    at,
    columns_option,
    ids_option,
    note,
    output_option,
    plain,
    print_facts,
    print_json,
    print_list,
)
from taskyard.sdk import Client
from taskyard.wire.identity import UpdateRolesRequest, User

COLUMNS: Final[Mapping[str, Column[User]]] = {
    "id": lambda u: str(u.id),
    "username": lambda u: u.username,
    "name": lambda u: u.name or "",
    "email": lambda u: u.email,
    "status": lambda u: u.status.value,
    "login_type": lambda u: u.login_type.value,
    "roles": lambda u: ", ".join(role.display_name or role.name for role in u.roles),
    "last_seen_at": lambda u: at(u.last_seen_at),
    "created_at": lambda u: at(u.created_at),
}
SHOWN: Final = ("username", "email", "status", "roles", "created_at")


@click.command("list")
@click.argument("search", default="")
@ids_option
@output_option
@columns_option(COLUMNS, SHOWN)
@signed_in
def list_users(
    client: Client, *, search: str, quiet: bool, output: str, columns: list[str]
) -> Status:
    """List users. SEARCH narrows them: words of a name or address, status:suspended, role:owner and the like."""

    def page(offset: int) -> tuple[list[User], int]:
        found = client.list_users(search, limit=PAGE, offset=offset)
        return found.users, found.count

    empty = "There are no such users."
    print_list(every(page), COLUMNS, columns, output=output, quiet=quiet, empty=empty)
    return None


@click.command()
@click.argument("name", metavar="USER", default="me")
@click.option("-q", "--quiet", is_flag=True, help="Print only the id.")
@output_option
@signed_in
def show(client: Client, *, name: str, quiet: bool, output: str) -> Status:
    """Show USER, with the roles in each organization."""
    user = find_user(client, name)
    if quiet:
        print(user.id)
    elif output == "json":
        print_json(user)
    else:
        names = {str(o.id): o.name for o in client.list_user_organizations(user.id)}
        roles = client.get_user_roles(user.id).organization_roles
        facts = {name: value(user) for name, value in COLUMNS.items()}
        facts["organizations"] = ", ".join(
            names.get(key, key) + (f" ({', '.join(words)})" if words else "")
            for key, words in roles.items()
        )
        print_facts(facts)
    return None


@click.command()
@click.argument("name", metavar="USER")
@click.argument("words", metavar="[ROLE...]", nargs=-1)
@click.option("--none", "clear", is_flag=True, help="Take all roles away.")
@output_option
@signed_in
def roles(client: Client, *, name: str, words: tuple[str, ...], clear: bool, output: str) -> Status:
    """Show the roles that USER has on the whole server; with ROLE..., make it those and no others.

    The roles are owner, template-admin, user-admin and auditor.
    """
    if clear and words:
        raise Failure("--none takes all roles away, so give none with it.", status=USAGE)
    user = find_user(client, name)
    if clear or words:
        user = client.update_user_roles(user.id, UpdateRolesRequest(roles=list(words)))
    if output == "json":
        print_json(client.get_user_roles(user.id))
    else:
        for role in user.roles:
            print(plain(role.name))
        if not user.roles:
            note(f"{plain(user.username)} is a member, without roles.")
    return None
