"""Fixtures of the tests of workers and the reconciler."""

from pathlib import Path

import pytest

from taskyard.control.services import Services
from tests.control.world_kit import World


@pytest.fixture
async def world(services: Services, tmp_path: Path) -> World:
    """One user and the echo driver, on a database of this test's own."""
    world = World(services, tmp_path / "echo")
    await world.found()
    return world
