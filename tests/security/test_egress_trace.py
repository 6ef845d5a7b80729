"""A program that goes to addresses that its template does not list, and hopes that nobody notices.

The kernel of its own network refuses; the agent sees the packets, and a relay that the test plays is told.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from taskyard.drivers.sandbox.launch import ATTEMPTS_FD
from tests.security.hostile import Camp
from tests.system.outside import DOOR, relayed
from tests.waiting import until

RULES = ["one.example:443", "10.1.2.3:5000", "[2001:db8::7]:443"]
TRIED = {
    "TCP": [("169.254.169.254", 80), ("2001:db8::1", 80), ("one.example", 22), ("10.1.2.3", 22), ("::ffff:1.1.1.1", 25)],
    "UDP": [("8.8.8.8", 53), ("2001:db8::53", 53)],
    "silent": [("one.example", 443), ("10.1.2.3", 5000), ("127.0.0.1", 9), ("::1", 9), ("2001:db8::7", 443)],
}  # fmt: skip

BODY = r"""
import random, resource, socket, struct, subprocess, time
LOG = os.path.join(HOME, "door.log")
door = subprocess.Popen([sys.executable, "-I", "/opt/template/door.py", json.dumps(PLAN["rules"])],
                        stdout=subprocess.PIPE, stderr=open(LOG, "w"), text=True, pass_fds=[PLAN["fd"]])
door.stdout.readline()
def go(kind, host, port):
    family, *_, address = socket.getaddrinfo(host, port, type=kind)[0]
    with socket.socket(family, kind) as made:
        made.settimeout(3)
        made.connect(address)
        made.send(b"out")
        return made.recv(1)
REPORT["tcp"] = {f"{host} {port}": tried(lambda: go(socket.SOCK_STREAM, host, port)) for host, port in PLAN["TCP"]}
REPORT["udp"] = {f"{host} {port}": tried(lambda: go(socket.SOCK_DGRAM, host, port)) for host, port in PLAN["UDP"]}
for host, port in PLAN["silent"]:
    tried(lambda: go(socket.SOCK_STREAM, host, port))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 136) as lite:
    REPORT["lite"] = tried(lambda: lite.sendto(b"out", ("8.8.4.4", 7)))
def said(text):
    with open(LOG) as file:
        return text in file.read()
until = time.monotonic() + 60
while not said("'8.8.4.4:7'") and time.monotonic() < until:
    time.sleep(0.01)
def sizes():
    with open(f"/proc/{door.pid}/status") as file:
        kib = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    with open(f"/proc/{door.pid}/stat") as file:
        ticks = sum(map(int, file.read().rpartition(")")[2].split()[11:13]))
    return kib, ticks
before, chance = sizes(), random.Random(6)
began = time.monotonic()
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
    flood.setsockopt(socket.SOL_IP, 4, b"\1" * 40)  # the longest header
    while time.monotonic() - began < 0.5:
        for _ in range(100):
            tried(lambda: flood.sendto(chance.randbytes(chance.choice((0, 1, 60, 9000))), (f"1.{chance.randrange(256)}.2.3", chance.randrange(1, 65536))))
REPORT["sizes"] = [before, sizes()]
REPORT["alive"] = door.poll()
tried(lambda: go(socket.SOCK_STREAM, "192.0.2.99", 99))
# The flood's own packets may have taken the places in the log: the resolver says that the door works on.
REPORT["works"] = tried(lambda: socket.gethostbyname("one.example").startswith("198.18."))
REPORT["log"] = open(LOG).read()
"""

THIEF = r"""
import subprocess, time
agent = subprocess.Popen([sys.executable, "-I", "-m", "taskyard_agent", "run"], pass_fds=[7, PLAN["fd"]])
decoy = subprocess.Popen(["/bin/sleep", "1000"], pass_fds=[PLAN["fd"]])
def taken(pid):
    try:
        handle = os.pidfd_open(pid)
    except OSError as error:
        return name(error.errno)
    try:
        said = syscall(438, handle, PLAN["fd"], 0)
        return os.readlink("/proc/self/fd/" + said[6:]).split(":")[0] if said.startswith("done") else said
    finally:
        os.close(handle)
