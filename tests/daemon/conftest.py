"""Folders, with a Postgres in them and without."""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from taskyard.daemon.postgres import EmbeddedPostgres


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A new folder that everybody can pass through, as /var/lib is."""
    folder = Path(tempfile.mkdtemp(prefix="ty-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def made() -> Iterator[Path]:
    """A folder in which a database was made and stopped; it is copied, and never runs again."""
    folder = Path(tempfile.mkdtemp(prefix="ty-made-"))
    postgres = EmbeddedPostgres(folder, durable=False)
    asyncio.run(_make(postgres))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def folder(made: Path) -> Iterator[Path]:
    """A folder with a database in it that does not run; each test leaves it so."""
    with _copy(made) as found:
        yield found


@pytest.fixture(scope="session")
def postgres(made: Path) -> Iterator[EmbeddedPostgres]:
    """A Postgres that runs, and that each test leaves running."""
    with _copy(made) as folder:
        postgres = EmbeddedPostgres(folder, durable=False)
        asyncio.run(postgres.start())
        yield postgres
        asyncio.run(postgres.stop())


@contextmanager
def _copy(made: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="ty-"))
    folder.chmod(0o711)
    subprocess.run(["cp", "-a", str(made), str(folder / "pg")], check=True)
    yield folder / "pg"
    shutil.rmtree(folder)


async def _make(postgres: EmbeddedPostgres) -> None:
    await postgres.start()
    await postgres.stop()
