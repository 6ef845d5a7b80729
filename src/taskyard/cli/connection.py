"""Which server a command asks and with which token: flags, environment, or what login remembered."""

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import click
import msgspec

from taskyard.cli.failures import NO_SERVER, Failure
from taskyard.sdk import Client
from taskyard.sdk.calls import parse_address

Status = int | None
"""What a command returns: its exit status, None for 0."""

VARIABLES: Final = (
    ("TASKYARD_URL", "TASKYARD_SESSION_TOKEN"),
    ("CODER_URL", "CODER_SESSION_TOKEN"),
)
"""Where address and token may stand in the environment, ours first."""


class Place(msgspec.Struct, frozen=True):
    """A server and a token for it; either may be missing."""

    url: str | None = None
    token: str | None = None


def session_file(environ: Mapping[str, str]) -> Path:
    """Where login keeps address and token."""
    base = environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "taskyard" / "session.json"


def remember(place: Place, environ: Mapping[str, str]) -> Path:
    """Keeps address and token in a file that only this user can read."""
    path = session_file(environ)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.encode(place) + b"\n")
    fresh.replace(path)
    return path


def forget(environ: Mapping[str, str]) -> None:
    """Takes away what was remembered."""
    session_file(environ).unlink(missing_ok=True)


def remembered(environ: Mapping[str, str]) -> Place:
    """What login kept; nothing when nobody is signed in. Raises Failure for a file that is damaged."""
    path = session_file(environ)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Place)
    except FileNotFoundError:
        return Place()
    except (OSError, msgspec.DecodeError) as error:
        raise Failure(
            f"cannot read {path}: {error}.",
            hint="Remove that file and sign in again with: taskyard login URL",
            status=NO_SERVER,
        ) from error


def find_place(given: Place, environ: Mapping[str, str]) -> Place:
    """The server and token to use. A token is never sent to a server that it does not belong to."""
    sources = [given]
    sources += [Place(environ.get(url), environ.get(token)) for url, token in VARIABLES]
    sources.append(remembered(environ))
    urls = [source.url.rstrip("/") if source.url else None for source in sources]
    url = next((found for found in urls if found), None)
    fitting = (
        source.token
        for source, its_url in zip(sources, urls, strict=True)
        if source.token and its_url in (None, url)
    )
    return Place(url, next(fitting, None))


def open_client(place: Place) -> Client:
    """A client of this server; raises Failure where there is none, UsageError for a bad address."""
    if place.url is None:
        raise Failure(
            "you are not signed in to a server.",
            hint="Sign in with: taskyard login URL\nOr give --url, or set TASKYARD_URL.",
            status=NO_SERVER,
        )
    try:
        parse_address(place.url)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return Client(place.url, place.token or "")


def given_place(ctx: click.Context, url: str | None, token: str | None) -> Place:
    """The flags of the command, or those that stood before it."""
    before = ctx.find_root().obj or (None, None)
    return Place(url or before[0], token or before[1])


def signed_in(command: Callable[..., Status]) -> Callable[..., Status]:
    """The command with a client in front, and the flags --url and --token after its name too."""

    @click.option("--url", "given_url", hidden=True)
    @click.option("--token", "given_token", hidden=True)
    @click.pass_context
    @functools.wraps(command)
    def run(
        ctx: click.Context, /, given_url: str | None, given_token: str | None, **values: object
    ) -> Status:
        place = find_place(given_place(ctx, given_url, given_token), os.environ)
        with open_client(place) as client:
            if place.token is None:
                raise Failure(
                    f"you are not signed in to {client.url}.",
                    hint=f"Sign in with: taskyard login {client.url}",
                    status=NO_SERVER,
                )
            return command(client, **values)

    return run
