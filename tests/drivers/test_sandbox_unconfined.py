"""Where there are no walls: refusing with a reason, and the loud way round it. Also: ordinary users."""

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from taskyard.drivers.base import Limits, PlaceState
from taskyard.drivers.sandbox.driver import SandboxDriver
from taskyard.drivers.sandbox.launchers import Launchers
from taskyard.drivers.sandbox.probe import explain, try_walls
from taskyard.drivers.sandbox.runtime import Bubblewrap
from taskyard.errors import DriverError, DriverUnavailable
from taskyard.wire.enums import LogLevel
from tests.drivers.sandbox_kit import (
    SLEEPER,
    Yard,
    into,
    lives,
    new_yard,
    processes_of,
    quiet,
    spec,
    until,
)

pytestmark = pytest.mark.anyio

REPOSITORY = Path(__file__).parents[2]
ORDINARY_UID = 64321
"""A user of the test's own, in no passwd file."""
OTHER_VERSION = f"sys.version_info[:2] != {sys.version_info[:2]}"
FORKING = (
    "/bin/sh",
    "-c",
    (
        "setsid sh -c 'trap \"\" TERM HUP; echo $$ > daemon; env -i sleep 1000' & "
        "env -i sleep 1001 & env > environment; echo up > up; wait"
    ),
)


@pytest.fixture
async def yard() -> AsyncIterator[Yard]:
    async with new_yard() as made:
        yield made


async def test_the_probe_says_how_workspaces_run(yard: Yard) -> None:
    """After a real try the mode names bubblewrap, its version and whether each workspace has its own user."""
    driver = yard.driver()
    await driver.probe()
    assert driver.mode.startswith("bubblewrap 0.")
    assert driver.mode.endswith("as root (uid per workspace)") == (os.geteuid() == 0)
    assert driver.name == "sandbox"
    assert [path.name for path in yard.root.iterdir() if path.name.startswith(".probe")] == []
    assert not yard.kept()


async def test_without_walls_the_driver_refuses(yard: Yard) -> None:
    """A bubblewrap that fails ends probe and ensure with its name and the way round; nothing is made."""
    driver = SandboxDriver(
        yard.root, yard.link, allow_unconfined=False, bubblewrap=Path("/bin/false")
    )
    made = spec()
    with pytest.raises(DriverUnavailable, match=r"/bin/false.*--allow-unconfined"):
        await driver.probe()
    with pytest.raises(DriverUnavailable):
        await driver.ensure(made, quiet)
    assert not yard.kept()


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's homes are folders")
async def test_a_home_that_only_walls_show_is_not_replaced(yard: Yard) -> None:
    """Without walls a workspace whose home is an image is refused with its file and what to do; later it goes on with its files."""
    made = spec(limits=Limits(disk_bytes=32 << 20))
    await yard.driver().ensure(made, quiet)
    await yard.driver().stop(made.workspace_id, grace_s=1)
    again = replace(made, generation=2)
    with pytest.raises(DriverError, match=r"home\.img.*without --allow-unconfined"):
        await yard.driver(walls=False).ensure(again, quiet)
    assert not list(yard.home(made.workspace_id).iterdir())
    await yard.driver().ensure(again, quiet)


