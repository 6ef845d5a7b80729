"""Folders in which a server tries what its machine can do, and what is left of them when it is killed meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import getpid
from pathlib import Path
from uuid import UUID

from taskyard.drivers.sandbox.files import empty_folder
from taskyard.drivers.sandbox.place import Place
from taskyard.drivers.sandbox.process import Process, identify, is_alive
from taskyard.drivers.sandbox.runc_state import forget, state_root

_TRIAL = ".probe-"
"""How their names begin; who tries follows, and the id in whose name it takes a user."""


@contextmanager
def trial(root: Path, workspace_id: UUID) -> Iterator[Place]:
    """A place to try something in, which is gone afterwards."""
    own = identify(getpid())
    assert own is not None
    place = Place(root, f"{_TRIAL}{own.pid}-{own.started}-{workspace_id}")
    place.folder.mkdir(mode=0o700)
    try:
        yield place
    finally:
        _remove(place)


def sweep_trials(root: Path) -> None:
    """Nothing; of trials whose server is gone nothing is left: no folder, no user, nothing that runc wrote down.

    A folder is there before all else of its trial and its workspace, so nothing that is being made is taken for left.
    """
    for path in root.glob(f"{_TRIAL}*"):
        if not _goes_on(path.name):
            with suppress(OSError):  # another server was faster
                _remove(Place(root, path.name))
    for path in state_root(root).glob(f"{_TRIAL[1:]}*"):
        if not (root / f".{path.name}").exists():
            forget(Place(root, path.name))
    for link in (root / ".uids").glob("*"):
        with suppress(FileNotFoundError):  # as above
            owner = link.readlink().name
            if not (root / owner).exists() and not list(root.glob(f"{_TRIAL}*-{owner}")):
                link.unlink()


def _goes_on(name: str) -> bool:
    """Whether who tries there is alive."""
    pid, _, rest = name.removeprefix(_TRIAL).partition("-")
    started = rest.partition("-")[0]
    known = pid.isdecimal() and started.isdecimal()
    return known and is_alive(Process(pid=int(pid), started=int(started)))


def _remove(place: Place) -> None:
    forget(place)
    empty_folder(place.folder, keep="")
    place.folder.rmdir()
