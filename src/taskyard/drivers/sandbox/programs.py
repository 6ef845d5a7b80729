"""Folders of the machine with programs for workspaces: coding agents, node, whatever lies outside of /usr."""

import os
from collections.abc import Sequence
from pathlib import Path

from taskyard.drivers.sandbox.runtime import Bind
from taskyard.errors import DriverUnavailable

PROGRAMS = "/opt/programs"
"""Where the folders appear inside, numbered from 1 in the order of the setting."""

PLACES = ("bin", "node_modules/.bin")
"""Where installers put programs in a folder that is theirs."""


def find_programs(folders: Sequence[str], private: Path) -> tuple[Bind, ...]:
    """The folders and where they appear; raises DriverUnavailable, naming it, for one that cannot be shown.

    private is the server's own folder, which no workspace may see.
    """
    return tuple(
        Bind(_checked(folder, private.resolve()), f"{PROGRAMS}/{number}")
        for number, folder in enumerate(folders, start=1)
    )


def search_path(binds: Sequence[Bind], *, inside: bool) -> list[str]:
    """What of these folders belongs in PATH, as the workspace names it or as the machine does."""
    return [
        str(Path(bind.inside if inside else bind.source) / place)
        for bind in binds
        for place in (*PLACES, "")
        if (bind.source / place).is_dir() and (place or _has_programs(bind.source))
    ]


def _checked(folder: str, private: Path) -> Path:
    path = Path(folder).expanduser().absolute()
    if not path.is_dir():
        raise DriverUnavailable(
            f"The folder of programs {path} is not there, or is no folder. Install them, or leave it "
            "out of --programs."
        )
    found = path.resolve()
    if private.is_relative_to(found) or found.is_relative_to(private):
        raise DriverUnavailable(
            f"The folder of programs {path} would show workspaces the server's own files in {private}. "
            "Give a folder that holds programs only."
        )
    return found


def _has_programs(folder: Path) -> bool:
    """Whether a file in the folder itself can be run."""
    with os.scandir(folder) as entries:
        return any(entry.is_file() and os.access(entry.path, os.X_OK) for entry in entries)
