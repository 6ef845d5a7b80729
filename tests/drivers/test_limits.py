"""Limits that are told of, and disks that are counted."""

import io
import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
import pytest

from taskyard.daemon.home_archive import pack_home
from taskyard.drivers.base import Limits, WorkspaceSpec
from taskyard.drivers.sandbox.cgroups.find import Kernel
from taskyard.drivers.sandbox.cgroups.groups import find_cgroups
from taskyard.drivers.sandbox.disk import forget_disk, opened_home, prepare_disk, too_much
from taskyard.drivers.sandbox.driver import SandboxDriver
from taskyard.drivers.sandbox.limits import unheld
from taskyard.drivers.sandbox.place import Place, Record
from taskyard.errors import DriverError
from taskyard.wire.enums import LogLevel
from tests.drivers.sandbox_kit import into, new_yard, quiet, spec, until

pytestmark = pytest.mark.anyio
MIB = 1 << 20
READS = """
import sys, time
from pathlib import Path
from taskyard.drivers.sandbox.disk import opened_home
from taskyard.drivers.sandbox.place import Place
with opened_home(Place(Path(sys.argv[1]), sys.argv[2])):
    sys.stdout.write("open")
    sys.stdout.flush()
    time.sleep(1000)
"""
"""An export that never comes to its end."""
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user cannot mount an image")


def place_in(tmp_path: Path) -> Place:
    place = Place(tmp_path, "box")
    place.home.mkdir(parents=True)
    return place


def said(place: Place, limit: int) -> str:
    """What is said after enough looks to count so few files."""
    record = Record(generation=1, confined=True, boot_id="", disk_bytes=limit)
    forget_disk(place)
    return next(filter(None, (too_much(place, record) for _ in range(50))), "")


def test_limits_that_cannot_be_held_are_said(tmp_path: Path) -> None:
    """Each limit that is set and not held has a sentence with its name; others have none."""
    (tmp_path / "proc").mkdir()
    nothing = find_cgroups(tmp_path, Kernel(tmp_path / "proc"))
    wanted = Limits(cpu=1.0, memory_bytes=MIB, processes=5)
    sentences = list(unheld(wanted, nothing))
    assert [
        word in line for word, line in zip(("memory", "cpu", "processes"), sentences, strict=True)
    ] == [True] * 3
    assert list(unheld(Limits(), nothing)) == []


def test_bytes_and_files_are_counted(tmp_path: Path) -> None:
    """Too many bytes and too many files are both said; holes and further names of a file cost nothing."""
    place = place_in(tmp_path)
    (place.home / "sparse").touch()
    os.truncate(place.home / "sparse", 100 * MIB)
    (place.home / "one").write_bytes(b"x" * 3 * MIB)
    for number in range(5):
        (place.home / f"name{number}").hardlink_to(place.home / "one")
    assert said(place, 4 * MIB) == ""
    assert said(place, 2 * MIB) == "disk full, limit 2 MiB"
    for number in range(1100):
        (place.home / f"empty{number}").touch()
    assert said(place, 4 * MIB) == "disk full, limit 1024 files (of 4 MiB)"


def test_what_is_hidden_is_said(tmp_path: Path) -> None:
    """Folders nested deeper than any path can name do not hide what is in them."""
    place = place_in(tmp_path)
    here = os.open(place.home, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=here)
        here, old = os.open("d" * 250, os.O_RDONLY, dir_fd=here), here
        os.close(old)
    os.close(here)
    assert "too deep" in said(place, 100 * MIB)


@ROOT_ONLY
async def test_a_home_of_its_own_is_kept_read_and_removed() -> None:
    """A home with a limit is a file system: files outlive stop and start, the server can read them, and nothing stays."""
    async with new_yard() as yard:
        driver = yard.driver(
            ("/bin/sh", "-c", "echo $(cat kept) >> log; echo x >> kept; exec sleep 1000")
        )
        limited = Limits(disk_bytes=32 * MIB)
        first = spec(limits=limited)
        place = Place(yard.root, str(first.workspace_id))
        for generation in (1, 2, 3):
            await driver.ensure(spec(first.workspace_id, generation, limits=limited), quiet)
            await until(partial(_has, place, generation))
            await driver.stop(first.workspace_id, grace_s=1)
        assert not list(place.home.iterdir())
        await driver.destroy(first.workspace_id)
        assert not place.folder.exists()


