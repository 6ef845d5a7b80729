"""What a place for workspaces must be able to do.

Every verb is idempotent: a worker may die at any line and another runs the verb again. A driver
keeps its own record of what it made, so that it finds it again after any restart.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from taskyard.wire.enums import LogLevel


@dataclass(frozen=True, slots=True)
class Limits:
    """What a workspace may use at most; None means no limit of ours.

    cpu is in cores, memory and disk in bytes, processes a count.
    """

    cpu: float | None = None
    memory_bytes: int | None = None
    processes: int | None = None
    disk_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class WorkspaceSpec:
    """One workspace as it should be.

    generation rises by one with each ensure that a worker decides on; a running workspace of a lower
    generation is replaced. agent_token is the secret of exactly that generation.
    template_tar holds the template's files, uncompressed tar; they appear read-only in the workspace.
    env is given to the agent beside what the driver sets; a value is never pasted into a shell.
    """

    workspace_id: UUID
    generation: int
    hostname: str
    agent_token: str
    template_tar: bytes
    env: Mapping[str, str]
    limits: Limits


class PlaceState(StrEnum):
    """What a driver sees of a workspace: nothing, kept files without processes, or processes.

    unknown: something is there that cannot be read; the observation's detail says what.
    """

    ABSENT = "absent"
    STOPPED = "stopped"
    RUNNING = "running"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Observation:
    """A workspace as the driver sees it now.

    generation is that of the last ensure, 0 when absent. detail says how the processes ended where
    the driver knows it, else it is empty.
    """

    workspace_id: UUID
    state: PlaceState
    generation: int
    detail: str


LogSink = Callable[[LogLevel, str], None]
"""Takes one line for the build log; never blocks and never raises."""


class Driver(Protocol):
    """A kind of place for workspaces."""

    @property
    def name(self) -> str:
        """The word that templates put behind `workspace.driver`."""

    async def probe(self) -> None:
        """Nothing when workspaces can be made here; raises DriverUnavailable with cause and fix."""

    async def ensure(self, spec: WorkspaceSpec, log: LogSink) -> None:
        """Returns once the workspace runs with the spec's generation and its agent was started.

        Raises DriverError when it cannot be made; then nothing of this generation runs.
        """

    async def observe(self, workspace_id: UUID) -> Observation:
        """The workspace as it is now."""

    async def stop(self, workspace_id: UUID, *, grace_s: float, up_to: int | None = None) -> None:
        """Returns once no process of the workspace is left; its home directory stays.

        The agent gets SIGTERM and grace_s seconds to end by itself, then everything is killed.
        up_to: a workspace of a higher generation is left alone, as somebody else has started it since.
        """

    async def destroy(self, workspace_id: UUID, *, up_to: int | None = None) -> None:
        """Returns once processes, files and the driver's own record of the workspace are gone; up_to as in stop."""

    async def list(self) -> Sequence[Observation]:
        """Every workspace this driver holds a record of, in no order."""

    async def strays(self) -> Sequence[str]:
        """What is there without a record, a sentence each. What is certainly this driver's it has ended; the rest
        it did not touch.
        """
