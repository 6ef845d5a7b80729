"""Where this process may make control groups, found out by trying; where not, why and what to do."""

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from taskyard.drivers.base import Limits
from taskyard.drivers.sandbox.cgroups import v1, v2
from taskyard.drivers.sandbox.cgroups.files import carry_out
from taskyard.drivers.sandbox.cgroups.model import Base, Can, Version, Write, groups_below

SHARED = "taskyard"
"""The folder of all servers in each tree; that of one server in it is what root hands over to let its user set limits."""
LEAF = "taskyard-server"
"""Where a server that sits in a delegated group moves: a group with controllers for others holds no process itself."""
TRIED = "try-"
"""How the group begins that a server makes to find out what it may; its pid follows."""
_NAME_CHARS = 12
"""Of the hash that names a data folder: 48 bits, so that two never meet."""
_TRY = Limits(cpu=1.0, memory_bytes=1 << 30, processes=100)
"""Limits that every machine takes."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """Where the kernel shows control groups and this process's own: /proc/self, or a folder that plays it."""

    proc: Path = Path("/proc/self")
    pid: int = 0
    """What is written to move this process; 0 is whoever writes."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where groups of workspaces go, by ability; why says what each other one lacks."""

    version: Version
    bases: tuple[Base, ...]
    why: Mapping[Can, str]


def find(root: Path, kernel: Kernel) -> Found:
    """What this machine lets this process do. Never fails: what cannot be had has its reason."""
    name = hashlib.sha256(os.fsencode(root.absolute())).hexdigest()[:_NAME_CHARS]
    mounts, own = _mounts(kernel), _own_groups(kernel)
    pure = "" in mounts and not any(tree and tree in mounts for tree, _ in v1.TREES)
    if pure:
        return _find_v2(mounts[""], own.get("", "/"), name, kernel)
    return _find_v1(mounts, own, name)


def _mounts(kernel: Kernel) -> dict[str, Path]:
    """Where each tree is mounted, by controller; the tree of the second kind by an empty name."""
    found: dict[str, Path] = {}
    with suppress(OSError):
        for line in (kernel.proc / "mountinfo").read_text().splitlines():
            fields, _, rest = line.partition(" - ")
            kind, _, options = rest.split(" ", 2)
            place = Path(fields.split()[4].replace("\\040", " "))
            if kind == "cgroup2":
                found.setdefault("", place)
            elif kind == "cgroup":
                for option in options.split(","):
                    found.setdefault(option.strip(), place)
    return found


def _own_groups(kernel: Kernel) -> dict[str, str]:
    """The group of this process in each tree, by controller."""
    found: dict[str, str] = {}
    with suppress(OSError):
        for line in (kernel.proc / "cgroup").read_text().splitlines():
            _, names, path = line.split(":", 2)
            found |= dict.fromkeys(names.split(","), path)
    return found


def _below(mount: Path, own: str) -> Path:
    """The folder of a group; the mount itself where the group is above it, as in some containers."""
    folder = mount / own.lstrip("/")
    return folder if ".." not in own and folder.is_dir() else mount


def _find_v1(mounts: Mapping[str, Path], own: Mapping[str, str], name: str) -> Found:
    bases: list[Base] = []
    why: dict[Can, str] = {}
    for tree, all_cans in v1.TREES:
        had = {can for base in bases for can in base.cans}
        cans = tuple(can for can in all_cans if can not in had)
        if all_cans and not cans:
            continue
        if tree not in mounts:
            why |= dict.fromkeys(cans, f"this kernel shows no control groups of {tree or 'v2'}")
            continue
        base = Base(_below(mounts[tree], own.get(tree, "/")) / SHARED / name, cans)
        problem = _problem(Version.V1, base)
        if problem is None:
            bases.append(base)
        else:
            why |= dict.fromkeys(cans, f"{problem}. {_hand_over(mounts, own, name)}")
    had = {can for base in bases for can in base.cans}
    return Found(
        Version.V1, tuple(bases), {can: said for can, said in why.items() if can not in had}
    )


def _hand_over(mounts: Mapping[str, Path], own: Mapping[str, str], name: str) -> str:
    """The one command by which root lets this user set limits: it gives away this server's folders and no other's."""
    trees = [tree for tree, _ in v1.TREES if tree and tree in mounts]
    folders = [str(_below(mounts[tree], own.get(tree, "/")) / SHARED / name) for tree in trees]
    text = " ".join(dict.fromkeys(folders))
    return f"Root allows it with: mkdir -p {text} && chown -R {os.geteuid()} {text}"


