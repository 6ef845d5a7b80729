"""Our own Postgres: with real processes, killed at every bad moment."""

import asyncio
import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from taskyard.daemon.postgres import EmbeddedPostgres
from taskyard.daemon.postgres_process import running_on
from taskyard.daemon.postgres_programs import Identity, first_closed
from taskyard.errors import StartupError
from tests.waiting import DEADLINE_S


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


async def show(url: str, setting: str) -> str:
    connection = await asyncpg.connect(url)
    value = await connection.fetchval("select current_setting($1)", setting)
    await connection.close()
    return str(value)


@pytest.mark.anyio
async def test_what_was_written_is_there_after_stop_and_start(postgres: EmbeddedPostgres) -> None:
    """A stop leaves no process, and the next start finds the data under the same address."""
    url = postgres.url
    await write(url, "kept")
    await postgres.stop()
    assert running_on(postgres.data) == set()
    await postgres.start()
    assert postgres.url == url
    assert "kept" in await read(url)


@pytest.mark.anyio
async def test_only_the_password_opens_and_only_the_socket(postgres: EmbeddedPostgres) -> None:
    """No TCP, no way in without the password, and secrets and socket closed to other users."""
    assert await show(postgres.url, "listen_addresses") == ""
    secret = urlsplit(postgres.url).password
    assert secret is not None
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres.url.replace(secret, "wrong"))
    for name, mode in {"cluster/password": 0o600, "socket": 0o700, "log": 0o600}.items():
        assert stat.S_IMODE((postgres.path / name).stat().st_mode) == mode


@pytest.mark.anyio
async def test_our_role_owns_the_database_and_is_no_superuser(postgres: EmbeddedPostgres) -> None:
    """The role can do all in its own databases, and make them, but not read the machine's files."""
    connection = await asyncpg.connect(postgres.url)
    await connection.execute("create table public.mine (id int)")
    await connection.execute("create database another")
    await connection.execute("drop database another")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("select pg_read_file('/etc/hostname')")
    await connection.close()


@pytest.mark.anyio
async def test_durability_is_on_unless_turned_off(postgres: EmbeddedPostgres, folder: Path) -> None:
    """A durable Postgres waits for the disk; one for tests does not. Both notice a rotten page."""
    durable = EmbeddedPostgres(folder)
    await durable.start()
    try:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert await show(durable.url, setting) == "on"
            assert await show(postgres.url, setting) == "off"
        assert await show(durable.url, "data_checksums") == "on"
    finally:
        await durable.stop()


@pytest.mark.anyio
async def test_a_second_start_is_refused_and_harms_nothing(postgres: EmbeddedPostgres) -> None:
    """One folder, one Postgres: the second names the folder and the process, the first goes on."""
    with pytest.raises(StartupError) as refusal:
        await EmbeddedPostgres(postgres.path).start()
    assert str(postgres.path) in str(refusal.value)
    assert f"process {os.getpid()}" in str(refusal.value)
    await write(postgres.url, "still here")


@pytest.mark.anyio
async def test_a_killed_postmaster_is_noticed_and_started_again(folder: Path) -> None:
    """wait_dead tells of the kill, and after restart everything acknowledged is there.

    A client that computes, and so does not look whether its postmaster lives, is in nobody's way.
    """
    postgres = EmbeddedPostgres(folder, durable=True)
    await postgres.start()
    await write(postgres.url, "acknowledged")
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        group.create_task(_compute_until_cut_off(postgres.url))
        await _until_somebody_computes(postgres.url)
        os.kill(postgres.pid, signal.SIGKILL)
        assert await postgres.wait_dead() == -signal.SIGKILL
        await postgres.restart()
    assert "acknowledged" in await read(postgres.url)
    await postgres.stop()


async def _compute_until_cut_off(url: str) -> None:
    connection = await asyncpg.connect(url)
    with pytest.raises((asyncpg.PostgresError, ConnectionError)):
        await connection.execute("do $$ begin loop end loop; end $$ -- for ever")


async def _until_somebody_computes(url: str) -> None:
    connection = await asyncpg.connect(url)
    others = "select 1 from pg_stat_activity where state = 'active' and query like '%for ever'"
    while not await connection.fetchval(others + " and pid <> pg_backend_pid()"):
        pass
    await connection.close()


