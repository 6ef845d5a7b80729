"""`taskyard users`: who may use the server."""

import sys
from collections.abc import Mapping
from typing import Final

import click

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.failures import USAGE, Failure
from taskyard.cli.output import Column, at, choose_columns, note, plain, print_json, print_table
from taskyard.sdk import Client
from taskyard.wire.identity import CreateUserRequest, User

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


@click.group()
def users() -> None:
    """Create and list users."""


@users.command()
@click.option("-u", "--username", required=True, help="What the user is called.")
@click.option("-e", "--email", required=True, help="The user's address.")
@click.option("-n", "--name", default="", help="How the user is shown.")
@click.option(
    "--password", envvar="TASKYARD_NEW_PASSWORD", help="Better set TASKYARD_NEW_PASSWORD."
)
@click.option("--no-login", is_flag=True, help="No password: the user signs in by tokens only.")
@click.option("--github-user-id", type=int, help="What the GitHub action finds the user by.")
@click.option("-q", "--quiet", is_flag=True, help="Print only the id of the user.")
@signed_in
def create(
    client: Client,
    *,
    username: str,
    email: str,
    name: str,
    password: str | None,
    no_login: bool,
    github_user_id: int | None,
    quiet: bool,
) -> Status:
    """Create a user, who becomes a member of the default organization."""
    if no_login:
        password = ""
    elif password is None:
        password = _ask_password()
    user = client.create_user(
        CreateUserRequest(
            username=username,
            email=email,
            name=name,
            password=password,
            login_type="none" if no_login else "password",
            github_com_user_id=github_user_id,
        )
    )
    print(user.id if quiet else f"User {plain(user.username)} was made.")
    return None


def _ask_password() -> str:
    """A password typed twice; raises Failure where nobody can be asked."""
    if not sys.stdin.isatty():
        raise Failure(
            "the password is missing and nobody is here to be asked.",
            hint="Set TASKYARD_NEW_PASSWORD, or say --no-login for a user who has tokens only.",
            status=USAGE,
        )
    answer = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return str(answer)


@users.command("list")
@click.argument("search", default="")
@click.option("-q", "--quiet", is_flag=True, help="Print only the ids.")
@click.option(
    "-o", "--output", type=click.Choice(("table", "json")), default="table", help="Default: table."
)
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
    """List users; SEARCH narrows them by name or address."""
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


def _all_users(client: Client, search: str) -> list[User]:
    """Every user that fits, read page by page."""
    found: list[User] = []
    while True:
        page = client.list_users(search, limit=PAGE, offset=len(found))
        found += page.users
        if not page.users or len(found) >= page.count:
            return found
