"""`taskyard server`: the only command that runs a server, or works on what one keeps, instead of asking one."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., None])

ROLES: Final = ("api", "worker")
LEVELS: Final = ("debug", "info", "warning", "error")


def _split_roles(
    _ctx: click.Context, _option: click.Parameter, value: str | None
) -> list[str] | None:
    """The roles of a list with commas."""
    if value is None:
        return None
    roles = [role.strip() for role in value.split(",") if role.strip()]
    for role in roles:
        if role not in ROLES:
            raise click.BadParameter(f"there is no role {role!r}; the roles are api and worker")
    return roles


@click.group(invoke_without_command=True)
@click.option(
    "--data-dir",
    metavar="FOLDER",
    type=click.Path(file_okay=False, readable=False),
    help="Where everything is kept. Default: /var/lib/taskyard for root, else ~/.local/share/taskyard.",
)
@click.option("--port", type=int, help="TCP port; 0 takes any free one. Default: 7080.")
@click.option("--host", help="Address to listen on. Default: 127.0.0.1.")
@click.option(
    "--listen",
    metavar="PLACE",
    multiple=True,
    help="ADDRESS:PORT, [ADDRESS]:PORT or unix:PATH to listen on, instead of --host and --port. Repeatable.",
)
@click.option(
    "--access-url", metavar="URL", help="The address under which people reach the server."
)
@click.option(
    "--allowed-hosts",
    metavar="NAME",
    multiple=True,
    help="A further host name to answer to; *.NAME takes all below it, * any. Repeatable.",
)
@click.option(
    "--tls-cert",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="A certificate in PEM form, with those that lead to its root: serve https.",
)
@click.option(
    "--tls-key", metavar="FILE", type=click.Path(dir_okay=False), help="The key of the certificate."
)
@click.option(
    "--trusted-proxies",
    metavar="NETWORK",
    multiple=True,
    help="A proxy whose X-Forwarded headers are believed: an address, a network, or unix. Repeatable.",
)
@click.option(
    "--cors-origins",
    metavar="ORIGIN",
    multiple=True,
    help="An origin such as https://page.example.com whose pages may call the API. Repeatable.",
)
@click.option(
    "--metrics-listen",
    metavar="PLACE",
    help="ADDRESS:PORT or unix:PATH on which /metrics is served. Default: nowhere.",
)
@click.option(
    "--apps-listen",
    metavar="PLACE",
    help="ADDRESS:PORT or unix:PATH on which apps of workspaces are shown, or off. Default: any port of 127.0.0.1.",
)
@click.option(
    "--apps-url",
    metavar="URL",
    help="Their address, with a * for each app's own name: https://*.apps.example.net.",
)
@click.option("--postgres-url", metavar="URL", help="A Postgres of yours, instead of the own one.")
@click.option(
    "--secrets-key-file",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="The key that secrets are sealed by; several servers of one Postgres share it. Default: in the data directory.",
)
@click.option(
    "--join",
    is_flag=True,
    help="Be one more server of a Postgres that another data directory is on.",
)
@click.option(
    "--peer-listen",
    metavar="PLACE",
    help="ADDRESS:PORT on which other servers of the same Postgres reach this one. Default: a socket of this machine.",
)
@click.option(
    "--peer-url",
    metavar="URL",
    help="The address that other servers use for that. Default: made from --peer-listen.",
)
@click.option(
    "--roles",
    metavar="LIST",
    callback=_split_roles,
    help="What to run: api, worker, or api,worker.",
)
@click.option(
    "--no-starter-templates", is_flag=True, help="Leave out the templates that come along."
)
@click.option(
    "--no-page",
    is_flag=True,
    help="Serve the API only, without the page for people; ./yard server does not build it then.",
)
@click.option(
    "--allow-unconfined",
    is_flag=True,
    help="Run workspaces without walls where this machine cannot have them.",
)
@click.option(
    "--programs",
    metavar="FOLDER",
    multiple=True,
    help="A folder with programs for workspaces, such as an npm prefix; they see it read-only. Repeatable.",
)
@click.option("--max-running", type=int, metavar="N", help="How many workspaces may run at once.")
@click.option("--log-level", type=click.Choice(LEVELS), help="Default: info.")
@click.option("--log-format", type=click.Choice(("text", "json")), help="Default: text.")
@click.option(
    "--config",
    "config_file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A TOML file with settings; flags and TASKYARD_... variables go first.",
)
@click.pass_context
def server(
    ctx: click.Context,
    /,
    *,
    no_starter_templates: bool,
    no_page: bool,
    allow_unconfined: bool,
    join: bool,
    config_file: Path | None,
    **flags: object,
) -> None:
    """Run a server until Ctrl-C, which pauses the tasks that run first.

    It prints `ready URL` on stdout once it answers; its log goes to stderr.
    """
    if ctx.invoked_subcommand is not None:
        return
    # Imported on use: a server's parts take a second to import, and only this command needs them.
    from taskyard.daemon.main import run_server

    flags["starter_templates"] = False if no_starter_templates else None
    flags["page"] = False if no_page else None
    flags["allow_unconfined"] = True if allow_unconfined else None
    flags["join"] = True if join else None
    ctx.exit(run_server(flags, config_file))


def _place(command: Command) -> Command:
    """The options that say which server's data a command works on; those before its name count too."""
    options = (
        click.option(
            "--config",
            "config_file",
            metavar="FILE",
            type=click.Path(dir_okay=False, path_type=Path),
            help="The TOML file that the server has its settings from.",
        ),
        click.option(
            "--postgres-url", metavar="URL", help="The server's Postgres, where it is yours."
        ),
        click.option(
            "--data-dir",
            metavar="FOLDER",
            type=click.Path(file_okay=False, readable=False),
            help="The server's data directory. Default: as the server's.",
        ),
        click.option(
            "--password-stdin",
            is_flag=True,
            help="Read the password from stdin; without this one is made up and printed.",
        ),
    )
    for option in options:
        command = option(command)
    return command


