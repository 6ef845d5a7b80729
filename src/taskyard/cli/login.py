"""`taskyard login`, `logout` and `whoami`."""

import os
import sys
from dataclasses import dataclass

import click

from taskyard.cli.connection import (
    Place,
    Status,
    find_place,
    forget,
    given_place,
    open_client,
    remember,
    remembered,
    signed_in,
)
from taskyard.cli.failures import NO_SERVER, USAGE, Failure
from taskyard.cli.output import note, plain, print_json
from taskyard.sdk import ApiError, Client, Unreachable
from taskyard.wire.identity import CreateFirstUserRequest, LoginRequest


@dataclass(frozen=True, slots=True)
class Answers:
    """What the flags say about who signs in; None is asked for where somebody can answer."""

    token: str | None
    keep_token: bool
    email: str | None
    password: str | None
    first_username: str | None
    first_email: str | None
    first_full_name: str | None
    first_password: str | None


@click.command()
@click.argument("url", required=False)
@click.option("--token", metavar="TOKEN", help="A token that you have already.")
@click.option(
    "--use-token-as-session",
    "keep_token",
    is_flag=True,
    help="Remember that token itself, instead of a new session made with it.",
)
@click.option("--email", help="Sign in with this address and a password.")
@click.option("--password", envvar="TASKYARD_PASSWORD", help="Better set TASKYARD_PASSWORD.")
@click.option("--first-user-username", "first_username", help="On a new server: its owner's name.")
@click.option("--first-user-email", "first_email", help="The owner's address.")
@click.option("--first-user-full-name", "first_full_name", help="How the owner is shown.")
@click.option(
    "--first-user-password",
    "first_password",
    envvar="TASKYARD_FIRST_USER_PASSWORD",
    help="Better set TASKYARD_FIRST_USER_PASSWORD.",
)
@click.option("--first-user-trial", is_flag=True, hidden=True, expose_value=False)
@click.pass_context
def login(ctx: click.Context, /, url: str | None, **flags: object) -> Status:
    """Sign in to the server at URL and remember it.

    On a new server, this makes its first user, who owns it.
    """
    answers = Answers(**flags)  # type: ignore[arg-type]  # click fills in what it declared
    given = given_place(ctx, url, answers.token)
    place = find_place(Place(url=given.url), os.environ)
    with open_client(place) as client:
        if not has_first_user(client):
            token = _first_token(client, answers)
        elif given.token is not None:
            token = _token_from(client.url, given.token, keep=answers.keep_token)
        else:
            token = _token_by_password(client, answers)
        with Client(client.url, token) as mine:
            me = mine.get_user("me")
        remember(Place(client.url, token), os.environ)
        print(f"Signed in to {client.url} as {plain(me.username)}.")
    return None


def has_first_user(client: Client) -> bool:
    """Whether a server has its owner; raises Failure for what is no such server."""
    try:
        client.get_first_user()
    except ApiError as error:
        if error.status == 404 and error.server_version:
            return False
        if not error.server_version:
            raise Failure(
                f"{client.url} answers, but it is no server with a Tasks API.",
                hint="Check the address; behind a proxy, the path before /api is part of it.",
                status=NO_SERVER,
            ) from error
        raise
    return True


def _first_token(client: Client, answers: Answers) -> str:
    """Makes the owner of a new server; a session of theirs."""
    note(f"{client.url} is new: you are about to become its owner.")
    username = _asked(answers.first_username, "Username", "--first-user-username")
    email = _asked(answers.first_email, "Email", "--first-user-email")
    password = _asked(
        answers.first_password,
        "Password",
        "--first-user-password or set TASKYARD_FIRST_USER_PASSWORD",
        secret=True,
    )
    client.create_first_user(
        CreateFirstUserRequest(
            username=username, email=email, name=answers.first_full_name or "", password=password
        )
    )
    return client.login(LoginRequest(email=email, password=password)).session_token


def _token_from(url: str, token: str, *, keep: bool) -> str:
    """A session made with a token, or the token itself. Raises Failure for one that is not good."""
    with Client(url, token) as client:
        try:
            client.get_user("me")
            return token if keep else client.create_session_key("me").key
        except ApiError as error:
            if error.status != 401:
                raise
            raise Failure(
                f"{url} does not take this token.",
                hint="Check that it is whole, and that it was not removed.",
                status=NO_SERVER,
            ) from error


def _token_by_password(client: Client, answers: Answers) -> str:
    """A new session of whoever knows the password."""
    if answers.email is None and answers.first_email is not None:
        raise Failure(
            f"{client.url} has users already, so nobody can be its first one.",
            hint="To sign in as one of them, give --email or --token.",
            status=USAGE,
        )
    email = _asked(answers.email, "Email", "--email or --token")
    password = _asked(
        answers.password, "Password", "--password or set TASKYARD_PASSWORD", secret=True
    )
    try:
        return client.login(LoginRequest(email=email, password=password)).session_token
    except ApiError as error:
        if error.status != 401:
            raise
        hint = "Check both and try again."
        raise Failure(plain(error.message), hint=hint, status=NO_SERVER) from error


def _asked(given: str | None, what: str, flag: str, *, secret: bool = False) -> str:
    """A value from the flags, else from the person; raises Failure where nobody can be asked."""
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise Failure(
            f"the {what.lower()} is missing and nobody is here to be asked.",
            hint=f"Give {flag}.",
            status=USAGE,
        )
    answer = click.prompt(what, hide_input=secret, err=True)
    return str(answer)


@click.command()
@click.pass_context
def logout(ctx: click.Context, /) -> Status:
    """End the session and forget it."""
    place = find_place(given_place(ctx, None, None), os.environ)
    if place.url is None or place.token is None:
        print("Nobody was signed in.")
        return None
    with open_client(place) as client:
        try:
            client.logout()
        except ApiError as error:
            if error.status != 401:
                raise
        except Unreachable as error:
            note(f"{error}. The session is forgotten here, but not ended there.")
    if remembered(os.environ).token == place.token:
        forget(os.environ)
    print(f"Signed out of {place.url}.")
    return None


@click.command()
@click.option(
    "-o", "--output", type=click.Choice(("text", "json")), default="text", help="Default: text."
)
@signed_in
def whoami(client: Client, output: str) -> Status:
    """Say who is signed in, and where."""
    me = client.get_user("me")
    if output == "json":
        print_json(me)
        return None
    roles = ", ".join(role.display_name or role.name for role in me.roles) or "Member"
    print(f"{plain(me.username)} <{plain(me.email)}> on {client.url} ({plain(roles)})")
    return None
