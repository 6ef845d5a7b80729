"""What control groups can do for a workspace, and where those of one workspace are."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec


class Can(StrEnum):
    """One thing that control groups give on this machine, or do not."""

    MEMORY = "memory"
    CPU = "cpu"
    PROCESSES = "processes"
    FREEZE = "freeze"
    KILL = "kill"


class Version(StrEnum):
    """Which kind of control groups: one tree per controller, or one tree for all."""

    V1 = "v1"
    V2 = "v2"


class Made(msgspec.Struct, frozen=True):
    """The groups of one workspace: every folder, and which of them has an ability; one may have several.

    Written down before the first folder is made, so that any later server finds them all, whatever group of its
    own it runs in then.
    """

    version: Version
    all: list[str]
    having: dict[Can, str]

    def folder(self, can: Can) -> Path | None:
        """The folder with the files of that ability, None when the workspace has it not."""
        name = self.having.get(can)
        return None if name is None else Path(name)

    @property
    def folders(self) -> list[Path]:
        """Every folder once."""
        return [Path(name) for name in self.all]


@dataclass(frozen=True, slots=True)
class Base:
    """A folder below which workspaces get groups of their own, and what those give."""

    folder: Path
    cans: tuple[Can, ...]


@dataclass(frozen=True, slots=True)
class Write:
    """One text for one file of the kernel's. optional: the file is not there on every kernel."""

    file: Path
    text: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """What a workspace uses now; null where nothing counts it.

    memory_bytes holds page cache and files in memory too. cpu_s are seconds of processor time since the start.
    memory_kills counts processes that the kernel ended for memory since the start, refused_forks those that did not
    come to be because there were too many, some of them twice.
    """

    memory_bytes: int | None
    cpu_s: float | None
    processes: int | None
    memory_kills: int
    refused_forks: int = 0


def groups_below(version: Version, bases: Iterable[Base], name: str) -> Made:
    """The groups of a workspace of that name below all bases."""
    bases = tuple(bases)
    having = {can: str(base.folder / name) for base in bases for can in base.cans}
    return Made(version, [str(base.folder / name) for base in bases], having)
