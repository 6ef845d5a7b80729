"""A program that takes whatever it can get: memory, processes, disk, files, processor time, and time to end."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskyard.drivers.base import Limits, PlaceState
from tests.control_groups import can_hand_over, own_groups
from tests.security.hostile import ORDINARY_UID, Box, Camp, camp_of
from tests.waiting import until

MIB = 1 << 20
LIMITS = Limits(cpu=0.5, memory_bytes=64 * MIB, processes=40)
IDLE = "REPORT['there'] = True"

needs_groups = pytest.mark.usefixtures("grouped")


@pytest.fixture(scope="module")
def camp(account: str, backend: str) -> Iterator[Camp]:
    """A driver of this account, for all tests of the module; root lets an ordinary user set limits."""
    if account == "root" or not can_hand_over():
        with camp_of(account, backend) as made:
            yield made
        return
    with own_groups() as groups, camp_of(account, backend) as made:
        for group in groups:
            (group / "taskyard").mkdir()
            subprocess.run(["chown", "-R", str(ORDINARY_UID), group / "taskyard"], check=True)
        made.renew(groups)
        yield made


@pytest.fixture
def grouped(camp: Camp) -> None:
    """Only where workspaces get control groups, as they do on the machine that holds us to it."""
    box = camp.start(IDLE, limits=LIMITS)
    held = not any("NOT held" in line for _, line in box.log)
    box.destroy()
    if not held:
        assert "CI" not in os.environ, box.log
        pytest.skip("this account has no control groups here")


def lives(box: Box) -> bool:
    return box.observe().state is PlaceState.RUNNING


@needs_groups
@pytest.mark.attack(
    "fill the machine's memory", wall="a memory group: one process of the workspace is ended"
)
def test_memory_is_bounded(camp: Camp) -> None:
    """By one process, by many, by files in a tmpfs: the eater is ended or refused, the workspace goes on and says so."""
    body = """
