"""What a template may demand of the machine that its workspaces run on, and what to say where that cannot be had."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskyard.lifecycle.template_model import Workspace


class Backend(StrEnum):
    """Which program of the machine puts the walls around a workspace of the sandbox driver."""

    BWRAP = "bwrap"
    RUNC = "runc"


class Overlay(StrEnum):
    """Whether programs of a workspace may change /usr: not at all, until the next start, or for good."""

    NONE = "none"
    SCRATCH = "scratch"
    KEPT = "kept"


class Wall(StrEnum):
    """What a machine can do for its workspaces, by the word that `workspace.require` has for it.

    confined: walls at all, where a server may run without. memory, cpu, processes and disk are limits that the
    machine itself holds. network: what the template lists is also reached by programs that know no proxy.
    """

    CONFINED = "confined"
    SECCOMP = "seccomp"
    MEMORY = "memory"
    CPU = "cpu"
    PROCESSES = "processes"
    DISK = "disk"
    NETWORK = "network"
    OVERLAY = "overlay"
    FREEZE = "freeze"
    RUNC = "runc"


def demands(workspace: "Workspace") -> dict[Wall, str]:
    """Each wall that the workspace cannot be without, and the line of the template that says so.

    A limit alone is no demand: where the machine cannot hold it, the build log warns. Nor is a pause by freezing: where
    that cannot be had the workspace is stopped, which does all that was asked for but be quick.
    """
    found = {wall: f'require = ["{wall}"]' for wall in workspace.require}
    if workspace.backend is Backend.RUNC:
        found.setdefault(Wall.RUNC, 'backend = "runc"')
    if workspace.overlay is not Overlay.NONE:
        found.setdefault(Wall.OVERLAY, f'overlay = "{workspace.overlay}"')
    if workspace.overlay is not Overlay.NONE:
        found.setdefault(Wall.OVERLAY, f'overlay = "{workspace.overlay}"')
    return found


def unmet(demanded: Mapping[Wall, str], lacks: Mapping[Wall, str]) -> list[tuple[Wall, str]]:
    """What is demanded and cannot be had, with a sentence each: which line, why not here, what to do."""
    return [
        (
            wall,
            f"The template says {line} under [workspace], and this machine cannot do that. {lacks[wall]}",
        )
        for wall, line in demanded.items()
        if wall in lacks
    ]
