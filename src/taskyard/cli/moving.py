"""`taskyard export`, `import` and `backup`: they work on what a server keeps, and ask no server."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., None])


def _place(command: Command) -> Command:
    """The options that say which server's data a command works on."""
    options = (
        click.option(
            "--config",
            "config_file",
            metavar="FILE",
            type=click.Path(dir_okay=False, path_type=Path),
            help="The TOML file that the server has its settings from.",
        ),
        click.option(
            "--secrets-key-file",
            metavar="FILE",
            type=click.Path(dir_okay=False),
            help="The key that secrets are sealed by, where the server has it elsewhere.",
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
    )
    for option in options:
        command = option(command)
    return command


def _folder(what: str) -> Callable[[Command], Command]:
    return click.argument(
        "folder", metavar=what, type=click.Path(file_okay=False, readable=False, path_type=Path)
    )


@click.command(name="export")
@_folder("FOLDER")
@click.option("--homes", is_flag=True, help="Take the home directories of workspaces along.")
@click.option("--without-key", is_flag=True, help="Leave the key out that secrets are sealed by.")
@_place
@click.pass_context
def export_all(
    ctx: click.Context,
    /,
    *,
    folder: Path,
    homes: bool,
    without_key: bool,
    config_file: Path | None,
    **flags: str | None,
) -> None:
    """Write all that a server keeps into FOLDER, which must be new or empty, while the server runs or not.

    Users, templates, tasks, conversations, secrets, audit, settings of tasks: everything but the home
    directories of workspaces, which --homes adds. `taskyard import` makes a server of it. Works on the
    data directory itself, as the user that the server runs as.
    """
    # Imported on use: a server's parts take a second to import, and few commands need them.
    from taskyard.daemon.export import run_export

    ctx.exit(run_export(flags, config_file, folder=folder, homes=homes, with_key=not without_key))


@click.command(name="import")
@_folder("FOLDER")
@_place
@click.pass_context
def import_all(
    ctx: click.Context, /, *, folder: Path, config_file: Path | None, **flags: str | None
) -> None:
    """Make a server of FOLDER, which `taskyard export` or `taskyard backup` wrote.

    The data directory is made if it is not there; a server that has users is left alone. Nothing
    is imported unless all of it can be. Tasks that ran are paused: resume them when you are ready.
    """
    # Imported on use, as above.
    from taskyard.daemon.imported import run_import

    ctx.exit(run_import(flags, config_file, folder=folder))


@click.command()
@_folder("FOLDER")
@click.option(
    "--keep",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Remove the oldest backups beyond the newest N. Default: keep all.",
)
@click.option("--no-homes", is_flag=True, help="Leave the home directories of workspaces out.")
@_place
@click.pass_context
def backup(
    ctx: click.Context,
    /,
    *,
    folder: Path,
    keep: int,
    no_homes: bool,
    config_file: Path | None,
    **flags: str | None,
) -> None:
    """Add a backup, named by its time, to FOLDER: an export with home directories and key.

    Safe while the server runs, and with a Postgres of its own or of yours. A backup appears when it is
    whole. `taskyard import FOLDER/taskyard-...` restores it.
    """
    # Imported on use, as above.
    from taskyard.daemon.export import run_backup

    ctx.exit(run_backup(flags, config_file, folder=folder, homes=not no_homes, keep=keep))
