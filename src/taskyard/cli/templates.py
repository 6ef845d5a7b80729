"""`taskyard templates`: the group; its commands are imported when they are called."""

from typing import Final

import click

from taskyard.cli.lazy import LazyGroup

COMMANDS: Final = {
    "init": ("taskyard.cli.template_push:init", "Write a template to start from."),
    "push": ("taskyard.cli.template_push:push", "Import a folder as a version of a template."),
    "list": ("taskyard.cli.template_show:list_templates", "List templates."),
    "show": ("taskyard.cli.template_show:show", "Show one template."),
    "versions": ("taskyard.cli.template_show:versions", "List the versions of a template."),
    "presets": ("taskyard.cli.template_show:presets", "List the presets of a template."),
    "edit": ("taskyard.cli.template_edit:edit", "Change settings of a template."),
    "promote": ("taskyard.cli.template_edit:promote", "Make new tasks use a version."),
    "archive": ("taskyard.cli.template_archive:archive", "Archive versions of a template."),
    "unarchive": ("taskyard.cli.template_archive:unarchive", "Take versions back."),
    "deprecate": ("taskyard.cli.template_edit:deprecate", "Let nothing new be made of a template."),
    "delete": ("taskyard.cli.template_edit:delete", "Delete a template."),
    "pull": ("taskyard.cli.template_archive:pull", "Fetch the files of a template."),
}
"""Every command of the group: where it is, and its line in the help."""

ALIASES: Final = {"ls": "list", "rm": "delete"}


@click.command(cls=LazyGroup, table=COMMANDS, aliases=ALIASES)
def templates() -> None:
    """Write and push templates: what tasks run in."""
