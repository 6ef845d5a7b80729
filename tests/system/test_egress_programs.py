"""Real programs in a real workspace reach what is listed: by the proxy that they are told of, and without knowing any."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from taskyard.drivers.sandbox.driver import SandboxDriver
from tests.archives import tar_of
from tests.drivers.sandbox_kit import new_yard, quiet, spec
from tests.system.kit import steady_port
from tests.system.outside import (
    DOOR,
    Certificate,
    Outside,
    certificate,
    crates,
    debian_repository,
    files_of,
    hosts,
    npm_registry,
    python_index,
    relayed,
    repository,
)
from tests.waiting import until

pytestmark = [pytest.mark.all_tier, pytest.mark.xdist_group("programs")]

NAMES = ("pypi.example", "npm.example", "crates.example", "deb.example", "git.example")
EGRESS = [*(f"{name}:443" for name in NAMES), "deb.example:80", "git.example:80", "*.example:9418"]
BANNER = b"SSH-2.0-hello\r\n"
CA = "/opt/template/ca.pem"
PRELUDE = f"""
export SSL_CERT_FILE={CA} GIT_SSL_CAINFO={CA} NODE_EXTRA_CA_CERTS={CA} CARGO_HTTP_CAINFO={CA} CURL_CA_BUNDLE={CA}
export PIP_CERT={CA} PIP_DISABLE_PIP_VERSION_CHECK=1 UV_NO_CACHE=1 npm_config_cafile={CA} npm_config_update_notifier=false
export GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0
"""
PROGRAMS = {
    "curl": "curl -sS https://pypi.example/said http://git.example/said",
    "urllib": "python3 -c 'import urllib.request as u; print(u.urlopen(\"https://pypi.example/said\").read())'",
    "node": "node -e 'fetch(\"https://npm.example/said\").then(r => r.text()).then(console.log)'",
    "git": "git clone -q https://git.example/r.git r && cat r/said",
    "git-http": "git clone -q http://git.example/r.git r && cat r/said",
    "git-own": "git clone -q git://git.example/r.git r && cat r/said",
    "pip": """
        python3 -m pip -V > /dev/null 2>&1 || export PYTHONPATH=$(echo /usr/share/python-wheels/pip-*.whl)
        python3 -m pip install -q --no-compile --target t -i https://pypi.example/wheels tiny && cat t/tiny.py""",
    "uv": "uv pip install -q --python $PYTHON --target t --default-index https://pypi.example/wheels tiny && cat t/tiny.py",
    "npm": "npm install --silent --registry https://npm.example/ tiny && node -p 'require(\"tiny\")'",
    "cargo": """
        mkdir -p .cargo src && touch src/lib.rs; CRATES=https://crates.example/index/
        printf '[source.crates-io]\nreplace-with = "x"\n[source.x]\nregistry = "sparse+'$CRATES'"\n' \
            > .cargo/config.toml
        printf '[package]\nname = "mine"\nversion = "0.1.0"\n[dependencies]\ntiny = "1"\n' > Cargo.toml
        CARGO_HOME=$PWD/home cargo fetch -q && ls home/registry/cache/*""",
    "apt": """
        mkdir -p state/lists/partial cache/archives/partial etc
        echo 'deb [trusted=yes] http://deb.example/ ./' > etc/sources.list; touch state/status
        set -- -qq -o Dir::State=$PWD/state -o Dir::State::status=$PWD/state/status -o Dir::Cache=$PWD/cache \
            -o Dir::Etc=$PWD/etc -o Dir::Log=$PWD -o Acquire::Check-Date=false
        apt-get "$@" update && apt-get "$@" download tiny && ls""",
}
"""A command for each, which ends in what was fetched."""
SAID = {
    "pip": "index",
    "uv": "index",
    "npm": "registry",
    "cargo": "tiny-1.0.0.crate",
    "apt": "tiny_1.0",
}
"""What the command then says; else `from the`."""
KNOW_NO_PROXY = {"git-own", "node"}
"""Programs that no environment leads to a proxy."""
NEEDS = {
    "git-http": "git",
    "git-own": "git",
    "pip": "python3",
    "urllib": "python3",
    "apt": "apt-get",
}
"""The program where it is called otherwise."""


@dataclass
class Box:
    """A running workspace, and the relay that it comes to."""

    home: Path
    outside: Outside

    def run(self, name: str, command: str) -> tuple[str, str, list[str]]:
        """What a command said, and what it said on stderr, and what the relay was asked for meanwhile."""
        self.outside.asked.clear()
        (self.home / "new").write_text(command)
        (self.home / "new").rename(self.home / f"{name}.todo")
        done = self.home / f"{name}.done"
        until(f"the end of {name}", lambda: done.exists() or None)
        read = [(self.home / f"{name}.{word}").read_text() for word in ("out", "err")]
        return read[0], read[1], list(self.outside.asked)


