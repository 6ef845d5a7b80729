"""What is where this driver keeps workspaces and has no record: processes and folders that nobody else would find."""

import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from taskyard.drivers.sandbox import launch
from taskyard.drivers.sandbox.place import Place, is_workspace
from taskyard.drivers.sandbox.process import (
    Process,
    all_pids,
    first_child,
    identify,
    send,
    wait_gone,
)

_GONE = " (deleted)"
"""What Linux puts behind the name of an open file that was removed."""
_KILL_TIMEOUT_S = 1.0
"""A killed process is gone within milliseconds; one that is not is told of again."""


@dataclass(frozen=True, slots=True)
class _Stray:
    """A process that writes to the log or the status of a workspace, whose folder is gone."""

    process: Process
    workspace: str


def end_strays(root: Path) -> list[str]:
    """A sentence for each thing without a record. Blocks.

    Processes of a workspace whose folder was taken away are ended: what they write to proves whose they are.
    Folders and files that are no workspaces are somebody else's, and stay.
    """
    found = [_ended(stray) for stray in _processes(root)]
    names = sorted(path.name for path in root.iterdir())
    odd = [name for name in names if not name.startswith(".") and not is_workspace(name)]
    return found + [f"{root / name} is no workspace, and stays" for name in odd]


def _ended(stray: _Stray) -> str:
    # What reports how the agent ended is not in the workspace itself where it is bubblewrap: its child is.
    while (child := first_child(stray.process.pid)) is not None:
        send(child, signal.SIGKILL)
        if not wait_gone(child, _KILL_TIMEOUT_S):
            break
    send(stray.process, signal.SIGKILL)
    gone = wait_gone(stray.process, _KILL_TIMEOUT_S)
    what = "was ended" if gone else "was killed but does not go"
    return f"process {stray.process.pid} of workspace {stray.workspace}, which is gone, {what}"


def _processes(root: Path) -> Iterator[_Stray]:
    for pid in all_pids():
        if (workspace := _writes_to(pid, root)) is None:
            continue
        process = identify(pid)
        # Once more, as the number may have gone to another process in between.
        if process is None or _writes_to(pid, root) != workspace:
            continue
        if not Place(root, workspace).folder.exists():
            yield _Stray(process, workspace)


def _writes_to(pid: int, root: Path) -> str | None:
    """The workspace whose removed log or status is what a process writes to; None for every other process."""
    for number in (1, launch.STATUS_FD):
        with suppress(OSError):
            text = str(Path(f"/proc/{pid}/fd/{number}").readlink())
            path = Path(text.removesuffix(_GONE))
            place = Place(root, path.parent.name)
            ours = path in (place.log, place.status) and is_workspace(place.name)
            if ours and text.endswith(_GONE):
                return place.name
    return None
