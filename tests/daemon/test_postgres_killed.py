"""Our own Postgres when its server is killed, as root and as an ordinary user, and what is refused."""

import asyncio
import json
import os
import shutil
import signal
import site
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from select import poll
from typing import Protocol

import asyncpg
import pytest

from taskyard.daemon.postgres import EmbeddedPostgres
from taskyard.daemon.postgres_programs import WHEEL, Identity, first_closed, leashed
from tests.waiting import DEADLINE_S

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="about what root's Postgres runs as")
NOBODY = Identity("65534:65534", 65534, 65534)
STRANGER = Identity("namespace:64321", 64321, 64321)
KEEPER = Path(__file__).with_name("keep_postgres.py")


@dataclass(frozen=True)
class Keeper:
    """A process that keeps a Postgres running, as its own words tell."""

    process: subprocess.Popen[bytes]
    pid: int
    url: str
    refused: str

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Keep(Protocol):
    def __call__(self, folder: Path, *, lonely: bool = False, wait: bool = True) -> Keeper: ...


@pytest.fixture
def keep() -> Iterator[Keep]:
    """Start a process that keeps a Postgres, as we are; ended after the test."""
    with _keepers([]) as start:
        yield start


@pytest.fixture
def keep_as_stranger() -> Iterator[Keep]:
    """The same as a user id that has no account, as containers choose them."""
    with _keepers(leashed(STRANGER, [sys.executable], signal.SIGKILL)) as start:
        yield start


@pytest.fixture
def keep_as_user(open_folder: Path) -> Iterator[Keep]:
    """The same as an ordinary user, who owns the test's open folder."""
    with _keepers(_as_ordinary_user(open_folder)) as start:
        yield start


