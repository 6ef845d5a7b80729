"""What the page says of a server that runs its workspaces without walls."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from taskyard.sdk.local import LocalServer
from tests.system.kit import LASTING, LOGS, PASSWORD, World, open_folder
from tests.ui.page_kit import Browser

pytestmark = pytest.mark.all_tier


class OpenServer(LocalServer):
    """A server on a machine that has no walls to give: its root has no ids for workspaces."""

    def launcher(self) -> Sequence[str]:
        """What becomes the server."""
        return ("unshare", "--user", "--map-root-user")


@pytest.fixture
def open_world(browser: Browser, tmp_path: Path) -> Iterator[World]:
    """A server without walls, as whoever started it allowed."""
    log = tmp_path / "server.log"
    with open_folder() as home:
        options = ("--allow-unconfined",)
        server = OpenServer(home / "data", options=options, log=log, environment=LASTING)
        LOGS.add(log)
        try:
            server.start()
            world = World(server)
            yield world
            world.tidy()
            world.close()
        finally:
            server.stop()
            LOGS.discard(log)


def test_unconfined(browser: Browser, open_world: World, tmp_path: Path) -> None:
    """Every page says that workspaces have no walls, on a desk and on a phone."""
    task = open_world.create('echo "the answer is $((6 * 7))"', name="open")
    open_world.says(task.id, "the answer is 42")
    browser.plays(
        "unconfined",
        tmp_path,
        address=open_world.server.url,
        path=f"/tasks/ada/{task.id}",
        email="ada@example.com",
        password=PASSWORD,
    )
