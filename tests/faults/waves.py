"""Several cells at once: a task held at each step, one strike, and a look at what became of every task.

Whoever serves all tasks is struck once for all cells of a wave; agents and coding agents each for their own.
"""

import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from taskyard.wire.enums import TaskStatus
from tests.faults.holds import Hold, strike
from tests.faults.matrix import FROZEN, WORKER_STEPS, Cell, Flow, Victim, Way
from tests.faults.yard import FREEZE_AGENT_S, FREEZE_S, Made, Yard, soon

AT_ONCE = 8
"""Cells of one wave: so many jobs a worker runs at once, and it should have one free."""

NEEDS = {
    Flow.CREATE: None,
    Flow.START: None,
    Flow.SEND: TaskStatus.ACTIVE,
    Flow.PAUSE: TaskStatus.ACTIVE,
    Flow.RESUME: TaskStatus.PAUSED,
    Flow.DELETE: TaskStatus.ACTIVE,
    Flow.FREEZE: TaskStatus.ACTIVE,
    Flow.THAW: TaskStatus.PAUSED,
}
"""The status that a task must have for a flow; null: it is made by it."""

ENDS = {
    Flow.CREATE: TaskStatus.ACTIVE,
    Flow.START: TaskStatus.ACTIVE,
    Flow.SEND: TaskStatus.ACTIVE,
    Flow.PAUSE: TaskStatus.PAUSED,
    Flow.RESUME: TaskStatus.ACTIVE,
    Flow.DELETE: None,
    Flow.FREEZE: TaskStatus.ACTIVE,
    Flow.THAW: TaskStatus.ACTIVE,
}
"""The status that a flow leads to, frozen ones after a resume; null: the task is gone."""


@dataclass(slots=True)
class Outcome:
    """What became of a cell; wrong is empty where all is well. resumed: it was told why it failed, and came back."""

    cell: Cell
    wrong: list[str] = field(default_factory=list)
    resumed: bool = False
    seconds: float = 0.0


class Herd:
    """Tasks that are ready for the next flow, made when they are wanted."""

    def __init__(self, yard: Yard) -> None:
        self._yard = yard
        self.ready: dict[TaskStatus, list[Made]] = {TaskStatus.ACTIVE: [], TaskStatus.PAUSED: []}
        self.freezing: list[Made] = []

    def take(self, status: TaskStatus, count: int) -> list[Made]:
        """So many tasks of this status, which nobody else has."""
        pool = self.ready[status]
        taken = [pool.pop() for _ in range(min(count, len(pool)))]
        return taken + self._more(status, [self._yard.new() for _ in range(count - len(taken))])

    def take_freezing(self, status: TaskStatus, count: int) -> list[Made]:
        """As take(), of those that are frozen in a pause."""
        taken = [self.freezing.pop() for _ in range(min(count, len(self.freezing)))]
        if status is TaskStatus.PAUSED:
            each(taken, lambda made: self._yard.again(made, "pause", TaskStatus.PAUSED))
        missing = [self._yard.new(freezes=True) for _ in range(count - len(taken))]
        return taken + self._more(status, missing)

    def _more(self, status: TaskStatus, missing: list[Made]) -> list[Made]:
        """New tasks, once they have this status."""
        each(missing, self._yard.create)
        each(missing, self._yard.until_answered)
        if status is TaskStatus.PAUSED:
            each(missing, lambda made: self._yard.again(made, "pause", TaskStatus.PAUSED))
        return missing

    def put(self, made: Made, status: TaskStatus | None) -> None:
        """A task that came through well may be used again."""
        if made.freezes:
            self.freezing.append(made)
        elif status is not None:
            self.ready[status].append(made)

    def trim(self) -> None:
        """Deletes what no wave will take: workspaces that wait cost processor time, too."""
        for pool in (*self.ready.values(), self.freezing):
            surplus, pool[:] = pool[AT_ONCE:], pool[:AT_ONCE]
            each(surplus, lambda made: self._yard.again(made, "delete", None))


