"""One server for all clients, as it is after somebody signed in from the command line."""

from collections.abc import Iterator

import pytest

from taskyard.sdk.local import LocalServer
from tests.clients.editor import Editor
from tests.clients.go_cli import CLI
from tests.clients.served import GRACE, Served
from tests.system.kit import LASTING, open_folder


@pytest.fixture(scope="session")
def open_yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that lives as long as this process's tests of clients."""
    log = tmp_path_factory.mktemp("clients") / "server.log"
    with open_folder() as home:
        server = LocalServer(home / "data", log=log, environment=LASTING | GRACE)
        server.start()
        try:
            yield Served(server)
        finally:
            server.stop()
            print(log.read_text(errors="replace"))


@pytest.fixture
def served(open_yard: Served) -> Iterator[Served]:
    """The server, without tasks and workspaces before and after."""
    yield open_yard
    open_yard.tidy()


@pytest.fixture
def cli(served: Served) -> CLI:
    """The command line of the first user."""
    return served.cli()


@pytest.fixture
def editor(served: Served) -> Editor:
    """The editor of the first user."""
    return Editor(served.url, served.token)
