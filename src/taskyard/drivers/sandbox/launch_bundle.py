"""What the launcher lays out for runc: a root folder with places to mount on, and the container's description.

All of it lies in the launcher's own tmpfs. Imports only what starts fast.
"""

# As in launch.py.
# ruff: noqa: PTH103, PTH112, PTH120

import ctypes
import os

BUNDLE = "/tmp/bundle"  # noqa: S108 - in the tmpfs that launch.py has put there
"""Where the bundle is."""
ROOT = f"{BUNDLE}/root"
"""What becomes the workspace's /."""
_SECOND_TREE = b"/sys/fs/cgroup/unified"
"""Where a machine with both kinds of control groups has the second: runc would take the workspace out of its group there, by
which it is frozen and killed. What it does not see it leaves alone."""
_DETACH = 2


def lay_out(config: str, points: list[str], links: list[str]) -> None:
    """Nothing; the bundle is there. points: place inside, what is mounted there, mode; links: target, place inside."""
    ctypes.CDLL(None).umount2(_SECOND_TREE, _DETACH)  # in the launcher's own mount namespace
    os.makedirs(ROOT)
    for place, source, mode in zip(points[::3], points[1::3], points[2::3], strict=True):
        os.makedirs(os.path.dirname(ROOT + place), exist_ok=True)
        if os.path.isdir(source):
            os.makedirs(ROOT + place, exist_ok=True)
            os.chmod(ROOT + place, int(mode, 8))  # noqa: PTH101 - as above
        else:
            os.mknod(ROOT + place)
    for target, place in zip(links[::2], links[1::2], strict=True):
        os.makedirs(os.path.dirname(ROOT + place), exist_ok=True)
        os.symlink(target, ROOT + place)  # noqa: PTH211 - as above
    with open(f"{BUNDLE}/config.json", "w", opener=_private) as file:
        file.write(config)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
