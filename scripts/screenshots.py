"""Takes pictures of each page of a server in use into docs/images: light and dark, on a desk and on a phone.

A page that is missing from the list below has no pictures; look at each after a change of the page.
"""

import re
import socket
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from taskyard.sdk.local import LocalServer
from tests.system.kit import LASTING, PASSWORD, World, open_folder
from tests.ui.office import Office, repository
from tests.ui.page_kit import HERE, Browser, build_page, open_browser

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"

SETTLE_S = 1.0
"""Seconds for what a server that was just used still has to tell."""

PORT = 4180
"""Where the server listens, as pages show its address; the next one is that of its apps."""

SETTINGS = LASTING | {
    "TASKYARD_MAX_RUNNING": "20",  # whatever this machine would say
    "TASKYARD_APPS_LISTEN": f"127.0.0.1:{PORT + 1}",
}

PHASE_MS = {
    "queued": 30,
    "preparing": 40,
    "starting": 260,
    "connecting": 410,
    "scripts": 640,
    "coding_agent": 520,
    "first_prompt": 60,
    "first_answer": 1400,
}
"""How long phases take in pictures, whatever they took."""

SAME = (
    (re.escape(socket.gethostname()), "yard"),
    (r'("latency_ms":)[\d.]+,"size_bytes":\d+', '$1 0.6,"size_bytes":12582912'),
    (r'("free_bytes":)\d+,"size_bytes":\d+', '$1 64000000000,"size_bytes":256000000000'),
)
"""Patterns of what the server tells otherwise each time, and what is shown in their place."""

KINDS = tuple((scheme, window) for scheme in ("light", "dark") for window in ("desktop", "phone"))
"""Each page has a picture of each."""

PATIENCE_MS = 20_000
"""Milliseconds for a page to have its words: one that lacks them shall not hold up the others."""


class Step(msgspec.Struct, frozen=True):
    """A click on the page before its picture, and what is typed then."""

    role: str
    name: str
    type: str | None = None


class Picture(msgspec.Struct, frozen=True):
    """A page: the name of its pictures, where it is, and words that are on it once it is whole.

    told: keys of answers that the server shall have given, by pattern of their address. offline: words after which the
    connection is cut.
    """

    name: str
    path: str
    words: str
    steps: Sequence[Step] = ()
    told: Mapping[str, Mapping[str, Any]] = {}
    offline: str = ""


UNUSED = (Picture("setup", "/", "create"),)
"""Pages of a server without users."""

NOBODY = (Picture("login", "/login", "password"),)
"""Pages for who is not signed in."""

EMPTY = (Picture("start", "/", "shell"),)
"""Pages of somebody without tasks."""

MENDED = "/tasks/ada/months-end-at-midnight"

USED = (
    Picture("tasks", "/tasks", "Count the words"),
    Picture("tasks-offline", "/tasks", "no connection|reconnect", offline="Make the export faster"),
    Picture(
        "tasks-unconfined",
        "/tasks",
        "not confined",
        told={"**/api/v2/buildinfo": {"confined": False}},
    ),
    Picture("new-task", "/tasks/new", "prompt"),
    Picture("task", MENDED, "exclusive"),
    Picture(
        "task-terminal",
        f"{MENDED}?tab=terminal",
        "2 files changed",
        [Step("textbox", "terminal input", "cd ~/project; clear; git diff --stat\n")],
    ),
    Picture("task-apps", f"{MENDED}?tab=apps", "Open in a new tab"),
    Picture("task-files", f"{MENDED}?tab=files", "periods.py"),
    Picture("task-network", f"{MENDED}?tab=network", "updates.example.org"),
    Picture("task-log", f"{MENDED}?tab=log", "generation"),
    Picture("task-shell", "/tasks/ada/count-the-words", "most frequent"),
    Picture("task-working", "/tasks/ada/make-the-export-faster", "held in memory"),
    Picture("task-permission", "/tasks/ada/move-reports-to-the-new-table", "always allow"),
    Picture("task-starting", "/tasks/ada/set-up-the-nightly-report", "start script"),
    Picture("task-queued", "/tasks/grace/check-links-of-the-handbook", "queue"),
    Picture("task-paused", "/tasks/ada/sort-out-the-flaky-login-test", "freeze the clock"),
    Picture("task-failed", "/tasks/ada/try-the-local-model", "local-agent"),
    Picture("task-secret", "/tasks/ada/publish-the-package", "REGISTRY_TOKEN"),
    Picture("templates", "/templates", "Reports"),
    Picture("template", "/templates/reports", "what it asks"),
    Picture("upload", "/templates/new", "choose a folder"),
    Picture("tokens", "/account/tokens", "pipeline"),
    Picture("secrets", "/account/secrets", "MODEL_KEY"),
    Picture("account", "/account", "password"),
    Picture("users", "/admin/users", "grace"),
    Picture("audit", "/admin/audit", "signed in"),
    Picture("health", "/admin/health", "database"),
    Picture("gone", "/tasks/ada/no-such-task", "no such task"),
)
"""Pages of somebody with the tasks of tests/ui/office.py."""


