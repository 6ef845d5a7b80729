"""What is where the sandbox driver keeps workspaces and has no record."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from taskyard.drivers.base import PlaceState
from tests.drivers.sandbox_kit import Yard, new_yard, processes_of, quiet, spec, until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def yard() -> AsyncIterator[Yard]:
    async with new_yard() as made:
        yield made


@pytest.mark.parametrize("walls", [True, False])
async def test_processes_whose_folder_was_taken_away_are_ended(yard: Yard, *, walls: bool) -> None:
    """Nobody else could find them again; those of a workspace that has its folder go on."""
    driver = yard.driver(walls=walls)
    lost, kept = spec(), spec()
    for one in (lost, kept):
        await driver.ensure(one, quiet)
    shutil.rmtree(yard.root / str(lost.workspace_id))
    told = await driver.strays()
    assert told
    assert all(str(lost.workspace_id) in sentence for sentence in told)
    await until(lambda: not processes_of(lost.workspace_id))
    assert (await driver.observe(kept.workspace_id)).state is PlaceState.RUNNING
    assert list(await driver.strays()) == []


async def test_what_is_somebody_else_s_is_named_and_stays(yard: Yard, tmp_path: Path) -> None:
    """A folder, a file and a link among the workspaces are told of and not touched."""
    driver = yard.driver()
    (yard.root / "photos").mkdir()
    (yard.root / "notes.txt").write_text("mine")
    (yard.root / "link").symlink_to(tmp_path)
    told = await driver.strays()
    assert len(told) == 3
    assert all(sentence.endswith("and stays") for sentence in told)
    assert (yard.root / "notes.txt").read_text() == "mine"
    assert tmp_path.is_dir()


async def test_a_damaged_record_hides_no_other_workspace(yard: Yard) -> None:
    """What cannot be read is listed as such, with the sentence; the others are seen."""
    driver = yard.driver()
    bad, good = spec(), spec()
    for one in (bad, good):
        await driver.ensure(one, quiet)
    record = yard.root / str(bad.workspace_id) / "record.json"
    text = record.read_bytes()
    record.write_bytes(b"{")
    seen = {one.workspace_id: one for one in await driver.list()}
    assert seen[good.workspace_id].state is PlaceState.RUNNING
    assert seen[bad.workspace_id].state is PlaceState.UNKNOWN
    assert "damaged" in seen[bad.workspace_id].detail
    record.write_bytes(text)
