"""The relay against a workspace that works together with what it connects to."""

import asyncio
import os
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import anyio
import pytest

from taskyard.control.actors import AgentActor
from taskyard.control.egress import Grant
from taskyard.control.reconciler import Reconciler
from taskyard.daemon.listen import listen_unix
from taskyard.daemon.relay import Relay
from taskyard.daemon.relay_seats import HALF_OPEN_IDLE_S, NAMES, Line, Seat
from taskyard.drivers.sandbox.uids import FIRST_UID
from taskyard_agent.splice import splice
from tests.control.test_egress import Door, connected
from tests.control.test_egress import asked as requested
from tests.control.world_kit import World, background
from tests.waiting import DEADLINE_S

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


@pytest.mark.attack(
    "Some workspaces together ask for names that nobody answers, until nothing else is looked up",
    wall="look-ups have threads of their own, in turns between workspaces, and nothing else waits for those",
)
async def test_names_without_an_answer_hold_up_nobody_else(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More look-ups hang than the loop has threads; another workspace's name is found, and the reconciler goes on."""
    answer, hanging = threading.Event(), list[str]()
    threads = ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(threads)
    threads.submit(answer.wait, 4 * DEADLINE_S)
    real = socket.getaddrinfo

    def slow(host: str, port: int, *args: int, **kwargs: int) -> object:
        if host == "quick.example":
            return real("127.0.0.1", port, type=socket.SOCK_STREAM)
        if not host.endswith(".slow.example"):
            return real(host, port, *args, **kwargs)
        hanging.append(host)
        answer.wait(4 * DEADLINE_S)
        raise socket.gaierror(socket.EAI_AGAIN, "nobody answers")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    door = Door(world, tmp_path / "relay.sock")
    relay = Relay(world.services)
    async with background(world.services.doorbell.run(), relay.run(listen_unix(door.path))):
        await world.idle()
        writers = []
        for one in range(4):
            made = await door.seat("*.slow.example:443")
            for number in range(NAMES):
                _, writer = await door.dial()
                writer.write(requested(f"a{one}-{number}.slow.example:443", made.token))
                writers.append(writer)
        try:
            other = await door.seat("quick.example:443")
            # It is found, and is not public.
            assert await door.status("quick.example:443", other.token) == 403
            async with asyncio.timeout(DEADLINE_S):
                await Reconciler(world.services, world.drivers).reconcile()
                while len(hanging) < 4 * NAMES:
                    await asyncio.sleep(0.005)
        finally:
            answer.set()
        for writer in writers:
            writer.close()


async def test_so_many_names_are_looked_up_at_once(world: World, tmp_path: Path) -> None:
    """For all workspaces together; the others wait for their turn, and all are answered."""
    busy, most, answers = 0, 0, asyncio.Semaphore(0)

    async def resolve(host: str, port: int) -> list[str]:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await answers.acquire()
        busy -= 1
        return ["127.0.0.1"]

    relay = Relay(world.services, resolve, hands=2)
    door = Door(world, tmp_path / "relay.sock")
    async with background(world.services.doorbell.run(), relay.run(listen_unix(door.path))):
        await world.idle()
        seats = [await door.seat("*.example:443") for _ in range(2)]
        async with asyncio.TaskGroup() as tasks:
            statuses = [
                tasks.create_task(door.status(f"a{number}.example:443", made.token))
                for made in seats
                for number in range(NAMES + 1)
            ]
            async with asyncio.timeout(DEADLINE_S):
                while busy < 2:
                    await asyncio.sleep(0.005)
            for _ in statuses:
                answers.release()
        assert [status.result() for status in statuses] == [403] * len(statuses)
        assert most == 2


ASKS = """
import os, socket, sys
os.chdir(sys.argv[1])
os.setuid(int(sys.argv[2]))
s = socket.socket(socket.AF_UNIX)
s.connect("relay.sock")
try:
    s.sendall(b"GET / HTTP/1.1\\r\\n\\r\\n")
    print(len(s.recv(100)))
except OSError:
    print(0)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's process needs root")
@pytest.mark.attack(
    "Another user of the machine asks for a workspace's way out",
    wall="the kernel says who connects: only users of workspaces are heard",
)
async def test_other_users_of_the_machine_have_no_way_out(world: World, tmp_path: Path) -> None:
    """A user who is no workspace's is not even refused in words; one who is, is."""
    relay = Relay(world.services)
    folder = tmp_path / "link"
    sock = listen_unix(folder / "relay.sock")
    async with background(world.services.doorbell.run(), relay.run(sock)):
        await world.idle()
        for uid, heard in ((FIRST_UID, True), (1000, False)):
            command = [sys.executable, "-I", "-c", ASKS, str(folder), str(uid)]
            done = await anyio.run_process(command)
            assert (int(done.stdout) > 0) is heard, uid
