"""What a program inside a workspace sees and can do: nothing of the server, the host or its neighbours."""

import asyncio
import io
import json
import os
import signal
import socket
import tarfile
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from taskyard.drivers.sandbox.runtime import PACKAGES
from tests.drivers.runc_kit import BOTH, yard_for
from tests.drivers.sandbox_kit import PYTHON, Yard, descendants, new_yard, quiet, spec, until
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

TOKEN = "f2ab0000-token-of-this-generation"
SECRET = "a-secret-of-the-server"
SPY = """
import ctypes, importlib, json, os, socket, subprocess, sys, time
packages, port, abstract, paths = json.loads(os.environ["PLAN"])
def tried(work):
    try:
        return repr(work())
    except BaseException as error:
        return type(error).__name__
def status(name):
    return [line.split()[1] for line in open("/proc/self/status") if line.startswith(name + ":")][0]
def connect(family, address):
    with socket.socket(family) as s:
        s.settimeout(2)
        s.connect(address)
        return "connected"
libc = ctypes.CDLL(None, use_errno=True)
def libc_call(name, *args):
    return "done" if getattr(libc, name)(*args) == 0 else os.strerror(ctypes.get_errno())
report = {
    "env": dict(os.environ),
    "ids": [os.getuid(), os.getgid(), os.getgroups()],
    "caps": {n: status(n) for n in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")},
    "no_new_privs": status("NoNewPrivs"),
    "hostname": socket.gethostname(),
    "own_name": tried(lambda: socket.gethostbyname(socket.gethostname())),
    "interfaces": [name for _, name in socket.if_nameindex()],
    "loopback": None,
    "routes": open("/proc/net/route").read().splitlines()[1:],
    "root": sorted(os.listdir("/")),
    "etc": sorted(os.listdir("/etc")),
    "run": sorted(os.listdir("/run")),
    "tmp": os.listdir("/tmp"),
    "dev": sorted(os.listdir("/dev")),
    "cwd": os.getcwd(),
    "home_mode": oct(os.stat(".").st_mode & 0o7777),
    "home_owner": os.stat(".").st_uid,
    "fds": {n: tried(lambda: os.readlink("/proc/self/fd/" + n)) for n in os.listdir("/proc/self/fd")},
    "pids": [int(n) for n in os.listdir("/proc") if n.isdigit()],
    "sid": [os.getsid(0), os.getppid()],
    "signals": status("SigIgn"),
    "paths": {p: tried(lambda: (os.listdir if os.path.isdir(p) else open)(p)) for p in paths},
    "writes": {p: tried(lambda: open(p + "/probe", "w").close())
               for p in ("/", "/usr", "/etc", "/opt/template", "/opt/taskyard", "/run/taskyard", "/opt", "/tmp", "/dev/shm", ".")},
    "link": tried(lambda: connect(socket.AF_UNIX, "/run/taskyard/agent.sock")),
    "unlink": tried(lambda: os.unlink("/run/taskyard/agent.sock")),
    "host_port": tried(lambda: connect(socket.AF_INET, ("127.0.0.1", port))),
    "abstract": tried(lambda: connect(socket.AF_UNIX, "\\0" + abstract)),
    "internet": tried(lambda: connect(socket.AF_INET, ("192.0.2.1", 80))),
    "userns": libc_call("unshare", 0x10000000),
    "mount": libc_call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "setuid": tried(lambda: os.setuid(0)),
    "imports": {name: tried(lambda: importlib.import_module(name).__name__) for name in packages},
    "server": tried(lambda: importlib.import_module("taskyard")),
    "template": {n: open("/opt/template/" + n).read() for n in os.listdir("/opt/template") if os.path.isfile("/opt/template/" + n)},
    "script": subprocess.run(["/opt/template/run.sh"], capture_output=True, text=True).stdout,
    "who": subprocess.run(["id", "-un"], capture_output=True, text=True).stdout.strip(),
    "tls": tried(lambda: len(__import__("ssl").create_default_context().get_ca_certs()) > 10),
}
with socket.create_server(("127.0.0.1", 0)) as server:
    report["loopback"] = tried(lambda: socket.create_connection(server.getsockname()).close())
with open("report.new", "w") as file:
    json.dump(report, file)
os.rename("report.new", "report.json")
import signal
signal.pause()
"""


