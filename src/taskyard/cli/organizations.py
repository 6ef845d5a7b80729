"""`taskyard organizations`: the groups; their commands are imported when they are called."""

from typing import Final

import click

from taskyard.cli.lazy import LazyGroup

COMMANDS: Final = {
    "create": ("taskyard.cli.organization_show:create", "Make an organization."),
    "list": ("taskyard.cli.organization_show:list_organizations", "List organizations."),
    "show": ("taskyard.cli.organization_show:show", "Show one organization."),
    "edit": ("taskyard.cli.organization_show:edit", "Change an organization."),
    "members": ("taskyard.cli.organizations:members", "See and change who is in an organization."),
}
"""Every command of the group: where it is, and its line in the help."""

MEMBER_COMMANDS: Final = {
    "list": ("taskyard.cli.members:list_members", "List members."),
    "add": ("taskyard.cli.members:add", "Put users into an organization."),
    "remove": ("taskyard.cli.members:remove", "Take users out of an organization."),
    "roles": ("taskyard.cli.members:roles", "Show or set the roles of a member."),
}

ALIASES: Final = {"ls": "list", "rm": "remove"}


@click.command(cls=LazyGroup, table=COMMANDS, aliases={"ls": "list"})
def organizations() -> None:
    """See and make organizations: what users, templates and tasks belong to.

    An organization is named by name or id; `default` is the default one.
    """


@click.command(cls=LazyGroup, table=MEMBER_COMMANDS, aliases=ALIASES)
def members() -> None:
    """See and change who is in an organization, and who administers it."""
