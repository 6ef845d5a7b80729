"""What is left by a server that was killed while it tried what the machine can do, or began a start."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from taskyard.drivers.sandbox.place import Place
from taskyard.drivers.sandbox.trials import sweep_trials, trial
from taskyard.drivers.sandbox.uids import claim_uid
from taskyard.lifecycle.walls import Overlay
from tests.drivers.sandbox_kit import Yard, new_yard, quiet, spec

pytestmark = pytest.mark.anyio


@pytest.fixture
async def yard() -> AsyncIterator[Yard]:
    async with new_yard() as made:
        yield made


def all_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


async def test_a_new_server_sweeps_what_trials_left(yard: Yard) -> None:
    """Folders, users and containers of trials whose server is gone; a workspace keeps what it has."""
    driver, kept = yard.driver(), spec()
    await driver.ensure(kept, quiet)
    before = {name for name in all_in(yard.root) if not name.startswith(".cgroups")}
    dead = uuid4()
    for name in (f".probe-1-0-{dead}", ".probe-wkx3_7"):
        (yard.root / name / "home" / "closed").mkdir(parents=True, mode=0o000)
    (yard.root / ".runc" / f"probe-1-0-{dead}").mkdir(parents=True)
    (yard.root / ".runc" / "probe-wkx3_7").mkdir()
    claim_uid(yard.root, dead)
    claim_uid(yard.root, uuid4())
    await yard.driver().probe()
    after = {name for name in all_in(yard.root) if not name.startswith(".cgroups")}
    assert after - {".runc", ".uids"} == before - {".runc", ".uids"}
    await driver.destroy(kept.workspace_id)


def test_a_trial_that_goes_on_is_left_alone(tmp_path: Path) -> None:
    """Another server may start meanwhile; afterwards nothing of it is there."""
    name = uuid4()
    with trial(tmp_path, name) as place:
        claim_uid(tmp_path, name)
        before = all_in(tmp_path)
        sweep_trials(tmp_path)
        assert all_in(tmp_path) == before
        assert place.folder.is_dir()
    sweep_trials(tmp_path)
    assert all_in(tmp_path) == {".uids"}


async def test_layers_that_were_not_finished_go_with_the_next_start(yard: Yard) -> None:
    """A folder that was to become a workspace's layers does not stay beside them."""
    driver, made = yard.driver(), spec(overlay=Overlay.SCRATCH)
    place = Place(yard.root, str(made.workspace_id))
    (place.folder / "usr-x1y2" / "upper").mkdir(parents=True)
    await driver.ensure(made, quiet)
    assert not list(place.folder.glob("usr-*"))
    assert place.overlay.is_dir()
    await driver.destroy(made.workspace_id)
