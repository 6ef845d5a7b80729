"""What a start consists of, as orders for the launcher: decided here, carried out in launch.py."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from taskyard.drivers.base import WorkspaceSpec
from taskyard.drivers.sandbox import launch
from taskyard.drivers.sandbox.overlay import BELOW, overlay_options
from taskyard.drivers.sandbox.place import Place
from taskyard.drivers.sandbox.runtime import (
    AGENT_HOME,
    AGENT_ID,
    SKELETON,
    Bind,
    Bubblewrap,
    Runtime,
)
from taskyard.errors import DriverError
from taskyard.lifecycle.walls import Overlay

TEMPLATE = "/opt/template"
"""Where the template's files appear inside."""
LINK = "/run/taskyard"
"""Where the folder of the server's socket appears inside."""
CONFINED = "TASKYARD_CONFINED"
"""The environment name that is 1 behind walls, and absent where there are none."""
WAY_OUT_ENV = {"TASKYARD_WAY_OUT": "1", "TASKYARD_ATTEMPTS_FD": str(launch.ATTEMPTS_FD)}
"""What the agent is told where every address is the workspace itself: that, and on which descriptor it sees where programs
tried to go."""
HANDOVER = "TASKYARD_HANDOVER_FD"
"""The environment name of the descriptor from which the agent reads another generation's token."""
MARKER_NAME = "TASKYARD_WORKSPACE_ID"
"""The environment name by which processes of an unconfined workspace are recognised."""

TERMINALS = 256
"""Terminals a workspace may have: more than people and agents open, and a sixteenth of what the machine has by default."""

MASKED = (
    *("/proc/cmdline", "/proc/interrupts", "/proc/diskstats", "/proc/partitions"),
    *("/proc/keys", "/proc/key-users"),
)
"""The machine's boot line, which may hold secrets; when keys are pressed and disks used; the server's user's keyrings. The rest
of /proc tells load and sizes, which programs ask for, or is closed to ordinary users."""

_SETTINGS = "/proc/sys"
"""The kernel's settings; those of the workspace's own namespaces would be its user's to change."""
_TMP = "/tmp"  # noqa: S108 - a tmpfs of the workspace's own
_SHM = "/dev/shm"  # noqa: S108 - likewise
_SHARES = {_TMP: 2, _SHM: 4, "/run": 16}
"""Which part of a workspace's memory limit each file system in memory may fill: together 13 of 16."""
_VAR_TMP = "/var/tmp"  # noqa: S108 - a symlink to it
_SHIM = (
    'command -v "$1" >/dev/null || { echo "$1: no such program" >&2; exit 127; }; '
    'echo >&3; exec "$@" 3>&- 4>&- 5>&- 6>&-'
)
"""Becomes the agent, after a byte to the server that says so; the pipe closing without it says no."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ENV_MAX_BYTES = 128 * 1024 - 1
"""Linux refuses a single longer argument or environment entry (MAX_ARG_STRLEN)."""


@dataclass(frozen=True, slots=True)
class Walls:
    """How to confine: the program, what is shared with every workspace, where the server's sockets are.

    calls is the filter of system calls, empty for none.
    programs are folders of the machine that every workspace may use. no_overlay says why /usr cannot be changed in
    a workspace, and what to do; empty where it can. runc is where that program is, None for nowhere.
    """

    bubblewrap: Bubblewrap
    runtime: Runtime
    link_dir: Path
    programs: tuple[Bind, ...] = ()
    calls: bytes = b""
    no_overlay: str = ""
    runc: Path | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """One run of a program in a workspace; uid is its host user, None for the server's own.

    token can be read by the program, once, from the descriptor that TASKYARD_AGENT_TOKEN_FD names. handover is the
    pipe that the program gets, empty for none.
    way_out: the launcher makes the network, so that the agent can listen in the name of other hosts.
    groups are files by which the launcher has joined control groups. disk is the image with the home's file system,
    empty where the home is a folder. memory_bytes bounds what is kept in file systems in memory.
    """

    place: Place
    uid: int | None
    generation: int
    hostname: str
    env: Mapping[str, str]
    argv: Sequence[str]
    way_out: bool = False
    token: str = ""
    overlay: Overlay = Overlay.NONE
    handover: str = ""
    groups: Sequence[str] = ()
    disk: str = ""
    memory_bytes: int | None = None


def marker(name: str, generation: int) -> str:
    """What the launcher and bubblewrap of a workspace show as their program name."""
    return f"taskyard-workspace-{name}-{generation}"


def check_spec(spec: WorkspaceSpec) -> None:
    """Nothing; raises DriverError, naming it, for what cannot be a host name or an environment entry."""
    if not re.fullmatch(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?", spec.hostname):
        raise DriverError(
            f"{spec.hostname!r} cannot be a host name. Use 1 to 63 letters, digits and dashes."
        )
    for name, value in {**spec.env, "the agent token": spec.agent_token}.items():
        if "=" in name or "\0" in name + value or not name:
            raise DriverError(
                f"The environment entry {name!r} cannot be passed on. Names must not hold '=', "
                "and neither names nor values a NUL character."
            )
        if len(f"{name}={value}".encode(errors="surrogateescape")) > _ENV_MAX_BYTES:
            raise DriverError(
                f"The environment entry {name!r} is longer than {_ENV_MAX_BYTES} bytes. "
                "Put the value into a file of the template and pass its name."
            )


@dataclass(frozen=True, slots=True)
class Inside:
    """Where things are for the agent; path is what is searched for programs before the system's folders."""

    link: str
    template: str
    home: str
    path: Sequence[str] = ()


