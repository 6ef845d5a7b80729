"""Where the home directories of workspaces are, for those who take them along."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from secrets import token_hex
from uuid import UUID

import anyio

from taskyard.daemon.copies import HomeFile, Say, SumFile
from taskyard.daemon.datadir import DataDir
from taskyard.daemon.home_archive import DiskBroken, pack_home
from taskyard.daemon.home_unpack import HomeRefused, check_home, unpack_home
from taskyard.drivers.echo.driver import KEPT, at_rest
from taskyard.drivers.sandbox.disk import opened_home
from taskyard.drivers.sandbox.place import Place
from taskyard.drivers.sandbox.uids import claim_uid, release_uid, uid_is_mapped
from taskyard.errors import StartupError

SANDBOX = "sandbox"
ECHO = "echo"

ARRIVING = ".arriving-"
"""How the folder begins in which homes are unpacked; drivers pass over it."""


@dataclass(frozen=True, slots=True)
class Whose:
    """A workspace that may have a home here; running: as far as the database knows."""

    workspace_id: UUID
    driver: str
    running: bool


def echo_folder(data: DataDir) -> Path:
    """Where the echo driver keeps its workspaces."""
    return data.path / ECHO


async def copy_home(data: DataDir, folder: Path, whose: Whose) -> HomeFile | None:
    """The archive of a workspace's home, written into the folder; None where it has none here."""
    with _opened(data, whose) as home:
        return None if home is None else await _packed(home, folder, whose)


@contextmanager
def _opened(data: DataDir, whose: Whose) -> Iterator[Path | int | None]:
    """The home as a folder, or the handle of one; None where it has none here. Raises StartupError when it cannot be opened."""
    home = _home(data, whose.workspace_id, whose.driver)
    if home is None or not home.is_dir():
        yield None
        return
    try:
        place = Place(data.workspaces, str(whose.workspace_id))
        with opened_home(place) if whose.driver == SANDBOX else nullcontext(home) as folder:
            yield folder
    except OSError as error:
        raise StartupError(f"{home} cannot be opened: {error}") from error


async def _packed(home: Path | int, folder: Path, whose: Whose) -> HomeFile:
    """The archive of a home, written into the folder."""
    only = frozenset(KEPT)
    with SumFile(folder / "homes" / f"{whose.workspace_id}.tar") as file:
        work = partial(pack_home, home, file, only=only if whose.driver == ECHO else None)
        try:
            # Told to end, it is left behind: at its next piece it finds the file closed.
            packed = await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        except (OSError, DiskBroken) as error:
            raise StartupError(
                f"the home of workspace {whose.workspace_id} cannot be read: {error}"
            ) from error
    return HomeFile(
        workspace_id=whose.workspace_id,
        driver=whose.driver,
        running=whose.running,
        missed=packed.missed,
        missed_names=packed.names,
        bytes=file.size,
        sha256=file.sha256,
    )


def check_homes(folder: Path, homes: Iterable[HomeFile]) -> None:
    """Nothing when all archives can be unpacked here. Raises StartupError."""
    for entry in homes:
        if entry.driver not in (SANDBOX, ECHO):
            raise StartupError(
                f"the export holds homes of workspaces in driver {entry.driver!r}, which this release does not know"
            )
        try:
            with (folder / entry.path).open("rb") as file:
                check_home(file)
        except HomeRefused as error:
            raise StartupError(
                f"{folder / entry.path} is refused: {error}. Nothing was imported."
            ) from error


@contextmanager
def arriving(data: DataDir, folder: Path, homes: Iterable[HomeFile], say: Say) -> Iterator[None]:
    """Homes are where drivers look for them; taken away again if the block fails.

    Raises StartupError. What an import left that was killed is removed.
    """
    _sweep(data)
    made: list[HomeFile] = []
    try:
        for entry in homes:
            _refuse_taken(data, entry)
            made.append(entry)
            _put(data, folder, entry)
            say(f"home of workspace {entry.workspace_id}: {entry.bytes} bytes")
        yield
    except BaseException:
        for entry in made:
            _remove(data, entry)
        raise
    finally:
        _sweep(data)


def _home(data: DataDir, workspace_id: UUID, driver: str) -> Path | None:
    match driver:
        case "sandbox":
            return Place(data.workspaces, str(workspace_id)).home
        case "echo":
            return echo_folder(data) / str(workspace_id)
        case _:
            return None


def _refuse_taken(data: DataDir, entry: HomeFile) -> None:
    for folder in (data.workspaces, echo_folder(data)):
        if (folder / str(entry.workspace_id)).exists():
            raise StartupError(
                f"{folder / str(entry.workspace_id)} exists already, and is of a workspace that the "
                "export holds. Import into a new data directory."
            )


def _put(data: DataDir, folder: Path, entry: HomeFile) -> None:
    """Makes a workspace's folder, whole or not at all."""
    root = data.workspaces if entry.driver == SANDBOX else echo_folder(data)
    root.mkdir(mode=0o700, exist_ok=True)
    work = root / f"{ARRIVING}{token_hex(4)}"
    work.mkdir(mode=0o700)
    inner = work / str(entry.workspace_id)
    try:
        with (folder / entry.path).open("rb") as archive:
            if entry.driver == SANDBOX:
                inner.mkdir(mode=0o700)
                unpack_home(archive, inner / "home", _owner(data, entry.workspace_id))
            else:
                unpack_home(archive, inner, None)
                (inner / "state.json").write_bytes(at_rest())
        inner.rename(root / inner.name)
    except HomeRefused as error:
        raise StartupError(f"{folder / entry.path} is refused: {error}") from error


def _owner(data: DataDir, workspace_id: UUID) -> int | None:
    """The host user of the workspace, where the driver gives each one of its own."""
    if os.geteuid() != 0 or not uid_is_mapped():
        return None
    return claim_uid(data.workspaces, workspace_id)


def _remove(data: DataDir, entry: HomeFile) -> None:
    root = data.workspaces if entry.driver == SANDBOX else echo_folder(data)
    shutil.rmtree(root / str(entry.workspace_id), ignore_errors=True)
    release_uid(data.workspaces, entry.workspace_id)


def _sweep(data: DataDir) -> None:
    for root in (data.workspaces, echo_folder(data)):
        for left in root.glob(f"{ARRIVING}*"):
            shutil.rmtree(left, ignore_errors=True)
