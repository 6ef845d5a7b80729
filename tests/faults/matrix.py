"""The kill matrix as a table: which steps there are, whom one can strike there, and why some cells do not exist."""

from dataclasses import dataclass
from enum import StrEnum


class Flow(StrEnum):
    """What is done to a task. Each is walked to its end: a start up to its first answer."""

    CREATE = "create"
    START = "start"
    SEND = "send"
    PAUSE = "pause"
    RESUME = "resume"
    DELETE = "delete"
    FREEZE = "freeze"
    THAW = "thaw"


class Victim(StrEnum):
    """Who is struck. server: answers requests and holds the links; worker: runs jobs and repairs."""

    SERVER = "server"
    WORKER = "worker"
    AGENT = "agent"
    BRIDGE = "bridge"
    CODING_AGENT = "coding agent"
    POSTGRES = "Postgres"


class Way(StrEnum):
    """How: gone without a word, or frozen for longer than its leases and then let go on."""

    KILL = "kill -9"
    STOP = "stop, then continue"


STEPS: dict[Flow, tuple[str, ...]] = {
    Flow.CREATE: ("build.writing", "create.committed"),
    Flow.START: (
        *("job.claimed", "start.raised", "start.spawned", "start.ordered", "start.ensured"),
        *("start.writing", "start.recorded", "agent.started", "agent.connected", "agent.scripts"),
        *("bridge.ready", "prompt.marked", "prompt.taken", "prompt.noted", "prompt.sent"),
        *("items.writing", "items.stored", "prompt.answered", "prompt.settled"),
    ),
    Flow.SEND: (
        *("send.checked", "prompt.taken", "prompt.noted", "prompt.sent", "send.answered"),
        *("items.writing", "items.stored"),
    ),
    Flow.PAUSE: (
        *("build.writing", "build.committed", "job.claimed", "stop.asked", "stop.uploaded"),
        *("stop.told", "stop.done", "stop.writing", "stop.recorded"),
    ),
    Flow.RESUME: (
        *("build.writing", "build.committed", "job.claimed", "start.raised", "start.spawned"),
        *("start.ordered", "start.ensured", "start.writing", "start.recorded", "agent.started"),
        *("agent.connected", "agent.scripts", "bridge.ready"),
    ),
    Flow.DELETE: (
        *("build.writing", "delete.committed", "job.claimed", "delete.emptied", "delete.done"),
        *("delete.writing", "delete.recorded"),
    ),
    Flow.FREEZE: ("job.claimed", "freeze.frozen", "stop.done", "stop.writing", "stop.recorded"),
    Flow.THAW: (
        *("job.claimed", "start.raised", "thaw.handed", "thaw.recorded", "thaw.thawed"),
        *("start.ensured", "start.writing"),
    ),
}
"""The points of each flow, in the order in which it comes to them."""

FROZEN = frozenset({Flow.FREEZE, Flow.THAW})
"""Pause and resume of a task whose template has its processes frozen: what is not in these steps is in the others."""

RESUMED: dict[Flow, frozenset[str]] = {
    Flow.START: frozenset(
        {
            *("start.ordered", "start.ensured", "start.writing", "start.recorded"),
            *("agent.started", "agent.connected", "agent.scripts"),
        }
    ),
    Flow.RESUME: frozenset(
        {
            *("start.ordered", "start.ensured", "start.writing", "start.recorded"),
            *("agent.started", "agent.connected", "agent.scripts"),
        }
    ),
    Flow.THAW: frozenset({"thaw.thawed", "start.ensured", "start.writing"}),
}
"""Steps at which a start whose own agent is struck may fail: the task says why, and one resume mends it. Nowhere else."""

WORKER_STEPS = frozenset(
    {
        *("job.claimed", "start.raised", "start.spawned", "start.ordered", "start.ensured"),
        *("start.writing", "start.recorded", "stop.done", "stop.writing", "stop.recorded"),
        *("delete.emptied", "delete.done", "delete.writing", "delete.recorded"),
        *("freeze.frozen", "thaw.handed", "thaw.recorded", "thaw.thawed"),
    }
)
"""Steps in the worker's hands, which runs so many jobs at once."""

ONE_PROCESS = "it is one process with the agent"
NOT_YET = "it does not run yet"
NO_MORE = "it does not run any more"
ENDED_MEANWHILE = "the worker is ending it already, whoever is held: see job.claimed"
KILLED_ONLY = "a pause that ends the processes has the same steps for that"

_COMMITTED = frozenset({"build.committed", "delete.committed"})
_AGENT_FROM = {Flow.START: "start.ordered", Flow.RESUME: "start.ordered"}
_AGENT_UNTIL = {Flow.PAUSE: "stop.told", Flow.DELETE: "job.claimed"}
_CODING_FROM = {Flow.START: "bridge.ready", Flow.RESUME: "bridge.ready"}
_CODING_UNTIL = {Flow.PAUSE: "stop.asked", Flow.DELETE: "job.claimed"}


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One cell: at that step of that flow, the victim is struck in that way."""

    flow: Flow
    step: str
    victim: Victim
    way: Way

    @property
    def why_not(self) -> str | None:
        """Why there is no such cell; null where there is."""
        if self.flow in FROZEN and self.way is Way.STOP:
            return KILLED_ONLY
        match self.victim:
            case Victim.BRIDGE:
                return ONE_PROCESS
            case Victim.AGENT:
                return _outside(self, _AGENT_FROM, _AGENT_UNTIL)
            case Victim.CODING_AGENT:
                return _outside(self, _CODING_FROM, _CODING_UNTIL)
            case _:
                return None

    @property
    def may_fail(self) -> bool:
        """Whether the task may come to an error here, which one resume mends."""
        return self.victim is Victim.AGENT and self.step in RESUMED.get(self.flow, frozenset())

    def __str__(self) -> str:
        return f"{self.flow} at {self.step}: {self.victim}, {self.way}"


def _outside(cell: Cell, first: dict[Flow, str], last: dict[Flow, str]) -> str | None:
    """Why a process of the workspace is not there at that step, if it is not."""
    if cell.step in _COMMITTED and cell.flow in (Flow.PAUSE, Flow.DELETE):
        return ENDED_MEANWHILE
    steps = STEPS[cell.flow]
    at = steps.index(cell.step)
    if cell.flow is Flow.CREATE or (cell.flow in first and at < steps.index(first[cell.flow])):
        return NOT_YET
    if cell.flow in last and at > steps.index(last[cell.flow]):
        return NO_MORE
    return None


def cells() -> list[Cell]:
    """All cells, those that do not exist too."""
    return [
        Cell(flow, step, victim, way)
        for flow, steps in STEPS.items()
        for step in steps
        for victim in Victim
        for way in Way
    ]


def legal(flow: Flow, victim: Victim, way: Way) -> list[Cell]:
    """The cells of one flow that exist for a victim and a way, in the order of their steps."""
    found = [Cell(flow, step, victim, way) for step in STEPS[flow]]
    return [cell for cell in found if cell.why_not is None]


THIRDS = 3


def is_due(cell: Cell, day: int) -> bool:
    """Whether a cell that takes long is in the third of this day: each has some of every step and every victim."""
    steps = [(flow, step) for flow, steps in STEPS.items() for step in steps]
    place = steps.index((cell.flow, cell.step)) + list(Victim).index(cell.victim)
    return (place + day) % THIRDS == 0
