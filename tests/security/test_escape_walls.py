"""A hostile program and the walls around it: what it sees, calls, sends and leaves behind.

One program in one workspace tries everything, beside a victim in another of the same server; each test looks at one
kind of attempt. What ought to succeed is tried too, so that a refusal is the wall's and not a broken attempt's.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taskyard.drivers.sandbox.orders import MASKED
from tests.security.escape_kit import ATTACKER, SECRET, VICTIM, calls_alone, plan_of_calls
from tests.security.hostile import (
    RUNNER,
    Box,
    Camp,
    as_account,
    environment_of,
)


@pytest.fixture(scope="module")
def victim(camp: Camp) -> Iterator[Box]:
    """A workspace with a secret, a listening port and a socket without a file."""
    plan = {"abstract": f"ty-victim-{camp.account}-{os.getpid()}", "port": 43217}
    box = camp.start(VICTIM, plan, env={"SECRET": SECRET})
    assert box.report()["own"].startswith("done")
    yield box
    box.destroy()


@pytest.fixture(scope="module")
def attack(camp: Camp, victim: Box) -> Iterator[dict[str, Any]]:
    """What the attacker reported, with the plan under `plan` and their workspace under `box`."""
    paths = [
        victim.home / "kept",
        victim.folder,
        camp.root,
        camp.root.parent,
        Path(__file__),
        Path("/etc/shadow"),
    ]
    pids = sorted({*victim.pids(), camp.keeper.pid, os.getpid()})
    told = {
        **plan_of_calls(),
        **json.loads(victim.spec.env["PLAN"]),
        "paths": list(map(str, paths)),
        "pids": pids,
        "masked": [path for path in MASKED if os.path.lexists(path)],
    }
    box = camp.start(ATTACKER, told)
    yield {**box.report(), "plan": told, "box": box}
    box.destroy()


@pytest.fixture(scope="module")
def outside() -> dict[str, Any]:
    """What the same calls come to for an ordinary user without walls."""
    body = RUNNER.replace("while STAYS:", "while False:")
    done = subprocess.run(
        [*as_account("user" if os.geteuid() == 0 else "root"), "-c", calls_alone(body)],
        env=environment_of("user") | {"PLAN": json.dumps(plan_of_calls())},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.attack(
    "makes a system call that undoes walls or is for administrators", wall="system call filter"
)
def test_calls(attack: dict[str, Any], outside: dict[str, Any]) -> None:
    """Every call of the list is refused before the kernel looks at it; outside it does look."""
    assert attack["status"]["Seccomp"] == "2"
    assert attack["calls"] == dict.fromkeys(attack["plan"]["always"], "EPERM")
    looked_at = {name for name, answer in outside["calls"].items() if answer != "EPERM"}
    assert {"unshare", "setns", "keyctl", "open_tree", "fsconfig"} <= looked_at


@pytest.mark.attack(
    "makes a system call that is newer than the list of refused ones", wall="system call filter"
)
def test_calls_of_later_kernels(attack: dict[str, Any]) -> None:
    """They do not exist."""
    assert set(attack["later"]) == {"ENOSYS"}


@pytest.mark.attack(
    "makes a namespace, in which it would have all capabilities",
    wall="system call filter, and no nested user namespaces",
)
def test_namespaces(attack: dict[str, Any], outside: dict[str, Any]) -> None:
    """clone with any of the flags is refused and clone3 is not there; a plain fork works, and outside both do."""
    clones = attack["clones"]
    assert clones.pop("0") == "done"
    assert set(clones.values()) == {"EPERM"}
    assert attack["clone3"] == "ENOSYS"
    assert outside["clones"]["10000000"] == "done"
    assert outside["clone3"] == "EINVAL"


@pytest.mark.attack(
    "opens a socket that no network namespace holds: vsock to the machine below, packet, alg",
    wall="system call filter",
)
def test_socket_families(attack: dict[str, Any]) -> None:
    """Only Unix, internet and netlink sockets can be made, whatever is in the upper half of the argument."""
    families = attack["families"]
    # Netlink has no streams, and says so.
    assert {families.pop(n)[:4] for n in ("1", "2", "10", "16")} == {"done", "ESOC"}
    assert set(families.values()) == {"EAFNOSUPPORT"}


@pytest.mark.attack("turns off protections of memory by a personality", wall="system call filter")
def test_personalities(attack: dict[str, Any], outside: dict[str, Any]) -> None:
    """Asking is allowed, and what debuggers need; nothing else, however it is written."""
    allowed = {n for n, answer in attack["personalities"].items() if answer.startswith("done")}
    assert allowed == {"0xffffffff", "0x40000", "0x0"}
    assert outside["personalities"]["0x400000"].startswith("done")


@pytest.mark.attack(
    "types into a terminal with TIOCSTI, also with bits that the kernel ignores",
    wall="system call filter, and a session without a terminal",
)
def test_terminals(attack: dict[str, Any]) -> None:
    """Nothing can be typed into a terminal, and there is none that controls the workspace."""
    terminal = attack["terminal"]
    assert terminal.pop("0x5413").startswith("done")  # asking for its size
    assert set(terminal.values()) == {"EPERM"}
    assert attack["tty"] == "ENXIO"


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="about the other calls of x86-64")
@pytest.mark.attack(
    "makes calls by the numbers of i386 or x32, which a filter for x86-64 reads otherwise",
    wall="system call filter",
)
def test_other_architectures(attack: dict[str, Any]) -> None:
    """The process ends where they are made, or the call does not exist."""
    code = attack["code"]
    assert (code["none"], code["ours"]) == (0, 0)
    assert code["i386"] & 0x7F == signal.SIGSYS
    assert attack["later"]  # x32's numbers are above all known ones: they answer ENOSYS
    assert code["x32"] in (0, 31)  # there is no such call, or SIGSYS


@pytest.mark.attack(
    "reads files of the server or of another workspace by their path", wall="mount namespace"
)
def test_files(attack: dict[str, Any], victim: Box) -> None:
    """None of these paths exists inside, while the victim's file lies there outside."""
    assert (victim.home / "kept").read_text() == SECRET
    assert attack["paths"] == dict.fromkeys(attack["plan"]["paths"], "ENOENT")
    assert {attack["in etc"][name] for name in ("shadow", "machine-id", "hostname")} == {"ENOENT"}
    assert "127.0.0.1" in attack["in etc"]["resolv.conf"]