def archive(files: dict[str, tuple[str, int]]) -> bytes:
    """A template's tar of name to content and mode."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, (content, mode) in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            tar.addfile(info, io.BytesIO(content.encode()))
    return buffer.getvalue()


@contextmanager
def listening(address: Any, family: socket.AddressFamily) -> Iterator[socket.socket]:
    with socket.socket(family) as server:
        server.bind(address)
        server.listen()
        yield server


@pytest.fixture(scope="module", params=BOTH)
async def seen(
    anyio_backend: object, request: pytest.FixtureRequest
) -> AsyncIterator[dict[str, Any]]:
    """What the spy saw, with what it should have seen under `yard` and `outside`."""
    abstract = f"taskyard-test-{os.getpid()}"
    os.environ["TASKYARD_TEST_SECRET"] = SECRET
    async with new_yard(yard_for(request.param)) as yard:
        (yard.root.parent / "secret").write_text(SECRET)
        with (
            listening(("127.0.0.1", 0), socket.AF_INET) as tcp,
            listening("\0" + abstract, socket.AF_UNIX),
            listening(str(yard.link / "agent.sock"), socket.AF_UNIX),
            tempfile.TemporaryFile() as leaked,
        ):
            (yard.link / "agent.sock").chmod(0o666)
            os.set_inheritable(leaked.fileno(), True)
            yield await _spied(yard, tcp.getsockname()[1], abstract)
    del os.environ["TASKYARD_TEST_SECRET"]


async def _spied(yard: Yard, port: int, abstract: str) -> dict[str, Any]:
    sleeper = yard.driver()
    neighbour = spec()
    await sleeper.ensure(neighbour, quiet)
    driver = yard.driver((PYTHON, "-I", "-c", SPY))
    forbidden = [
        *(str(yard.root.parent), str(yard.root), str(yard.home(neighbour.workspace_id))),
        *("/sys", "/etc/shadow", "/etc/ssl/private", "/etc/hostname", "/var/log", "/boot", "/srv"),
        *("/root/.ssh", str(Path(__file__).parent), f"/proc/{os.getpid()}/environ"),
    ]
    plan = json.dumps([PACKAGES, port, abstract, forbidden])
    files = {"taskyard.toml": ("[template]", 0o600), "run.sh": ("#!/bin/sh\necho ran", 0o700)}
    env = {"PLAN": plan, "GREETING": "a 'b' $c\nd", "HOME": "/elsewhere"}
    made = spec(hostname="brave-otter", agent_token=TOKEN, env=env, template_tar=archive(files))
    await driver.ensure(made, quiet)
    report = yard.home(made.workspace_id) / "report.json"
    await until(report.exists)
    record = json.loads((yard.root / str(made.workspace_id) / "record.json").read_text())
    tree = descendants(record["monitor"]["pid"])
    return {
        **json.loads(report.read_text()),
        "forbidden": forbidden,
        "plan": plan,
        "cmdlines": [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in tree],
        "host_uids": {Path(f"/proc/{pid}").stat().st_uid for pid in tree},
        "home_uid": yard.home(made.workspace_id).stat().st_uid,
        "neighbour_uid": yard.home(neighbour.workspace_id).stat().st_uid,
    }


async def test_the_environment_is_what_is_listed(seen: dict[str, Any]) -> None:
    """Nothing of the server's environment comes in; the template's entries do, but cannot move the home."""
    assert seen["env"] == {
        "TASKYARD_AGENT_URL": "unix:/run/taskyard/agent.sock",
        "TASKYARD_AGENT_TOKEN_FD": "7",
        "TASKYARD_TEMPLATE_DIR": "/opt/template",
        "TASKYARD_CONFINED": "1",
        "HOME": "/home/agent",
        "USER": "agent",
        "LANG": "C.UTF-8",
        "PATH": "/home/agent/.local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PLAN": seen["plan"],
        "GREETING": "a 'b' $c\nd",
        "PWD": "/home/agent",
    }
    assert seen["cwd"] == "/home/agent"


async def test_no_process_list_shows_the_token(seen: dict[str, Any]) -> None:
    """The agent's token is in no argument of any process."""
    # bubblewrap stays beside process 1; runc leaves.
    assert len(seen["cmdlines"]) in (2, 3)
    assert not [line for line in seen["cmdlines"] if TOKEN.encode() in line]


async def test_there_are_no_rights_inside(seen: dict[str, Any]) -> None:
    """An ordinary user without capabilities, who cannot gain any, mount, or make a user namespace."""
    assert seen["ids"][:2] == [1000, 1000]
    # An ordinary user cannot lay down the groups it has; they show as nobody.
    assert set(seen["ids"][2]) <= ({1000} if os.geteuid() == 0 else {1000, 65534})
    assert seen["who"] == "agent"
    assert set(seen["caps"].values()) == {"0000000000000000"}
    assert seen["no_new_privs"] == "1"
    assert seen["userns"] in ("No space left on device", "Operation not permitted")
    assert seen["mount"] == "Operation not permitted"
    assert seen["setuid"] in ("PermissionError", "OSError")


async def test_only_its_own_processes_exist(seen: dict[str, Any]) -> None:
    """A pid namespace of its own with the agent below process 1, in a new session, with no signal ignored by inheritance."""
    assert min(seen["pids"]) == 1
    assert len(seen["pids"]) <= 3
    assert seen["sid"] == [1, 1]
    # Python itself ignores SIGPIPE and SIGXFSZ, and 32 and 33 belong to the C library.
    theirs = sum(1 << number - 1 for number in (signal.SIGPIPE, signal.SIGXFSZ, 32, 33))
    assert int(seen["signals"], 16) & ~theirs == 0