def agent_env(spec: WorkspaceSpec, inside: Inside) -> dict[str, str]:
    """The whole environment of the agent; the template's entries may change only PATH and LANG of ours."""
    handover = {HANDOVER: str(launch.HANDOVER_FD)} if spec.freezes else {}
    return handover | {
        "PATH": ":".join([f"{inside.home}/.local/bin", *inside.path, _PATH]),
        "LANG": "C.UTF-8",
        **spec.env,
        "HOME": inside.home,
        "USER": "agent",
        "TASKYARD_AGENT_URL": f"unix:{inside.link}/agent.sock",
        "TASKYARD_AGENT_TOKEN_FD": str(launch.TOKEN_FD),
        "TASKYARD_TEMPLATE_DIR": inside.template,
    }


def settling(uid: int | None, groups: Sequence[str], *, walls: bool) -> bytes:
    """The launcher's first orders, encoded: the control groups that it joins, and, behind walls, a log that cannot fill the disk.

    uid is who the program will be, None for the server's own user. What the orders name must be there.
    """
    log = ["" if uid is None else str(uid)] if walls else []
    return launch.encode(None, "", {"cgroups": list(groups), "log": log})


def confined(walls: Walls, start: Start) -> bytes:
    """Orders to run the program behind all walls, encoded for the launcher."""
    staging = Staging(active=start.uid is not None, gathers=True)
    program = staging.bubblewrap(walls.bubblewrap)
    options = wall_options(walls, start, staging)
    name = marker(start.place.name, start.generation)
    argv = [name, "--args", str(launch.ARGUMENTS_FD), "--", *shimmed(start.argv)]
    lists = {
        "sources": staging.sources,
        "places": staging.places,
        "options": options,
        "argv": [program, *argv],
        "filter": [walls.calls.hex()],
        "terminals": [str(TERMINALS)],
        **given_to(start),
    }
    return launch.encode(start.uid, "/", lists)


def given_to(start: Start) -> dict[str, list[str]]:
    """What the launcher makes or opens for the workspace, whoever puts up its walls."""
    return {
        "network": ["made"] if start.way_out else [],
        "token": [start.token],
        "handover": [start.handover] if start.handover else [],
        "disk": [start.disk, str(start.place.home), str(start.uid)] if start.disk else [],
    }


def wall_options(walls: Walls, start: Start, staging: "Staging") -> list[str]:
    """The walls in bubblewrap's words; runc.py says the same in runc's."""
    overlay = start.overlay is not Overlay.NONE
    mounts = _mounts(walls, start.place, staging, overlay=overlay, memory=start.memory_bytes)
    options = [*_namespaces(start), *mounts]
    if walls.calls:
        options += ["--seccomp", str(launch.FILTER_FD)]
    for name, value in start.env.items():
        options += ["--setenv", name, value]
    return options


def unconfined(start: Start) -> bytes:
    """Orders to run the program as a plain process, encoded for the launcher."""
    entries = [f"{name}={value}" for name, value in start.env.items()]
    argv = ["/bin/sh", *shimmed(start.argv)]
    lists = {"argv": argv, "env": entries, "token": [start.token]}
    return launch.encode(None, str(start.place.home), lists)


