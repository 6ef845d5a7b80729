"""Who attacks, from where: the fixtures of hostile.py."""

from collections.abc import Iterator
from functools import cache

import pytest

from taskyard.lifecycle.walls import Backend
from tests.drivers.runc_kit import yard_for
from tests.security.hostile import (
    ACCOUNTS,
    BACKENDS,
    Camp,
    HostileWorld,
    camp_of,
    hostile_world_in,
    why_not,
)
from tests.system.kit import open_folder


@cache
def _why_not(account: str) -> str:
    return why_not(account)


@pytest.fixture(scope="module", params=ACCOUNTS)
def account(request: pytest.FixtureRequest) -> str:
    """Who runs the driver."""
    name = str(request.param)
    if why := _why_not(name):
        pytest.skip(why)
    return name


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest, account: str) -> str:
    """What the walls are made of."""
    name = str(request.param)
    if name == "runc":
        if account != "root":
            pytest.skip("runc is for servers that run as root")
        yard_for(Backend.RUNC)
    return name


@pytest.fixture(scope="module")
def camp(account: str, backend: str) -> Iterator[Camp]:
    """A driver of this account, for all tests of a module."""
    with camp_of(account, backend) as made:
        yield made


@pytest.fixture(scope="session")
def hostile_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileWorld]:
    """A server with an attacker and a victim, for all tests of this process."""
    log = tmp_path_factory.mktemp("hostile") / "server.log"
    with open_folder() as home, hostile_world_in(home, log) as made:
        yield made
