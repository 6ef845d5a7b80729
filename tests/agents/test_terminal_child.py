"""Programs in a terminal of their own: how they start, talk, and end. Each is a real process."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from taskyard_agent.process import AgentNotFound, Exit
from taskyard_agent.terminal.child import PtyChild, Terminal
from taskyard_agent.terminal.ptylog import PtyLog
from taskyard_agent.terminal.settle import HELD_S, LATEST_S, Settle
from tests.agents.fake_server import until
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

SELF = """
import os, sys, shutil
open("/dev/tty").close()
print(os.environ["TERM"], os.environ["SEEN"], "LINES" in os.environ, os.getcwd())
print(os.getsid(0) == os.getpid() == os.tcgetpgrp(0), *os.get_terminal_size())
"""

RAW = "import os, sys, time, tty; tty.setraw(0); print('ready', flush=True);"


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


class Heard:
    """What a program wrote."""

    def __init__(self) -> None:
        self.data = b""

    def __call__(self, data: bytes) -> None:
        self.data += data

    def __contains__(self, data: bytes) -> bool:
        return data in self.data


@asynccontextmanager
async def child(
    *argv: str, cwd: str = "/", terminal: Terminal | None = None
) -> AsyncIterator[tuple[PtyChild, Heard]]:
    heard = Heard()
    started = PtyChild.spawn(
        argv,
        env=dict(os.environ) | {"SEEN": "yes", "LINES": "7"},
        cwd=cwd,
        terminal=terminal or Terminal(),
        on_output=heard,
    )
    try:
        yield started, heard
    finally:
        await started.end(0.5)


def python(code: str) -> tuple[str, str, str]:
    return sys.executable, "-c", code


async def test_A14_N25_a_program_gets_a_terminal_of_its_own(tmp_path: Path) -> None:
    """It leads a session with that terminal, in our folder, with our whole environment and TERM, and knows the size."""
    async with child(*python(SELF), cwd=str(tmp_path)) as (started, heard):
        assert await started.wait() == Exit(0, None)
        assert heard.data.decode().split("\r\n") == [
            f"vt100 yes False {tmp_path}",
            "True 80 1000",
            "",
        ]


async def test_N25_the_kind_of_terminal_can_be_chosen() -> None:
    """TERM and the size are those that were asked for."""
    terminal = Terminal(100, 30, "xterm-256color")
    async with child("sh", "-c", "echo $TERM; stty size", terminal=terminal) as (started, heard):
        await started.wait()
        assert heard.data == b"xterm-256color\r\n30 100\r\n"


async def test_A14_a_program_that_is_not_there() -> None:
    """It is named, and so is a folder that is not there."""
    with pytest.raises(AgentNotFound, match="no-such-agent"):
        async with child("no-such-agent"):
            pass
    with pytest.raises(FileNotFoundError, match="/no/folder"):
        async with child("true", cwd="/no/folder"):
            pass


async def test_N32_a_large_text_waits_for_a_slow_reader() -> None:
    """200 KB reach a program that reads now and then, all of it and in order."""
    code = (
        RAW
        + "\nn = 0\nwhile n < 200000: time.sleep(0.001); n += len(os.read(0, 9000))\nprint('got', n, flush=True)"
    )
    async with child(*python(code)) as (started, heard):
        await until(lambda: b"ready" in heard)
        async with asyncio.timeout(DEADLINE_S):
            await started.write(b"x" * 200_000)
            await until(lambda: b"got 200000" in heard)


async def test_N32_a_program_that_does_not_read_holds_only_its_writer_up() -> None:
    """Writing waits; answers to questions are dropped; what was not read can be taken back."""
    async with child(*python(RAW + "time.sleep(60)")) as (started, heard):
        await until(lambda: b"ready" in heard)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await started.write(b"x" * 200_000)
        for _ in range(100):
            started.reply(b"y" * 4096)
        assert len(started._unwritten) <= 64 * 1024
        started.forget_unwritten()
        await started.write(b"z")


async def test_N6_output_that_is_not_read_stays_with_its_program() -> None:
    """While reading is paused the program has to wait, and then nothing is missing."""
    async with child("sh", "-c", "seq 100000; echo end") as (started, heard):
        started.pause_reading()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await started.wait()
        started.resume_reading()
        await started.wait()
        assert heard.data.split() == [*(b"%d" % n for n in range(1, 100_001)), b"end"]


async def test_N26_how_a_program_ended_is_known() -> None:
    """Its exit code or the signal, and its last words were heard by then."""
    async with child("sh", "-c", "echo bye; exit 7") as (started, heard):
        assert (await started.wait(), heard.data) == (Exit(7, None), b"bye\r\n")
    async with child("sh", "-c", "kill -9 $$") as (started, heard):
        assert await started.wait() == Exit(None, signal.SIGKILL)
        with pytest.raises(BrokenPipeError):
            await started.write(b"x")


async def test_A14_a_resize_is_told() -> None:
    """The program is signalled, and finds the new size."""
    code = (
        "import os, signal, sys; "
        # Not print, which may be at work on "ready" still.
        "told = lambda *_: (os.write(1, b'%d %d' % os.get_terminal_size()), os._exit(0)); "
        "signal.signal(signal.SIGWINCH, told); "
        "print('ready', flush=True); sys.stdin.read()"
    )
    async with child(*python(code)) as (started, heard):
        await until(lambda: b"ready" in heard)
        started.resize(100, 40)
        await started.wait()
        assert b"100 40" in heard


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


async def test_D14_nothing_that_it_started_survives() -> None:
    """Children end too: those that ignore signals, and those that a shell gave a group of their own."""
    script = "set -m; trap '' INT TERM HUP; sleep 60 & echo pid $!; sh -c 'trap \"\" INT TERM HUP; echo pid $$; sleep 60' & echo up; wait"
    async with child("bash", "-c", script) as (started, heard):
        await until(lambda: heard.data.count(b"pid") == 2)
        pids = [int(line[4:]) for line in heard.data.split(b"\r\n") if line.startswith(b"pid")]
        assert all(map(alive, pids))
        await started.end(0.2)
        assert not any(map(alive, [*pids, started.pid]))


async def test_A47_it_is_asked_first() -> None:
    """A program that ends on Ctrl-C or when its terminal goes gets the chance to."""
    for name, code in (("SIGINT", 3), ("SIGHUP", 4)):
        trap = f"trap 'exit {code}' {name.removeprefix('SIG')}; echo ready; while :; do read line; done"
        if name == "SIGHUP":
            trap = "trap '' INT; " + trap
        async with child("bash", "-c", trap) as (started, heard):
            await until(lambda heard=heard: b"ready" in heard)  # type: ignore[misc]  # bound now
            # Long enough for a busy machine; only the second one takes a part of it.
            assert await started.end(4) == Exit(code, None)


class Looks:
    """Counts the looks of a Settle."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.drawing = False
        self.settle = Settle(self.look, lambda: self.drawing)

    def look(self) -> None:
        self.times.append(asyncio.get_running_loop().time())


