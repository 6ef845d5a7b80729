"""The data directory: whose it is, what may be in it, who may have it."""

import os
import stat
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from taskyard.daemon.datadir import FORMAT, DataDir
from taskyard.errors import StartupError

OPEN_AND_WAIT = """
import sys
from pathlib import Path
from taskyard.daemon.datadir import DataDir
DataDir(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outer" / "data"


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """All that is in a folder, with modes and texts."""
    return {
        str(entry.relative_to(folder)): (
            entry.stat().st_mode,
            entry.read_bytes() if entry.is_file() else b"",
        )
        for entry in [folder, *folder.rglob("*")]
    }


def test_a_new_directory_has_its_folders(path: Path) -> None:
    """All folders are there; others pass through them at most, and only where we are root."""
    with DataDir(path) as data:
        folders = [path, data.postgres, data.run, data.link_socket.parent, data.workspaces]
        for folder in folders:
            passable = 0o711 if os.geteuid() == 0 else 0o700
            assert stat.S_IMODE(folder.stat().st_mode) == passable
    assert (path / "format").read_text() == f"{FORMAT}\n"


def test_the_modes_do_not_hang_on_the_umask(tmp_path: Path) -> None:
    """A strict umask does not close the folders to whom they must be open."""
    old = os.umask(0o077)
    try:
        DataDir(tmp_path / "data").close()
    finally:
        os.umask(old)
    passable = 0o711 if os.geteuid() == 0 else 0o700
    assert stat.S_IMODE((tmp_path / "data" / "run").stat().st_mode) == passable


def test_it_is_found_again_with_the_same_id(path: Path) -> None:
    """What a server kept is there when it opens the directory again."""
    with DataDir(path) as first:
        (first.workspaces / "kept").write_text("x")
    before = contents(path)
    with DataDir(path) as second:
        assert second.host_id == first.host_id
    assert contents(path) == before


def test_one_in_use_is_refused(path: Path) -> None:
    """The second server is told the directory and the process that has it."""
    with DataDir(path):
        with pytest.raises(StartupError) as refusal:
            DataDir(path)
        assert str(path) in str(refusal.value)
        assert f"process {os.getpid()}" in str(refusal.value)
    DataDir(path).close()


def test_of_many_who_come_at_once_one_gets_it(path: Path) -> None:
    """A directory that is being made is not taken for a stranger's, and has one owner."""

    def attempt(_: int) -> DataDir | str:
        try:
            return DataDir(path)
        except StartupError as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(attempt, range(8)))
    owners = [result for result in results if isinstance(result, DataDir)]
    refusals = [result for result in results if isinstance(result, str)]
    assert len(owners) == 1
    assert all("in use" in refusal for refusal in refusals)
    owners[0].close()


def test_a_killed_server_leaves_it_free(path: Path) -> None:
    """After kill -9 of its owner the directory can be opened at once."""
    command = [sys.executable, "-c", OPEN_AND_WAIT, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"open\n"
        with pytest.raises(StartupError, match=f"process {server.pid}"):
            DataDir(path)
        server.kill()
    DataDir(path).close()


def test_a_newer_format_is_refused(path: Path) -> None:
    """A directory of a newer release is not touched, and the sentence says what to do."""
    DataDir(path).close()
    (path / "format").write_text(f"{FORMAT + 1}\n")
    before = contents(path)
    for attach in (False, True):
        with pytest.raises(StartupError, match=rf"newer release: its format is {FORMAT + 1}\b"):
            DataDir(path, attach=attach)
    assert contents(path) == before


@pytest.mark.parametrize("text", ["", "one", "-1", "1.5"])
def test_a_broken_format_is_refused(path: Path, text: str) -> None:
    """A format that is no number is named with its file."""
    DataDir(path).close()
    (path / "format").write_text(text)
    with pytest.raises(StartupError, match=f"{path}/format should hold a number"):
        DataDir(path)


def test_a_broken_id_is_refused(path: Path) -> None:
    """A deployment id that is none is named with its file, and the directory is free again."""
    DataDir(path).close()
    (path / "deployment_id").write_text("x")
    for _ in range(2):
        with pytest.raises(StartupError, match="deployment_id should hold a UUID"):
            DataDir(path)


def test_a_strangers_folder_is_not_touched(path: Path) -> None:
    """A folder with other things in it is never turned into a data directory."""
    path.mkdir(parents=True, mode=0o755)
    (path / "thesis.txt").write_text("x")
    before = contents(path)
    with pytest.raises(StartupError, match=r"not empty: it holds thesis\.txt"):
        DataDir(path)
    assert contents(path) == before


@pytest.mark.parametrize("leftover", ["server.lock", "format.new", "lost+found"])
def test_a_first_start_that_was_killed_is_taken_up(path: Path, leftover: str) -> None:
    """What a server leaves that was killed at its first lines does not make a stranger's folder."""
    path.mkdir(parents=True)
    (path / leftover).touch()
    DataDir(path).close()


def test_a_folder_that_the_user_made_is_opened_for_passing(path: Path) -> None:
    """An empty folder is taken; as root, those who run with fewer rights may pass through it."""
    path.mkdir(parents=True, mode=0o700)
    DataDir(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == (0o711 if os.geteuid() == 0 else 0o700)


def test_a_worker_attaches_beside_the_server(path: Path) -> None:
    """Attaching needs no lock and takes none, and sees the same installation."""
    with DataDir(path) as server, DataDir(path, attach=True) as worker:
        assert worker.host_id == server.host_id
    with DataDir(path, attach=True):
        DataDir(path).close()


def test_attaching_to_nothing_is_refused(path: Path) -> None:
    """A worker never makes a data directory."""
    with pytest.raises(StartupError, match=f"no data directory at {path}"):
        DataDir(path, attach=True)
    assert not path.exists()


def test_a_path_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """A file, or a place where nothing can be made, is named with the cause."""
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", Path("/proc/nothing")):
        with pytest.raises(StartupError, match=f"data directory {path} cannot be used"):
            DataDir(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_another_users_directory_is_refused() -> None:
    """Root does not spoil a user's data directory with files that the user cannot read."""
    with tempfile.TemporaryDirectory() as folder:
        DataDir(Path(folder)).close()
        os.chown(Path(folder) / "format", 65534, 65534)
        with pytest.raises(StartupError, match="belongs to user 65534, and this is user 0"):
            DataDir(Path(folder))