until = time.monotonic() + 60
while not isinstance(tried(lambda: os.listdir(f"/proc/{agent.pid}/fd")), str) or tried(lambda: os.listdir(f"/proc/{agent.pid}/fd")) != "EACCES":
    if time.monotonic() > until:
        break
    time.sleep(0.01)
REPORT.update({"agent": taken(agent.pid), "decoy": taken(decoy.pid), "first": taken(1), "alive": agent.poll()})
import socket, struct
kept = socket.socket(fileno=PLAN["fd"])
REPORT["filter"] = {"taken off": tried(lambda: kept.setsockopt(1, 27, 0)),
                    "another": tried(lambda: kept.setsockopt(1, 26, struct.pack("@HP", 1, ctypes.addressof(ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 9999))))))}
agent.kill(); decoy.kill()
"""
"""A real agent as a child, and another program that has the descriptor too, which shows that it could be taken."""


@pytest.fixture(scope="module")
def told(camp: Camp) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """What the program reported, and what the relay was told."""
    plan = {**TRIED, "rules": RULES, "fd": ATTEMPTS_FD}
    with relayed(camp.link / "relay.sock", {}) as outside:
        box = camp.start(BODY, plan, way_out=True, files={"door.py": DOOR})
        try:
            report = box.report()
            until("both kinds", lambda: len({w.split()[0] for w in outside.others}) == 2 or None)
            yield report, outside.others
        finally:
            box.destroy()


@pytest.mark.attack(
    "goes to addresses that are not listed and hopes that nobody notices: metadata, IPv6, other ports, UDP",
    wall="the agent sees the first packets of its network, and tells the server",
)
def test_attempts_leave_a_trace(told: tuple[dict[str, Any], list[str]]) -> None:
    """Each is refused, is in the log and on its way to the server; what is listed or stays on the loopback is not."""
    report, others = told
    assert set(report["tcp"].values()) == {"ECONNREFUSED"}
    log = str(report["log"])
    for place in ("169.254.169.254:80", "[2001:db8::1]:80", "one.example:22", "10.1.2.3:22", "1.1.1.1:25"):  # fmt: skip
        assert f"Nothing leads to '{place}': the template does not list it" in log
    for place in ("8.8.8.8:53", "[2001:db8::53]:53", "8.8.4.4:7"):
        assert f"Nothing leads to '{place}': only TCP leaves a workspace" in log
    assert "[2001:db8::7]:443 is listed, but reached by the proxy only." in log
    assert not [line for line in log.splitlines() if "leads to" in line and ("127.0.0.1" in line or "::1]:9" in line)]  # fmt: skip
    assert not [word for word in ("'one.example:443': the", "10.1.2.3:5000': the") if word in log]
    assert others[0] in {"TCP 169.254.169.254:80", "OTHER 8.8.8.8:53"}
    assert {"TCP 169.254.169.254:80", "OTHER 8.8.8.8:53"} <= set(others)


@pytest.mark.attack(
    "floods the agent with packets to everywhere, of strange shapes",
    wall="a small queue in the kernel, batches with pauses, and bounded tables",
)
def test_a_flood_of_attempts_is_bounded(told: tuple[dict[str, Any], list[str]]) -> None:
    """The way out works on, grows little, and has few lines more; most of the flood was never read."""
    report, _ = told
    (kib_before, _), (kib, _) = report["sizes"]
    assert report["alive"] is None
    assert report["works"] == "done: True"
    assert kib - kib_before < 8 * 1024
    assert len(str(report["log"]).splitlines()) <= 110


@pytest.mark.attack(
    "takes the descriptor on which the agent sees packets, or takes its filter off",
    wall="the agent is not dumpable, no other process has it, and its filter is locked",
)
def test_the_descriptor_is_the_agent_s(camp: Camp) -> None:
    """It can be taken from a program that was given it, and neither from the agent nor from process 1."""
    report = camp.inside(THIEF, {"fd": ATTEMPTS_FD}, way_out=True)
    assert report["decoy"] == "socket"
    assert report["alive"] is None
    assert report["agent"] == "EPERM"
    assert report["first"] in {"EPERM", "EBADF"}
    assert set(report["filter"].values()) == {"EPERM"}
