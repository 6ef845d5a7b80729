"""One server a test, or one for tests that only read and add."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.kit import LASTING, World, open_folder, serving


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
