"""Fixtures of the tests of workers and the reconciler."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskyard.control.services import Services
from tests.control.world_kit import World


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of the loopback that nobody listens on, and that nobody else gets meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
async def world(services: Services, tmp_path: Path) -> World:
    """One user and the echo driver, on a database of this test's own."""
    world = World(services, tmp_path / "echo")
    await world.found()
    return world
