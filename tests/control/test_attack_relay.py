"""The relay against a workspace that works together with what it connects to."""

import asyncio
from collections.abc import Callable
from uuid import uuid4

import pytest

from taskyard.control.actors import AgentActor
from taskyard.control.egress import Grant
from taskyard.daemon.relay import HALF_OPEN_IDLE_S, Line, Seat
from taskyard_agent.splice import splice
from tests.control.test_egress import DEADLINE_S, connected

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