def _flags(
    ctx: click.Context, flags: dict[str, str | None], config_file: Path | None
) -> tuple[dict[str, object], Path | None]:
    """The settings that were given, with the command or with `server` before it."""
    outer: Mapping[str, Any] = {} if ctx.parent is None else ctx.parent.params
    chosen: dict[str, object] = {name: value or outer.get(name) for name, value in flags.items()}
    return chosen, config_file or outer.get("config_file")


def _password(*, from_stdin: bool) -> str | None:
    """The first line of stdin; null to make one up."""
    if not from_stdin:
        return None
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise click.UsageError("--password-stdin was given, but stdin holds no password")
    return line


@server.command(short_help="Make a user who may do everything.")
@click.option("--username", default="admin", show_default=True, help="The name of the new user.")
@click.option("--email", help="What the user signs in with. Default: NAME@taskyard.invalid.")
@_place
@click.pass_context
def create_admin(
    ctx: click.Context,
    /,
    *,
    username: str,
    email: str | None,
    password_stdin: bool,
    config_file: Path | None,
    **flags: str | None,
) -> None:
    """Make a user who may do everything: the first one, or one more.

    Works on the data directory itself, whether its server runs or not, as the user that the server
    runs as.
    """
    # Imported on use, as for the server itself.
    from taskyard.daemon.admin import create_admin

    password = _password(from_stdin=password_stdin)
    place = _flags(ctx, flags, config_file)
    ctx.exit(create_admin(*place, username=username, email=email, password=password))


@server.command(short_help="Give a user a new password.")
@click.argument("user", metavar="USER")
@_place
@click.pass_context
def reset_password(
    ctx: click.Context,
    /,
    *,
    user: str,
    password_stdin: bool,
    config_file: Path | None,
    **flags: str | None,
) -> None:
    """Give USER, a name or an email, a new password, and end all of the user's sessions.

    Works on the data directory itself, whether its server runs or not, as the user that the server
    runs as. A suspended user is let in again.
    """
    # Imported on use, as for the server itself.
    from taskyard.daemon.admin import reset_password

    password = _password(from_stdin=password_stdin)
    ctx.exit(reset_password(*_flags(ctx, flags, config_file), user=user, password=password))


@server.command(short_help="Remove all secrets, when their key is lost.")
@click.option(
    "--config",
    "config_file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The TOML file that the server has its settings from.",
)
@click.option("--postgres-url", metavar="URL", help="The server's Postgres, where it is yours.")
@click.option(
    "--data-dir",
    metavar="FOLDER",
    type=click.Path(file_okay=False, readable=False),
    help="The server's data directory. Default: as the server's.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def forget_secrets(
    ctx: click.Context, /, *, yes: bool, config_file: Path | None, **flags: str | None
) -> None:
    """Remove the secrets of everybody, so that the server starts with a new key when the old one is lost.

    Works on the data directory itself, as the user that the server runs as.
    """
    # Imported on use, as for the server itself.
    from taskyard.daemon.admin import forget_secrets

    if not yes:
        click.confirm(
            "The secrets of all users, templates and organizations will be gone. Go on?", abort=True
        )
    ctx.exit(forget_secrets(*_flags(ctx, flags, config_file)))
