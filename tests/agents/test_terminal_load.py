"""What terminals cost: figures that are printed, and promises that hold on any machine. Source: agentapi 13."""

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.agents.fake_server import until
from tests.agents.terminal_kit import QUICK, Made, script, step, terminal

pytestmark = [pytest.mark.anyio, pytest.mark.all_tier]

SESSIONS = 20
IDLE_S = 5.0
BURST_BYTES = 10_000_000

BURST = """
import sys, time
sys.stdout.write("ready\\n> "); sys.stdout.flush()
sys.stdin.readline()
line = "".join(f"\\x1b[3{n % 8}mword{n}\\x1b[0m " for n in range(12)) + "\\n"
for _ in range(SIZE // len(line)): sys.stdout.write(line)
sys.stdout.write("the end\\n> "); sys.stdout.flush()
sys.stdin.readline()
"""


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


async def test_N4_idle_sessions(tmp_path: Path, figure: Callable[[str], None]) -> None:
    """Twenty idle sessions wake up for nothing; what they cost the processor is printed."""
    async with AsyncExitStack() as stack:
        made: list[Made] = []
        for number in range(SESSIONS):
            home = tmp_path / str(number)
            home.mkdir()
            opened = terminal(home, script(step("hello", "hi")), rows=1000, ready_timeout_s=None)
            made.append(await stack.enter_async_context(opened))
        for one in made:
            await one.stable()
        changes = [one.session.record.changes for one in made]
        await asyncio.sleep(1.5)  # what was written is on stable storage by then
        began, wall = time.process_time(), time.monotonic()
        await asyncio.sleep(IDLE_S)
        spent = (time.process_time() - began) / (time.monotonic() - wall)
        figure(f"{SESSIONS} idle sessions: {spent:.2%} of a core")
        assert [one.session.record.changes for one in made] == changes


async def test_N3_N6_a_burst_of_output(tmp_path: Path, figure: Callable[[str], None]) -> None:
    """Ten megabytes are read to their end while the status is answered; how fast is printed."""
    code = BURST.replace("SIZE", str(BURST_BYTES))
    command = [sys.executable, "-c", code]
    async with terminal(tmp_path, None, command=command, options=QUICK, rows=1000) as made:
        await made.stable()
        await made.say("go")
        began = time.monotonic()
        took: list[float] = []
        while "the end" not in made.session.screen_text():
            asked = time.monotonic()
            await made.status()
            took.append(time.monotonic() - asked)
            await asyncio.sleep(0.005)
        seconds = time.monotonic() - began
        took.sort()
        p99 = took[int(len(took) * 0.99)]
        figure(f"10 MB in {seconds:.2f} s; status p50 {took[len(took) // 2] * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms of {len(took)}")  # fmt: skip
        await until(lambda: made.session.pty_log.end >= BURST_BYTES)
        began = time.monotonic()
        await made.stable()
        figure(f"stable after {time.monotonic() - began:.2f} s more")
        spoken = made.session.record.conversation.messages
        await until(lambda: spoken[-1].content.endswith("the end"))
        last = (await made.messages())[-1][1]
        figure(f"the message has {len(last)} characters, {len(made.items())} items")
        assert last.endswith("the end")
