"""The relay against a workspace that works together with what it connects to."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from taskyard.control.actors import AgentActor
from taskyard.control.egress import Grant
from taskyard.daemon.listen import listen_unix
from taskyard.daemon.relay import Relay
from taskyard.daemon.relay_seats import HALF_OPEN_IDLE_S, NAMES, Line, Seat
from taskyard_agent.splice import splice
from tests.control.test_egress import DEADLINE_S, Door, connected
from tests.control.test_egress import asked as requested
from tests.control.world_kit import World, background

pytestmark = pytest.mark.anyio


def quiet(line: Line) -> None:
    """It is looked at after a long time in which nothing moved."""
    line.look(0)
    line.look(HALF_OPEN_IDLE_S)


def over(line: Line) -> None:
    """Its workspace is stopped."""
    grant = Grant(AgentActor(uuid4(), uuid4(), uuid4(), 1, None), ())
    Seat("token", grant, {line}).end()


@pytest.mark.parametrize("ends", [quiet, over])
@pytest.mark.attack(
    "A workspace hangs up on a server that takes no bytes",
    wall="what is under way is bounded in size and time",
)
async def test_nothing_is_kept_for_who_never_reads(ends: Callable[[Line], None]) -> None:
    """What a workspace that hung up has sent is not kept for ever for a server that takes no bytes."""
    async with connected() as inside, connected() as outside:
        line = Line(inside, outside)
        async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as tasks:
            tasks.create_task(splice(inside, outside))
            outside.write(bytes(16 * 1024 * 1024))  # more than a kernel takes
            inside.abort()
            await inside.over.wait()
            assert not outside.over.is_set()
            ends(line)


@pytest.mark.attack(
    "A workspace asks for name after name that nobody answers",
    wall="a workspace has two look-ups at once",
)
async def test_names_without_an_answer_tie_up_two_hands_only(world: World, tmp_path: Path) -> None:
    """Whoever hangs up, and asks for another name, waits until an answer to the ones before is there."""
    asked, answer = list[str](), asyncio.Event()

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        await answer.wait()
        return ["127.0.0.1"]

    relay = Relay(world.services, resolve)
    door = Door(world, tmp_path / "relay.sock")
    async with background(world.services.doorbell.run(), relay.run(listen_unix(door.path))):
        await world.idle()
        made = await door.seat("*.slow.example:443")
        target = "a{}.slow.example:443"
        for number in range(NAMES):
            _, writer = await door.dial()
            writer.write(requested(target.format(number), made.token))
            async with asyncio.timeout(DEADLINE_S):
                while len(asked) <= number:
                    await asyncio.sleep(0.005)
                writer.close()
        assert await door.status(target.format("x"), made.token) == 504
        assert len(asked) == NAMES
        answer.set()
        assert await door.status(target.format("y"), made.token) == 403
