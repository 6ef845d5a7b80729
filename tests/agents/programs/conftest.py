"""One scripted model for all real programs of a process of the run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agents.model.server import Model, serving_model
from tests.agents.programs.product_kit import Product, open_product
from tests.agents.programs.program import ACP, ALL, Program
from tests.agents.programs.program_kit import open_home


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


@pytest.fixture(scope="session")
def model() -> Iterator[Model]:
    """The model that they all talk to."""
    with serving_model() as model:
        yield model


@pytest.fixture
def home() -> Iterator[Path]:
    """A home directory of this test's own, where nothing may be left running."""
    with open_home() as home:
        yield home


@pytest.fixture(params=ALL, ids=lambda program: program.name)
def program(request: pytest.FixtureRequest) -> Program:
    """Each coding agent in turn, the one with a screen too."""
    found = request.param
    assert isinstance(found, Program)
    return found


@pytest.fixture(params=ACP, ids=lambda program: program.name)
def speaker(request: pytest.FixtureRequest) -> Program:
    """Each that speaks ACP."""
    found = request.param
    assert isinstance(found, Program)
    return found


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Iterator[Product]:
    """One server for all that goes through the whole product."""
    log = tmp_path_factory.mktemp("product") / "server.log"
    with open_product(log, model) as product:
        yield product
