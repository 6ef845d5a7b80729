"""Home directories in archives: all that a home holds comes back, and nothing that a hostile archive holds gets out."""

import io
import os
import stat
import tarfile
import threading
from pathlib import Path

import pytest

from taskyard.daemon.home_archive import DEEPEST, pack_home
from taskyard.daemon.home_unpack import HomeRefused, check_home, unpack_home

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")


def moved(home: Path, new: Path, owner: int | None = None) -> Path:
    """A home, packed and unpacked."""
    archive = home.with_name("home.tar")
    with archive.open("wb") as file:
        assert pack_home(home, file).missed == 0
    with archive.open("rb") as file:
        check_home(file)
        unpack_home(file, new, owner)
    return new


def test_all_comes_back(tmp_path: Path) -> None:
    """Contents, modes, times, links of both kinds, odd names and read-only folders."""
    home = tmp_path / "home"
    (home / "a" / "b").mkdir(parents=True)
    (home / "a" / "run.sh").write_text("#!/bin/sh\n")
    (home / "a" / "run.sh").chmod(0o750)
    os.link(home / "a" / "run.sh", home / "a" / "b" / "same")
    (home / "away").symlink_to("/etc/passwd")
    (home / "nowhere").symlink_to("a/missing")
    odd = os.fsencode(home) + b"/\xff\n -rf*" + "ä".encode() * 60
    Path(os.fsdecode(odd)).write_bytes(b"odd")
    (home / "ro").mkdir()
    (home / "ro" / "file").write_bytes(bytes(range(256)))
    (home / "ro").chmod(0o555)
    os.mkfifo(home / "pipe")
    os.utime(home / "a" / "run.sh", ns=(1, 123456789_987654321))
    os.utime(home / "a" / "b", ns=(1, -1_500_000_000))
    new = moved(home, tmp_path / "new")
    assert stat.S_IMODE((new / "a" / "run.sh").stat().st_mode) == 0o750
    assert (new / "a" / "run.sh").stat().st_mtime_ns == 123456789_987654321
    assert (new / "a" / "b").stat().st_mtime_ns == -1_500_000_000
    assert (new / "a" / "b" / "same").samefile(new / "a" / "run.sh")
    assert (new / "away").readlink() == Path("/etc/passwd")
    assert (new / "nowhere").readlink() == Path("a/missing")
    assert (
        Path(os.fsdecode(odd.replace(os.fsencode(home), os.fsencode(new)))).read_bytes() == b"odd"
    )
    assert (new / "ro" / "file").read_bytes() == bytes(range(256))
    assert stat.S_IMODE((new / "ro").stat().st_mode) == 0o555
    assert not (new / "pipe").exists()


def test_holes_stay_holes(tmp_path: Path) -> None:
    """A file of 8 GB that holds some bytes takes some bytes, in the archive and behind it."""
    home = tmp_path / "home"
    home.mkdir()
    size = 8 * 2**30 + 5
    with (home / "disk.img").open("wb") as file:
        file.write(b"begin")
        file.seek(4 * 2**30)
        file.write(b"middle")
        file.truncate(size)
    with (home / "empty.img").open("wb") as file:
        file.truncate(size)
    new = moved(home, tmp_path / "new")
    assert (tmp_path / "home.tar").stat().st_size < 100_000
    for name in ("disk.img", "empty.img"):
        assert (new / name).stat().st_size == size
        assert (new / name).stat().st_blocks * 512 < 100_000
    with (new / "disk.img").open("rb") as file:
        assert file.read(6) == b"begin\0"
        file.seek(4 * 2**30 - 1)
        assert file.read(8) == b"\0middle\0"


@ROOT_ONLY
def test_owner_is_the_one_here(tmp_path: Path) -> None:
    """Everything is the workspace's user's on this machine, links too; set-user-id is gone."""
    home = tmp_path / "home"
    (home / "d").mkdir(parents=True)
    (home / "d" / "f").write_text("x")
    (home / "d" / "f").chmod(0o4755)
    (home / "l").symlink_to("d")
    os.chown(home / "d" / "f", 12345, 12345)
    new = moved(home, tmp_path / "new", 54321)
    for path in (new, new / "d", new / "d" / "f", new / "l"):
        assert (path.lstat().st_uid, path.lstat().st_gid) == (54321, 54321)
    assert stat.S_IMODE((new / "d" / "f").stat().st_mode) == 0o755