@pytest.mark.parametrize(
    ("setting", "value", "fix"),
    [
        ("kernel.unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "restrict_unprivileged_userns=0"),
        ("user.max_user_namespaces", "0", "user.max_user_namespaces=15000"),
    ],
)
def test_the_cause_is_named(tmp_path: Path, setting: str, value: str, fix: str) -> None:
    """A kernel setting that forbids namespaces is named, with the command that changes it."""
    path = tmp_path / setting.replace(".", "/")
    path.parent.mkdir(parents=True)
    path.write_text(value + "\n")
    text = explain("setting up uid map: Permission denied", Path("/bwrap"), tmp_path)
    assert setting in text
    assert "sysctl -w" in text
    assert fix in text


def test_a_container_is_told_apart(tmp_path: Path) -> None:
    """Where no setting is to blame, lacking rights and any other failure are told as they are."""
    assert "SYS_ADMIN" in explain(
        "launch: mount of /: Operation not permitted", Path("/b"), tmp_path
    )
    assert "no such thing" in explain("no such thing", Path("/b"), tmp_path)


async def test_the_cause_is_one_sentence(yard: Yard, tmp_path: Path) -> None:
    """Of a traceback one line is told, of a command that failed what it said; no sentence ends twice."""
    traceback = 'Traceback (most recent call last):\n  File "x.py", line 1\nError: it broke.\n'
    assert explain(traceback, Path("/b"), tmp_path) == (
        "Workspaces cannot be confined: /b failed. It said: Error: it broke."
    )
    yard.root.mkdir()
    with pytest.raises(DriverUnavailable) as caught:
        try_walls(yard.root, yard.link, Bubblewrap(Path("/bin/false"), None), Launchers())
    assert "PosixPath" not in str(caught.value)
    assert "ended with 1" in str(caught.value)


PROBE = (
    "import asyncio, sys\n"
    "from pathlib import Path\n"
    "from taskyard.drivers.sandbox.driver import SandboxDriver\n"
    "root, link = map(Path, sys.argv[1:])\n"
    "asyncio.run(SandboxDriver(root, link, allow_unconfined=False).probe())\n"
)
NO_NAMESPACES = (
    "echo 0 > /proc/sys/user/max_user_namespaces && "
    'exec setpriv --inh-caps=-all --ambient-caps=-all "$@"'
)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to take things away from a process")
@pytest.mark.parametrize(
    ("user", "script", "named"),
    [
        (["--map-user=1000", "--keep-caps"], NO_NAMESPACES, b"user.max_user_namespaces=15000"),
        (["--map-root-user"], 'exec "$@"', b"/proc/self/uid_map"),
    ],
    ids=["no namespaces", "no ids"],
)
async def test_a_machine_without_namespaces_is_recognised(
    yard: Yard, user: list[str], script: str, named: bytes
) -> None:
    """Where the kernel really gives no user namespaces, or no ids for workspaces, the failure names that."""
    command = ["unshare", "--user", *user, "sh", "-c", script, "sh", sys.executable, "-c", PROBE]
    done = await anyio.run_process([*command, str(yard.root), str(yard.link)], check=False)
    assert b"DriverUnavailable" in done.stderr
    assert named in done.stderr
    print(done.stderr.decode().splitlines()[-1])


@pytest.mark.parametrize("mode", [None, 0o600])
async def test_a_closed_link_folder_is_named(yard: Yard, mode: int | None) -> None:
    """A folder of the server's socket that is missing, or that workspaces cannot pass, ends the probe."""
    if mode is None:
        yard.link.rmdir()
    else:
        yard.link.chmod(mode)
    driver = SandboxDriver(yard.root, yard.link, allow_unconfined=False)
    with pytest.raises(DriverUnavailable, match=rf"{yard.link}.*install -d -m 711"):
        await driver.probe()


async def test_unconfined_is_loud(yard: Yard) -> None:
    """Where it is allowed the workspace runs, and mode, log and reason say so at each start."""
    driver, made = yard.driver(walls=False), spec()
    for generation in (1, 2):
        lines: list[tuple[LogLevel, str]] = []
        await driver.ensure(spec(made.workspace_id, generation), into(lines))
        assert driver.mode == "unconfined"
        warning = next(line for level, line in lines if level is LogLevel.WARN)
        assert "NOT CONFINED" in warning
        assert "/bin/false" in warning
    assert (await driver.observe(made.workspace_id)).state is PlaceState.RUNNING


async def test_unconfined_walls_are_used_where_they_work(yard: Yard) -> None:
    """Allowing unconfined workspaces changes nothing where bubblewrap runs."""
    driver = SandboxDriver(yard.root, yard.link, allow_unconfined=True, agent_argv=SLEEPER)
    await driver.probe()
    assert driver.mode.startswith("bubblewrap")


async def test_an_unconfined_tree_is_ended_whole(yard: Yard) -> None:
    """Daemons in other sessions and processes that cleared their environment end with the workspace."""
    driver, made = yard.driver(FORKING, walls=False), spec()
    await driver.ensure(made, quiet)
    home = yard.home(made.workspace_id)
    await until((home / "up").exists)
    await until(lambda: (home / "daemon").exists() and (home / "daemon").read_text())
    daemon = int((home / "daemon").read_text())
    sleepers = {
        int(path.name)
        for path in Path("/proc").iterdir()
        if path.name.isdecimal() and session_of(path) in (daemon, session_of_agent(yard, made))
    }
    assert len(sleepers) >= 4
    await driver.stop(made.workspace_id, grace_s=0.05)
    assert not [pid for pid in sleepers if lives(pid)]
    assert not processes_of(made.workspace_id)
    assert (await driver.observe(made.workspace_id)).state is PlaceState.STOPPED
    await driver.destroy(made.workspace_id)
    assert not yard.kept()


def session_of(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[3])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def session_of_agent(yard: Yard, made: object) -> int:
    [record] = yard.root.glob("*/record.json")
    return int(json.loads(record.read_text())["agent"]["pid"])


async def test_an_unconfined_environment_is_clear(yard: Yard) -> None:
    """It is the same list as behind walls, with the host's paths and the mark by which the tree is found."""
    driver, made = yard.driver(FORKING, walls=False), spec(env={"GREETING": "hello"})
    await driver.ensure(made, quiet)
    home = yard.home(made.workspace_id)
    await until((home / "up").exists)
    names = dict(line.split("=", 1) for line in (home / "environment").read_text().splitlines())
    names.pop("PWD")
    names.pop("_", None)
    path = names.pop("PATH")
    assert path.startswith(f"{home}/.local/bin:")
    assert names == {
        "TASKYARD_AGENT_URL": f"unix:{yard.link}/agent.sock",
        "TASKYARD_AGENT_TOKEN_FD": "7",
        "TASKYARD_TEMPLATE_DIR": str(yard.root / str(made.workspace_id) / "template"),
        "TASKYARD_WORKSPACE_ID": str(made.workspace_id),
        "HOME": str(home),
        "USER": "agent",
        "LANG": "C.UTF-8",
        "GREETING": "hello",
    }


async def test_an_unconfined_agent_that_ends_is_seen(yard: Yard) -> None:
    """The workspace is stopped, and what it left behind is ended."""
    script = "setsid sleep 1000 & while [ ! -e go ]; do sleep 0.01; done"
    driver, made = yard.driver(("/bin/sh", "-c", script), walls=False), spec()
    await driver.ensure(made, quiet)
    agent = session_of_agent(yard, made)
    (yard.home(made.workspace_id) / "go").touch()
    await until(lambda: not lives(agent))
    assert (await driver.observe(made.workspace_id)).state is PlaceState.STOPPED
    assert not processes_of(made.workspace_id)


def ordinary(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """The system's Python with this run's packages, as a user without any rights."""
    packages = [str(REPOSITORY / "src"), str(REPOSITORY), sysconfig.get_path("purelib")]
    user = ["--reuid", str(ORDINARY_UID), "--regid", str(ORDINARY_UID), "--clear-groups"]
    return subprocess.run(
        ["setpriv", *user, "/usr/bin/python3", *arguments],
        cwd=REPOSITORY,
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": os.pathsep.join(packages),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="the whole run is an ordinary user's already")
@pytest.mark.parametrize(
    "files",
    [
        ["walls"],
        pytest.param(["", "files", "faults", "programs", "unconfined"], marks=pytest.mark.all_tier),
    ],
    ids=["walls", "all"],
)
def test_all_of_it_holds_for_an_ordinary_user(files: list[str]) -> None:
    """The same tests pass for a user without rights, with the system's interpreter."""
    if ordinary(
        "-c", f"import sys, pytest, msgspec._core, taskyard; sys.exit({OTHER_VERSION})"
    ).returncode:
        pytest.skip("/usr/bin/python3 is of another version, or that user cannot read this clone")
    names = [f"tests/drivers/test_sandbox{'_' if name else ''}{name}.py" for name in files]
    done = ordinary("-m", "pytest", "-q", "-p", "no:cacheprovider", *names)
    print(done.stdout)
    assert done.returncode == 0
