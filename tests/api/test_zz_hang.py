import pytest
from tests.api.conftest import serving
from tests.api.seed import connected
pytestmark = pytest.mark.anyio
@pytest.fixture
async def broken(services):
    async with serving(services) as url, connected(services, url) as connection:
        raise RuntimeError("fixture broke")
        yield connection
async def test_it(broken):
    pass
@pytest.fixture
async def late(services):
    async with serving(services) as url, connected(services, url) as connection:
        yield connection
        raise RuntimeError("late")
async def test_late(late):
    pass