def child(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    return pid
def eat():
    bytearray(200 << 20)
def files():
    with open("/dev/shm/big", "wb") as file:
        for _ in range(200):
            file.write(bytes(1 << 20))
one = child(eat)
REPORT["one"] = os.waitpid(one, 0)[1]
# They stay until the first of them was ended, however long they take to come.
many = {child(lambda: (bytearray(20 << 20), time.sleep(1000))) for _ in range(8)}
first, how = os.waitpid(-1, 0)
for pid in many - {first}:
    os.kill(pid, signal.SIGTERM)
REPORT["many"] = sorted([how, *(os.waitpid(pid, 0)[1] for pid in many - {first})])
REPORT["shm"] = tried(files)
"""
    box = camp.start("import time\n" + body, limits=LIMITS)
    found = box.report()
    assert found["one"] == 9
    assert 9 in found["many"]
    assert found["shm"] == "ENOSPC"
    seen = box.observe()
    assert seen.state is PlaceState.RUNNING
    assert seen.memory_kills >= 2
    assert seen.memory.startswith("out of memory, limit 64 MiB")
    if camp.account == "root":
        assert "largest process" in seen.memory
    box.destroy()


@needs_groups
@pytest.mark.attack("fill memory from the agent itself", wall="the workspace ends, and says why")
def test_an_agent_that_eats_memory_is_ended_with_a_reason(camp: Camp) -> None:
    """The reason names the limit; nothing is left."""
    box = camp.start("bytearray(200 << 20)", limits=LIMITS)
    until("its end", lambda: box.observe().state is PlaceState.STOPPED or None)
    assert box.observe().detail.startswith("out of memory, limit 64 MiB")
    box.destroy()


@needs_groups
@pytest.mark.attack("a fork bomb", wall="a limit of processes and threads")
def test_processes_are_bounded(camp: Camp) -> None:
    """No more than the limit come to be, the machine's others can still start, and all of them go at once."""
    body = """
made = 0
try:
    for _ in range(1000):
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                signal.pause()
        made += 1
except OSError as error:
    REPORT["refused"] = name(error.errno)
REPORT["made"] = made
"""
    box = camp.start(body, limits=LIMITS)
    found = box.report()
    assert found["refused"] == "EAGAIN"
    assert 0 < found["made"] < 40
    assert box.observe().processes == f"too many processes, limit {LIMITS.processes}"
    pids = box.pids()
    box.stop(grace_s=0.2)
    assert not [pid for pid in pids if Path(f"/proc/{pid}/exe").exists()]
    box.destroy()


@needs_groups
@pytest.mark.attack("burn all processor time with 64 threads", wall="a quota of processor time")
def test_processor_time_is_bounded(camp: Camp) -> None:
    """What burns on every core gets no more than its share, by the kernel's own count."""
    body = """
import time
for _ in range(20):
    if os.fork() == 0:
        while True:
            pass
began = time.monotonic()
before = sum(os.times()[:4])
"""
    box = camp.start(body, limits=LIMITS)
    box.report()
    pids = box.pids()
    began, before = time.monotonic(), _spent(pids)
    until("some time", lambda: (time.monotonic() - began > 0.6 and _spent(pids) > before) or None)
    spent = _spent(pids) - before
    took = time.monotonic() - began  # looked at last: whatever held this process up is in it
    assert 0 < spent < 0.5 * took + 0.25
    box.destroy()


def _spent(pids: set[int]) -> float:
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


@pytest.mark.attack(
    "use up all open files of the machine", wall="a limit of open files per process"
)
def test_open_files_are_bounded(camp: Camp) -> None:
    """Neither the given nor the highest limit that can be asked for is without end."""
    body = """
import resource
REPORT["hard"] = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
held = []
def all():
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
REPORT["refused"] = tried(all)
for number in held:
    os.close(number)
REPORT["raised"] = tried(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 20, 1 << 20)))
"""
    found = camp.inside(body)
    assert found["hard"] <= 65536
    assert found["refused"] == "EMFILE"
    assert not found["raised"].startswith("done")


TERMINALS = """
held = []
def open_all():
    while len(held) < 300:
        held.append(os.openpty())
REPORT["refused"] = tried(open_all)
REPORT["opened"] = len(held)
REPORT["works"] = tried(lambda: (os.write(held[0][1], b"said"), os.read(held[0][0], 4).decode())[1])
REPORT["again"] = tried(os.openpty)
"""


@pytest.mark.parametrize("way_out", [False, True])
@pytest.mark.attack(
    "take all pseudo-terminals of the machine",
    wall="a file system of terminals with a number of its own",
)
def test_terminals_are_bounded(camp: Camp, *, way_out: bool) -> None:
    """At the number its own are full, while a neighbour and the machine still get them.

    An ordinary user's workspace without a way out has no such number; that it could take more is shown.
    """
    box = camp.start(TERMINALS, way_out=way_out)
    found = box.report()
    assert found["works"] == "done: 'said'"
    if camp.account == "root" or way_out:
        assert (found["refused"], found["opened"], found["again"]) == ("ENOSPC", 256, "ENOSPC")
    else:
        assert (found["refused"], found["opened"]) == ("done: None", 300)
    neighbour = camp.inside("REPORT['one'] = tried(lambda: os.ttyname(os.openpty()[1]))")
    assert neighbour["one"] == "done: '/dev/pts/0'"
    for end in os.openpty():
        os.close(end)
    box.destroy()


@pytest.mark.attack(
    "fill the machine's disk, with bytes and with files",
    wall="a disk of its own, or stopped when counted",
)
def test_disk_is_bounded(camp: Camp) -> None:
    """As root the disk is full inside at the limit; as a user whoever went beyond it is to be stopped."""
    body = """
def fill():
    with open("big", "wb") as file:
        for _ in range(100):
            file.write(bytes(1 << 20))
            file.flush()
def many():
    os.mkdir("many")
    for number in range(5000):
        open(f"many/{number}", "w").close()
print("bytes", tried(fill), flush=True)
size = os.stat("big").st_size
tried(lambda: os.unlink("big") if size < 64 << 20 else None)
print("files", tried(many), size >> 20, flush=True)
os.unlink("many/0")  # room for the report
"""
    box = camp.start(body, limits=Limits(disk_bytes=32 * MIB))
    log = box.folder / "agent.log"
    until("the end of it", lambda: ("files" in log.read_text()) or None)
    said = log.read_text()
    if camp.account == "root":
        assert "bytes ENOSPC" in said
        assert "files ENOSPC" in said
        assert lives(box)
    else:
        until("the count", lambda: box.observe().too_much or None)
        assert box.observe().too_much.startswith("disk full, limit")
    box.destroy()
    # Whoever made a mount namespace meanwhile holds all disks of the machine for a moment.
    until("its disk to be gone", lambda: None if str(box.id) in _loops() else True)


def _loops() -> str:
    return subprocess.run(["losetup", "-a"], capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("hidden", ["", "hidden"])
@pytest.mark.attack(
    "fill the machine's disk with files that have no name",
    wall="a disk of its own, or open files are counted too",
)
def test_files_without_names_are_counted(camp: Camp, hidden: str) -> None:
    """Also those of a process that hides from its own user what it has open."""
    body = """
file = os.open("big", os.O_CREAT | os.O_RDWR)
os.unlink("big")
def fill():
    for _ in range(64):
        os.write(file, bytes(1 << 20))
print("bytes", tried(fill), tried(lambda: PLAN and libc.prctl(4, 0)), flush=True)
"""
    box = camp.start(body, hidden, limits=Limits(disk_bytes=32 * MIB))
    log = box.folder / "agent.log"
    until("the end of it", lambda: ("bytes" in log.read_text()) or None)
    if camp.account == "root":
        assert "bytes ENOSPC" in log.read_text()
    else:
        assert "bytes done" in log.read_text()
        until("the count", lambda: box.observe().too_much or None)
        assert box.observe().too_much == "disk full, limit 32 MiB"
    box.destroy()


@pytest.mark.attack(
    "ignore SIGTERM, and hide in a daemon's session", wall="the whole tree is killed at once"
)
def test_nothing_survives_its_stop(camp: Camp) -> None:
    """Daemons of daemons that ignore every signal are gone after the grace, with their groups; a neighbour goes on."""
    body = """
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in range(1, 32):
                if number not in (9, 19):
                    signal.signal(number, signal.SIG_IGN)
            while True:
                signal.pause()
        os._exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
"""
    neighbour, box = camp.start(IDLE), camp.start(body, limits=LIMITS)
    box.report()
    pids = box.pids()
    assert len(pids) >= 5
    box.stop(grace_s=0.2)
    assert not [pid for pid in pids if Path(f"/proc/{pid}/exe").exists()]
    groups = [folder for folder, _, _ in os.walk("/sys/fs/cgroup") if folder.endswith(f"/{box.id}")]
    assert not groups
    assert lives(neighbour)
    box.destroy()
    neighbour.destroy()