def each(tasks: Sequence[Made], work: Callable[[Made], object]) -> None:
    """Does the work for all of them at once; raises what went wrong first."""
    if tasks:
        with ThreadPoolExecutor(len(tasks)) as pool:
            list(pool.map(work, tasks))


def run_cells(yard: Yard, herd: Herd, cells: Sequence[Cell]) -> list[Outcome]:
    """What became of cells that differ in nothing but their step."""
    found: list[Outcome] = []
    for wave in waves(cells):
        began = time.monotonic()
        outcomes = run_wave(yard, herd, wave)
        herd.trim()
        for outcome in outcomes:
            outcome.seconds = (time.monotonic() - began) / len(outcomes)
        found += outcomes
    return found


def waves(cells: Sequence[Cell]) -> list[list[Cell]]:
    """The cells in groups that fit into a worker."""
    found: list[list[Cell]] = []
    for cell in cells:
        held = sum(one.step in WORKER_STEPS for one in found[-1]) if found else AT_ONCE
        full = not found or len(found[-1]) == AT_ONCE
        if full or (cell.step in WORKER_STEPS and held >= AT_ONCE - 1):
            found.append([])
        found[-1].append(cell)
    return found


def run_wave(yard: Yard, herd: Herd, cells: Sequence[Cell]) -> list[Outcome]:
    """Holds a task at each step, strikes, lets go, and looks."""
    wave = Wave(yard, herd, cells)
    try:
        wave.hold()
        wave.strike()
    finally:
        wave.let_go()
    return wave.look()


