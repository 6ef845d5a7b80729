"""A program that goes for process 1 of its workspace, and for what that one and the agent write to outside."""

import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyseccomp
import pytest

from tests.drivers.sandbox_kit import lives
from tests.security.hostile import Box, Camp
from tests.waiting import until

MIB = 1 << 20
LOG_MAX_BYTES = 10 * MIB
"""What the log takes at most between two looks of the server: 8 MiB, and what is on the way."""

GRASPING = """
import glob, stat
def grown(handle):
    kind = stat.S_IFMT(os.fstat(handle).st_mode)
    if kind == stat.S_IFREG:
        return call("fallocate", handle, 1, ctypes.c_long(0), ctypes.c_long(PLAN["bytes"])) + " in a file"
    return "done: 'no file'"
def stolen(number):
    first = syscall(434, 1, 0)
    handle = int(first.partition("done: ")[2])
    answer = syscall(438, handle, number, 0)
    return grown(int(answer.partition("done: ")[2])) if "done" in answer else answer
def seen(work):
    try:
        return work()
    except OSError as error:
        return name(error.errno)
with open("own", "w") as own:
    REPORT["can"] = grown(own.fileno())
os.unlink("own")
REPORT["mine"] = {n: seen(lambda: grown(int(n))) for n in os.listdir("/proc/self/fd")}
REPORT["stolen"] = {n: stolen(n) for n in range(32)}
REPORT["opened"] = {n: seen(lambda: grown(os.open(f"/proc/1/fd/{n}", os.O_WRONLY | os.O_NONBLOCK))) for n in range(32)}
REPORT["filters"] = [line for pid in (1, "self") for line in open(f"/proc/{pid}/status") if line.startswith("Seccomp")]
REPORT["ptrace"] = call("ptrace", 16, 1, 0, 0)
"""
GREEDY = """
def terminals():
    pairs = []
    try:
        while len(pairs) < 300:
            pairs.append(os.openpty())
    except OSError as error:
        return [len(pairs), name(error.errno)]
    return [len(pairs), ""]
REPORT["aio"] = syscall(PLAN["io_setup"], 128, ctypes.byref(ctypes.c_ulong(0)))
REPORT["terminals"] = terminals()
"""
FLOOD = """
line = b"x" * 999 + b"\\n"
for _ in range(40_000):
    os.write(1, line)
os.write(1, b"the last line\\n")
REPORT["written"] = True
"""


def taken(box: Box) -> int:
    """Bytes on disk of all that the driver keeps of a workspace but its home."""
    found = 0
    for path in box.folder.iterdir():
        with suppress(FileNotFoundError):  # written under another name, and then renamed
            status = path.stat()
            if stat.S_ISREG(status.st_mode) and path.suffix != ".img":
                found += status.st_blocks * 512
    return found


@pytest.fixture(scope="module")
def grasping(camp: Camp) -> dict[str, Any]:
    box = camp.start(GRASPING, {"bytes": 512 * MIB})
    found = box.report()
    found["taken"] = taken(box)
    box.destroy()
    return found


@pytest.mark.attack(
    "allocates the machine's disk to the log or the status file, which process 1 has open",
    wall="the log is behind a pipe; who reports is outside, or hides itself",
)
def test_no_file_of_the_server_is_within_reach(grasping: dict[str, Any]) -> None:
    """The same call grows a file of its own; no descriptor of it or of process 1 leads to one of the server's."""
    assert grasping["can"] == "done: 0 in a file"
    for way in ("mine", "stolen", "opened"):
        assert not [answer for answer in grasping[way].values() if "in a file" in answer], way
        assert "done: 'no file'" in grasping[way].values() or grasping["ptrace"] == "EPERM"
    assert grasping["taken"] < MIB


@pytest.mark.attack(
    "makes calls that its own filter refuses through process 1",
    wall="process 1 has every filter that the agent has; runc's cannot be traced",
)
def test_process_1_may_do_no_more(camp: Camp, grasping: dict[str, Any]) -> None:
    """As many filters as any program of the workspace; where it is ours it is no one's to trace."""
    lines = grasping["filters"]
    assert lines[: len(lines) // 2] == lines[len(lines) // 2 :]
    assert "Seccomp:\t2\n" in lines
    if camp.backend == "runc":
        assert grasping["ptrace"] == "EPERM"
        assert set(grasping["stolen"].values()) <= {"EPERM", "EBADF"}


@pytest.mark.attack("writes to the log without end", wall="whoever keeps the log begins it anew")
def test_the_log_is_bounded(camp: Camp) -> None:
    """40 MB that nobody looks at take no more than 10, and the end is there; the workspace goes on."""
    box = camp.start(FLOOD)
    assert box.report()["written"]
    log = box.folder / "agent.log"
    until("the last line", lambda: log.read_bytes().endswith(b"the last line\n") or None)
    assert taken(box) < LOG_MAX_BYTES
    assert log.stat().st_size < LOG_MAX_BYTES
    keepers = [path for path in Path("/proc").iterdir() if _leads_to(path / "fd" / "1", log)]
    assert keepers
    owners = {path.stat().st_uid for path in keepers}
    assert camp.account != "root" or 0 not in owners
    box.destroy()
    until("their end", lambda: None if any(lives(int(path.name)) for path in keepers) else True)


@pytest.mark.attack(
    "takes what the machine has only so many of: terminals, requests that wait for a disk",
    wall="the call for the requests does not exist; runc counts terminals",
)
def test_what_the_machine_shares_out_is_bounded(camp: Camp) -> None:
    """No request can wait; there are 256 terminals with runc, and some with bubblewrap, which cannot count them."""
    number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, "io_setup")
    seen = camp.inside(GREEDY, {"io_setup": number})
    assert seen["aio"] == "ENOSYS"
    if camp.backend == "runc":
        assert seen["terminals"] == [256, "ENOSPC"]
    assert seen["terminals"][0] >= 256


def _leads_to(link: Path, file: Path) -> bool:
    try:
        return link.readlink() == file
    except OSError:
        return False
