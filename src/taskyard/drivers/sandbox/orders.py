"""What a start consists of, as orders for the launcher: decided here, carried out in launch.py."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from taskyard.drivers.base import WorkspaceSpec
from taskyard.drivers.sandbox import launch
from taskyard.drivers.sandbox.place import Place
from taskyard.drivers.sandbox.runtime import AGENT_HOME, AGENT_ID, Bind, Bubblewrap, Runtime
from taskyard.errors import DriverError

TEMPLATE = "/opt/template"
"""Where the template's files appear inside."""
LINK = "/run/taskyard"
"""Where the folder of the server's socket appears inside."""
CONFINED = "TASKYARD_CONFINED"
"""The environment name that is 1 behind walls, and absent where there are none."""
MARKER_NAME = "TASKYARD_WORKSPACE_ID"
"""The environment name by which processes of an unconfined workspace are recognised."""

_TMP = "/tmp"  # noqa: S108 - a tmpfs of the workspace's own
_VAR_TMP = "/var/tmp"  # noqa: S108 - a symlink to it
_SHIM = (
    'command -v "$1" >/dev/null || { echo "$1: no such program" >&2; exit 127; }; '
    'echo >&3; exec "$@" 3>&- 4>&- 5>&-'
)
"""Becomes the agent, after a byte to the server that says so; the pipe closing without it says no."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ENV_MAX_BYTES = 128 * 1024 - 1
"""Linux refuses a single longer argument or environment entry (MAX_ARG_STRLEN)."""


@dataclass(frozen=True, slots=True)
class Walls:
    """How to confine: the program, what is shared with every workspace, where the server's sockets are.

    programs are folders of the machine that every workspace may use.
    """

    bubblewrap: Bubblewrap
    runtime: Runtime
    link_dir: Path
    programs: tuple[Bind, ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """One run of a program in a workspace; uid is its host user, None for the server's own."""

    place: Place
    uid: int | None
    generation: int
    hostname: str
    env: Mapping[str, str]
    argv: Sequence[str]


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
    return {
        "PATH": ":".join([f"{inside.home}/.local/bin", *inside.path, _PATH]),
        "LANG": "C.UTF-8",
        **spec.env,
        "HOME": inside.home,
        "USER": "agent",
        "TASKYARD_AGENT_URL": f"unix:{inside.link}/agent.sock",
        "TASKYARD_AGENT_TOKEN": spec.agent_token,
        "TASKYARD_TEMPLATE_DIR": inside.template,
    }


def confined(walls: Walls, start: Start) -> bytes:
    """Orders to run the program behind all walls, encoded for the launcher."""
    staging = _Staging(active=start.uid is not None)
    program = staging.bubblewrap(walls.bubblewrap)
    options = [*_namespaces(start), *_mounts(walls, start.place, staging)]
    for name, value in start.env.items():
        options += ["--setenv", name, value]
    name = marker(start.place.name, start.generation)
    argv = [name, "--args", str(launch.ARGUMENTS_FD), "--", *_shimmed(start.argv)]
    lists = {
        "sources": staging.sources,
        "places": staging.places,
        "options": options,
        "argv": [program, *argv],
    }
    return launch.encode(start.uid, "/", lists)


def unconfined(start: Start) -> bytes:
    """Orders to run the program as a plain process, encoded for the launcher."""
    entries = [f"{name}={value}" for name, value in start.env.items()]
    argv = ["/bin/sh", *_shimmed(start.argv)]
    return launch.encode(None, str(start.place.home), {"argv": argv, "env": entries})


def _shimmed(argv: Sequence[str]) -> list[str]:
    return ["/bin/sh", "-c", _SHIM, "sh", *argv]


class _Staging:
    """Where bubblewrap finds a source: its own path, or a place that the workspace's user can reach."""

    def __init__(self, *, active: bool) -> None:
        self._active = active
        self.sources: list[str] = []
        self.places: list[str] = []

    def __call__(self, source: Path, name: str | None = None) -> str:
        if not self._active or source.is_relative_to("/usr") or source.is_relative_to("/etc"):
            return str(source)
        self.sources.append(str(source))
        self.places.append(f"{launch.STAGING}/{name or len(self.places)}")
        return self.places[-1]

    def bubblewrap(self, found: Bubblewrap) -> str:
        """The program's path; the wheel's one finds its libraries two folders up."""
        if found.libraries is None:
            return self(found.program)
        self(found.libraries, f"bubblewrap/{found.libraries.name}")
        return f"{self(found.program.parent, 'bubblewrap/package/bin')}/{found.program.name}"


def _namespaces(start: Start) -> list[str]:
    identity = ["--uid", str(AGENT_ID), "--gid", str(AGENT_ID), "--hostname", start.hostname]
    unshared = ["user", "pid", "ipc", "uts", "net"]
    return [
        *(f"--unshare-{name}" for name in unshared),
        "--unshare-cgroup-try",
        "--disable-userns",
        *identity,
        *("--cap-drop", "ALL", "--new-session", "--clearenv"),
        *("--json-status-fd", str(launch.STATUS_FD)),
    ]


def _mounts(walls: Walls, place: Place, staging: _Staging) -> list[str]:
    """Later mounts cover earlier ones, so home and link come last and nothing is made inside them."""
    options = ["--perms", "1777", "--tmpfs", _TMP, "--tmpfs", "/run", "--symlink", _TMP, _VAR_TMP]
    for inside, target in walls.runtime.links:
        options += ["--symlink", target, inside]
    for bind in (*walls.runtime.binds, *walls.programs):
        options += ["--ro-bind", staging(bind.source), bind.inside]
    options += ["--ro-bind", staging(place.hosts), "/etc/hosts"]
    options += ["--ro-bind", staging(place.template), TEMPLATE]
    options += ["--proc", "/proc", "--dev", "/dev"]
    options += ["--ro-bind", staging(walls.link_dir), LINK]
    options += ["--bind", staging(place.home), AGENT_HOME, "--remount-ro", "/"]
    return [*options, "--chdir", AGENT_HOME]