AGENT = """
import json, os, subprocess, sys, time
door = subprocess.Popen([sys.executable, "-I", "/opt/template/door.py", sys.argv[1]], stdout=subprocess.PIPE, pass_fds=[9])
proxies = json.loads(door.stdout.readline())
python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
os.chdir(os.environ["HOME"])
while True:
    for name in [n[:-5] for n in os.listdir() if n.endswith(".todo")]:
        os.mkdir(name)
        env = {**os.environ, **(proxies if name.endswith("-told") else {}), "PYTHON": python}
        with open(name + ".out", "w") as out, open(name + ".err", "w") as err:
            subprocess.run(["/bin/sh", name + ".todo"], env=env, stdout=out, stderr=err)
        os.rename(name + ".todo", name + ".done")
    time.sleep(0.01)
"""


@contextmanager
def git_served(folder: Path) -> Iterator[int]:
    """The port of git's own server for the repositories in a folder."""
    port = steady_port()
    where = [f"--base-path={folder}", "--export-all", "--listen=127.0.0.1", f"--port={port}"]
    with subprocess.Popen(["git", "daemon", "--reuseaddr", *where, folder]) as daemon:
        try:
            until("git's server", lambda: listens(port))
            yield port
        finally:
            daemon.terminate()


def listens(port: int) -> bool | None:
    """Whether somebody does."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return None
    return True


def folders_of_programs() -> list[str]:
    """Folders outside of /usr that hold uv, node or cargo: what a user would give by --programs."""
    homes = [Path.home() / ".rustup/toolchains", Path.home() / ".pyenv/versions"]
    found = [*map(Path, os.environ["PATH"].split(":")), Path(sysconfig.get_path("scripts"))]
    found += [place for home in homes if home.is_dir() for place in sorted(home.glob("*/bin"))]
    chosen: dict[str, str] = {}
    for folder in found:
        for name in ("uv", "cargo", "node"):
            file = folder / name
            if file.is_file() and _is_program(file) and shutil.which(name, path="/usr/bin") is None:
                chosen.setdefault(name, str(folder.parent if name == "cargo" else folder))
    return list(dict.fromkeys(chosen.values()))


def _is_program(file: Path) -> bool:
    """Whether it is one itself, and not a script or a door to another."""
    with file.open("rb") as opened:
        return opened.read(4) == b"\x7fELF" and file.resolve().name == file.name


def has(name: str) -> bool:
    """Whether the program is on this machine, for workspaces to use."""
    places = [f"{folder}/bin:{folder}" for folder in folders_of_programs()]
    return shutil.which(name, path=":".join(["/usr/bin", *places])) is not None


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A workspace that does what it is given, for all tests here."""
    folder = tmp_path_factory.mktemp("outside")
    folder.chmod(0o755)
    certified = certificate(folder, *NAMES)
    bare = repository(folder / "git") if has("git") else None
    said = {"/said": b"from the host\n"}
    files = {
        "pypi.example": python_index() | said,
        "npm.example": npm_registry() | said,
        "crates.example": crates(),
        "deb.example": debian_repository(folder),
        "git.example": (files_of(bare, "/r.git") if bare else {}) | said,
    }
    with hosts(files) as plain, hosts(files, certified) as tls, git_served(folder / "git") as own:
        places = {f"{name}:443": tls for name in NAMES} | {f"{name}:80": plain for name in NAMES}
        places["git.example:9418"] = own
        with at_work(certified, places) as made:
            yield made


@contextmanager
def at_work(certified: Certificate, places: dict[str, int]) -> Iterator[Box]:
    """A workspace in a thread's event loop."""
    ready, over = threading.Event(), threading.Event()
    boxes: list[Box] = []

    async def main() -> None:
        async with new_yard() as yard:
            with relayed(yard.link / "relay.sock", places) as outside:
                argv = (
                    "/opt/taskyard/bin/python3",
                    "-I",
                    "/opt/template/agent.py",
                    json.dumps(EGRESS),
                )
                driver = SandboxDriver(
                    yard.root, yard.link,
                    allow_unconfined=False, agent_argv=argv, programs=folders_of_programs(),
                )  # fmt: skip
                inside: dict[str, str | bytes] = {"agent.py": AGENT, "door.py": DOOR}
                inside["ca.pem"] = certified.authority
                made = spec(template_tar=tar_of(inside), way_out=True)
                await driver.ensure(made, quiet)
                boxes.append(Box(yard.home(made.workspace_id), outside))
                ready.set()
                await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    try:
        until("a workspace", lambda: ready.is_set() or not thread.is_alive() or None)
        yield boxes[0]
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_that_knows_no_proxy_fetches(box: Box, name: str) -> None:
    """The name that it looks up leads it to the relay, and what is fetched arrives."""
    fetched(box, name, "")


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name not in KNOW_NO_PROXY])
def test_a_program_that_is_told_of_the_proxy_fetches(box: Box, name: str) -> None:
    """The same by the environment, as the workspace's scripts and its coding agent have it."""
    fetched(box, name, "-told")


def fetched(box: Box, name: str, how: str) -> None:
    """Nothing, once the program has what it wanted."""
    if not has(NEEDS.get(name, name)):
        pytest.skip("this machine has no such program")
    said, complained, asked = box.run(name + how, f"{PRELUDE}\ncd {name}{how}\n{PROGRAMS[name]}\n")
    assert SAID.get(name, "from the") in said, said + complained
    assert asked
    assert {target.partition(":")[0] for target in asked} <= set(NAMES)
