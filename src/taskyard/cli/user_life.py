"""`taskyard users suspend`, `activate` and `delete`."""

import click

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.failures import Failure
from taskyard.cli.find import find_user
from taskyard.cli.output import confirm, plain, yes_option
from taskyard.sdk import ApiError, Client

names_argument = click.argument("names", metavar="USER...", nargs=-1, required=True)


@click.command()
@names_argument
@signed_in
def suspend(client: Client, *, names: tuple[str, ...]) -> Status:
    """Keep each USER out: sessions and tokens are refused at once, until the user is activated."""
    for user in [find_user(client, name) for name in names]:
        client.suspend_user(user.id)
        print(f"User {plain(user.username)} was suspended.")
    return None


@click.command()
@names_argument
@signed_in
def activate(client: Client, *, names: tuple[str, ...]) -> Status:
    """Let each USER in again, with the tokens that they had."""
    for user in [find_user(client, name) for name in names]:
        client.activate_user(user.id)
        print(f"User {plain(user.username)} was activated.")
    return None


@click.command()
@names_argument
@yes_option
@signed_in
def delete(client: Client, *, names: tuple[str, ...], yes: bool) -> Status:
    """Delete each USER with all tokens. Who still has workspaces is not deleted."""
    found = {user.id: user for user in (find_user(client, name) for name in names)}
    listed = ", ".join(plain(user.username) for user in found.values())
    confirm(f"Delete {listed}? This cannot be undone.", yes=yes)
    for user in found.values():
        try:
            client.delete_user(user.id)
        except ApiError as error:
            if error.reason != "user_has_workspaces":
                raise
            hint = f"To see them: taskyard list --user {plain(user.username)}"
            raise Failure(plain(error.message), hint=hint) from error
        print(f"User {plain(user.username)} was deleted.")
    return None
