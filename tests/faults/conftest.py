"""Servers that tests break on purpose."""

from collections.abc import Iterator

import pytest

from tests.faults.waves import Herd
from tests.faults.yard import Yard, open_yard


@pytest.fixture(scope="module")
def broken_yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """One server and one worker for all cells of this process of the run."""
    with open_yard(tmp_path_factory.mktemp("yard") / "log") as yard:
        yield yard


@pytest.fixture(scope="module")
def herd(broken_yard: Yard) -> Herd:
    """Tasks for the cells."""
    return Herd(broken_yard)