async def test_no_file_of_the_server_is_open_inside(seen: dict[str, Any]) -> None:
    """stdin is empty, output goes to the log, and no other descriptor came along, inheritable or not."""
    assert sorted(seen["fds"], key=int)[:3] == ["0", "1", "2"]
    assert seen["fds"]["0"] == "'/dev/null'"
    assert (
        seen["fds"].pop("7").startswith("'pipe:")
    )  # the agent's token, which this one did not take
    others = {n: t for n, t in seen["fds"].items() if n not in "012"}
    assert all("/proc/" in target or target == "FileNotFoundError" for target in others.values())


async def test_the_host_s_files_are_out_of_reach(seen: dict[str, Any]) -> None:
    """Neither the server's data, nor a neighbour's home, nor this repository, nor secrets of the host exist inside."""
    assert seen["paths"] == dict.fromkeys(seen["forbidden"], "FileNotFoundError")
    assert not {"passwd-", "shadow", "machine-id", "hostname"} & set(seen["etc"])
    assert seen["run"] == ["taskyard"]
    assert seen["tmp"] == []
    assert not [name for name in seen["dev"] if name.startswith(("sd", "vd", "kmsg", "mem", "kvm"))]


async def test_only_home_and_scratch_can_be_written(seen: dict[str, Any]) -> None:
    """The system, the template, the runtime and the link's folder are read-only."""
    written = {path for path, result in seen["writes"].items() if result == "None"}
    assert written == {".", "/tmp", "/dev/shm"}
    assert seen["unlink"] == "OSError"


async def test_the_server_is_reached_by_its_socket_only(seen: dict[str, Any]) -> None:
    """The bound socket answers; loopback is the workspace's own; no port, abstract socket or route of the host is there."""
    assert seen["link"] == "'connected'"
    assert seen["host_port"] == "ConnectionRefusedError"
    assert seen["abstract"] == "ConnectionRefusedError"
    assert seen["internet"] == "OSError"
    assert seen["interfaces"] == ["lo"]
    assert seen["routes"] == []
    assert seen["loopback"] == "None"


async def test_names_and_certificates_work(seen: dict[str, Any]) -> None:
    """The host name is the workspace's and resolves; TLS finds the machine's authorities."""
    assert seen["hostname"] == "brave-otter"
    assert seen["own_name"] == "'127.0.0.1'"
    assert seen["tls"] == "True"


async def test_the_agent_s_packages_are_there_and_no_others(seen: dict[str, Any]) -> None:
    """Everything the agent may import can be imported; the server's own package cannot."""
    assert seen["imports"] == {name: f"'{name}'" for name in PACKAGES}
    assert seen["server"] == "ModuleNotFoundError"


async def test_the_template_is_there_to_read_and_run(seen: dict[str, Any]) -> None:
    """Its files are readable and its programs executable, whatever modes the archive had."""
    assert seen["template"]["taskyard.toml"] == "[template]"
    assert seen["script"] == "ran\n"


async def test_the_home_belongs_to_the_workspace(seen: dict[str, Any]) -> None:
    """Inside it is the agent's, mode 0700; as root each workspace has a host user of its own, not root."""
    assert (seen["home_owner"], seen["home_mode"]) == (1000, "0o700")
    assert seen["host_uids"] == {seen["home_uid"]}
    if os.geteuid() == 0:
        assert len({0, seen["home_uid"], seen["neighbour_uid"]}) == 3


async def test_a_new_socket_of_the_server_is_seen(yard_with_echo: Yard) -> None:
    """A server that restarts makes a new socket; a workspace that runs already connects to it."""
    script = (
        "import socket, time\n"
        "while True:\n"
        "    with socket.socket(socket.AF_UNIX) as s:\n"
        "        try:\n"
        "            s.connect('/run/taskyard/agent.sock')\n"
        "            open('answers', 'a').write(s.recv(9).decode())\n"
        "        except OSError: pass\n"
        "    time.sleep(0.005)\n"
    )
    driver, made = yard_with_echo.driver((PYTHON, "-I", "-c", script)), spec()
    await driver.ensure(made, quiet)
    path = yard_with_echo.link / "agent.sock"
    for word in ("first", "second"):
        with listening(str(path), socket.AF_UNIX) as server:
            path.chmod(0o666)
            server.settimeout(DEADLINE_S)
            connection, _ = await asyncio.to_thread(server.accept)
            with connection:
                connection.send(word.encode())
        path.unlink()
    answers = yard_with_echo.home(made.workspace_id) / "answers"
    await until(lambda: answers.exists() and answers.read_text().endswith("firstsecond"))


@pytest.fixture
async def yard_with_echo() -> AsyncIterator[Yard]:
    async with new_yard() as made:
        yield made
