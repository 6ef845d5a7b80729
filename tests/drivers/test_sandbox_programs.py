"""Folders of the machine with programs for workspaces: seen, found, read-only, and never the server's own."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from taskyard.drivers.sandbox.driver import SandboxDriver
from taskyard.errors import DriverUnavailable
from tests.drivers.sandbox_kit import Yard, new_yard, quiet, spec, until

pytestmark = pytest.mark.anyio

SAY = (
    "{ hello; linked; plain; touch /opt/programs/1/x 2>/dev/null || echo read-only; "
    'echo "$PATH"; echo "$TASKYARD_CONFINED"; ls /opt/programs; } > said.new 2>&1; '
    "mv said.new said; exec sleep 1000"
)
ASK = ("/bin/sh", "-c", SAY)
"""Says what it finds, then waits."""


@pytest.fixture
async def yard() -> AsyncIterator[Yard]:
    async with new_yard() as made:
        yield made


@pytest.fixture
def programs(yard: Yard) -> Path:
    """What npm leaves: a program, and a link to one beside it; below a folder that only its owner may pass."""
    closed = yard.root.parent.parent / "closed"
    folder = closed / "agents"
    script(folder / "bin" / "hello", "hello from bin")
    script(folder / "node_modules" / "pkg" / "cli.js", "hello by a link")
    (folder / "node_modules" / ".bin").mkdir()
    (folder / "node_modules" / ".bin" / "linked").symlink_to("../pkg/cli.js")
    script(closed / "plain" / "plain", "hello from the folder itself")
    closed.chmod(0o700)
    return closed


def script(path: Path, says: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\necho {says}\n")
    path.chmod(0o755)


def driver(yard: Yard, *folders: Path, walls: bool = True) -> SandboxDriver:
    return SandboxDriver(
        yard.root,
        yard.link,
        allow_unconfined=not walls,
        agent_argv=ASK,
        bubblewrap=None if walls else Path("/bin/false"),
        programs=[str(folder) for folder in folders],
    )


async def said(yard: Yard, made: SandboxDriver) -> list[str]:
    wanted = spec()
    await made.ensure(wanted, quiet)
    path = yard.home(wanted.workspace_id) / "said"
    await until(path.exists)
    return path.read_text().splitlines()


async def test_programs_are_found_and_cannot_be_changed(yard: Yard, programs: Path) -> None:
    """bin, node_modules/.bin with its links, and the folder itself; before the system's, after the home's."""
    found = await said(yard, driver(yard, programs / "agents", programs / "plain"))
    assert found[:4] == [
        "hello from bin",
        "hello by a link",
        "hello from the folder itself",
        "read-only",
    ]
    assert found[4].split(":")[:5] == [
        "/home/agent/.local/bin",
        "/opt/programs/1/bin",
        "/opt/programs/1/node_modules/.bin",
        "/opt/programs/2",
        "/usr/local/sbin",
    ]
    assert found[5:] == ["1", "1", "2"]


async def test_a_link_to_a_folder_is_followed(yard: Yard, programs: Path) -> None:
    """As `current -> v24` of version managers."""
    (programs / "current").symlink_to("agents")
    assert (await said(yard, driver(yard, programs / "current")))[0] == "hello from bin"


async def test_without_walls_they_are_found_where_they_are(yard: Yard, programs: Path) -> None:
    """The machine's own paths are searched, and the workspace is not told that it is confined."""
    found = await said(yard, driver(yard, programs / "agents", programs / "plain", walls=False))
    assert found[:3] == ["hello from bin", "hello by a link", "hello from the folder itself"]
    assert f"{programs}/agents/bin" in "".join(found)
    assert "" in found


@pytest.mark.parametrize("walls", [True, False])
async def test_a_missing_folder_is_named(yard: Yard, programs: Path, *, walls: bool) -> None:
    """The server does not start; nothing is offered that would run without them."""
    with pytest.raises(DriverUnavailable, match=f"{programs}/nowhere is not there") as refused:
        await driver(yard, programs / "nowhere", walls=walls).probe()
    assert "--allow-unconfined" not in str(refused.value)


@pytest.mark.parametrize("name", ["/", "data", "data/run", "data/workspaces", "."])
async def test_the_server_s_files_are_not_programs(yard: Yard, name: str) -> None:
    """A folder that the data directory lies in, or that lies in it, is refused."""
    with pytest.raises(DriverUnavailable, match="the server's own files"):
        await driver(yard, yard.root.parent.parent / name).probe()


@pytest.mark.skipif(
    os.geteuid() != 0, reason="an ordinary user's folders are closed to nobody inside"
)
async def test_they_belong_to_the_machine(yard: Yard, programs: Path) -> None:
    """What only the server's user may read stays so."""
    (programs / "agents" / "bin" / "hello").chmod(0o700)
    assert "denied" in (await said(yard, driver(yard, programs / "agents")))[0]