@pytest.mark.attack(
    "climbs out of its root by .. through /proc and descriptors",
    wall="mount namespace with a root of its own",
)
def test_climbing(attack: dict[str, Any]) -> None:
    """Every way up ends in its own root, or is closed."""
    up = attack["up"]
    own = up.pop("/")
    assert "'home'" in own
    assert "'boot'" not in own
    assert set(up.values()) <= {own, "EACCES", "EPERM"}


@pytest.mark.attack(
    "signals, traces or reads the memory of the server and of another workspace's processes",
    wall="pid namespace",
)
def test_processes(attack: dict[str, Any], victim: Box) -> None:
    """Their numbers mean nothing inside, or mean its own processes; with its own child it all works."""
    inside = {str(pid) for pid in attack["seen pids"]}
    targets = {str(pid) for pid in attack["plan"]["pids"]} - inside
    assert targets
    for kind in ("signals", "ptrace", "memory"):
        assert {attack[kind][pid] for pid in targets} == {"ESRCH"}
    own = attack["own child"]
    assert own["signal"].startswith("done")
    assert own["ptrace"].startswith("done")
    assert len(inside) <= 4
    # bubblewrap stays beside process 1; runc leaves.
    assert len(victim.pids()) in (2, 3)


@pytest.mark.attack(
    "connects to another workspace, by an abstract socket or a port, or leaves it a socket to pass descriptors",
    wall="network namespace, and a link folder that is read-only",
)
def test_sockets(attack: dict[str, Any], victim: Box) -> None:
    """There is no place that two workspaces share."""
    sockets = attack["sockets"]
    assert sockets.pop("own").startswith("done")
    assert sockets.pop("abstract") == "ECONNREFUSED"
    assert sockets.pop("port") == "ECONNREFUSED"
    assert set(sockets.values()) <= {"EROFS", "EACCES", "EBUSY"}
    assert victim.report()["bound"] in {"EROFS", "EACCES"}


@pytest.mark.attack(
    "becomes root by a setuid program, its own or the system's, or by asking",
    wall="no capabilities, no new privileges, nosuid mounts",
)
def test_becoming_root(attack: dict[str, Any]) -> None:
    """It stays who it is, without any capability."""
    assert all(
        attack["status"][name] == "0" * 16
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
    )
    assert attack["status"]["NoNewPrivs"] == "1"
    assert set(attack["setuid"].values()) <= {"EPERM", "EINVAL"}
    assert attack["setuid programs"] > 0
    assert attack["su"] == [True, ""]
    assert attack["own setuid"] == "1000"
    assert attack["may gain rights"] == []


@pytest.mark.attack(
    "makes device nodes, or finds disks, memory and hypervisors among those that are there",
    wall="nodev mounts, a /dev of six harmless devices",
)
def test_devices(attack: dict[str, Any]) -> None:
    """No device can be made, and there are none but the harmless ones."""
    assert set(attack["made devices"].values()) <= {"EPERM", "EROFS", "EACCES"}
    assert attack["may have devices"] == []
    assert set(attack["devices"]) <= {
        "full",
        "null",
        "pts",
        "random",
        "shm",
        "tty",
        "urandom",
        "zero",
    }