async def test_N28_A16_one_look_for_a_burst() -> None:
    """Output is looked at once it paused, never before 16 ms, and nothing runs without output."""
    looks = Looks()
    assert not looks.settle.pending
    began = asyncio.get_running_loop().time()
    for _ in range(5):
        looks.settle.output()
    await until(lambda: bool(looks.times))
    assert looks.times[0] - began >= 0.016
    assert not looks.settle.pending


async def test_N28_endless_output_is_looked_at_now_and_then() -> None:
    """A program that never pauses is looked at 48 ms after its first output, and again so."""
    looks = Looks()
    loop = asyncio.get_running_loop()
    began = loop.time()
    while len(looks.times) < 3:
        looks.settle.output()
        await asyncio.sleep(0)
    assert looks.times[0] - began >= LATEST_S * 0.99
    assert looks.times[2] - looks.times[0] >= 2 * LATEST_S * 0.99
    looks.settle.close()
    assert not looks.settle.pending


async def test_N24_half_drawn_screens_wait() -> None:
    """A program in the middle of drawing is not looked at, but for one that never comes to its end."""
    looks = Looks()
    looks.drawing = True
    began = asyncio.get_running_loop().time()
    looks.settle.output()
    await until(lambda: bool(looks.times))
    assert looks.times[0] - began >= HELD_S * 0.99
    looks.settle.output()
    looks.settle.now()
    assert (len(looks.times), looks.settle.pending) == (2, False)


async def test_N27_the_newest_bytes_are_kept(tmp_path: Path) -> None:
    """The log keeps at least half of its cap, at most all of it, under the same offsets, over restarts."""
    log = PtyLog(tmp_path, 1000)
    whole = b"".join(b"%04d" % n for n in range(1000))
    for start in range(0, 4000, 300):
        log.append(whole[start : start + 300])
    assert (log.end, log.lost) == (4000, 0)
    assert 500 <= log.end - log.first <= 1000
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == log.end - log.first
    log.close()
    again = PtyLog(tmp_path, 1000)
    again.append(b"more")
    got, offset = b"", again.first
    while part := again.read(offset, 333):
        got, offset = got + part, offset + len(part)
    assert got == whole[again.first :] + b"more"
    assert again.read(0, 10) == got[:10]
    assert again.read(offset, 10) == b""


async def test_N27_whoever_follows_the_log_is_told(tmp_path: Path) -> None:
    """A reader at the end waits for the next bytes; bytes that cannot be stored are counted."""
    log = PtyLog(tmp_path, 1000)
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(log.wait_beyond(0))
        await asyncio.sleep(0)
        assert not waiting.done()
        log.append(b"x")
    log.close()
    log.append(b"lost")
    assert (log.end, log.lost) == (1, 4)
