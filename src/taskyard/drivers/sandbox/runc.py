"""The walls of a workspace as a bundle for runc: the same ones that bubblewrap is told, in runc's words.

bubblewrap's options are read one by one, and one that has no word here is an error, so that a wall which
somebody adds there cannot be missing here. The bundle lies in the launcher's own tmpfs and is gone with it: what
the environment holds never comes to a disk.
"""

import os
import platform
import resource
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath

import msgspec

from taskyard.drivers.sandbox import launch, launch_bundle
from taskyard.drivers.sandbox.orders import (
    TERMINALS,
    Staging,
    Start,
    Walls,
    given_to,
    marker,
    shimmed,
    wall_options,
)
from taskyard.drivers.sandbox.runc_state import GROUPS, group_name, state_root
from taskyard.drivers.sandbox.runtime import AGENT_ID
from taskyard.drivers.sandbox.seccomp import RULES, Match, Rule
from taskyard.drivers.sandbox.uids import INNER_ROOT
from taskyard.errors import DriverError

NO_RUNC = "no program runc was found"
NOT_ROOT = "only a server that runs as root can use runc"

_INIT = (
    "import ctypes, os, sys; libc = ctypes.CDLL(None); calls = os.read(6, 1 << 20); "
    "program = type('P', (ctypes.Structure,), {'_fields_': [('n', ctypes.c_ushort), ('at', ctypes.c_char_p)]}); "
    "calls and libc.prctl(22, 2, ctypes.byref(program(len(calls) // 8, calls)), 0, 0) and sys.exit('no filter'); "
    "libc.prctl(4, 0, 0, 0, 0) and sys.exit('not hidden'); "
    "[libc.signal(number, 0) for number in (2, 13, 25)]; "
    "agent = os.fork(); agent or os.execv(sys.argv[2], sys.argv[2:]); "
    "os.closerange(3, 4); os.closerange(5, 10)\n"
    "while (ended := os.wait())[0] != agent: pass\n"
    "code = os.waitstatus_to_exitcode(ended[1]); code = code if code >= 0 else 128 - code; "
    "os.write(4, b'{ \"exit-code\": %d }\\n' % code); os._exit(code)"
)
"""Process 1, a bare interpreter. It puts bubblewrap's own filter of system calls on top: runc knows calls by name only, and so
lets pass what came after its library, and what is called by the numbers of another kind of program. It hides itself, as it
holds what it reports to. Then it starts the agent, reaps what is left to it, and says how the agent ended as bubblewrap does.
22 and 2 are PR_SET_SECCOMP and its filter mode, 4 is PR_SET_DUMPABLE; Python minds the three signals, which would be inherited."""
_FIRST_FD = 3
"""runc hands on as many descriptors as it is told from here."""
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sysrq-trigger")
_NAMESPACES = {
    **{name: name for name in ("user", "pid", "ipc", "uts")},
    "net": "network",
    "cgroup-try": "cgroup",
}
_ARCHITECTURES = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}
_SAFE = ("nosuid", "nodev")
_NO_CAPABILITIES: Mapping[str, list[str]] = {
    kind: [] for kind in ("bounding", "effective", "permitted", "inheritable", "ambient")
}

_Words = Iterator[str]