@pytest.mark.anyio
async def test_restart_of_a_living_one_works_too(postgres: EmbeddedPostgres) -> None:
    """Restart stops what runs and starts it again."""
    old = postgres.pid
    await postgres.restart()
    assert postgres.pid != old
    await write(postgres.url, "again")


@pytest.fixture
def somebody(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with Postgres but its user."""
    user = (folder / "cluster" / "data").stat().st_uid
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, user=user) as process:
        yield process


@pytest.mark.anyio
async def test_a_stale_pid_file_is_not_believed(
    folder: Path, somebody: subprocess.Popen[bytes]
) -> None:
    """A pid file whose number now belongs to somebody else does not keep Postgres from starting.

    In a container the same few numbers come back after each restart.
    """
    data = folder / "cluster" / "data"
    lines = f"{somebody.pid}\n{data}\n1\n5432\n{folder}/socket\n\n0 0\nready   \n"
    (data / "postmaster.pid").write_text(lines)
    os.chown(data / "postmaster.pid", data.stat().st_uid, data.stat().st_gid)
    postgres = EmbeddedPostgres(folder, durable=False)
    try:
        await postgres.start()
        await write(postgres.url, "x")
        assert somebody.poll() is None
    finally:
        await postgres.stop()


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["long-" * 24, "a,b", "a b\"d'e%20?&=\\"])
async def test_a_moved_folder_with_an_odd_path_works(folder: Path, name: str) -> None:
    """A folder may be moved, its path be long or odd; a socket elsewhere is as closed to others."""
    moved = folder.rename(folder.with_name(name))
    postgres = EmbeddedPostgres(moved, durable=False)
    await postgres.start()
    try:
        await write(postgres.url, "far")
        socket = Path(parse_qs(urlsplit(postgres.url).query)["host"][0])
        assert stat.S_IMODE(socket.stat().st_mode) == 0o700
        assert socket.is_relative_to(moved) == ("?" in name)
        assert EmbeddedPostgres(moved).url == postgres.url
    finally:
        await postgres.stop()
        moved.rename(folder)
    assert not socket.exists()


@pytest.mark.anyio
async def test_data_of_another_major_version_is_refused(open_folder: Path) -> None:
    """Data of a version without programs is left alone; the sentence says what to install."""
    version = open_folder / "cluster" / "data" / "PG_VERSION"
    version.parent.mkdir(parents=True)
    version.write_text("12\n")
    with pytest.raises(StartupError, match=r"made by Postgres 12.*Install Postgres 12"):
        await EmbeddedPostgres(open_folder).start()
    assert [entry.name for entry in version.parent.iterdir()] == ["PG_VERSION"]


@pytest.mark.anyio
async def test_a_folder_named_for_programs_is_the_only_one(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TASKYARD_PG_BIN without programs in it is an error, not ignored; nothing is made."""
    monkeypatch.setenv("TASKYARD_PG_BIN", str(open_folder))
    with pytest.raises(StartupError, match=r"TASKYARD_PG_BIN"):
        await EmbeddedPostgres(open_folder / "pg").start()
    assert not (open_folder / "pg" / "cluster").exists()


@pytest.mark.anyio
async def test_a_failing_initdb_tells_its_last_words(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What initdb said is in the sentence, nothing half-made stays, and the folder is free again."""
    programs = open_folder / "bin"
    programs.mkdir(mode=0o755)
    for name, script in {
        "postgres": "echo postgres 18.0",
        "initdb": '[ "$1" = --version ] || { echo "no space left" >&2; exit 3; }',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("TASKYARD_PG_BIN", str(programs))
    for _ in range(2):
        with pytest.raises(StartupError, match=r"exit code 3.*no space left"):
            await EmbeddedPostgres(open_folder / "pg").start()
    assert not list((open_folder / "pg").glob("making-*"))


def test_the_outermost_closed_folder_is_found(open_folder: Path) -> None:
    """Passing needs the search bit of the owner, the group or others, whichever one is."""
    inner = open_folder / "a" / "b"
    inner.mkdir(parents=True, mode=0o755)
    stranger = Identity("1:1", 54321, 54321)
    assert first_closed(inner, stranger) is None
    inner.parent.chmod(0o700)
    assert first_closed(inner, stranger) == inner.parent
    assert first_closed(inner, Identity("", os.geteuid(), os.getegid())) is None
