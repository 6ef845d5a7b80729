"""One server a test, or one for tests that only read and add."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from taskyard.sdk.local import LocalServer
from tests.system.kit import LASTING, World, processes_of


@contextmanager
def open_folder() -> Iterator[Path]:
    """A new folder that an ordinary account may pass; all that has to do with it must have ended at the end."""
    home = Path(tempfile.mkdtemp(prefix="taskyard-system-"))
    home.chmod(0o711)
    try:
        yield home
        left = processes_of(home)
        assert left == {}, f"left running: {left}"
    finally:
        shutil.rmtree(home, ignore_errors=os.geteuid() != 0)


@contextmanager
def serving(
    data_dir: Path, log: Path, environment: dict[str, str] | None = None
) -> Iterator[World]:
    """A server with its first user and the starter templates; stopped by hand at the end."""
    server = LocalServer(data_dir, log=log, environment=environment)
    server.start()
    try:
        world = World(server)
        try:
            yield world
        finally:
            world.close()
    finally:
        server.stop()
        print(log.read_text(errors="replace"))


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Where a server of this test's own keeps everything."""
    with open_folder() as home:
        yield home / "data"


@pytest.fixture
def world(data_dir: Path, tmp_path: Path) -> Iterator[World]:
    """A server of this test's own, which it may end in any way."""
    with serving(data_dir, tmp_path / "server.log") as world:
        yield world


@pytest.fixture(scope="session")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One server for all tests of this process that leave it running."""
    log = tmp_path_factory.mktemp("lasting") / "server.log"
    with open_folder() as home, serving(home / "data", log, LASTING) as world:
        yield world


@pytest.fixture
def shared(lasting: World) -> Iterator[World]:
    """The lasting server, without tasks before and after."""
    yield lasting
    lasting.tidy()