def test_what_is_too_deep_is_said(tmp_path: Path) -> None:
    """Folders beyond the bound are named and left out; the rest comes along."""
    home = tmp_path / "home"
    home.mkdir()
    path = home
    for _ in range(DEEPEST + 20):
        path /= "d"
        path.mkdir()
    (home / "kept").write_text("x")
    archive = io.BytesIO()
    packed = pack_home(home, archive)
    assert packed.missed == 1
    assert "too deep" in packed.names[0]
    unpack_home(archive, tmp_path / "new", None)
    assert (tmp_path / "new" / "kept").read_text() == "x"


def hostile(*entries: tuple[str, bytes, str]) -> io.BytesIO:
    """An archive with these entries: name, type, and where a link leads."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, kind, target in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, target
            tar.addfile(entry)
    return archive


@pytest.mark.parametrize(
    "entries",
    [
        [("../out", tarfile.REGTYPE, "")],
        [("/out", tarfile.REGTYPE, "")],
        [("a/../../out", tarfile.REGTYPE, "")],
        [("out", tarfile.LNKTYPE, "/etc/passwd")],
        [("out", tarfile.LNKTYPE, "../../secret")],
        [("s", tarfile.SYMTYPE, "/etc/passwd"), ("out", tarfile.LNKTYPE, "s")],
        [("out", tarfile.CHRTYPE, "")],
        [("out", tarfile.BLKTYPE, "")],
        [("out", tarfile.FIFOTYPE, "")],
        [("/".join(["d"] * (DEEPEST + 1)), tarfile.REGTYPE, "")],
    ],
)
def test_hostile_archives_are_refused(entries: list[tuple[str, bytes, str]]) -> None:
    """Names that leave the folder, links to what was not in it, devices, depths."""
    with pytest.raises(HomeRefused):
        check_home(hostile(*entries))


def test_nothing_is_written_through_a_symlink(tmp_path: Path) -> None:
    """A link, and then a file below it: the file is not where the link leads."""
    (tmp_path / "outside").mkdir()
    archive = hostile(
        ("d", tarfile.SYMTYPE, str(tmp_path / "outside")), ("d/file", tarfile.REGTYPE, "")
    )
    with pytest.raises((OSError, HomeRefused)):
        unpack_home(archive, tmp_path / "new", None)
    assert list((tmp_path / "outside").iterdir()) == []


def test_an_archive_that_is_none(tmp_path: Path) -> None:
    """Noise is refused, as is a file that ends too soon."""
    with pytest.raises(HomeRefused):
        check_home(io.BytesIO(os.urandom(4096)))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "f").write_bytes(bytes(range(256)) * 100)
    archive = io.BytesIO()
    pack_home(tmp_path / "home", archive)
    with pytest.raises(HomeRefused):
        unpack_home(io.BytesIO(archive.getvalue()[:5000]), tmp_path / "new", None)


def test_what_changes_meanwhile_does_no_harm(tmp_path: Path) -> None:
    """Files that become links, shrink, or go while they are packed: the archive is whole, and holds nothing from outside."""
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "secret").write_text("secret of the machine")
    over = threading.Event()

    def restless() -> None:
        path, spare = home / "file", home / "spare"
        while not over.is_set():
            path.write_bytes(b"x" * 100_000)
            os.truncate(path, 10)
            spare.symlink_to(tmp_path / "secret")
            spare.rename(path)
            path.unlink()
            path.mkdir()
            path.rmdir()

    thread = threading.Thread(target=restless)
    thread.start()
    try:
        for number in range(200):
            archive = io.BytesIO()
            pack_home(home, archive)
            check_home(archive)
            unpack_home(archive, tmp_path / f"new{number}", None)
            assert b"secret of the machine" not in archive.getvalue()
    finally:
        over.set()
        thread.join()
