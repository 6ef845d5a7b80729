"""`taskyard doctor`: what this machine can do for a server and its workspaces; it asks no server."""

from pathlib import Path

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--config",
    "config_file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The TOML file that the server has its settings from.",
)
@click.option("--postgres-url", metavar="URL", help="The server's Postgres, where it is yours.")
@click.option("--port", type=int, help="The server's TCP port. Default: as the server's.")
@click.option(
    "--data-dir",
    metavar="FOLDER",
    type=click.Path(file_okay=False, readable=False),
    help="The server's data directory. Default: as the server's.",
)
@click.pass_context
def doctor(
    ctx: click.Context, /, *, as_json: bool, config_file: Path | None, **flags: object
) -> None:
    """Try what a server and its workspaces need, on this machine and as this user.

    Each line says ok, missing or off; what that means; and the one command that changes it. Missing is what no
    server can do without, off what some templates ask for. Nothing is left behind, and a server that runs
    here is not disturbed. Exit status 0 when nothing is missing, else 1.
    """
    # Imported on use: a server's parts take a second to import, and few commands need them.
    from taskyard.daemon.doctor import run_doctor

    ctx.exit(run_doctor(flags, config_file, as_json=as_json))
