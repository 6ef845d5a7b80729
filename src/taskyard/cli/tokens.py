"""`taskyard tokens`: keys for programs."""

import re
from collections.abc import Mapping
from typing import Final

import click

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.failures import Failure
from taskyard.cli.find import finding
from taskyard.cli.output import (
    Column,
    at,
    columns_option,
    ids_option,
    output_option,
    plain,
    print_list,
    with_owner,
)
from taskyard.sdk import ApiError, Client
from taskyard.wire.identity import APIKey, CreateTokenRequest

NANOSECONDS: Final = {"s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}
"""How many nanoseconds, the wire's unit, each unit of a lifetime has."""

COLUMNS: Final[Mapping[str, Column[APIKey]]] = {
    "id": lambda k: k.id,
    "name": lambda k: k.token_name,
    "owner": lambda k: k.username or "",
    "scope": lambda k: k.scope,
    "last_used": lambda k: at(k.last_used),
    "expires_at": lambda k: at(k.expires_at),
    "created_at": lambda k: at(k.created_at),
}
SHOWN: Final = ("id", "name", "last_used", "expires_at", "created_at")

USERS: Final = "To see whom there is: taskyard users list"


@click.group()
def tokens() -> None:
    """Make, list, end and remove tokens for programs; `--user` names a service account or, for owners, anybody."""


def read_lifetime(_ctx: click.Context, _option: click.Parameter, value: str | None) -> int:
    """Nanoseconds of a text such as `12h`; 0 means that the server chooses."""
    if value is None:
        return 0
    match = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", value.strip())
    if match is None:
        raise click.BadParameter(f"{value!r} is no time; write it like 30d, 12h or 45m")
    return int(match[1]) * NANOSECONDS[match[2]]


@tokens.command()
@click.option("-n", "--name", default="", help="Default: made up.")
@click.option(
    "--lifetime",
    metavar="TIME",
    callback=read_lifetime,
    help="Like 30d or 12h. Default: the server's.",
)
@click.option("--user", default="me", help="Whose token. Default: yours.")
@signed_in
def create(client: Client, *, name: str, lifetime: int, user: str) -> Status:
    """Make a token and print it; it is shown this once."""
    with finding("user", user, USERS):
        made = client.create_token(user, CreateTokenRequest(token_name=name, lifetime=lifetime))
    print(made.key)
    return None


@tokens.command("list")
@click.option("-a", "--all", "everybody", is_flag=True, help="Those of all users.")
@click.option("--user", default="me", help="Whose tokens. Default: yours.")
@ids_option
@click.option("--expired", is_flag=True, help="Also those that have expired.")
@output_option
@columns_option(COLUMNS, SHOWN)
@signed_in
def list_tokens(
    client: Client,
    *,
    everybody: bool,
    user: str,
    quiet: bool,
    expired: bool,
    output: str,
    columns: list[str],
) -> Status:
    """List tokens, without their secrets."""
    with finding("user", user, USERS):
        found = client.list_tokens(user, include_all=everybody, include_expired=expired)
    empty = "There are no tokens. Make one: taskyard tokens create"
    chosen = with_owner(columns, SHOWN) if everybody else columns
    print_list(found, COLUMNS, chosen, output=output, quiet=quiet, empty=empty)
    return None


@tokens.command()
@click.argument("names", metavar="NAME|ID...", nargs=-1, required=True)
@click.option("--user", default="me", help="Whose tokens. Default: yours.")
@signed_in
def remove(client: Client, *, names: tuple[str, ...], user: str) -> Status:
    """Remove tokens; whoever uses them is signed out at once."""
    for key in [find_token(client, user, name) for name in names]:
        client.delete_key(user, key.id)
        print(f"Removed the token {plain(key.token_name or key.id)}.")
    return None


@tokens.command()
@click.argument("names", metavar="NAME|ID...", nargs=-1, required=True)
@click.option("--user", default="me", help="Whose tokens. Default: yours.")
@signed_in
def expire(client: Client, *, names: tuple[str, ...], user: str) -> Status:
    """End tokens at once, but keep them for `tokens list --expired`."""
    for key in [find_token(client, user, name) for name in names]:
        client.expire_key(user, key.id)
        print(f"The token {plain(key.token_name or key.id)} ended.")
    return None


def find_token(client: Client, user: str, name: str) -> APIKey:
    """A token by its name or its id. Raises Failure when it is not there."""
    for look in (client.get_token, client.get_key):
        try:
            return look(user, name)
        except ApiError as error:
            if error.status != 404:
                raise
    hint = "To see what there is: taskyard tokens list"
    raise Failure(f"there is no token {name!r}; nothing was changed.", hint=hint)
