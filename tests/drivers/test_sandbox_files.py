"""Templates that try to leave their folder, homes that do not want to be removed, and user ids."""

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from taskyard.drivers.sandbox.files import empty_folder, unpack_template
from taskyard.drivers.sandbox.uids import claim_uid, release_uid
from taskyard.errors import DriverError


def tar_of(*members: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return buffer.getvalue()


def entry(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 1
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, 0o4777
    info.size = size if kind == tarfile.REGTYPE else 0
    return info


@pytest.mark.parametrize(
    "members",
    [
        [entry("../out")],
        [entry("/etc/out")],
        [entry("a/../../out")],
        [entry("link", tarfile.SYMTYPE, "/etc/passwd")],
        [entry("link", tarfile.SYMTYPE, "../../etc")],
        [entry("a"), entry("hard", tarfile.LNKTYPE, "a")],
        [entry("pipe", tarfile.FIFOTYPE)],
        [entry("device", tarfile.CHRTYPE)],
        [entry(f"{number}", size=0) for number in range(10_001)],
    ],
    ids=[
        "parent",
        "absolute",
        "winding",
        "far link",
        "up link",
        "hard link",
        "pipe",
        "device",
        "many",
    ],
)
def test_a_hostile_archive_is_refused(tmp_path: Path, members: list[tarfile.TarInfo]) -> None:
    """Nothing outside of the target appears, and the error says what to do."""
    with pytest.raises(DriverError, match="Push the template again"):
        unpack_template(tar_of(*members), tmp_path / "target")
    assert [path.name for path in tmp_path.rglob("*")] == ["target"]


@pytest.mark.parametrize(
    "archive", [b"no tar at all", tar_of(entry("a"))[:700]], ids=["text", "torn"]
)
def test_a_damaged_archive_is_refused(tmp_path: Path, archive: bytes) -> None:
    """What is no tar, or ends too early, is named as such."""
    with pytest.raises(DriverError, match="cannot be unpacked"):
        unpack_template(archive, tmp_path / "target")


def test_a_link_is_never_written_through(tmp_path: Path) -> None:
    """A link and then a file of the same name below it cannot reach what the link points to."""
    members = (entry("a", tarfile.DIRTYPE), entry("b", tarfile.SYMTYPE, "a"), entry("b/file"))
    with pytest.raises((DriverError, OSError)):
        unpack_template(tar_of(*members), tmp_path / "target")
    assert not (tmp_path / "target" / "a" / "file").exists()


def test_modes_suit_every_user(tmp_path: Path) -> None:
    """Everything is readable, programs stay executable, nothing is writable by others or set-id, under any umask."""
    before = os.umask(0o077)
    try:
        plain = entry("deep/er/plain")
        plain.mode = 0o200
        unpack_template(
            tar_of(plain, entry("run"), entry("to", tarfile.SYMTYPE, "deep/er")), tmp_path / "t"
        )
    finally:
        os.umask(before)
    modes = {p.name: oct(p.stat().st_mode & 0o7777) for p in (tmp_path / "t").rglob("*")}
    assert modes == {
        "deep": "0o755",
        "er": "0o755",
        "plain": "0o644",
        "run": "0o755",
        "to": "0o755",
    }


def hostile_home(home: Path, outside: Path) -> None:
    """Closed folders, links out, a pipe, a strange name, and a nest deeper than any path may be long."""
    home.mkdir()
    (home / "to-file").symlink_to(outside / "file")
    (home / "to-folder").symlink_to(outside)
    os.mkfifo(home / "pipe")
    (home / os.fsdecode(b"\xff\n")).touch()
    closed = home / "closed" / "inner"
    closed.mkdir(parents=True)
    (closed / "file").touch()
    closed.chmod(0)
    closed.parent.chmod(0)
    here = os.open(home, os.O_RDONLY)
    for _ in range(2500):
        os.mkdir("nest", dir_fd=here)
        deeper = os.open("nest", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)


def test_a_hostile_home_is_removed(tmp_path: Path) -> None:
    """All of it goes, nothing outside is touched, and the file to keep is kept."""
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    (outside / "file").write_text("mine")
    (outside / "file").chmod(0o640)
    folder.mkdir()
    (folder / "record.json").touch()
    hostile_home(folder / "home", outside)
    empty_folder(folder, keep="record.json")
    assert [path.name for path in folder.iterdir()] == ["record.json"]
    assert (outside / "file").read_text() == "mine"
    assert oct((outside / "file").stat().st_mode & 0o777) == "0o640"
    assert outside.exists()


def test_removing_goes_on_after_a_crash(tmp_path: Path) -> None:
    """Folders that an interrupted removal has moved up are removed by the next one."""
    folder = tmp_path / "folder"
    (folder / ".removed-0011223344556677" / "home").mkdir(parents=True)
    (folder / "home").mkdir()
    empty_folder(folder, keep="record.json")
    assert list(folder.iterdir()) == []


def test_uids_are_unique_and_stable(tmp_path: Path) -> None:
    """Neighbours in number get different ids; each keeps its own until it is released."""
    first = uuid4()
    same_first_choice = UUID(int=(int(first) + 268_000_000) % 2**128)
    one, two = claim_uid(tmp_path, first), claim_uid(tmp_path, same_first_choice)
    assert one != two
    assert claim_uid(tmp_path, first) == one
    release_uid(tmp_path, first)
    assert claim_uid(tmp_path, same_first_choice) == two
    assert claim_uid(tmp_path, uuid4()) not in {one, two}


@pytest.mark.parametrize("work", [claim_uid, release_uid])
def test_uids_never_meet_those_of_people(
    tmp_path: Path, work: Callable[[Path, UUID], object]
) -> None:
    """Every id lies where no person, service or container has one, and releasing none is fine."""
    uid = work(tmp_path, uuid4())
    assert uid is None or 1_879_048_192 <= int(str(uid)) < 2_147_352_576