@pytest.mark.attack(
    "writes core_pattern, modprobe, sysrq-trigger or any other setting of the kernel",
    wall="read-only /proc/sys, no capabilities",
)
def test_settings_of_the_kernel(attack: dict[str, Any]) -> None:
    """Not one of them can be opened for writing."""
    assert attack["sysctls"] == []
    assert not [
        path
        for path, answer in attack["machine files"].items()
        if answer.startswith("done") and path not in _OWN
    ]


_OWN = {"/proc/self/uid_map", "/proc/self/setgroups", "/proc/1/mem"}
"""Files that may be opened: they are about itself, and writing fails. bubblewrap's memory holds no secret (see below)."""


@pytest.mark.attack(
    "crashes, so that a program of the machine is run on its core dump", wall="core limit 0"
)
def test_core_dumps(attack: dict[str, Any]) -> None:
    """Nothing is dumped, and the limit cannot be raised."""
    dumped, limits, raised = attack["core"]
    assert not dumped
    assert limits == [0, 0]
    assert raised in {"EPERM", "ValueError"}
    assert attack["files"][1] <= 65536


@pytest.mark.attack("uses up memory so that the kernel kills the server", wall="oom_score_adj")
def test_who_goes_first(attack: dict[str, Any]) -> None:
    """The kernel takes processes of workspaces first; the server stands no higher than it was started."""
    ours = int(Path("/proc/self/oom_score_adj").read_text())
    assert attack["oom"] == max(100, ours)  # the agent's own; what it starts gets 500


@pytest.mark.attack(
    "reads what the machine tells everybody: boot line, keyrings, disks, interrupts",
    wall="masks in /proc",
)
def test_facts_about_the_machine(attack: dict[str, Any]) -> None:
    """They can be read outside; inside they cannot be opened, or are empty."""
    assert "/proc/cmdline" in attack["masked"]
    assert set(attack["masked"].values()) <= {"EACCES", "done: ''"}


@pytest.mark.attack(
    "writes to control groups, to leave its limits", wall="no /sys, cgroup namespace"
)
def test_control_groups(attack: dict[str, Any]) -> None:
    """There is no file system of them, and it cannot mount one; its own group looks like the top."""
    assert attack["cgroup"]["sys"] == "ENOENT"
    assert attack["calls"]["mount"] == "EPERM"
    assert str(attack["box"].id) not in " ".join(attack["cgroup"]["path"])


@pytest.mark.attack("uses descriptors that the server left open", wall="the launcher closes all")
def test_descriptors(attack: dict[str, Any]) -> None:
    """Nothing, the pipe to the log, and the one with the agent's own token; no more."""
    fds = attack["fds"]
    assert fds.pop("0") == "done: '/dev/null'"
    assert fds["1"].startswith("done: 'pipe:")
    assert fds.pop("1") == fds.pop("2")
    assert fds.pop("7").startswith("done: 'pipe:")
    assert {answer for answer in fds.values() if "/proc/" not in answer} <= {"ENOENT"}


@pytest.mark.attack(
    "has the server follow links out of its home when it is deleted",
    wall="nothing follows links in homes; hard links end at the mount",
)
def test_links(camp: Camp, attack: dict[str, Any], victim: Box) -> None:
    """What a home links to outlives the home."""
    links = attack["links"]
    assert links.pop("own").startswith("done")
    assert set(links.values()) <= {"EXDEV", "EPERM", "EROFS"}
    again = camp.start(
        "os.symlink(PLAN, '/home/agent/away'); os.mkdir('/home/agent/closed', 0)", str(victim.home)
    )
    again.report()
    again.destroy()
    assert not again.folder.exists()
    assert (victim.home / "kept").read_text() == SECRET


DAEMON = """
import time
def daemon():
    if child := os.fork():
        os.waitpid(child, 0)  # gone only when its own child is there
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    for number in range(16):
        try:
            os.close(number)
        except OSError:
            pass
    os.chdir("/")
    while True:
        time.sleep(1000)
for _ in range(3):
    daemon()
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_IGN)
"""


@pytest.mark.attack(
    "ignores SIGTERM, and leaves daemons that belong to nobody",
    wall="pid namespace that ends with its first process",
)
def test_staying(camp: Camp) -> None:
    """A stop ends all of them once its grace is over."""
    box = camp.start(DAEMON)
    box.report()
    pids = box.pids()
    assert len(pids) >= 5  # three daemons, who left them, and the first of all
    box.stop(grace_s=0.2)
    assert not [pid for pid in pids if _lives(pid)]
    box.destroy()


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in b"ZX"
