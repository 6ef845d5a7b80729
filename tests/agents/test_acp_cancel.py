"""What happens while a prompt is on its way to the agent: a cancel comes, or the agent does not read."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from taskyard_agent.bridge.session import Refused
from taskyard_agent.protocol import ItemKind
from tests.agents.acp_kit import acp
from tests.agents.fake_server import until

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


@pytest.mark.parametrize("prompt_id", [None, "p"])
async def test_N13_a_cancel_at_any_moment_of_the_sending(
    tmp_path: Path, prompt_id: str | None
) -> None:
    """From the moment that the session is running a cancel ends the turn, whether or not the agent has it yet."""
    large = "wait\n" + "x" * 300_000  # more than a pipe holds: it is read bit by bit
    async with acp(tmp_path) as running:
        await running.stable()
        for steps in range(12):
            name = None if prompt_id is None else f"{prompt_id}{steps}"
            async with asyncio.TaskGroup() as group:
                group.create_task(running.session.prompt(large, name))
                while running.session.turn is None:
                    await asyncio.sleep(0)
                for _ in range(steps):
                    await asyncio.sleep(0)
                assert running.session.turn.id == steps + 1
                await running.session.cancel()
            await running.stable()
        ends = running.data(ItemKind.TURN_END)
        assert ends == [{"reason": "cancelled", "error": None}] * 12
        assert len(running.data(ItemKind.USER_MESSAGE)) == 12


def agent_pid() -> int:
    """The one agent that this process runs."""
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    [pid] = [p for p in found if b"acp_puppet" in Path(f"/proc/{p}/cmdline").read_bytes()]
    return int(pid)


async def test_an_agent_that_does_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The prompt is refused, the agent replaced, the turn over: the session takes the next prompt."""
    async with acp(tmp_path) as running:
        await running.stable()
        frozen = agent_pid()
        os.kill(frozen, signal.SIGSTOP)
        with monkeypatch.context() as patch:
            patch.setattr("taskyard_agent.acp.OPEN_TIMEOUT_S", 0.2)  # not for the next one's start
            with pytest.raises(Refused) as caught:
                await running.session.prompt("x" * 300_000, None)
        assert caught.value.code == "timeout"
        await until(lambda: running.data(ItemKind.TURN_END))
        await running.stable()
        [end] = running.data(ItemKind.TURN_END)
        assert end["reason"] == "agent_exit"
        assert agent_pid() != frozen
        await running.turn("echo")
