"""An installation below /tmp, where the launcher of a workspace covers its own files."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskyard.drivers.sandbox.runc import find_runc
from taskyard.lifecycle.walls import Wall
from tests.house.tree import ROOT

pytestmark = [
    pytest.mark.all_tier,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root's launcher covers /tmp"),
]

TRY = """
import sys, tempfile
from pathlib import Path
from taskyard.drivers.sandbox import launch
from taskyard.drivers.sandbox.abilities import ground_of
from taskyard.drivers.sandbox.runtime import find_bubblewrap

assert launch.__file__.startswith(sys.argv[1]), launch.__file__
with tempfile.TemporaryDirectory() as made:
    (link := Path(made, "link")).mkdir()
    (root := Path(made, "workspaces")).mkdir()
    link.chmod(0o711)
    ground = ground_of(root, link, find_bubblewrap())
    for word in sys.argv[2:]:
        found = ground.ask(word)
        print(word, found.there, found.seen)
"""
"""Tries the words that follow the folder with the packages that lie in it."""


@pytest.fixture
def copied() -> Iterator[Path]:
    """A folder below /tmp with our packages."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="ty-copy-") as made:
        for name in ("taskyard", "taskyard_agent"):
            shutil.copytree(ROOT / "src" / name, Path(made) / name)
        yield Path(made)


def test_disks_and_runc_work_below_tmp(copied: Path) -> None:
    """Where the packages themselves lie below /tmp, a program runs with a disk of its own, in runc and with a network."""
    words = [Wall.CONFINED, Wall.DISK, Wall.NETWORK, *([Wall.RUNC] if find_runc() else [])]
    done = subprocess.run(
        [sys.executable, "-c", TRY, copied, *words],
        check=False,
        capture_output=True,
        text=True,
        cwd=copied,
        env={**os.environ, "PYTHONPATH": str(copied)},
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [[word, "True"] for word in words], lines
