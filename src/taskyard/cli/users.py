"""`taskyard users`: the group; its commands are imported when they are called."""

from typing import Final

import click

from taskyard.cli.lazy import LazyGroup

COMMANDS: Final = {
    "create": ("taskyard.cli.user_edit:create", "Create a user."),
    "edit": ("taskyard.cli.user_edit:edit", "Change what is given of a user."),
    "password": ("taskyard.cli.user_edit:password", "Change a password."),
    "list": ("taskyard.cli.user_show:list_users", "List users."),
    "show": ("taskyard.cli.user_show:show", "Show one user."),
    "roles": ("taskyard.cli.user_show:roles", "Show or set the roles of a user."),
    "suspend": ("taskyard.cli.user_life:suspend", "Keep users out."),
    "activate": ("taskyard.cli.user_life:activate", "Let users in again."),
    "delete": ("taskyard.cli.user_life:delete", "Delete users who have no workspaces."),
}
"""Every command of the group: where it is, and its line in the help."""

ALIASES: Final = {"ls": "list", "rm": "delete"}


@click.command(cls=LazyGroup, table=COMMANDS, aliases=ALIASES)
def users() -> None:
    """Create users, change them, keep them out.

    A user is named by name or id; `me` is whoever is signed in.
    """
