"""Control groups: on this machine's own kernel, and for a pure v2 machine on folders that look like its tree."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from taskyard.drivers.base import Limits
from taskyard.drivers.sandbox.cgroups import v2
from taskyard.drivers.sandbox.cgroups.find import LEAF, Found, Kernel, pass_on, step_aside
from taskyard.drivers.sandbox.cgroups.groups import Cgroups, find_cgroups, written_groups
from taskyard.drivers.sandbox.cgroups.model import Base, Can, Usage, Version, groups_below
from taskyard.drivers.sandbox.memory import in_words, victims
from taskyard.errors import DriverError
from tests.waiting import DEADLINE_S, until

GIB = 1 << 30
ALL = Limits(cpu=1.5, memory_bytes=GIB, processes=64)
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="nothing is handed to this user here")


def fake_group(folder: Path) -> Path:
    """A folder with the files that a kernel with v2 alone puts into each group."""
    folder.mkdir(parents=True)
    for name in ("cgroup.procs", "cgroup.kill", "cgroup.freeze", "cgroup.subtree_control"):
        (folder / name).write_text("")
    for name in ("cpu.max", "memory.max", "memory.swap.max", "memory.oom.group", "pids.max"):
        (folder / name).write_text("")
    (folder / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    (folder / "cgroup.events").write_text("populated 1\nfrozen 1\n")
    (folder / "cgroup.type").write_text("domain\n")
    return folder


@pytest.fixture
def groups(tmp_path: Path) -> Iterator[Cgroups]:
    found = find_cgroups(tmp_path)
    yield found
    found.remove("box")


def join(files: list[str], script: str) -> subprocess.Popen[bytes]:
    """A shell in these groups that runs the script."""
    joins = "".join(f"echo 0 > {file}; " for file in files)
    return subprocess.Popen(["/bin/sh", "-c", joins + script])


@pytest.mark.skipif(not os.access("/sys/fs/cgroup/freezer", os.W_OK), reason="no freezer of v1")
def test_what_stands_still_is_killed_before_it_goes_on(tmp_path: Path) -> None:
    """On a machine whose only freezer is of the first kind: none of many that count at every step counts one more."""
    name = f"taskyard-test-{os.getpid()}"
    base = Base(Path("/sys/fs/cgroup/freezer"), (Can.FREEZE,))
    group = Cgroups(tmp_path, Found(Version.V1, (base,), {}))
    files = group.make(name, Limits())
    inner = Path(files[0]).parent / "inner"
    inner.mkdir()
    counting = "i=0; while :; do i=$((i+1)); echo $i > {}; done"
    counts = [tmp_path / f"count-{number}" for number in range(6)]
    places = [files[0], f"{inner}/cgroup.procs"] * 3
    ran = [join([at], counting.format(f)) for at, f in zip(places, counts, strict=True)]
    try:
        until("all count", lambda: all(count.exists() for count in counts) or None)
        group.freeze(name)
        before = [count.read_text() for count in counts]
        assert group.kill(name)
        assert [process.wait(DEADLINE_S) for process in ran] == [-9] * 6
        assert [count.read_text() for count in counts] == before
    finally:
        for process in ran:
            process.kill()
        with suppress(DriverError):
            group.thaw(name)
        until("they are gone", lambda: all(process.poll() is not None for process in ran) or None)
        inner.rmdir()
        group.remove(name)


@ROOT_ONLY
def test_a_group_freezes_thaws_kills_and_leaves_nothing(groups: Cgroups) -> None:
    """All processes stand still, go on, and are killed at once, frozen or not; afterwards no folder is left."""
    process = join(groups.make("box", ALL), "sleep 100 & sleep 100")
    until("both sleeps", lambda: ((used := groups.usage("box")) and used.processes == 3) or None)
    folders = groups.groups("box")
    groups.freeze("box")
    assert groups.is_frozen("box")
    groups.thaw("box")
    assert not groups.is_frozen("box")
    groups.freeze("box")
    assert groups.kill("box")
    assert process.wait(timeout=DEADLINE_S) == -9
    groups.remove("box")
    assert not any(folder.exists() for folder in folders)


@ROOT_ONLY
def test_another_server_finds_what_one_made(tmp_path: Path, groups: Cgroups) -> None:
    """A group is found by what was written down, whichever group the next server runs in; removing kills what is in it."""
    process = join(groups.make("box", Limits()), "exec sleep 100")
    until("the sleep", lambda: ((used := groups.usage("box")) and used.processes == 1) or None)
    written_groups(tmp_path).remove("box")
    assert process.wait(timeout=DEADLINE_S) == -9
    assert groups.usage("box") is None


@ROOT_ONLY
def test_what_was_left_is_swept_and_nothing_else(tmp_path: Path, groups: Cgroups) -> None:
    """A group without a workspace goes; one of a workspace stays, also while it is empty, and so does one with a process."""
    for name in ("taken-away", "box", "at-work"):
        (tmp_path / name).mkdir()
    joined = {name: groups.make(name, ALL) for name in ("taken-away", "box", "at-work")}
    process = join(joined["at-work"], "exec sleep 100")
    until("the sleep", lambda: ((used := groups.usage("at-work")) and used.processes == 1) or None)
    stranger = groups.groups("box")[0].with_name("of-nobody")
    stranger.mkdir()
    for name in ("taken-away", "at-work"):
        (tmp_path / name).rmdir()
    taken_away = groups.groups("taken-away")
    groups.sweep()
    assert not any(folder.exists() for folder in (stranger, *taken_away))
    assert groups.usage("box") is not None
    assert groups.usage("at-work") is not None
    groups.kill("at-work")
    assert process.wait(timeout=DEADLINE_S) == -9
    groups.sweep()
    assert groups.usage("at-work") is None


@ROOT_ONLY
def test_limits_are_what_the_kernel_has(groups: Cgroups) -> None:
    """Limits are set in each controller; a group without limits has none."""
    groups.make("box", ALL)
    assert groups.memory_limit("box") == GIB
    cpu, pids = groups.folder_of("box", Can.CPU), groups.folder_of("box", Can.PROCESSES)
    assert cpu is not None
    assert pids is not None
    assert (cpu / "cpu.cfs_quota_us").read_text() == "150000\n"
    assert (pids / "pids.max").read_text() == "64\n"
    groups.make("box", Limits())
    assert groups.memory_limit("box") is None


@ROOT_ONLY
def test_one_process_is_ended_for_memory_and_counted(groups: Cgroups) -> None:
    """The process that takes too much dies, the one that started it goes on, and the count says one."""
    eat = f"{sys.executable} -c 'bytearray(100 << 20)'; exit $?"
    process = join(groups.make("box", Limits(memory_bytes=32 << 20)), eat)
    assert process.wait(timeout=DEADLINE_S) == 128 + 9
    used = groups.usage("box")
    assert used is not None
    assert used.memory_kills == 1


def test_v2_hands_down_controllers_from_a_leaf(tmp_path: Path) -> None:
    """All processes of the server's own group move to a leaf of it; then the group may hand controllers down."""
    own = fake_group(tmp_path / "taskyard.service")
    leaf = fake_group(own / LEAF)
    (own / "cgroup.procs").write_text("4711\n")
    step_aside(own, Kernel())
    pass_on(own)
    assert (leaf / "cgroup.procs").read_text() == "4711"
    assert (own / "cgroup.subtree_control").read_text() == "+memory +cpu +pids"