def shimmed(argv: Sequence[str]) -> list[str]:
    """The command that says that it runs, and becomes this one."""
    return ["/bin/sh", "-c", _SHIM, "sh", *argv]


class Staging:
    """Where bubblewrap finds a source: its own path, or a place that the workspace's user can reach.

    gathers: whoever binds a folder binds what lies on it as well, with the same bounds, as bubblewrap does.
    """

    def __init__(self, *, active: bool, gathers: bool = False) -> None:
        self._active = active
        self._gathers = active and gathers
        self._gathered: dict[str, str] = {}
        self.sources: list[str] = []
        self.places: list[str] = []

    def __call__(self, source: Path, name: str | None = None) -> str:
        if not self._active or source.is_relative_to("/usr") or source.is_relative_to("/etc"):
            return str(source)
        self.sources.append(str(source))
        self.places.append(f"{launch.STAGING}/{name or len(self.places)}")
        return self.places[-1]

    def shown(self, source: Path, inside: str) -> list[str]:
        """Options that show it read-only; none where the launcher lays it on a folder of ours that is shown, which costs less."""
        for folder, place in self._gathered.items():
            if inside.startswith(f"{folder}/"):
                self.sources.append(str(source))
                self.places.append(place + inside.removeprefix(folder))
                return []
        place = self(source)
        if self._gathers and inside in SKELETON:
            self._gathered[inside] = place
        return ["--ro-bind", place, inside]

    def bubblewrap(self, found: Bubblewrap) -> str:
        """The program's path; the wheel's one finds its libraries two folders up."""
        if found.libraries is None:
            return self(found.program)
        self(found.libraries, f"bubblewrap/{found.libraries.name}")
        return f"{self(found.program.parent, 'bubblewrap/package/bin')}/{found.program.name}"


def _namespaces(start: Start) -> list[str]:
    identity = ["--uid", str(AGENT_ID), "--gid", str(AGENT_ID), "--hostname", start.hostname]
    unshared = ["user", "pid", "ipc", "uts", *([] if start.way_out else ["net"])]
    return [
        *(f"--unshare-{name}" for name in unshared),
        "--unshare-cgroup-try",
        "--disable-userns",
        *identity,
        *("--cap-drop", "ALL", "--new-session", "--clearenv"),
        *("--json-status-fd", str(launch.STATUS_FD)),
    ]


def _masks() -> list[str]:
    """What the machine tells everybody about itself; a device that cannot be opened lies on each."""
    there = [path for path in MASKED if os.path.lexists(path)]
    return [word for path in there for word in ("--ro-bind", os.devnull, path)]


def _in_memory(place: str, memory: int | None) -> list[str]:
    """A file system in memory; all of them full leave the programs something of the workspace's memory."""
    size = [] if memory is None else ["--size", str(max(memory // _SHARES[place], 4096))]
    return [*size, "--tmpfs", place]


def _mounts(
    walls: Walls, place: Place, staging: Staging, *, overlay: bool, memory: int | None
) -> list[str]:
    """Later mounts cover earlier ones, so home and link come last and nothing is made inside them."""
    options = ["--perms", "1777", *_in_memory(_TMP, memory), *_in_memory("/run", memory)]
    options += ["--symlink", _TMP, _VAR_TMP]
    for inside, target in walls.runtime.links:
        options += ["--symlink", target, inside]
    for bind in (*walls.runtime.binds, *walls.programs):
        if overlay and bind.source == BELOW:
            options += overlay_options(staging(place.overlay))
        else:
            options += staging.shown(bind.source, bind.inside)
    options += staging.shown(place.hosts, "/etc/hosts")
    options += ["--ro-bind", staging(place.template), TEMPLATE]
    options += ["--proc", "/proc", "--ro-bind", _SETTINGS, _SETTINGS, *_masks(), "--dev", "/dev"]
    options += ["--perms", "1777", *_in_memory(_SHM, memory), "--remount-ro", "/dev"]
    options += ["--ro-bind", staging(walls.link_dir), LINK]
    options += ["--bind", staging(place.home), AGENT_HOME, "--remount-ro", "/"]
    return [*options, "--chdir", AGENT_HOME]
