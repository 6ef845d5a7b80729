"""Points hold a process only for a test that its own user runs, and only as long as that test is there."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import DEADLINE_S

PROGRAM = """
import asyncio, sys
from taskyard_agent import points
how, where = sys.argv[1:]
if how == "own": points.listen_to_own(where)
if how == "beside": points.listen_beside(where)
points.about("w1")
asyncio.run(points.reached("a.b"))
points.passed("c.d", "w2")
print("over")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that only we write."""
    found = tmp_path / "own"
    found.mkdir(mode=0o700)
    return found


def listening(path: Path) -> socket.socket:
    """A socket at which points may be told."""
    found = socket.socket(socket.AF_UNIX)
    found.bind(str(path))
    found.listen()
    found.settimeout(DEADLINE_S)
    return found


def program(how: str, where: str) -> "subprocess.Popen[str]":
    """A process that comes to two points."""
    argv = [sys.executable, "-c", PROGRAM, how, where]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("how", ["own", "beside"])
def test_it_is_held(folder: Path, how: str) -> None:
    """It tells each point that it comes to, and goes on when the other end hangs up."""
    name = "points.sock"
    with listening(folder / name) as listens:
        where = str(folder / name) if how == "own" else f"unix:{folder}/agent.sock"
        process = program(how, where)
        for told in (
            b'{"point": "a.b", "subject": "w1"}\n',
            b'{"point": "c.d", "subject": "w2"}\n',
        ):
            end, _ = listens.accept()
            assert end.recv(1000) == told
            assert process.poll() is None
            end.close()
        assert process.communicate(timeout=DEADLINE_S)[0] == "over\n"


@pytest.mark.parametrize("how", ["nothing", "gone", "open", "file"])
def test_it_is_not_held(folder: Path, how: str) -> None:
    """Without a test, with one that is gone, with a socket that others could have put there, or none at all."""
    path = folder / "points.sock"
    if how == "open":
        folder.chmod(0o777)
    if how == "file":
        path.write_text("")
    if how in {"open", "gone"}:
        listens = listening(path)
        if how == "gone":
            listens.close()
    process = program("" if how == "nothing" else "own", str(path))
    assert process.communicate(timeout=DEADLINE_S)[0] == "over\n"
    if how == "open":
        listens.close()
