"""`taskyard users create`, `edit` and `password`."""

import os
import sys

import click

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.failures import USAGE, Failure
from taskyard.cli.find import find_user, organization_named
from taskyard.cli.output import plain
from taskyard.sdk import Client
from taskyard.wire.identity import (
    CreateUserRequest,
    UpdatePasswordRequest,
    UpdateUserRequest,
)

NEW_PASSWORD = "TASKYARD_NEW_PASSWORD"  # noqa: S105 - the name of a variable
OLD_PASSWORD = "TASKYARD_PASSWORD"  # noqa: S105 - the name of a variable


@click.command()
@click.option("-u", "--username", required=True, help="What the user is called.")
@click.option("-e", "--email", required=True, help="The user's address.")
@click.option("-n", "--name", default="", help="How the user is shown.")
@click.option("--password", envvar=NEW_PASSWORD, help="Better set TASKYARD_NEW_PASSWORD.")
@click.option(
    "--service-account",
    "--no-login",
    "is_service",
    is_flag=True,
    help="No password, ever: it works with tokens that administrators make.",
)
@click.option("--github-user-id", type=int, help="What the GitHub action finds the user by.")
@click.option(
    "-O", "--org", "organization", help="Name or id of an organization. Default: the default one."
)
@click.option("-q", "--quiet", is_flag=True, help="Print only the id of the user.")
@signed_in
def create(
    client: Client,
    *,
    username: str,
    email: str,
    name: str,
    password: str | None,
    is_service: bool,
    github_user_id: int | None,
    organization: str | None,
    quiet: bool,
) -> Status:
    """Create a user, who becomes a member of the organization."""
    if is_service and password:
        raise Failure(
            f"a service account has no password; leave --password and {NEW_PASSWORD} out.",
            status=USAGE,
        )
    if is_service:
        password = ""
    elif password is None:
        hint = f"Set {NEW_PASSWORD}, or say --service-account for a user who has tokens only."
        password = _asked("Password", hint, confirm=True)
    joined = [] if organization is None else [organization_named(client, organization).id]
    user = client.create_user(
        CreateUserRequest(
            username=username,
            email=email,
            name=name,
            password=password,
            login_type="none" if is_service else "password",
            github_com_user_id=github_user_id,
            organization_ids=joined,
        )
    )
    print(user.id if quiet else f"User {plain(user.username)} was made.")
    return None


@click.command()
@click.argument("user", metavar="USER")
@click.option("-u", "--username", help="Another name to be called by.")
@click.option("-e", "--email", help="Another address.")
@click.option("-n", "--name", help="How the user is shown.")
@click.option(
    "--github-user-id",
    type=int,
    help="What the GitHub action finds the user by; 0 takes it away.",
)
@click.option(
    "--max-running",
    type=int,
    help="Workspaces of the user that may run at once; 0 takes the limit away.",
)
@signed_in
def edit(
    client: Client,
    *,
    user: str,
    username: str | None,
    email: str | None,
    name: str | None,
    github_user_id: int | None,
    max_running: int | None,
) -> Status:
    """Change what is given of USER; the rest stays. Addresses, GitHub numbers and limits are for administrators."""
    change = UpdateUserRequest(
        username=username,
        email=email,
        name=name,
        github_com_user_id=github_user_id,
        max_running=max_running,
    )
    if change == UpdateUserRequest():
        raise Failure(
            "there is nothing to change.",
            hint="Say what, such as --name or --github-user-id: taskyard users edit --help",
            status=USAGE,
        )
    changed = client.update_user(find_user(client, user).id, change)
    print(f"User {plain(changed.username)} was changed.")
    return None


@click.command()
@click.argument("user", metavar="USER", default="me")
@signed_in
def password(client: Client, *, user: str) -> Status:
    """Change the password of USER, yours unless told. All other sessions end; tokens go on.

    The new password is asked for, or taken from TASKYARD_NEW_PASSWORD. Your own old one is asked for too, or
    taken from TASKYARD_PASSWORD.
    """
    found, me = find_user(client, user), client.get_user("me")
    old = ""
    if found.id == me.id:
        old = os.environ.get(OLD_PASSWORD) or _asked("Old password", f"Set {OLD_PASSWORD}.")
    new = os.environ.get(NEW_PASSWORD) or _asked(
        "New password", f"Set {NEW_PASSWORD}.", confirm=True
    )
    client.update_user_password(found.id, UpdatePasswordRequest(old_password=old, password=new))
    print(f"The password of {plain(found.username)} was changed, and all other sessions ended.")
    return None


def _asked(what: str, hint: str, *, confirm: bool = False) -> str:
    """A password typed by a person, twice to confirm it; raises Failure where nobody can be asked."""
    if not sys.stdin.isatty():
        raise Failure(
            f"the {what.lower()} is missing and nobody is here to be asked.",
            hint=hint,
            status=USAGE,
        )
    answer = click.prompt(what, hide_input=True, confirmation_prompt=confirm, err=True)
    return str(answer)
