import time, pytest
from bench.crowd import seed
from tests.api.conftest import serving
from tests.api.seed import connected
pytestmark = pytest.mark.anyio
async def test_x(services, database_url):
    await seed(database_url, 30000)
    async with serving(services) as url, connected(services, url) as api:
        for q in ("", "?q=status:paused", "?q=status:unknown"):
            for _ in range(2):
                t=time.monotonic(); n=0
                async with api.client.stream("GET", "/api/v2/tasks"+q, headers={"Coder-Session-Token": api.owner.token}) as r:
                    async for part in r.aiter_raw():
                        n+=len(part)
                print("TIME", q, round(time.monotonic()-t,2), n)