def _find_v2(mount: Path, own: str, name: str, kernel: Kernel) -> Found:
    folder = _below(mount, own)
    above = folder if _is_ours(folder, own) or os.geteuid() != 0 else mount
    base_folder = above / SHARED / name
    missing = ""
    try:
        if above == folder:
            step_aside(folder, kernel)
        for group in (above, above / SHARED, base_folder):
            group.mkdir(exist_ok=True)
            pass_on(group)
    except OSError as error:
        missing = f"{error.filename or above} refused it ({error.strerror})"
    have = _passed_on(base_folder)
    cans = [can for tree, can in v2.CONTROLLERS.items() if tree in have]
    core = [Can.FREEZE, Can.KILL] if (base_folder / "cgroup.procs").exists() else []
    base = Base(base_folder, (*cans, *core))
    problem = missing if not base.cans else _problem(Version.V2, base)
    why = dict.fromkeys(
        (can for can in Can if can not in base.cans or problem is not None),
        f"{problem or missing or 'the controller is not handed down'}. {_delegate()}",
    )
    return Found(Version.V2, (base,) if problem is None and base.cans else (), why)


def _is_ours(folder: Path, own: str) -> bool:
    """Whether the group was made for this server: a service's, a container's, or one handed to this user."""
    try:
        return own == "/" or own.endswith(".service") or 0 != folder.stat().st_uid == os.geteuid()
    except OSError:
        return False


def step_aside(folder: Path, kernel: Kernel) -> None:
    """Nothing; the processes of the group are in a leaf of it. The topmost group of all may keep them."""
    if not (folder / "cgroup.type").exists():
        return
    leaf = folder / LEAF
    leaf.mkdir(exist_ok=True)
    pids = (folder / "cgroup.procs").read_text().split() or [str(kernel.pid)] * bool(kernel.pid)
    for pid in pids:
        with suppress(ProcessLookupError):
            carry_out([Write(leaf / "cgroup.procs", pid)])


def pass_on(group: Path) -> None:
    """Nothing; groups below have what controllers of ours this one has."""
    have = (group / "cgroup.controllers").read_text().split()
    wanted = [f"+{tree}" for tree in v2.CONTROLLERS if tree in have]
    if wanted:
        carry_out([Write(group / "cgroup.subtree_control", " ".join(wanted))])


def _passed_on(group: Path) -> list[str]:
    try:
        return (group / "cgroup.subtree_control").read_text().split()
    except OSError:
        return []


def _delegate() -> str:
    if os.geteuid() == 0:
        return "As a service of systemd the server needs the line Delegate=yes"
    return (
        "An ordinary user starts the server with: systemd-run --user --scope -p Delegate=yes taskyard "
        "server"
    )


def _problem(version: Version, base: Base) -> str | None:
    """Why groups cannot be made there, None after one was made, limited, could be joined and was removed."""
    group = base.folder / f"{TRIED}{os.getpid()}"
    made = groups_below(version, [base], group.name)
    try:
        group.mkdir(parents=True, exist_ok=True)
        try:
            writes = v1.limit_writes if version is Version.V1 else v2.limit_writes
            carry_out(writes(made, _TRY))
            _check_join(version, base, group)
        finally:
            remove_folder(group)
    except OSError as error:
        return f"{error.filename or group} refused it ({error.strerror})"
    return None


def _check_join(version: Version, base: Base, group: Path) -> None:
    """Nothing; raises OSError where a process of ours could not be moved to a group there."""
    os.close(os.open(group / "cgroup.procs", os.O_WRONLY))
    if Can.KILL in base.cans:
        os.close(os.open(group / "cgroup.kill", os.O_WRONLY))
    if version is Version.V1 and Can.KILL in base.cans:
        # In one tree the way from group to group needs a right on what is above both.
        os.close(os.open(base.folder.parent.parent / "cgroup.procs", os.O_WRONLY))


def remove_folder(group: Path) -> None:
    """Nothing; the group is gone, with those in it. Ours above go too when nothing else is in them.

    One that hands controllers down stays: it would have to be told again. Raises OSError while a process is in one.
    """
    with suppress(FileNotFoundError):
        for inner in [path for path in group.iterdir() if path.is_dir()]:
            remove_folder(inner)
        group.rmdir()
    for above in (group.parent, group.parent.parent):
        if SHARED not in (above.name, above.parent.name):
            return
        with suppress(OSError):
            # One that root handed over stays: its user could not make it again.
            if above.stat().st_uid == os.geteuid() and not _passed_on(above):
                above.rmdir()
