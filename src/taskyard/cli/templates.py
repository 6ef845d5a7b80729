"""`taskyard templates`: the group; its commands are imported when they are called."""

from typing import Final

import click

from taskyard.cli.lazy import LazyGroup

COMMANDS: Final = {
    "init": ("taskyard.cli.template_push:init", "Write a template to start from."),
    "push": ("taskyard.cli.template_push:push", "Import a folder as a version of a template."),
    "list": ("taskyard.cli.template_show:list_templates", "List templates."),
    "versions": ("taskyard.cli.template_show:versions", "List the versions of a template."),
}
"""Every command of the group: where it is, and its line in the help."""

ALIASES: Final = {"ls": "list"}


@click.command(cls=LazyGroup, table=COMMANDS, aliases=ALIASES)
def templates() -> None:
    """Write and push templates: what tasks run in."""
