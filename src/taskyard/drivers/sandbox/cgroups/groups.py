"""The control groups of workspaces: made before a start, killed, frozen and removed by the workspace's name."""

import os
import signal
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from taskyard.drivers.base import Limits
from taskyard.drivers.sandbox.cgroups import v1, v2
from taskyard.drivers.sandbox.cgroups.core import freeze_write, is_frozen, kill_write
from taskyard.drivers.sandbox.cgroups.files import carry_out
from taskyard.drivers.sandbox.cgroups.find import TRIED, Found, Kernel, find, remove_folder
from taskyard.drivers.sandbox.cgroups.model import Can, Made, Usage, Version, Write, groups_below
from taskyard.errors import DriverError

_SETTLE_S = 5.0
"""A group is empty, or frozen, within milliseconds; more on a machine that is nearly dead."""
_POLL_S = 0.001
"""Between two looks at a group that is about to change."""
_TRIES = 5
"""How often a folder is made again whose parent another server removed in the same moment."""


@dataclass(frozen=True, slots=True)
class Cgroups:
    """The groups of the workspaces in root. All verbs block for milliseconds, and may be repeated.

    controllers are what can be had here; why says of each other one what it lacks and what to do.
    """

    root: Path
    found: Found

    @property
    def controllers(self) -> frozenset[Can]:
        """What can be had: limits of memory, cpu and processes, freeze and kill."""
        return frozenset(can for base in self.found.bases for can in base.cans)

    @property
    def why(self) -> Mapping[Can, str]:
        """Why something cannot be had, with the command that changes it."""
        return self.found.why

    def make(self, name: str, limits: Limits) -> list[str]:
        """Files that a process writes 0 to in order to join. Limits that cannot be had here are left out.

        Raises OSError when the kernel refuses.
        """
        if not self.found.bases:
            return []
        self.remove(name)
        made = groups_below(self.found.version, self.found.bases, name)
        self._write_down(name, made)
        for folder in made.folders:
            _make_folder(folder)
        carry_out(_limit_writes(made, limits))
        return [f"{folder}/cgroup.procs" for folder in made.folders]

    def kill(self, name: str) -> bool:
        """True when every process of the workspace was killed, forks under way included; False without groups."""
        made = self._made(name)
        if made is None:
            return False
        folder = made.folder(Can.KILL)
        if folder is not None and folder.exists():
            carry_out([kill_write(folder)])
            return True
        return _kill_one_by_one(made)

    def freeze(self, name: str) -> None:
        """Nothing; every process of the workspace stands still. Raises DriverError when that cannot be had."""
        self._hold(name, frozen=True)

    def thaw(self, name: str) -> None:
        """Nothing; every process of the workspace goes on. Raises DriverError when that cannot be had."""
        self._hold(name, frozen=False)

    def is_frozen(self, name: str) -> bool:
        """Whether every process of the workspace stands still; False too when it has no groups."""
        made = self._made(name)
        folder = None if made is None else made.folder(Can.FREEZE)
        if made is None or folder is None:
            return False
        with suppress(FileNotFoundError):
            return is_frozen(folder)
        return False

    def usage(self, name: str) -> Usage | None:
        """What the workspace uses now; None when it has no groups."""
        made = self._made(name)
        if made is None or not any(folder.exists() for folder in made.folders):
            return None
        return v1.usage(made) if made.version is Version.V1 else v2.usage(made)

    def groups(self, name: str) -> list[Path]:
        """Every folder of the workspace's groups."""
        made = self._made(name)
        return [] if made is None else made.folders

    def folder_of(self, name: str, can: Can) -> Path | None:
        """The folder of the workspace's group that has this ability; None when it has none."""
        made = self._made(name)
        return None if made is None else made.folder(can)

    def memory_limit(self, name: str) -> int | None:
        """Bytes that the workspace may use, as the kernel has it; None for no limit."""
        made = self._made(name)
        if made is None:
            return None
        return v1.memory_limit(made) if made.version is Version.V1 else v2.memory_limit(made)

    def remove(self, name: str) -> None:
        """Nothing; the workspace's groups are gone, and what was in them. Raises DriverError when they stay."""
        made = self._made(name)
        if made is None:
            return
        deadline = time.monotonic() + _SETTLE_S
        for folder in made.folders:
            while not _removed(folder):
                if time.monotonic() > deadline:
                    raise DriverError(
                        f"The control group {folder} of workspace {name} does not become empty. Look "
                        "at the processes in its cgroup.procs, then run the command again."
                    )
                self.kill(name)
                time.sleep(_POLL_S)
        self._note(name).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Nothing; empty groups of ours whose workspace is gone are gone too: somebody was killed, or took its folder away.

        A workspace's folder and note are there before its groups, so nothing that is being made is taken for left.
        """
        for base in self.found.bases:
            for group in _groups_in(base.folder):
                if not self._has_owner(group.name):
                    _removed(group)
        for note in _notes_in(self.root / ".cgroups"):
            made = self._made(note.stem)
            if made is None or (self.root / note.stem).exists():
                continue
            gone = [_removed(folder) for folder in made.folders]
            if all(gone):
                note.unlink(missing_ok=True)

    def _has_owner(self, name: str) -> bool:
        """Whether a group is a workspace's, or one that another server tries out now."""
        if name.startswith(TRIED):
            return Path("/proc", name.removeprefix(TRIED)).exists()
        return (self.root / name).exists() and self._note(name).exists()

    def _hold(self, name: str, *, frozen: bool) -> None:
        made = self._made(name)
        folder = None if made is None else made.folder(Can.FREEZE)
        if made is None or folder is None:
            why = self.why.get(Can.FREEZE, "it was started without control groups; start it again")
            raise DriverError(f"Workspace {name} cannot be frozen: {why}.")
        deadline = time.monotonic() + _SETTLE_S
        try:
            carry_out([freeze_write(folder, frozen=frozen)])
            while is_frozen(folder) is not frozen:
                if time.monotonic() > deadline:
                    carry_out([freeze_write(folder, frozen=False)])
                    raise DriverError(
                        f"Workspace {name} did not stand still within {_SETTLE_S:g} s, and goes on: the kernel "
                        "holds one of its processes. Try again, or stop it."
                    )
                time.sleep(_POLL_S)
        except FileNotFoundError as error:
            raise DriverError(f"Workspace {name} does not run, so it cannot be frozen.") from error

    def _note(self, name: str) -> Path:
        return self.root / ".cgroups" / f"{name}.json"

    def _write_down(self, name: str, made: Made) -> None:
        note = self._note(name)
        note.parent.mkdir(mode=0o700, exist_ok=True)
        fresh = note.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(made))
        fresh.replace(note)

    def _made(self, name: str) -> Made | None:
        try:
            return msgspec.json.decode(self._note(name).read_bytes(), type=Made)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None


