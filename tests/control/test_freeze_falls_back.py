"""A pause that is to freeze, where nothing can be frozen: as for an ordinary user's server without control groups."""

import pytest
from msgspec.structs import replace

from taskyard.drivers.base import PlaceState
from taskyard.lifecycle.template_model import Pause
from taskyard.wire.enums import LogLevel, Transition
from tests.control.world_kit import TEMPLATE, World

pytestmark = pytest.mark.anyio


async def test_it_is_stopped_and_the_log_says_why(world: World) -> None:
    """The pause succeeds, nothing runs any more, no room is taken, and the build's log has the driver's reason."""
    freezing = replace(TEMPLATE, workspace=replace(TEMPLATE.workspace, pause=Pause.FREEZE))
    place = await world.workspace({}, template=freezing)
    async with world.working():
        await world.settled(place)
        await world.build(place, Transition.STOP)
        build = await world.settled(place)
    assert build.job_error is None
    assert (await world.driver.observe(place.id)).state is PlaceState.STOPPED
    [said] = [line for line in await world.logs(build) if line.level is LogLevel.WARN]
    assert "cannot be frozen (the echo driver has no processes" in said.output
    assert said.output.endswith("it is stopped instead.")
    taken = "select count(*) from workspace_room where workspace_id = $1 and taken"
    assert await world.value(taken, place.id) == 0
