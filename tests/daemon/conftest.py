"""Folders, with a Postgres in them and without."""

import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
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
async def made(anyio_backend: object) -> AsyncIterator[Path]:
    """A folder in which a database was made and stopped."""
    folder = Path(tempfile.mkdtemp(prefix="ty-made-"))
    postgres = EmbeddedPostgres(folder, durable=False)
    await postgres.start()
    await postgres.stop()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def folder(made: Path) -> Iterator[Path]:
    """A folder with a database in it that does not run; each test leaves it so."""
    folder = Path(tempfile.mkdtemp(prefix="ty-"))
    folder.chmod(0o711)
    subprocess.run(["cp", "-a", str(made), str(folder / "pg")], check=True)
    yield folder / "pg"
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
async def postgres(made: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A Postgres that runs, and that each test leaves running."""
    postgres = EmbeddedPostgres(made, durable=False)
    await postgres.start()
    yield postgres
    await postgres.stop()
