"""Limits of an ordinary user's server, after root ran the one command that doctor shows."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from taskyard.drivers.base import Limits, PlaceState
from taskyard.lifecycle.walls import Wall
from tests.control_groups import own_groups
from tests.security.hostile import Refused, camp_of, why_not

MIB = 1 << 20
LIMITS = Limits(cpu=0.5, memory_bytes=64 * MIB, processes=40)
HELD = (Wall.MEMORY, Wall.CPU, Wall.PROCESSES, Wall.FREEZE)
ATTACK = """
pid = os.fork()
if pid == 0:
    bytearray(200 << 20)
    os._exit(0)
REPORT["memory"] = os.waitpid(pid, 0)[1]
try:
    for _ in range(1000):
        if os.fork() == 0:
            signal.pause()
except OSError as error:
    REPORT["processes"] = name(error.errno)
"""
WAITS = """
pipe = int(os.environ["TASKYARD_HANDOVER_FD"])
while True:
    os.read(pipe, 65536)
"""
"""Takes tokens, as an agent does."""

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/sys/fs/cgroup/memory").exists(),
    reason="root hands over control groups of the first kind",
)


def test_one_command_of_roots_is_enough() -> None:
    """Without it nothing is held, and why says the command; after it limits bite,
    workspaces are frozen and go on, and nothing is left at the end.
    """
    if why := why_not("user"):
        pytest.skip(why)
    with own_groups() as groups, camp_of("user") as camp:
        camp.renew(groups)
        lacks = camp.ask("lacks", HELD).value
        assert set(lacks) == set(HELD)
        commands = {why.partition(" To change it: sudo ")[2] for why in lacks.values()}
        assert len(commands) == 1
        running = camp.start(WAITS, freezes=True)
        with pytest.raises(Refused, match="CannotFreeze"):
            camp.ask("freeze", running.id)
        assert running.observe().state is PlaceState.RUNNING
        running.destroy()
        subprocess.run(["sh", "-c", commands.pop()], check=True)
        camp.renew(groups)
        assert camp.ask("lacks", HELD).value == {}
        box = camp.start(ATTACK, limits=LIMITS)
        assert not [line for _, line in box.log if "NOT held" in line and "disk" not in line]
        assert box.report() == {"memory": 9, "processes": "EAGAIN"}
        seen = box.observe()
        assert seen.memory_kills == 1
        assert seen.memory.startswith("out of memory, limit 64 MiB")
        pids = box.pids()
        camp.ask("stop", box.id, grace_s=0.2)
        assert not [pid for pid in pids if Path(f"/proc/{pid}/exe").exists()]
        box.destroy()
        frozen = camp.start(WAITS, freezes=True)
        pids = frozen.pids()
        camp.ask("freeze", frozen.id)
        assert frozen.observe().state is PlaceState.FROZEN
        after = replace(frozen.spec, generation=frozen.spec.generation + 1, agent_token="b")
        assert "goes on" in camp.ensure(after).log[0][1]
        assert frozen.observe().state is PlaceState.RUNNING
        assert frozen.pids() == pids
        frozen.destroy()
        assert not [left for group in groups for left in (group / "taskyard").glob("*/*/")]
