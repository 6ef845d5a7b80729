"""Scenarios in a real browser: a file of steps, played by node against a server."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import msgspec

from scripts.build_page import Node, Wrong, find_node
from tests.house.tree import ROOT
from tests.npm import missing, packages
from tests.system.kit import processes_of
from tests.ui.backstage import Backstage, Deed
from tests.waiting import DEADLINE_S, until

HERE = Path(__file__).parent
SCENARIOS = HERE / "scenarios"

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
"""What browsers of the kind that is driven are called."""

SCENARIO_S = 4 * DEADLINE_S
"""Seconds for a scenario, which takes 20 on a quiet machine; pytest ends a process whose test takes 600."""

LEAVE_S = 5
"""Seconds that a scenario that took too long gets to end its browser."""

_COLOURS = re.compile("\x1b\\[[0-9;]*m")
"""How what drives the browser colours its words, wherever they go."""


@dataclass(frozen=True, slots=True)
class Browser:
    """What plays scenarios: the browser's program, and node with the packages that drive it."""

    program: str
    node: Node
    modules: Path
    deeds: Mapping[str, Deed] = field(default_factory=dict)

    def having(self, **deeds: Deed) -> Self:
        """The same, but its scenarios may have these things done here: `await backstage("stop")`; see backstage.py."""
        return replace(self, deeds=deeds)

    def plays(self, scenario: str | Path, folder: Path, **given: object) -> None:
        """Returns once a scenario went well; fails with what it said. folder gets pictures of the pages then."""
        file = SCENARIOS / f"{scenario}.mjs" if isinstance(scenario, str) else scenario
        with Backstage(self.deeds) as stage:
            told = {**given, "folder": folder, "backstage": stage.address}
            status, said = self.run(HERE / "run.mjs", file, **told)
        assert status == 0, f"{file.name} failed:\n{said}"

    def run(self, *words: str | Path, **given: object) -> tuple[int, str]:
        """The status of a program for node that uses the browser, and all that it said."""
        # Short, for browsers make sockets in it, and theirs alone, so that what is left of them is found.
        home = Path(tempfile.mkdtemp(prefix="taskyard-ui-"))
        told = {
            "patienceMs": int(DEADLINE_S * 1000),
            **given,
            "chromium": self.program,
            "modules": self.modules,
        }
        environment = {
            **self.node.environment,
            "TMPDIR": str(home),
            "HOME": str(home),
            "TASKYARD_SCENARIO": msgspec.json.encode(told, enc_hook=str).decode(),
        }
        try:
            return _ran([*self.node.node, *map(str, words)], environment)
        finally:
            _end_what_is_left(home)
            shutil.rmtree(home, ignore_errors=True)


def open_browser() -> Browser:
    """The browser of this machine; skips where there is none, or no node, but fails in CI."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        missing("the tests of the page need Chromium: install it (apt-get install chromium)")
    try:
        node = find_node()
    except Wrong as error:
        missing(str(error))
    return Browser(program, node, packages(HERE, ROOT / ".venv-ui", "the tests of the page", node))


def build_page() -> None:
    """Returns once the page is that of ui/; skips where it cannot be built, but fails in CI, which gets Node first."""
    command = (
        ["./yard", "page"] if os.environ.get("CI") else [sys.executable, "scripts/build_page.py"]
    )
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        missing(f"the page was not built:\n{done.stderr}")


def _ran(command: list[str], environment: Mapping[str, str]) -> tuple[int, str]:
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=SCENARIO_S)
        except subprocess.TimeoutExpired:
            process.terminate()
            try:
                said, _ = process.communicate(timeout=LEAVE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                said, _ = process.communicate()
            said += f"\nit was still at it after {SCENARIO_S:g} s"
        return process.returncode or 0, _COLOURS.sub("", said)


def _end_what_is_left(home: Path) -> None:
    """Ends what a browser left running, and waits until it is gone."""
    for pid in processes_of(home):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until("the browser to be gone", lambda: None if processes_of(home) else True)
