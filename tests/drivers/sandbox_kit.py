"""What the sandbox driver's tests share: a driver in a folder of its own, and a look at the process table."""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from taskyard.drivers.base import Limits, LogSink, WorkspaceSpec
from taskyard.drivers.sandbox.driver import SandboxDriver
from taskyard.wire.enums import LogLevel
from tests.control_groups import drop_groups
from tests.waiting import DEADLINE_S

PYTHON = "/opt/taskyard/bin/python3"
"""The interpreter inside a confined workspace."""
SLEEPER = ("/bin/sh", "-c", "exec sleep 1000")
"""An agent that does nothing and ends at SIGTERM."""


class Yard:
    """A server's folders, and drivers on them."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "data" / "workspaces"
        self.link = folder / "data" / "run" / "link"
        self.link.mkdir(parents=True)
        # What the server does: every user may pass, but only below a folder that nobody else may.
        self.link.chmod(0o711)
        (folder / "data").chmod(0o700)

    def driver(
        self, agent_argv: Sequence[str] | None = SLEEPER, *, walls: bool = True
    ) -> SandboxDriver:
        """A driver as a new server process makes it; without walls it finds a bubblewrap that fails."""
        return SandboxDriver(
            self.root,
            self.link,
            allow_unconfined=not walls,
            agent_argv=agent_argv,
            bubblewrap=None if walls else Path("/bin/false"),
        )

    def home(self, workspace_id: UUID) -> Path:
        """The workspace's home as the host sees it."""
        return self.root / str(workspace_id) / "home"

    def kept(self) -> set[str]:
        """The names of what is kept for workspaces: their folders, locks and user ids."""
        names = {path.name for path in self.root.iterdir() if not path.name.startswith(".")}
        for folder in (".locks", ".uids"):
            if (self.root / folder).exists():
                names |= {path.name for path in (self.root / folder).iterdir()}
        return names


@asynccontextmanager
async def new_yard(kind: type[Yard] = Yard) -> AsyncIterator[Yard]:
    """Folders that are gone afterwards, with every workspace in them."""
    folder = Path(tempfile.mkdtemp(prefix="ty-sandbox-"))
    yard = kind(folder)
    try:
        yield yard
    finally:
        driver = yard.driver()
        for seen in await driver.list():
            await driver.destroy(seen.workspace_id)
        shutil.rmtree(folder)
        drop_groups(yard.root)


def spec(workspace_id: UUID | None = None, generation: int = 1, **changes: Any) -> WorkspaceSpec:
    """A workspace as it should be, with the changes given."""
    fields: dict[str, Any] = {
        "hostname": "ws",
        "agent_token": "not-in-any-process-list",
        "template_tar": b"",
        "env": {},
        "limits": Limits(),
    }
    return WorkspaceSpec(workspace_id or uuid4(), generation, **{**fields, **changes})


def quiet(level: LogLevel, line: str) -> None:
    """A log that nobody reads."""


def into(lines: list[tuple[LogLevel, str]]) -> LogSink:
    """A log that a test reads."""
    return lambda level, line: lines.append((level, line))


async def until(condition: Callable[[], object]) -> None:
    """Returns once the condition holds; fails after DEADLINE_S."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.005)


def processes_of(workspace_id: UUID) -> set[int]:
    """Pids of all living processes that name the workspace in their arguments or environment."""
    found = set()
    for path in Path("/proc").iterdir():
        if not path.name.isdecimal() or int(path.name) == os.getpid():
            continue
        try:
            texts = (path / "cmdline").read_bytes() + (path / "environ").read_bytes()
            state = (path / "stat").read_bytes().rpartition(b")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if str(workspace_id).encode() in texts and state not in b"ZX":
            found.add(int(path.name))
    return found


def descendants(pid: int) -> set[int]:
    """The process and all below it, as far as they live."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return set()
    return {pid}.union(*(descendants(int(child)) for child in children))


def lives(pid: int) -> bool:
    """Whether a process runs; one that is only unreaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in b"ZX"


def milliseconds(start: float) -> float:
    """Time since a reading of the performance counter."""
    return (time.perf_counter() - start) * 1000
