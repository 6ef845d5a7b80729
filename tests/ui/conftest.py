"""One browser program, and one server for all scenarios that do not need one of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from taskyard.sdk.local import LocalServer
from tests.system.kit import LASTING, LOGS, World, open_folder, serving, steady_port
from tests.ui.page_kit import Browser, build_page, open_browser


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files of this folder are two groups of a run by several processes: more browsers at once are slower in all."""
    here = Path(__file__).parent
    files = sorted({item.path for item in items if item.path.parent == here})
    for item in items:
        if item.path in files:
            item.add_marker(pytest.mark.xdist_group(str(files.index(item.path) % 2)))


@pytest.fixture(scope="session")
def browser() -> Browser:
    """The browser of this machine, with the page built that it will be shown."""
    build_page()  # first: in CI it may bring the node that the browser is driven by
    return open_browser()


@pytest.fixture
def unused_server(browser: Browser, tmp_path: Path) -> Iterator[LocalServer]:
    """A server that nobody has used yet, of this test's own."""
    log = tmp_path / "server.log"
    with open_folder() as home:
        server = LocalServer(home / "data", log=log, environment=LASTING)
        LOGS.add(log)
        try:
            server.start()
            yield server
        finally:
            server.stop()
            LOGS.discard(log)


@pytest.fixture(scope="session")
def lasting(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One server for all scenarios that leave it running."""
    log = tmp_path_factory.mktemp("page") / "server.log"
    with open_folder() as home, serving(home / "data", log, LASTING) as world:
        yield world


@pytest.fixture
def world(lasting: World) -> Iterator[World]:
    """The lasting server, without tasks before and after."""
    yield lasting
    lasting.tidy()


@pytest.fixture
def steady_world(browser: Browser, tmp_path: Path) -> Iterator[World]:
    """A server of this test's own, which is found at the same address when it was stopped and is started again."""
    options = ("--port", str(steady_port()))
    with (
        open_folder() as home,
        serving(home / "data", tmp_path / "server.log", LASTING, options) as world,
    ):
        yield world
