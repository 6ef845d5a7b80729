"""`taskyard users list`, `show` and `roles`."""

from collections.abc import Mapping
from typing import Final

import click

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.failures import USAGE, Failure
from taskyard.cli.output import (
    Column,
    at,
    choose_columns,
    note,
    one_line,
    plain,
    print_json,
    print_table,
)
from taskyard.sdk import ApiError, Client
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

PAGE: Final = 100
"""Users read at once."""

MAX_LINE: Final = 300
"""Characters of a value where each has a line of its own."""

output_option = click.option(
    "-o", "--output", type=click.Choice(("table", "json")), default="table", help="Default: table."
)


def find_user(client: Client, name: str) -> User:
    """A user by name or id; raises Failure where there is none to be seen."""
    try:
        return client.get_user(name)
    except ApiError as error:
        if error.status != 404:
            raise
        hint = "To see whom there is: taskyard users list"
        raise Failure(f"there is no user {plain(name)!r} that you may see.", hint=hint) from error
    except ValueError as error:
        raise click.UsageError(f"{name!r} is no name of a user.") from error


@click.command("list")
@click.argument("search", default="")
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
def list_users(
    client: Client, *, search: str, quiet: bool, output: str, columns: list[str]
) -> Status:
    """List users. SEARCH narrows them: words of a name or address, status:suspended, role:owner and the like."""
    found = _all_users(client, search)
    if quiet:
        for user in found:
            print(user.id)
    elif output == "json":
        print_json(found)
    elif not found:
        note("There are no such users.")
    else:
        print_table(found, COLUMNS, columns)
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
        for label, value in facts.items():
            print(f"{label.replace('_', ' '):<16}{one_line(value, MAX_LINE)}".rstrip())
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


def _all_users(client: Client, search: str) -> list[User]:
    """Every user that fits, read page by page."""
    found: list[User] = []
    while True:
        page = client.list_users(search, limit=PAGE, offset=len(found))
        found += page.users
        if not page.users or len(found) >= page.count:
            return found