def test_v2_writes_exactly_these(tmp_path: Path) -> None:
    """On v2 each limit is one file, swap is none, one process is ended for memory and not the group; and the core kills."""
    cans = (Can.MEMORY, Can.CPU, Can.PROCESSES, Can.FREEZE, Can.KILL)
    found = Cgroups(tmp_path, Found(Version.V2, (Base(tmp_path / "base", cans),), {}))
    box = fake_group(tmp_path / "base" / "box")
    assert found.make("box", ALL) == [f"{box}/cgroup.procs"]
    expected = {
        "memory.max": str(GIB),
        "memory.swap.max": "0",
        "memory.oom.group": "0",
        "cpu.max": "150000 100000",
        "pids.max": "64",
    }
    assert {name: (box / name).read_text() for name in expected} == expected
    found.freeze("box")
    assert (box / "cgroup.freeze").read_text() == "1"
    assert found.kill("box")
    assert (box / "cgroup.kill").read_text() == "1"


def test_v2_counts(tmp_path: Path) -> None:
    """What a group used is read from the files of v2; a limit of `max` is none."""
    box = fake_group(tmp_path / "base" / "box")
    for name, text in (
        ("memory.current", "4096\n"),
        ("cpu.stat", "usage_usec 2500000\nuser_usec 1\n"),
        ("pids.current", "7\n"),
        ("memory.events", "low 0\noom 2\noom_kill 1\n"),
        ("memory.max", "max\n"),
        ("pids.events", "max 3\n"),
    ):
        (box / name).write_text(text)
    made = groups_below(Version.V2, [Base(tmp_path / "base", tuple(Can))], "box")
    assert v2.usage(made) == Usage(
        memory_bytes=4096, cpu_s=2.5, processes=7, memory_kills=1, refused_forks=3
    )
    assert v2.memory_limit(made) is None


def test_without_control_groups_everything_has_its_reason(tmp_path: Path) -> None:
    """Where the kernel shows none, nothing can be had, nothing fails, and freezing says why it cannot."""
    proc = tmp_path / "proc"
    proc.mkdir()
    found = find_cgroups(tmp_path, Kernel(proc))
    assert found.controllers == frozenset()
    assert found.why.keys() == set(Can)
    assert found.make("box", ALL) == []
    assert found.kill("box") is False
    found.remove("box")
    with pytest.raises(DriverError, match="cannot be frozen"):
        found.freeze("box")


def test_the_kernels_log_names_the_victim() -> None:
    """Name and memory of the process that was ended in this group, whatever it is called; not those of others."""
    prefix = "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg={0},task_memcg={0}"
    killed = (
        "Memory cgroup out of memory: Killed process {0} ({1}) total-vm:118984kB, anon-rss:71296kB,"
    )
    rest = " file-rss:3000kB, shmem-rss:4kB, UID:0 pgtables:208kB oom_score_adj:0"
    log = [
        prefix.format("/a/taskyard/x/other") + ",task=cc1plus,pid=7,uid=5",
        killed.format(7, "cc1plus") + rest,
        "something else",
        prefix.format("/a/taskyard/x/box") + ",task=a),b (c,pid=8,uid=5",
        killed.format(8, "a),b (c") + rest,
    ]
    found = victims(iter(log), "/sys/fs/cgroup/memory/a/taskyard/x/box")
    assert [(one.pid, one.name, in_words(one.rss_bytes)) for one in found] == [
        (8, "a),b (c", "72.6 MiB")
    ]