class Wave:
    """Cells that differ in nothing but their step, each with a task of its own."""

    def __init__(self, yard: Yard, herd: Herd, cells: Sequence[Cell]) -> None:
        self._yard = yard
        self._herd = herd
        self._cells = cells
        self._flow, self._victim, self._way = cells[0].flow, cells[0].victim, cells[0].way
        self._holds: list[Hold] = []
        self._others = {row["id"] for row in yard.query("select id::text from workspaces")}
        needs = NEEDS[self._flow]
        if needs is None:
            self._tasks = [yard.new() for _ in cells]
        else:
            take = herd.take_freezing if self._flow in FROZEN else herd.take
            self._tasks = take(needs, len(cells))
            self._others -= {made.workspace for made in self._tasks}
        self._asking = ThreadPoolExecutor(len(cells))
        self._asked: list[Future[None]] = []

    def hold(self) -> None:
        """Returns once a task is held at each step."""
        if self._flow is Flow.CREATE:  # a workspace that nobody knows yet: one after the other
            for cell, made in zip(self._cells, self._tasks, strict=True):
                self._hold(cell)
                self._ask(made)
                self._until_reached()
        else:
            for cell in self._cells:
                self._hold(cell)
            for made in self._tasks:
                self._ask(made)
            self._until_reached()

    def _hold(self, cell: Cell) -> None:
        self._holds.append(self._yard.holds.hold(cell.step, self._is_wanted))

    def _is_wanted(self, subject: str) -> bool:
        """Whether a workspace is one of this wave's, and is not held anywhere yet."""
        if not subject or subject in self._others:
            return False
        if NEEDS[self._flow] is not None and all(m.workspace != subject for m in self._tasks):
            return False
        return all(hold.subject != subject for hold in self._holds)

    def _ask(self, made: Made) -> None:
        self._asked.append(self._asking.submit(self._yard.ask, made, self._flow))

    def _until_reached(self) -> None:
        def all_reached() -> bool | None:
            return all(hold.is_reached for hold in self._holds) or None

        try:
            soon("tasks to come to their points", all_reached)
        except AssertionError as error:
            missing = [hold.point for hold in self._holds if not hold.is_reached]
            raise AssertionError(f"nobody came to {missing}") from error

    def strike(self) -> None:
        """The victims were struck, everybody was let go, and who has to be started again was."""
        if self._way is Way.KILL:
            self._kill()
        else:
            self._freeze()

    def _kill(self) -> None:
        yard = self._yard
        match self._victim:
            case Victim.SERVER:
                yard.server.kill()
                self.let_go()
                yard.world.restart()
            case Victim.WORKER:
                yard.worker.kill()
                self.let_go()
                yard.worker.start()
            case Victim.POSTGRES:
                first = yard.postmaster()
                strike(first, signal.SIGKILL)
                self.let_go()
                soon("another Postgres", lambda: yard.postmaster() not in (0, first) or None)
            case _:
                for pid in self._victims():
                    strike(pid, signal.SIGKILL)
                self.let_go()

    def _freeze(self) -> None:
        """Frozen for longer than its leases. While a worker is, there is another one, as there is in a house with two."""
        yard, spare = self._yard, None
        victims = self._victims()
        for pid in victims:
            strike(pid, signal.SIGSTOP)
        self.let_go()
        if self._victim is Victim.WORKER:
            spare = yard.process("worker")
            spare.start()
        time.sleep(FREEZE_AGENT_S if self._victim is Victim.AGENT else FREEZE_S)
        for pid in victims:
            strike(pid, signal.SIGCONT)
        if spare is not None:
            spare.stop(by_hand=False)

    def _victims(self) -> list[int]:
        yard = self._yard
        match self._victim:
            case Victim.SERVER:
                return [yard.server.process.pid]
            case Victim.WORKER:
                return [yard.worker.process.pid]
            case Victim.POSTGRES:
                return yard.postgres()
            case _:
                return [pid for hold in self._holds for pid in self._inside(hold)]

    def _inside(self, hold: Hold) -> list[int]:
        """The agent or coding agent of a task that is held, once it is there."""

        def look() -> list[int] | None:
            return self._yard.inside(hold.subject)[str(self._victim)] or None

        return soon(f"the {self._victim} at {hold.point}", look)

    def let_go(self) -> None:
        """Nobody is held any more."""
        self._yard.holds.let_all_go()
        for hold in self._holds:
            hold.let_go()

    def look(self) -> list[Outcome]:
        """What became of each cell."""
        self._asking.shutdown(wait=True)
        for asked in self._asked:
            asked.result()
        outcomes = [Outcome(cell) for cell in self._cells]
        owners = self._owners()
        with ThreadPoolExecutor(len(owners)) as pool:
            list(pool.map(self._finish, outcomes, owners))
        try:
            self._yard.quiet()
        except AssertionError as error:
            outcomes[0].wrong.append(str(error))
        for outcome, made in zip(outcomes, owners, strict=True):
            self._judge(outcome, made)
        return outcomes

    def _owners(self) -> list[Made]:
        """The task of each cell."""
        if self._flow is Flow.CREATE:
            return self._tasks
        known = {made.workspace: made for made in self._tasks}
        return [known[hold.subject] for hold in self._holds]

    def _finish(self, outcome: Outcome, made: Made) -> None:
        """Brings a task to where its flow leads, and asks it something more where it is active then."""
        yard, wanted = self._yard, ENDS[self._flow]
        try:
            match self._flow:
                case Flow.PAUSE | Flow.RESUME | Flow.DELETE:
                    yard.again(made, str(self._flow), wanted)
                case Flow.FREEZE:
                    yard.again(made, "pause", TaskStatus.PAUSED)
                    yard.again(made, "resume", TaskStatus.ACTIVE)
                case Flow.THAW:
                    yard.again(made, "resume", TaskStatus.ACTIVE)
            if wanted is TaskStatus.ACTIVE:
                if yard.until_settled(made) is TaskStatus.ERROR:
                    outcome.resumed = True
                    if not outcome.cell.may_fail:
                        outcome.wrong.append(f"it came to an error; {yard.story(made)}")
                    yard.again(made, "resume", wanted)
                yard.until_answered(made)
                yard.tell(made)
                yard.until_answered(made)
        except AssertionError as error:
            outcome.wrong.append(str(error))

    def _judge(self, outcome: Outcome, made: Made) -> None:
        wanted = ENDS[self._flow]
        if wanted is None:
            outcome.wrong += self._yard.left_of(made)
        else:
            outcome.wrong += self._yard.wrong(made, wanted)
            if not outcome.wrong:
                self._herd.put(made, wanted)
