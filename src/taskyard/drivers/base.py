"""What a place for workspaces must be able to do.

Every verb is idempotent: a worker may die at any line and another runs the verb again. A driver
keeps its own record of what it made, so that it finds it again after any restart.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from taskyard.lifecycle.walls import Backend, Overlay, Wall
from taskyard.wire.enums import LogLevel


@dataclass(frozen=True, slots=True)
class Limits:
    """What a workspace may use at most; None means no limit of ours.

    cpu is in cores, memory and disk in bytes, processes a count. disk_held: rather no workspace than one whose limit of
    disk the machine does not hold itself.
    """

    cpu: float | None = None
    memory_bytes: int | None = None
    processes: int | None = None
    disk_bytes: int | None = None
    disk_held: bool = False


@dataclass(frozen=True, slots=True)
class WorkspaceSpec:
    """One workspace as it should be.

    generation rises by one with each ensure that a worker decides on; a running workspace of a lower
    generation is replaced. agent_token is the secret of exactly that generation.
    template_tar holds the template's files, uncompressed tar; they appear read-only in the workspace.
    env is given to the agent beside what the driver sets; a value is never pasted into a shell.
    way_out: the template lists places to connect to, so programs are led to the agent whatever they connect to.
    freezes: it may be frozen, so its agent is to take a new generation's token while it runs. mark stands for
    what the agent is told by others than the driver; a frozen workspace of another mark is started anew.
    """

    workspace_id: UUID
    generation: int
    hostname: str
    agent_token: str
    template_tar: bytes
    env: Mapping[str, str]
    limits: Limits
    freezes: bool = False
    way_out: bool = False
    mark: str = ""
    backend: Backend = Backend.BWRAP
    overlay: Overlay = Overlay.NONE


class PlaceState(StrEnum):
    """What a driver sees of a workspace: nothing, kept files without processes, processes that run or stand still.

    unknown: something is there that cannot be read; the observation's detail says what.
    """

    ABSENT = "absent"
    STOPPED = "stopped"
    RUNNING = "running"
    FROZEN = "frozen"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Observation:
    """A workspace as the driver sees it now.

    generation is that of the last ensure, 0 when absent. detail says how the processes ended where
    the driver knows it, else it is empty. memory_kills counts processes of this start that were ended because its
    memory was full, memory says of the last one what it was. processes says that some did not come to be because there
    were too many. too_much says of a limit that the machine does not hold
    itself that it is exceeded: the workspace is to be stopped.
    """

    workspace_id: UUID
    state: PlaceState
    generation: int
    detail: str
    memory_kills: int = 0
    memory: str = ""
    too_much: str = ""
    processes: str = ""


LogSink = Callable[[LogLevel, str], None]
"""Takes one line for the build log; never blocks and never raises."""


class Driver(Protocol):
    """A kind of place for workspaces."""

    @property
    def name(self) -> str:
        """The word that templates put behind `workspace.driver`."""

    async def probe(self) -> None:
        """Nothing when workspaces can be made here; raises DriverUnavailable with cause and fix."""

    async def lacks(self, walls: Collection[Wall]) -> Mapping[Wall, str]:
        """Those of the walls that workspaces cannot have here, with the cause and what to do."""

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

    async def freeze(self, workspace_id: UUID, *, up_to: int | None = None) -> None:
        """Returns once every process of the workspace stands still, and is kept; up_to as in stop.

        The next ensure makes them go on, under its generation and with its token, where it wants the same
        workspace; else it starts the workspace anew. Raises CannotFreeze, then everything runs as before.
        """

    async def destroy(self, workspace_id: UUID, *, up_to: int | None = None) -> None:
        """Returns once processes, files and the driver's own record of the workspace are gone; up_to as in stop."""

    async def list(self) -> Sequence[Observation]:
        """Every workspace this driver holds a record of, in no order."""

    async def strays(self) -> Sequence[str]:
        """What is there without a record, a sentence each. What is certainly this driver's it has ended; the rest
        it did not touch.
        """
