"""One server a test, or one for tests that only read and add."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskyard.sdk.local import LocalServer
from tests.system.kit import World, processes_of


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data directory that an ordinary account may pass; everything in it must have ended at the end."""
    home = Path(tempfile.mkdtemp(prefix="taskyard-system-"))
    home.chmod(0o711)
    try:
        yield home / "data"
        left = processes_of(home)
        assert left == {}, f"left running: {left}"
    finally:
        shutil.rmtree(home, ignore_errors=os.geteuid() != 0)


@pytest.fixture
def world(data_dir: Path, tmp_path: Path) -> Iterator[World]:
    """A server with its first user and the starter templates; stopped by hand at the end."""
    log = tmp_path / "server.log"
    server = LocalServer(data_dir, log=log)
    server.start()
    world = World(server)
    try:
        yield world
    finally:
        world.close()
        server.stop()
        print(log.read_text(errors="replace"))
