"""`taskyard server`: the only command that runs a server instead of asking one."""

from pathlib import Path
from typing import Final

import click

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


@click.command()
@click.option(
    "--data-dir",
    metavar="FOLDER",
    type=click.Path(file_okay=False, readable=False),
    help="Where everything is kept. Default: /var/lib/taskyard for root, else ~/.local/share/taskyard.",
)
@click.option("--port", type=int, help="TCP port; 0 takes any free one. Default: 7080.")
@click.option("--host", help="Address to listen on. Default: 127.0.0.1.")
@click.option("--postgres-url", metavar="URL", help="A Postgres of yours, instead of the own one.")
@click.option(
    "--access-url", metavar="URL", help="The address under which people reach the server."
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
    "--allow-unconfined",
    is_flag=True,
    help="Run workspaces without walls where this machine cannot have them.",
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
    allow_unconfined: bool,
    config_file: Path | None,
    **flags: object,
) -> None:
    """Run a server until Ctrl-C, which pauses the tasks that run first.

    It prints `ready URL` on stdout once it answers; its log goes to stderr.
    """
    # Imported on use: a server's parts take a second to import, and only this command needs them.
    from taskyard.daemon.main import run_server

    flags["starter_templates"] = False if no_starter_templates else None
    flags["allow_unconfined"] = True if allow_unconfined else None
    ctx.exit(run_server(flags, config_file))