def find_cgroups(root: Path, kernel: Kernel | None = None) -> Cgroups:
    """The control groups that this process can have for workspaces in root; it never fails."""
    return Cgroups(root, find(root, kernel or Kernel()))


def written_groups(root: Path) -> Cgroups:
    """What was made before, to be ended and removed: where each workspace's groups are is written down."""
    return Cgroups(root, Found(Version.V2, (), {}))


def _limit_writes(made: Made, limits: Limits) -> Iterable[Write]:
    return (
        v1.limit_writes(made, limits)
        if made.version is Version.V1
        else v2.limit_writes(made, limits)
    )


def _make_folder(folder: Path) -> None:
    for _ in range(_TRIES):
        with suppress(FileNotFoundError):
            folder.mkdir(parents=True, exist_ok=True)
            return
    folder.mkdir(parents=True, exist_ok=True)


def _groups_in(base: Path) -> list[Path]:
    with suppress(OSError):
        return [path for path in base.iterdir() if path.is_dir()]
    return []


def _notes_in(folder: Path) -> list[Path]:
    with suppress(OSError):
        return [path for path in folder.iterdir() if path.suffix == ".json"]
    return []


def _removed(folder: Path) -> bool:
    try:
        remove_folder(folder)
    except OSError:
        return not folder.exists()
    return True


def _kill_one_by_one(made: Made) -> bool:
    """True once no process is left that could be killed; the groups have no file that kills."""
    procs = [file for folder in made.folders for file in folder.rglob("cgroup.procs")]
    _send_to_all(procs)  # first, so that what stands still takes no other step
    freezer = made.folder(Can.FREEZE)
    if freezer is not None and freezer.exists():
        carry_out([freeze_write(freezer, frozen=False)])
    deadline = time.monotonic() + _SETTLE_S
    while _send_to_all(procs):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _send_to_all(procs: Iterable[Path]) -> bool:
    """Whether there were processes; each has been killed."""
    pids = _pids(procs)
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(pids)


def _pids(files: Iterable[Path]) -> set[int]:
    """Every process in the groups; one of another pid namespace shows as 0."""
    found: set[int] = set()
    for file in files:
        with suppress(OSError):
            found |= {int(line) for line in file.read_text().split()}
    return found - {0}
