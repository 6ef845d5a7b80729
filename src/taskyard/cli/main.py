"""The command `taskyard`. Command modules are imported when they are called, so that help is quick."""

import os
import sys
from collections.abc import Sequence
from typing import Final

import click

from taskyard.cli.failures import Failure, as_failure, expected
from taskyard.cli.lazy import LazyGroup
from taskyard_agent import __version__

COMMANDS: Final = {
    "audit": ("taskyard.cli.audit:audit", "See who did what."),
    "backup": ("taskyard.cli.moving:backup", "Keep a copy of all that a server has."),
    "delete": ("taskyard.cli.workspace_life:delete", "Delete a workspace."),
    "doctor": ("taskyard.cli.doctor:doctor", "See what this machine can do for workspaces."),
    "export": ("taskyard.cli.moving:export_all", "Write all that a server has into a folder."),
    "import": ("taskyard.cli.moving:import_all", "Make a server of such a folder."),
    "list": ("taskyard.cli.workspace_show:list_workspaces", "List workspaces."),
    "login": ("taskyard.cli.login:login", "Sign in to a server and remember it."),
    "logout": ("taskyard.cli.login:logout", "End the session and forget it."),
    "restart": ("taskyard.cli.workspace_life:restart", "Stop a workspace and start it again."),
    "organizations": ("taskyard.cli.organizations:organizations", "See and make organizations."),
    "secrets": ("taskyard.cli.secrets:secrets", "Keep keys and tokens for workspaces."),
    "server": ("taskyard.cli.server:server", "Run a server."),
    "show": ("taskyard.cli.workspace_show:show", "Show one workspace."),
    "start": ("taskyard.cli.workspace_life:start", "Start a workspace."),
    "stop": ("taskyard.cli.workspace_life:stop", "Stop a workspace."),
    "task": ("taskyard.cli.task:task", "Create tasks, talk to them, pause and delete them."),
    "templates": ("taskyard.cli.templates:templates", "Write and push what tasks run in."),
    "tokens": ("taskyard.cli.tokens:tokens", "Make and remove tokens for programs."),
    "users": ("taskyard.cli.users:users", "Create users, change them, keep them out."),
    "whoami": ("taskyard.cli.login:whoami", "Say who is signed in, and where."),
}
"""Every command: where it is, and its line in the help."""

ALIASES: Final = {
    "org": "organizations",
    "orgs": "organizations",
    "organization": "organizations",
    "secret": "secrets",
    "tasks": "task",
    "template": "templates",
    "token": "tokens",
    "user": "users",
}
"""Other names of commands, for fingers that are used to them."""

INTERRUPTED: Final = 130
"""The status of a command that was ended by Ctrl-C, as shells have it."""


def _show_version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's signature
    if not wanted or ctx.resilient_parsing:
        return
    print(__version__)
    ctx.exit()


@click.command(
    cls=LazyGroup,
    table=COMMANDS,
    aliases=ALIASES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=(
        "Exit status: 0 done, 1 the server refused or the work failed, 2 wrong usage, "
        "3 not signed in or no server there, 130 ended by Ctrl-C."
    ),
)
@click.option("--url", metavar="URL", help="The server, instead of the one that you signed in to.")
@click.option("--token", metavar="TOKEN", help="The token, instead of the one that is remembered.")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
@click.pass_context
def cli(ctx: click.Context, url: str | None, token: str | None) -> None:
    """Run coding agents as background tasks on machines you own."""
    ctx.obj = (url, token)


def run(arguments: Sequence[str]) -> int:
    """The exit status of a command line; what went wrong is said on stderr."""
    try:
        result = cli.main(list(arguments), prog_name="taskyard", standalone_mode=False)
    except click.Abort:
        click.echo("Ended.", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except expected() as error:
        return say(as_failure(error))
    return result if isinstance(result, int) else 0


def say(failure: Failure) -> int:
    """Writes what went wrong and, after a blank line, what to do about it; the exit status."""
    click.echo(f"taskyard: {failure.message}", err=True)
    for line in failure.lines:
        click.echo(f"  {line}", err=True)
    if failure.hint:
        click.echo(f"\n{failure.hint}", err=True)
    return failure.status


def main() -> None:
    """Runs the command line of this process."""
    status = run(sys.argv[1:])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(status)  # Python says what nobody reads any more
    # Nothing is left to do, and taking the interpreter apart takes as long as a command.
    os._exit(status)


if __name__ == "__main__":
    main()