def await_gone(pid: int) -> None:
    """Return when the process has ended; fail if it is still there long after its server was killed."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    watch = poll()
    watch.register(descriptor)
    ended = watch.poll(DEADLINE_S * 1000)
    os.close(descriptor)
    assert ended, f"process {pid} is still there after {DEADLINE_S} s"


def _as_ordinary_user(home: Path) -> list[str]:
    """What to put before a command so that an ordinary user runs it.

    Root becomes nobody if nobody can run a Python here. Where Python lies in root's closed folder,
    a user namespace makes root look and act like an ordinary user.
    """
    if os.geteuid() != 0:
        return []
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        real = Path(python).resolve()
        paths = [Path(__file__).parent, *map(Path, site.getsitepackages())]
        if real.exists() and not any(first_closed(path, NOBODY) for path in [real, *paths]):
            os.chown(home, NOBODY.uid, NOBODY.gid)
            return [*leashed(NOBODY, [python], signal.SIGKILL)]
    return leashed(Identity("namespace:65534", 0, 0), [sys.executable], signal.SIGKILL)


@contextmanager
def _keepers(prefix: list[str]) -> Iterator[Keep]:
    keepers: list[Keeper] = []

    def start(folder: Path, *, lonely: bool = False, wait: bool = True) -> Keeper:
        command = [*(prefix or [sys.executable]), str(KEEPER), str(folder)]
        source = str(Path(__file__).parents[2] / "src")
        process = subprocess.Popen(
            [*command, *(["lonely"] if lonely else [])],
            stdout=subprocess.PIPE,
            cwd="/",
            env=os.environ | {"PYTHONPATH": os.pathsep.join([source, *site.getsitepackages()])},
        )
        assert process.stdout is not None
        with process.stdout:
            said = json.loads(process.stdout.readline()) if wait else {}
        keeper = Keeper(process, said.get("pid", 0), said.get("url", ""), said.get("refused", ""))
        keepers.append(keeper)
        return keeper

    yield start
    for keeper in keepers:
        keeper.kill()
        if keeper.pid:
            await_gone(keeper.pid)


async def write(url: str, word: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("create table if not exists words (word text)")
    await connection.execute("insert into words values ($1)", word)
    await connection.close()


async def read(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("select word from words")
    await connection.close()
    return {row["word"] for row in rows}


async def _kill_while_making(keep: Keep, folder: Path) -> Path:
    """Kill a server in the middle of initdb; the half-made folder that it leaves."""
    server = keep(folder, wait=False)
    async with asyncio.timeout(DEADLINE_S):
        while not (halves := list(folder.glob("making-*/data/base/1"))):
            await asyncio.sleep(0.001)
    server.kill()
    return halves[0].parents[2]


@pytest.mark.anyio
async def test_a_killed_server_takes_its_postgres_along(folder: Path, keep: Keep) -> None:
    """After kill -9 of the server its Postgres is gone at once, and the next start has the data."""
    await _killed_and_started_again(keep, folder)


@pytest.mark.anyio
async def test_the_same_for_an_ordinary_user(open_folder: Path, keep_as_user: Keep) -> None:
    """An ordinary user's server makes, loses and finds its database like root's."""
    await _killed_and_started_again(keep_as_user, open_folder / "pg")


@ROOT_ONLY
@pytest.mark.anyio
async def test_the_same_in_a_folder_closed_to_all_but_root(open_folder: Path, keep: Keep) -> None:
    """In a folder like /root no other user can work; Postgres then runs in a user namespace."""
    open_folder.chmod(0o700)
    await _killed_and_started_again(keep, open_folder / "pg")
    assert (open_folder / "pg/cluster/data").stat().st_uid == 0


@pytest.mark.anyio
async def test_the_same_as_a_user_without_an_account(
    open_folder: Path, keep_as_stranger: Keep
) -> None:
    """A user id that /etc/passwd does not have is no reason to refuse."""
    await _killed_and_started_again(keep_as_stranger, open_folder / "pg")


async def _killed_and_started_again(keep: Keep, folder: Path) -> None:
    first = keep(folder)
    assert first.refused == ""
    await write(first.url, "acknowledged")
    first.kill()
    await_gone(first.pid)
    second = keep(folder)
    assert second.refused == ""
    assert "acknowledged" in await read(second.url)


@pytest.mark.anyio
async def test_a_start_beside_a_dying_postgres_waits_for_it(folder: Path, keep: Keep) -> None:
    """A start right after the kill of the server, while its Postgres still writes, comes through."""
    first = keep(folder)
    await write(first.url, "acknowledged")
    # Stopped, it cannot heed that its server is gone, as if its last writing took long.
    os.kill(first.pid, signal.SIGSTOP)
    first.kill()
    postgres = EmbeddedPostgres(folder, durable=False)
    try:
        async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
            start = group.create_task(postgres.start())
            await asyncio.sleep(0)  # the start has seen the other by now, and waits
            assert not start.done()
            os.kill(first.pid, signal.SIGCONT)
        assert "acknowledged" in await read(postgres.url)
    finally:
        await postgres.stop()


@pytest.mark.anyio
async def test_a_server_killed_while_it_makes_the_database(open_folder: Path, keep: Keep) -> None:
    """A half-made database is never used: the next start makes a whole one and clears the rest."""
    folder = open_folder / "pg"
    half = await _kill_while_making(keep, folder)
    keeper = keep(folder)
    assert keeper.refused == ""
    await write(keeper.url, "whole")
    assert not half.exists()
    assert not list(folder.glob("making-*"))


def test_root_that_can_become_nobody_is_refused_with_the_folder(
    open_folder: Path, keep: Keep
) -> None:
    """Where neither changing user nor a namespace works, the sentence names the folder in the way."""
    open_folder.chmod(0o700)
    keeper = keep(open_folder / "pg", lonely=True)
    assert f"cannot pass {open_folder} on the way" in keeper.refused
    assert not (open_folder / "pg" / "cluster").exists()


@ROOT_ONLY
@pytest.mark.anyio
async def test_programs_in_a_closed_folder_are_staged(
    open_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Python lies in root's closed folder, Postgres runs from a copy that all can read.

    A strict umask at installation or now makes no difference; a copy of another version goes.
    """
    site_packages = _closed_wheel(tmp_path / "closed")
    monkeypatch.syspath_prepend(str(site_packages))
    folder = open_folder / "pg"
    (folder / "programs" / "1.2.3").mkdir(parents=True)
    old = os.umask(0o077)
    postgres = EmbeddedPostgres(folder, durable=False)
    try:
        await postgres.start()
        shown = Path(f"/proc/{postgres.pid}/cmdline").read_text()
        program = Path(shown.split("\0")[0])
        assert program.is_relative_to(folder / "programs")
        assert Path(f"/proc/{postgres.pid}").stat().st_uid != 0
        assert [entry.name for entry in (folder / "programs").iterdir()] == [version(WHEEL)]
    finally:
        await postgres.stop()
        os.umask(old)


def _closed_wheel(site_packages: Path) -> Path:
    """The installed Postgres wheel once more, in a folder that only root can enter."""
    spec = find_spec(WHEEL)
    assert spec is not None
    assert spec.origin is not None
    installed = Path(spec.origin).parent
    site_packages.mkdir(mode=0o700)
    for part in installed.parent.glob(f"{WHEEL}*"):
        shutil.copytree(part, site_packages / part.name, copy_function=os.link)
    unreadable = site_packages / WHEEL / "pginstall" / "bin" / "initdb"
    unreadable.unlink()
    shutil.copyfile(installed / "pginstall" / "bin" / "initdb", unreadable)
    unreadable.chmod(0o700)
    return site_packages


@pytest.mark.anyio
async def test_the_systems_postgres_serves_too(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs of the oldest version that we support make and run a database as well."""
    programs = Path("/usr/lib/postgresql/15/bin")
    if not (programs / "initdb").exists() and "CI" not in os.environ:
        pytest.skip("no Postgres 15 here; to have it: apt-get install postgresql-15")
    monkeypatch.setenv("TASKYARD_PG_BIN", str(programs))
    postgres = EmbeddedPostgres(open_folder / "pg", durable=False)
    await postgres.start()
    try:
        await write(postgres.url, "fifteen")
        assert (postgres.data / "PG_VERSION").read_text() == "15\n"
    finally:
        await postgres.stop()
    monkeypatch.delenv("TASKYARD_PG_BIN")
    await postgres.start()  # finds the programs that fit the data by itself
    await postgres.stop()