@dataclass(slots=True)
class Bundle:
    """A bundle while the options are read. points are what the launcher makes for runc to mount on."""

    namespaces: list[str] = field(default_factory=lambda: ["mount"])
    mounts: list[dict[str, object]] = field(default_factory=list)
    points: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    env: list[str] = field(default_factory=list)
    hostname: str = ""
    folder: str = "/"
    filtered: bool = False
    masked: list[str] = field(default_factory=list)
    read_only: list[str] = field(default_factory=lambda: [*_READ_ONLY])
    perms: str = ""
    size: str = ""
    below: str = ""

    def mount(self, kind: str, source: str, target: str, options: Sequence[str]) -> None:
        """Notes a mount, and the place for it unless that lies in another mount."""
        if not self._is_mounted(target):
            self.points += [target, source if kind == "bind" else "/", self.perms or "755"]
        place: dict[str, object] = {"destination": target, "type": kind, "source": source}
        self.mounts.append({**place, "options": [*options]})
        self.perms = self.size = ""

    def tmpfs(self, target: str) -> None:
        """Notes a file system in memory that belongs to the workspace's user."""
        owner = (f"uid={AGENT_ID}", f"gid={AGENT_ID}")
        size = [f"size={self.size}"] if self.size else []
        self.mount("tmpfs", "tmpfs", target, [*_SAFE, f"mode={self.perms or '755'}", *owner, *size])

    def overlay(self, upper: str, work: str, target: str) -> None:
        """Notes a folder that is below, with what changes above it."""
        layers = (f"lowerdir={self.below}", f"upperdir={upper}", f"workdir={work}", "userxattr")
        self.mount("overlay", "overlay", target, (*_SAFE, *layers))

    def link(self, target: str, place: str) -> None:
        """Notes a symlink. Raises DriverError for one in a mount, where only runc could make it."""
        if self._is_mounted(place):
            raise DriverError(f"runc cannot make the link {place} of this workspace's walls.")
        self.links += [target, place]

    def devices(self, target: str) -> None:
        """Notes what bubblewrap puts into /dev; runc makes the harmless devices by itself, then seals it."""
        self.mount("tmpfs", "tmpfs", target, (*_SAFE, "mode=755", "ro"))
        pts = ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", f"max={TERMINALS}")
        self.mount("devpts", "devpts", f"{target}/pts", pts)

    def show(self, source: str, target: str) -> None:
        """Notes what is seen and cannot be changed; the empty device hides what it lies on."""
        if source == os.devnull:
            self.masked.append(target)
        elif source == target and target.startswith("/proc/"):
            self.read_only.append(target)
        else:
            self.mount("bind", source, target, ("rbind", "ro", "rro", *_SAFE))

    def _is_mounted(self, place: str) -> bool:
        path = PurePosixPath(place)
        return any(path.is_relative_to(str(mount["destination"])) for mount in self.mounts)


def _unshare(bundle: Bundle, option: str) -> None:
    bundle.namespaces.append(_NAMESPACES[option.removeprefix("--unshare-")])


_READERS: Mapping[str, tuple[int, Callable[..., object]]] = {
    **{f"--unshare-{name}": (0, _unshare) for name in _NAMESPACES},
    # Said by the rest of the bundle in every case, or by the filter.
    **dict.fromkeys(("--disable-userns", "--new-session", "--clearenv"), (0, lambda *_: None)),
    **dict.fromkeys(("--uid", "--gid", "--cap-drop", "--remount-ro"), (1, lambda *_: None)),
    "--json-status-fd": (1, lambda *_: None),
    "--hostname": (1, lambda b, _, name: setattr(b, "hostname", name)),
    "--chdir": (1, lambda b, _, folder: setattr(b, "folder", folder)),
    "--perms": (1, lambda b, _, perms: setattr(b, "perms", perms)),
    "--size": (1, lambda b, _, size: setattr(b, "size", size)),
    "--seccomp": (1, lambda b, _, __: setattr(b, "filtered", True)),
    "--setenv": (2, lambda b, _, name, value: b.env.append(f"{name}={value}")),
    "--symlink": (2, lambda b, _, target, place: b.link(target, place)),
    "--tmpfs": (1, lambda b, _, target: b.tmpfs(target)),
    "--proc": (1, lambda b, _, target: b.mount("proc", "proc", target, (*_SAFE, "noexec"))),
    "--dev": (1, lambda b, _, target: b.devices(target)),
    "--bind": (2, lambda b, _, source, target: b.mount("bind", source, target, ("rbind", *_SAFE))),
    "--ro-bind": (2, lambda b, _, source, target: b.show(source, target)),
    "--overlay-src": (1, lambda b, _, below: setattr(b, "below", below)),
    "--overlay": (3, lambda b, _, *places: b.overlay(*places)),
}
"""How many words follow each of bubblewrap's options, and what it means here."""


