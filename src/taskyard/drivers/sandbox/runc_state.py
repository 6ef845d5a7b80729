"""What runc keeps of a container, read and removed without runc: a run of it takes longer than all else here."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from taskyard.drivers.sandbox.cgroups.groups import written_groups
from taskyard.drivers.sandbox.cgroups.model import Can
from taskyard.drivers.sandbox.place import Place
from taskyard.drivers.sandbox.process import Process

_OWN_GROUPS = Path("/proc/self/cgroup")
GROUPS = Path("/sys/fs/cgroup")
"""Where systemd, and everybody after it, mounts control groups."""


class _State(msgspec.Struct, frozen=True):
    """What we need of state.json; the start time is in ticks, as in a process's stat file."""

    init_process_pid: int
    init_process_start: int
    cgroup_paths: dict[str, str] = {}


def state_root(root: Path) -> Path:
    """The folder that runc keeps what it knows in, for the workspaces in root."""
    return root / ".runc"


def group_name(place: Place) -> str:
    """The control group that runc makes for a workspace, in that which the launcher is in."""
    return f"taskyard-{place.name.lstrip('.')}"


def contained_init(place: Place) -> Process | None:
    """Process 1 of the workspace as runc wrote it down; None when it did not come so far."""
    state = _state(place)
    return None if state is None else Process(state.init_process_pid, state.init_process_start)


def forget(place: Place) -> None:
    """Nothing; runc knows nothing of the workspace any more, of which no process runs."""
    folder = _folder(place)
    if not folder.exists():
        return
    state = _state(place)
    groups = [] if state is None else state.cgroup_paths.values()
    for group in {*map(Path, groups), *_likely_groups(place)}:
        with suppress(OSError):  # it is not there, or somebody else's
            group.rmdir()
    shutil.rmtree(folder)


def _folder(place: Place) -> Path:
    return state_root(place.root) / place.name.lstrip(".")


def _state(place: Place) -> _State | None:
    try:
        return msgspec.json.decode((_folder(place) / "state.json").read_bytes(), type=_State)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def _likely_groups(place: Place) -> Iterator[Path]:
    """Where runc makes groups before it writes down where: below those of the workspace, or this process's own."""
    name = group_name(place)
    groups = written_groups(place.root)
    folders = {folder for can in Can if (folder := groups.folder_of(place.name, can))}
    yield from (folder / name for folder in folders)
    for line in _OWN_GROUPS.read_text().splitlines():
        _, trees, own = line.split(":", 2)
        tree = trees.removeprefix("name=") or "unified"
        yield GROUPS / tree / own.lstrip("/") / name
