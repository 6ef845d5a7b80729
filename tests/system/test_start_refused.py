"""Servers that must not start: one sentence that names the thing and the way out, nothing half-made."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from taskyard.sdk.local import LocalServer

SERVER = [sys.executable, "-P", "-m", "taskyard.cli.main", "server", "--port", "0"]
AS_A_ROOT_OF_NOTHING = ["unshare", "--user", "--map-root-user"]
"""A root without the user ids that workspaces get, as in a container without them."""


def refusal(
    *options: str, prefix: tuple[str, ...] = (), environment: Mapping[str, str] | None = None
) -> str:
    """What a server that does not start says: one line, no traceback."""
    ended = subprocess.run(
        [*prefix, *SERVER, *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    assert ended.returncode == 1, ended.stderr
    assert ended.stdout == ""
    said = [line for line in ended.stderr.splitlines() if line.startswith("taskyard: ")]
    assert len(said) == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    return said[0]


def user_namespaces() -> bool:
    """Whether a process without rights can be made here."""
    try:
        return subprocess.run([*AS_A_ROOT_OF_NOTHING, "true"], check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
def empty_database(postgres_url: str) -> Iterator[str]:
    """The address of a database that nobody has used."""
    name = f"empty_{uuid4().hex}"
    run_sql(postgres_url, f'create database "{name}"', "select 1")
    try:
        yield urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
    finally:
        run_sql(postgres_url, f'drop database "{name}" with (force)', "select 1")


def run_sql(url: str, *statements: str) -> list[asyncpg.Record]:
    """The rows of the last statement."""

    async def run() -> list[asyncpg.Record]:
        conn = await asyncpg.connect(url)
        try:
            for statement in statements[:-1]:
                await conn.execute(statement)
            return await conn.fetch(statements[-1])
        finally:
            await conn.close()

    return asyncio.run(run())


@pytest.mark.skipif(not user_namespaces(), reason="needs user namespaces")
def test_no_walls_for_workspaces(data_dir: Path) -> None:
    """Where workspaces cannot be confined the server says why, and how to go without walls."""
    said = refusal("--data-dir", str(data_dir), prefix=tuple(AS_A_ROOT_OF_NOTHING))
    assert "cannot be confined" in said
    assert "--allow-unconfined" in said


def test_a_database_that_is_not_reached(data_dir: Path) -> None:
    """The address is named without its password."""
    url = "postgresql://me:hunter2@127.0.0.1:1/nothing"
    said = refusal("--data-dir", str(data_dir), "--postgres-url", url)
    assert "127.0.0.1:1/nothing" in said
    assert "hunter2" not in said


def test_a_database_of_something_else(data_dir: Path, empty_database: str) -> None:
    """Somebody else's tables are named, and nothing is added to them."""
    tables = "select relname from pg_class where relnamespace = 'public'::regnamespace"
    run_sql(empty_database, "create table bills ()", "select 1")
    said = refusal("--data-dir", str(data_dir), "--postgres-url", empty_database)
    assert "bills" in said
    assert [row["relname"] for row in run_sql(empty_database, tables)] == ["bills"]


def test_a_database_of_another_data_directory(data_dir: Path, empty_database: str) -> None:
    """Two directories on one database would run every task twice: the second is told whose it is."""
    first = data_dir.parent / "first"
    with LocalServer(first, options=["--postgres-url", empty_database]):
        said = refusal("--data-dir", str(data_dir), "--postgres-url", empty_database)
    assert (first / "deployment_id").read_text().strip() in said
    assert str(data_dir) in said


@pytest.mark.parametrize(
    ("variable", "value"), [("TASKYARD_MAX_RUNNING", "many"), ("TASKYARD_ROLES", "api,boss")]
)
def test_a_variable_that_cannot_be_read(data_dir: Path, variable: str, value: str) -> None:
    """The variable and what it holds are named."""
    said = refusal("--data-dir", str(data_dir), environment={variable: value})
    assert variable in said
    assert value in said


def test_a_settings_file_with_a_slip(data_dir: Path) -> None:
    """The file, the key and the key that was meant are named."""
    file = data_dir.parent / "settings.toml"
    file.write_text("prot = 4\n")
    said = refusal("--data-dir", str(data_dir), "--config", str(file))
    assert str(file) in said
    assert "'prot'" in said
    assert "'port'" in said


def test_an_empty_data_directory_name(data_dir: Path) -> None:
    """`--data-dir "$UNSET"` does not fill whatever folder one stands in."""
    assert "--data-dir" in refusal("--data-dir", "")
    assert not (data_dir / "format").exists()


def test_an_address_that_is_not_here(data_dir: Path) -> None:
    """An address of another machine is no matter of ports."""
    said = refusal("--data-dir", str(data_dir), "--host", "192.0.2.1")
    assert "192.0.2.1" in said
    assert "--host" in said
