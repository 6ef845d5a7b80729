"""Child processes: what they say is heard, and nothing of them is left."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from taskyard_agent.process import STDERR_LINES, AgentExited, AgentNotFound, Child, Exit
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


async def bash(script: str, **extra: str) -> Child:
    return await Child.spawn(
        ["bash", "-c", script], env={"PATH": os.environ["PATH"], **extra}, cwd="/"
    )


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


async def first_line(child: Child) -> str:
    async with asyncio.timeout(DEADLINE_S):
        return (await child.stdout.readline()).decode().strip()


async def test_output_and_exit_code() -> None:
    """Output, last words and exit code of a program that ends by itself are all there."""
    child = await bash("echo out; echo one >&2; printf two >&2; exit 3")
    assert await child.wait() == Exit(3, None)
    assert await child.stdout.read() == b"out\n"
    assert child.stderr_tail() == ["one", "two"]
    assert await child.end(1) == Exit(3, None)
    assert "two" in str(AgentExited(Exit(3, None), child.stderr_tail()))


async def test_input_arrives() -> None:
    """What is written arrives whole and in order, and drain() waits for a slow reader."""
    child = await bash("cat")
    data = os.urandom(1_000_000)
    child.write_now(data)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(child.drain())
        assert await child.stdout.readexactly(len(data)) == data
    await child.end(1)
    with pytest.raises(ConnectionError):
        await child.drain()


async def test_environment_is_the_given_one() -> None:
    """A child sees exactly the environment that it was given, nothing of ours."""
    child = await Child.spawn(["/usr/bin/env"], env={"ONLY": "this"}, cwd="/")
    await child.wait()
    assert await child.stdout.read() == b"ONLY=this\n"
    await child.end(1)


@pytest.mark.parametrize("name", ["no-such-agent", "/etc/passwd", "/no/such/agent"])
async def test_missing_program(name: str) -> None:
    """A program that is missing or cannot be run is named, with the PATH that was searched."""
    with pytest.raises(AgentNotFound) as caught:
        await Child.spawn([name], env={"PATH": "/bin"}, cwd="/")
    assert (caught.value.command, caught.value.path) == (name, "/bin")


async def test_missing_folder() -> None:
    """A missing folder is not reported as a missing program."""
    with pytest.raises(FileNotFoundError):
        await Child.spawn(["true"], env={}, cwd="/no/such/folder")


async def test_a_flood_on_stderr_does_not_hang() -> None:
    """A program may write megabytes to standard error; the newest thousand lines are kept."""
    lines: list[str] = []
    program = "import sys\nfor n in range(50000): sys.stderr.write(f'{n:019d}\\n')\nprint('done')"
    child = await Child.spawn(
        [sys.executable, "-c", program], env={}, cwd="/", on_stderr=lines.append
    )
    assert await first_line(child) == "done"
    await child.wait()
    assert len(lines) == 50_000
    assert child.stderr_tail(9999) == lines[-STDERR_LINES:]
    await child.end(1)


async def test_a_line_without_end_is_cut() -> None:
    """A megabyte without a line end does not become one line in memory."""
    child = await bash("head -c 1000000 /dev/zero | tr '\\0' x >&2; echo done")
    assert await first_line(child) == "done"
    await child.wait()
    tail = child.stderr_tail(9999)
    assert max(map(len, tail)) <= 8 * 1024
    assert sum(map(len, tail)) == 1_000_000
    await child.end(1)


async def test_a_group_that_ignores_sigterm_is_killed() -> None:
    """What does not listen is gone after the grace, grandchildren included."""
    child = await bash("trap '' TERM; sleep 1000 & echo $!; wait; sleep 1000")
    grandchild = int(await first_line(child))
    assert await child.end(0.05) == Exit(None, 9)
    assert not is_alive(grandchild)
    assert not is_alive(child.pid)


async def test_survivors_of_a_dead_leader_are_ended() -> None:
    """A leader's death is seen at once although a grandchild holds its pipes; end() ends that one."""
    child = await bash("trap '' TERM; sleep 1000 & echo $!; exit 5")
    grandchild = int(await first_line(child))
    async with asyncio.timeout(DEADLINE_S):
        assert await child.wait() == Exit(5, None)
    assert is_alive(grandchild)
    assert await child.end(0.05) == Exit(5, None)
    assert not is_alive(grandchild)


async def test_survivors_have_the_grace_too(tmp_path: Path) -> None:
    """A grandchild that saves its work on SIGTERM may finish, although its parent has gone."""
    saved = tmp_path / "saved"
    script = f"(trap 'sleep 0.05; echo ok > {saved}; exit' TERM; echo ready; while :; do sleep 0.01; done) & read"
    child = await bash(script)
    assert await first_line(child) == "ready"
    async with asyncio.timeout(DEADLINE_S):
        await child.end(3600)
    assert saved.read_text(encoding="utf-8") == "ok\n"


async def test_a_stopped_program_is_ended() -> None:
    """A program stopped by SIGSTOP hears SIGTERM all the same."""
    child = await bash("echo ready; kill -STOP $$; sleep 1000")
    await first_line(child)
    async with asyncio.timeout(DEADLINE_S):
        assert await child.end(3600) == Exit(None, 15)


async def test_a_cancelled_end_kills_at_once() -> None:
    """Whoever cannot wait for the grace leaves nothing behind either."""
    child = await bash("trap '' TERM; echo ready; while :; do sleep 0.01; done")
    await first_line(child)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await child.end(60)
    assert not is_alive(child.pid)
    assert await child.end(60) == Exit(None, 9)