@ROOT_ONLY
async def test_a_server_that_starts_removes_what_was_left() -> None:
    """Groups of a workspace whose folder was taken away go at the first probe, before any workspace is started."""
    async with new_yard() as yard:
        driver = yard.driver()
        groups = find_cgroups(yard.root)
        groups.make("lost", Limits())
        left = groups.groups("lost")
        assert all(group.is_dir() for group in left)
        await driver.probe()
        assert not any(group.exists() for group in left)


@ROOT_ONLY
def test_a_home_with_files_stays_as_it_is(tmp_path: Path) -> None:
    """A home that has files gets no image when its template gets a limit: they would be hidden."""
    place = place_in(tmp_path)
    (place.home / "file").touch()
    assert prepare_disk(place, 1000, 32 * MIB) == ""
    assert prepare_disk(place, 1000, None, held=True) == ""
    with pytest.raises(
        DriverError, match="demands that the machine itself holds the limit of disk"
    ):
        prepare_disk(place, 1000, 32 * MIB, held=True)


@ROOT_ONLY
async def test_a_home_that_is_counted_is_said() -> None:
    """At each start of a workspace whose files are counted the log says so; of one with a disk of its own it does not."""
    async with new_yard() as yard:
        driver = yard.driver()
        limited = Limits(disk_bytes=32 * MIB)
        for has_files in (True, False):
            made, lines = spec(limits=limited), list[tuple[LogLevel, str]]()
            if has_files:
                yard.home(made.workspace_id).mkdir(parents=True)
                (yard.home(made.workspace_id) / "imported").touch()
            await driver.ensure(made, into(lines))
            told = [line for level, line in lines if level is LogLevel.WARN and "disk" in line]
            assert ["had files before" in line for line in told] == [True] * has_files, lines


@ROOT_ONLY
async def test_a_home_that_is_read_has_one_file_system() -> None:
    """A start while an export reads, or after one was killed at it, shares its file system: one device, the same files, later none."""
    async with new_yard() as yard:
        driver = yard.driver(("/bin/sh", "-c", "echo x >> kept; exec sleep 1000"))
        made = spec(limits=Limits(disk_bytes=32 * MIB))
        place = Place(yard.root, str(made.workspace_id))
        await driver.ensure(made, quiet)
        await until(partial(_has, place, 1))
        await driver.stop(made.workspace_id, grace_s=1)
        argv = [sys.executable, "-c", READS, str(yard.root), place.name]
        async with await anyio.open_process(argv, stderr=None) as reader:
            assert reader.stdout is not None
            assert (await reader.stdout.receive()).startswith(b"open")
            with opened_home(place) as home:
                await _shared(driver, replace(made, generation=2), place, home)
            reader.kill()
        assert len(_loops(place)) == 1
        await driver.stop(made.workspace_id, grace_s=1)
        await until(lambda: not _loops(place))


async def _shared(driver: SandboxDriver, made: WorkspaceSpec, place: Place, home: int) -> None:
    """Nothing; the workspace runs, and what it writes is seen by the reader, who cannot write."""
    await driver.ensure(made, quiet)
    kept = Path(f"/proc/self/fd/{home}/kept")
    await until(lambda: kept.read_text() == "x\nx\n")
    assert len(_loops(place)) == 1
    with pytest.raises(OSError, match="Read-only"):
        kept.write_text("")
    archive = io.BytesIO()
    assert pack_home(home, archive).missed == 0
    assert b"x\nx\n" in archive.getvalue()


def _loops(place: Place) -> list[str]:
    image = str(place.folder / "home.img")
    found = Path("/sys/block").glob("loop*/loop/backing_file")
    return [str(file) for file in found if _text(file).startswith(image)]


def _text(file: Path) -> str:
    """What it holds; nothing when the device is letting go of its image."""
    try:
        return file.read_text()
    except OSError:
        return ""


def _has(place: Place, lines: int) -> bool:
    return _kept(place).count("x") == lines


def _kept(place: Place) -> str:
    with opened_home(place) as home:
        file = Path(f"/proc/self/fd/{home}/kept")
        return file.read_text() if file.exists() else ""
