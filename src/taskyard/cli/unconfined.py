"""The warning of a server whose workspaces have no walls."""

from typing import Final

from taskyard.cli.output import note
from taskyard.sdk import Client

_WARNING: Final = (
    "WARNING: this server runs its workspaces WITHOUT WALLS (--allow-unconfined): what an agent runs has all rights "
    "of the server, its files and the network. To see why, there: taskyard doctor"
)


def warn_if_unconfined(client: Client) -> None:
    """Says it on stderr where it is so."""
    if client.get_build_info().confined is False:
        note(_WARNING)