class Camera:
    """A browser, and whose pictures are wanted; none: all."""

    def __init__(
        self, browser: Browser, folder: Path, names: Sequence[str], *, png: str | None
    ) -> None:
        self._browser = browser
        self._folder = folder
        self._names = names
        self._png = png
        self.failed = False

    def take(
        self,
        address: str,
        pictures: Sequence[Picture],
        person: Mapping[str, str],
        made: Sequence[tuple[str, int]] = (),
    ) -> None:
        """Takes those of the pictures that are wanted, for this person or nobody."""
        wanted = [each for each in pictures if not self._names or each.name in self._names]
        if not wanted:
            return
        print(", ".join(each.name for each in wanted), flush=True)
        for scheme, window in KINDS:
            status, said = self._browser.run(
                HERE / "pictures.mjs",
                folder=self._folder,
                address=address,
                pictures=wanted,
                times={"made": made, "same": SAME, "phases": PHASE_MS},
                colorScheme=scheme,
                window=window,
                patienceMs=PATIENCE_MS,
                png=self._png,
                **person,
            )
            self.failed = self.failed or status != 0
            print(f"  {scheme}, {window}" + (f"\n{said}" if said else ""), flush=True)


def main() -> int:
    """0 when all pictures were taken."""
    parser = ArgumentParser(
        "./yard screenshots", description="Pictures of the page in docs/images."
    )
    parser.add_argument("--folder", type=Path, default=IMAGES, help="where they go instead")
    parser.add_argument("--png", metavar="FOLDER", help="copies as PNG, for programs without WebP")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a page; without one, all")
    options = parser.parse_args()
    folder: Path = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        build_page()
        camera = Camera(open_browser(), folder, options.names, png=options.png)
    except pytest.skip.Exception as missing:
        print(f"screenshots: {missing}", file=sys.stderr)
        return 1
    with open_folder() as home, tempfile.NamedTemporaryFile() as log:
        server = LocalServer(
            home / "data",
            options=("--port", str(PORT)),
            log=Path(log.name),
            environment=SETTINGS,
        )
        try:
            take_all(camera, server, home)
        finally:
            server.stop()
    return 1 if camera.failed else 0


def take_all(camera: Camera, server: LocalServer, home: Path) -> None:
    """Each page, in the order in which somebody comes to it."""
    server.start()
    camera.take(server.url, UNUSED, {})
    world = World(server)
    person = {"email": "ada@example.com", "password": PASSWORD}
    with repository(home / "git") as shared:
        office = Office(world, shared)
        try:
            camera.take(server.url, NOBODY, {})
            camera.take(server.url, EMPTY, person)
            office.furnish()
            time.sleep(SETTLE_S)
            camera.take(server.url, USED, person, office.starts)
        finally:
            office.close()
            world.close()


if __name__ == "__main__":
    sys.exit(main())
