"""What a turn that was cut off left running."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from taskyard_agent.strays import MARK, Strays, now_s
from tests.waiting import DEADLINE_S, until

pytestmark = pytest.mark.anyio

Start = Callable[..., subprocess.Popen[bytes]]

TICK_S = 0.02
"""Seconds after which the kernel's clock for processes has moved on."""


@pytest.fixture
def strays() -> Strays:
    return Strays()


@pytest.fixture
def start(strays: Strays) -> Iterator[Start]:
    """Starts a program in a session of its own, with the mark."""
    made: list[subprocess.Popen[bytes]] = []

    def start(*argv: str, **env: str) -> subprocess.Popen[bytes]:
        marked = {"PATH": os.environ["PATH"], MARK: strays.mark} | env
        made.append(subprocess.Popen(argv, env=marked, start_new_session=True))
        return made[-1]

    yield start
    for process in made:
        process.kill()
        process.wait()


def tick() -> None:
    """Returns when what is started now is later than what was started before."""
    later = now_s() + TICK_S
    until("the next tick", lambda: now_s() > later or None)


async def test_what_the_turn_started_ends(start: Start, strays: Strays) -> None:
    """Processes of other sessions that were started in the turn, and no others."""
    agent, before = start("sleep", "60"), start("sleep", "60")
    tick()
    strays.begin(agent.pid)
    one, other = start("sleep", "60"), start("sleep", "60")
    elsewhere = start("sleep", "60", **{MARK: "another"})
    assert await strays.end() == 2
    assert (one.wait(DEADLINE_S), other.wait(DEADLINE_S)) == (-15, -15)
    assert [p.poll() for p in (agent, before, elsewhere)] == [None] * 3


async def test_the_agents_own_session_is_spared(start: Start, strays: Strays) -> None:
    """The agent sees to what runs in it, such as servers that the next turn needs."""
    strays.begin(0)
    agent = start("sleep", "60")
    strays.begin(agent.pid)
    assert await strays.end() == 0
    assert agent.poll() is None


async def test_one_that_will_not_end_is_killed(
    start: Start, strays: Strays, tmp_path: Path
) -> None:
    """After a moment in which it could have saved its work."""
    ready = tmp_path / "ready"
    words = "import pathlib, signal, sys, time; signal.signal(15, signal.SIG_IGN)"
    words += "; pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"
    strays.begin(0)
    deaf = start(sys.executable, "-c", words, str(ready))
    until("a program that ignores signals", lambda: ready.exists() or None)
    assert await strays.end() == 1
    assert deaf.wait(DEADLINE_S) == -9
