"""Takes pictures of each page of a server in use into docs/images: light and dark, on a desk and on a phone.

A page that is missing from the list below has no pictures; look at each after a change of the page.
"""

import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from taskyard.sdk.local import LocalServer
from tests.system.kit import LASTING, PASSWORD, World, open_folder
from tests.ui.page_kit import HERE, Browser, build_page, open_browser
from tests.ui.seeds import seed

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"

SETTLE_S = 1.0
"""Seconds for what a server that was just used still has to tell."""


class Picture(msgspec.Struct, frozen=True):
    """A page: the name of its pictures, where it is, and words that are on it once it is whole."""

    name: str
    path: str
    words: str


UNUSED = (Picture("setup", "/", "create"),)
"""Pages of a server without users."""

NOBODY = (Picture("login", "/login", "password"),)
"""Pages for who is not signed in."""

EMPTY = (Picture("start", "/", "shell"),)
"""Pages of somebody without tasks."""

USED = (
    Picture("tasks", "/tasks", "Count the words"),
    Picture("task", "/tasks/ada/count-the-words", "second message is answered"),
    Picture("task-working", "/tasks/ada/build-for-ten-minutes", "step 1 of 600"),
    Picture("task-paused", "/tasks/ada/take-notes", "notes.txt"),
    Picture("task-failed", "/tasks/ada/use-a-program-that-is-missing", "no-such-program"),
)
"""Pages of somebody with the tasks of tests/ui/seeds.py."""


class Camera:
    """A browser, and whose pictures are wanted; none: all."""

    def __init__(self, browser: Browser, folder: Path, names: Sequence[str]) -> None:
        self._browser = browser
        self._folder = folder
        self._names = names
        self.failed = False

    def take(self, address: str, pictures: Sequence[Picture], person: Mapping[str, str]) -> None:
        """Takes those of the pictures that are wanted, for this person or nobody."""
        wanted = [each for each in pictures if not self._names or each.name in self._names]
        for each in wanted:
            given = {"address": address, "pictures": [each], **person}
            status, said = self._browser.run(HERE / "pictures.mjs", folder=self._folder, **given)
            self.failed = self.failed or status != 0
            print(f"{each.name}: {'4 pictures' if status == 0 else said}", flush=True)


def main() -> int:
    """0 when all pictures were taken."""
    parser = ArgumentParser(
        "./yard screenshots", description="Pictures of the page in docs/images."
    )
    parser.add_argument("--folder", type=Path, default=IMAGES, help="where they go instead")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a page; without one, all")
    options = parser.parse_args()
    folder: Path = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        build_page()
        camera = Camera(open_browser(), folder, options.names)
    except pytest.skip.Exception as missing:
        print(f"screenshots: {missing}", file=sys.stderr)
        return 1
    with open_folder() as home, tempfile.NamedTemporaryFile() as log:
        server = LocalServer(home / "data", log=Path(log.name), environment=LASTING)
        try:
            take_all(camera, server)
        finally:
            server.stop()
    return 1 if camera.failed else 0


def take_all(camera: Camera, server: LocalServer) -> None:
    """Each page, in the order in which somebody comes to it."""
    server.start()
    camera.take(server.url, UNUSED, {})
    world = World(server)
    person = {"email": "ada@example.com", "password": PASSWORD}
    try:
        camera.take(server.url, NOBODY, {})
        camera.take(server.url, EMPTY, person)
        seed(world)
        time.sleep(SETTLE_S)
        camera.take(server.url, USED, person)
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main())