def find_runc() -> Path | None:
    """The machine's runc, None where there is none. It is of use to root only."""
    found = shutil.which("runc", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    return None if found is None else Path(found)


def contained(walls: Walls, start: Start, *, detached: bool = True) -> bytes:
    """Orders to run the program in a container of runc's, encoded for the launcher.

    detached: runc ends when the workspace runs; else it stays as long. Raises DriverError.
    """
    if walls.runc is None or start.uid is None:
        raise DriverError(NO_RUNC if walls.runc is None else NOT_ROOT)
    state_root(start.place.root).mkdir(mode=0o700, exist_ok=True)
    staging = Staging(active=True)
    bundle = read_options(wall_options(walls, start, staging))
    state = staging(state_root(start.place.root))
    config = msgspec.json.encode(_config(bundle, start, walls.runtime.python)).decode()
    argv = [marker(start.place.name, start.generation), "--root", state, "run"]
    argv += ["-d"] if detached else []
    last = launch.HANDOVER_FD if start.handover else launch.TOKEN_FD
    last = launch.ATTEMPTS_FD if start.way_out else last
    argv += ["--preserve-fds", str(last + 1 - _FIRST_FD), "-b", launch_bundle.BUNDLE]
    lists = {
        "sources": staging.sources,
        "places": staging.places,
        "argv": [str(walls.runc), *argv, start.place.name.lstrip(".")],
        "bundle": [config],
        "filter": [walls.calls.hex()],
        "points": bundle.points,
        "links": bundle.links,
        **given_to(start),
    }
    return launch.encode(None, "/", lists)


def read_options(options: Sequence[str]) -> Bundle:
    """A bundle of the same walls; raises DriverError for one that cannot be said in runc's words."""
    bundle = Bundle()
    words = iter(options)
    for option in words:
        if option not in _READERS:
            raise DriverError(
                f'The walls of this workspace need {option}, which runc has no word for here. Use backend = "bwrap".'
            )
        count, read = _READERS[option]
        read(bundle, option, *islice(words, count))
    return bundle


def _config(bundle: Bundle, start: Start, python: str) -> dict[str, object]:
    """config.json, as the OCI's runtime specification has it."""
    name = marker(start.place.name, start.generation)
    init = [python, "-I", "-S", "-c", _INIT, name, *shimmed(start.argv)]
    process = {
        "terminal": False,
        "user": {"uid": AGENT_ID, "gid": AGENT_ID, "umask": 0o022},
        "args": init,
        "env": bundle.env,
        "cwd": bundle.folder,
        "capabilities": _NO_CAPABILITIES,
        "noNewPrivileges": True,
        "rlimits": [_open_files()],
    }
    return {
        "ociVersion": "1.0.2",
        "process": process,
        "root": {"path": launch_bundle.ROOT, "readonly": True},
        "hostname": bundle.hostname,
        "mounts": bundle.mounts,
        "linux": _linux(bundle, start),
    }


def _open_files() -> dict[str, object]:
    """As the launcher has it: runc's language would raise the lower one to the higher one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    hard = launch.FILES_HARD if most == resource.RLIM_INFINITY else min(most, launch.FILES_HARD)
    return {"type": "RLIMIT_NOFILE", "soft": min(launch.FILES_SOFT, hard), "hard": hard}


def _linux(bundle: Bundle, start: Start) -> dict[str, object]:
    ids = [(0, INNER_ROOT), (AGENT_ID, start.uid)]
    mapping = [{"containerID": inside, "hostID": outside, "size": 1} for inside, outside in ids]
    return {
        "namespaces": [{"type": kind} for kind in bundle.namespaces],
        "uidMappings": mapping,
        "gidMappings": mapping,
        "cgroupsPath": _group(start),
        "rootfsPropagation": "private",
        "maskedPaths": bundle.masked,
        "readonlyPaths": bundle.read_only,
        "seccomp": _calls() if bundle.filtered else None,
    }


def _group(start: Start) -> str:
    """The group that runc makes: below the launcher's own, in which the limits are.

    In a machine's single tree runc would look for it beside that, so there it is named from the top.
    """
    name = group_name(start.place)
    if not start.groups or not (GROUPS / "cgroup.controllers").exists():
        return name
    return f"/{Path(start.groups[0]).parent.relative_to(GROUPS)}/{name}"


def _calls() -> dict[str, object]:
    """The rules of seccomp.py as the specification words them; one entry a match, of which any is enough."""
    entries = [_entry(rule, match) for rule in RULES for match in rule.matches or (None,)]
    architecture = _ARCHITECTURES.get(platform.machine())
    known = {"architectures": [architecture]} if architecture else {}
    return {"defaultAction": "SCMP_ACT_ALLOW", **known, "syscalls": entries}


def _entry(rule: Rule, match: Match | None) -> dict[str, object]:
    entry: dict[str, object] = {
        "names": rule.names,
        "action": "SCMP_ACT_ERRNO",
        "errnoRet": rule.error,
    }
    if match is not None:
        values = {"value": match.mask, "valueTwo": match.value}
        entry["args"] = [{"index": match.argument, **values, "op": "SCMP_CMP_MASKED_EQ"}]
    return entry
