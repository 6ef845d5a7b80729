"""The build hook of wheel and source archive: where the page was not built yet, it is built first."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageHook(BuildHookInterface[Any]):
    """Sees that src/taskyard/static is there. A source archive has it, so whoever installs from one needs no Node."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Builds the page unless it is there; ends the build with a sentence when that cannot be done."""
        root = Path(self.root)
        if version == "editable" or (root / "src/taskyard/static/index.html").is_file():
            return
        done = subprocess.run([sys.executable, str(root / "scripts/build_page.py")], check=False)
        if done.returncode:
            raise SystemExit(
                "taskyard: the page for people belongs into the package and could not be built (why is said above). "
                "Build it in a clone with ./yard page, or install from the wheel or the source archive of a release, "
                "which have it."
            )
