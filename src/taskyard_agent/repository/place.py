"""Where git works for us: a folder of our own that is gone afterwards, never the workspace's repository."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from taskyard_agent.protocol import Repository
from taskyard_agent.repository.git import Git

HOME_FOLDER = ".taskyard"
"""Where in the home directory our own files lie; 0700."""

PREFIX = "git-"
"""How scratch folders are called."""


@dataclass(frozen=True, slots=True)
class Ground:
    """A workspace's repository and what it takes to work on it. owner_name is whose the commits are."""

    repository: Repository
    home: Path
    env: Mapping[str, str]
    owner_name: str

    @property
    def folder(self) -> Path:
        """Where the repository is, and where the coding agent works."""
        return self.home / self.repository.folder

    @property
    def is_cloned(self) -> bool:
        """Whether there is a repository."""
        inner = self.folder / ".git"
        return inner.is_dir() and not inner.is_symlink() and not self.folder.is_symlink()


@dataclass(frozen=True, slots=True)
class Scratch:
    """A folder that is gone afterwards, and a git that knows nothing but it."""

    path: Path
    git: Git


@asynccontextmanager
async def scratch(ground: Ground) -> AsyncIterator[Scratch]:
    """A scratch folder. Raises GitFailed, OSError."""
    base = ground.home / HOME_FOLDER
    base.mkdir(mode=0o700, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
    try:
        yield Scratch(path, Git(ground.env, ground.home, path))
    finally:
        loop = asyncio.get_running_loop()
        removing = loop.run_in_executor(None, partial(shutil.rmtree, path, ignore_errors=True))
        await asyncio.wait([removing])
