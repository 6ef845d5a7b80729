"""A server and a worker as processes of their own, whose points a test holds, and looks at what became of tasks."""

import asyncio
import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import asyncpg

from taskyard.daemon.postgres import EmbeddedPostgres
from taskyard.sdk import ApiError, Client, SdkError
from taskyard.sdk.local import LocalServer
from taskyard.wire.enums import TaskState, TaskStatus
from taskyard.wire.tasks import CreateTaskRequest, Task, TaskSendRequest
from taskyard_agent.points import SOCKET, VARIABLE
from tests.faults.holds import Holds, strike, workspace_of
from tests.faults.matrix import Flow
from tests.system.kit import World, open_folder, pushed

JOB_LEASE_S = 1.5
AGENT_LEASE_S = 16.0
"""Leases as short as a busy machine can keep: where agents lose theirs for want of processor, each repair makes it worse."""

FREEZE_S = 3 * JOB_LEASE_S + 0.5
"""How long somebody is frozen: three leases of jobs, and more heartbeats of agents than may fail."""

FREEZE_AGENT_S = AGENT_LEASE_S + 1
"""How long an agent is: until the server has given it up."""

SETTINGS = {
    "TASKYARD_JOB_LEASE_S": str(JOB_LEASE_S),
    "TASKYARD_AGENT_LEASE_S": str(AGENT_LEASE_S),
    "TASKYARD_RECONCILE_S": "0.3",
    # Longer than it takes until a busy machine has a task held at each step: agents that are held are stopped then.
    "TASKYARD_STOP_GRACE_S": "10",
    # Each start of the matrix leaves a task that runs: nobody waits for a place here.
    "TASKYARD_MAX_RUNNING": "1000",
}

FREEZING = """
[task]
app = "agent"
[agent]
type = "shell"
[workspace]
pause = "freeze"
"""

SEND_PAUSE_S = 0.1
"""Seconds until a task that did not take a message is asked again."""

REPAIR_S = 60.0
"""Seconds within which everything is repaired, on a machine that has a processor for whoever wants one."""

LOOK_S = 0.02
"""Seconds between looks."""

OPEN_JOBS = """
select j.id, j.type, w.name, j.attempt, j.started_at, j.lease_expires_at, j.canceled_at
from provisioner_jobs j left join workspaces w on w.id = j.workspace_id
where j.completed_at is null
"""
STORY = """
select j.type, b.transition, j.attempt, j.created_at, j.completed_at, j.error, j.lease_expires_at
from provisioner_jobs j left join workspace_builds b on b.job_id = j.id
where j.workspace_id = $1 order by j.created_at desc limit 4
"""
ITEMS = "select number, kind, data::text as data, generation, seq from task_items where task_id = $1 order by number"
PROMPTS = "select state, content, error from task_prompts where task_id = $1"


T = TypeVar("T")


def soon(what: str, look: Callable[[], T | None]) -> T:
    """What the look finds, once it is not None; fails after REPAIR_S.

    Seconds count as much as the machine has processors for those who want to run: a second counts a third when three
    want each.
    """
    counted, at = 0.0, time.monotonic()
    began = at
    while counted < REPAIR_S:
        found = look()
        if found is not None:
            return found
        time.sleep(LOOK_S)
        now = time.monotonic()
        counted += (now - at) / max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
        at = now
    raise AssertionError(
        f"waited {REPAIR_S:g} s, {at - began:.0f} by the clock, in vain for {what}"
    )


@dataclass(slots=True)
class Sent:
    """A prompt that leaves a mark in a file each time it is run. taken: whether a client was told that it arrived."""

    mark: str
    taken: bool | None = None

    @property
    def text(self) -> str:
        """The prompt."""
        return f"echo {self.mark} >> effects; echo said {self.mark}"


@dataclass(slots=True)
class Made:
    """A task of this test, and what it was told so far. freezes: its processes are kept in a pause."""

    name: str
    sent: list[Sent] = field(default_factory=list)
    task_id: UUID | None = None
    workspace: str = ""
    freezes: bool = False

    @property
    def id(self) -> UUID:
        """Of the task, once it is known."""
        assert self.task_id is not None
        return self.task_id

    def say(self) -> Sent:
        """Something new to be told."""
        sent = Sent(f"{self.name}.{len(self.sent)}")
        self.sent.append(sent)
        return sent


class Yard:
    """Two processes on one data directory, and the points of everything that runs there."""

    def __init__(self, home: Path, log: Path) -> None:
        self.data_dir = home / "data"
        self._log = log
        self._points = home / "points"
        self._points.mkdir(mode=0o700)
        self.holds = Holds()
        self.holds.listen(self._points / "server.sock", 0o600)
        self.server = self.process("api")
        self.worker = self.process("worker")
        self.world: World
        self._count = 0

    def process(self, role: str) -> LocalServer:
        """One more process on the directory, not started yet."""
        told = {VARIABLE: str(self._points / "server.sock")}
        log = self._log.with_name(f"{role}-{self._log.name}")
        return LocalServer(
            self.data_dir, options=["--roles", role], log=log, environment=SETTINGS | told
        )

    def start(self) -> None:
        """Returns when tasks can be made."""
        self.server.start()
        self.worker.start()
        self.world = World(self.server)
        # It lies where workspaces can reach it; the folder lets nobody else of the machine in.
        self.holds.listen(self.data_dir / "run" / "link" / SOCKET, 0o666)

    def stop(self) -> None:
        """Ends everything."""
        self.holds.close()
        with suppress(RuntimeError, AttributeError):
            self.world.close()
        for process in (self.worker, self.server):
            if process._process is not None:  # its start may have failed
                strike(process.process.pid, signal.SIGCONT)
                process.stop()

    # what clients do

    @cached_property
    def freezing(self) -> UUID:
        """The version of a template whose tasks are frozen in a pause."""
        return pushed(self.world, "freezing", {"taskyard.toml": FREEZING}).id

    def client(self) -> Client:
        """A client of the owner; for the thread that asks."""
        return Client(self.server.url, self.world._token)

    def new(self, *, freezes: bool = False) -> Made:
        """A task that is not made yet."""
        self._count += 1
        made = Made(f"t{self._count}", freezes=freezes)
        made.say()
        return made

    def create(self, made: Made) -> None:
        """Makes the task, as a client does that lost the answer: by asking again under the same name."""
        version = self.freezing if made.freezes else self.world.version_id
        request = CreateTaskRequest(
            template_version_id=version, input=made.sent[0].text, name=made.name
        )

        def created() -> bool | None:
            with self.client() as client:
                try:
                    task = client.create_task("me", request)
                except SdkError:
                    found = self.find(made.name)
                    if found is None:
                        return None
                    task = found
            made.task_id, made.workspace = task.id, str(task.workspace_id)
            return True

        soon(f"task {made.name} to be made", created)

    def ask(self, made: Made, flow: Flow) -> None:
        """Does what begins the flow, once, whatever comes of it; only what creates asks until it is made."""
        match flow:
            case Flow.CREATE | Flow.START:
                self.create(made)
            case Flow.SEND:
                self.tell_once(made)
            case _:
                verb = {Flow.FREEZE: "pause", Flow.THAW: "resume"}.get(flow, str(flow))
                with self.client() as client, suppress(SdkError):
                    getattr(client, f"{verb}_task")("me", made.id)

    def find(self, name: str) -> Task | None:
        """The task of that name; null also when nobody answers."""
        with self.client() as client:
            try:
                return client.get_task("me", name)
            except SdkError:
                return None

    def tell(self, made: Made) -> None:
        """Tells an active task something new, once, until it takes it: what is refused is told in other words."""

        def told() -> bool | None:
            return True if self.tell_once(made) else None

        soon(f"task {made.name} to take a message", told)

    def tell_once(self, made: Made) -> bool:
        """Whether the task took something new; while it is not idle nothing is tried."""
        task = self.find(made.name)
        if task is None or task.status is not TaskStatus.ACTIVE or task.current_state is None:
            return False
        if task.current_state.state is TaskState.WORKING:
            return False
        sent = made.say()
        with self.client() as client:
            try:
                client.send_task_input("me", made.id, TaskSendRequest(input=sent.text))
            except ApiError as error:
                # A refusal says that nothing was sent; a broken link does not.
                if error.status in {409, 400}:
                    made.sent.remove(sent)
                return False
            except SdkError:
                return False
        sent.taken = True
        return True

    def until_settled(self, made: Made) -> TaskStatus:
        """Active, or error: one of the two, once no build of the task is at work."""
        ends = (TaskStatus.ACTIVE, TaskStatus.ERROR)

        def look() -> TaskStatus | None:
            task = self.find(made.name)
            return task.status if task is not None and task.status in ends else None

        return soon(f"task {made.name} to be up", look)

    def until_answered(self, made: Made) -> None:
        """Returns once the task is active and idle, and what it was told last was run."""

        def look() -> bool | None:
            task = self.find(made.name)
            if task is None or task.status is not TaskStatus.ACTIVE or task.current_state is None:
                return None
            if task.current_state.state is TaskState.WORKING:
                return None
            return True if self._is_stored(made) else None

        soon(f"task {made.name} to be active and idle", look)

    def story(self, made: Made) -> str:
        """What a task came to, for whoever has to find out why."""
        task = self.find(made.name)
        rows = self.query(STORY, UUID(made.workspace)) if made.workspace else []
        return f"it is {task and task.status}; its jobs: {[dict(row) for row in rows]}"

    def _is_stored(self, made: Made) -> bool:
        """Whether what was told is in the transcript, with the end of each turn."""
        try:
            rows = self.query(ITEMS, made.id)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        said = [row["data"] for row in rows if row["kind"] == "user_message"]
        ends = sum(row["kind"] == "turn_end" for row in rows)
        told = [sent for sent in made.sent if sent.taken]
        return ends == len(said) and all(any(sent.text in one for one in said) for sent in told)

    def again(self, made: Made, verb: str, wanted: TaskStatus | None) -> None:
        """Asks for a pause, resume or delete until it came about: null: the task is gone."""

        def done() -> bool | None:
            with self.client() as client:
                try:
                    task = client.get_task("me", made.id)
                except ApiError as error:
                    return True if wanted is None and error.status == 404 else None
                except SdkError:
                    return None
                if wanted is not None and task.status is wanted:
                    return True
                if made.freezes and verb == "pause" and task.status is not TaskStatus.ACTIVE:
                    return None  # one more would end what the first one is about to freeze
                with suppress(SdkError):
                    getattr(client, f"{verb}_task")("me", made.id)
            return None

        try:
            soon(f"{verb} of {made.name}", done)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.story(made)}") from error

    # whom to strike

    def postmaster(self) -> int:
        """The process that Postgres began as; 0 when there is none."""
        file = self.data_dir / "postgres" / "cluster" / "data" / "postmaster.pid"
        try:
            return int(file.read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return 0

    def postgres(self) -> list[int]:
        """All processes of Postgres, the first one first."""
        first = self.postmaster()
        return [first, *(pid for pid, parent in parents().items() if parent == first)]

    def inside(self, workspace: str) -> dict[str, list[int]]:
        """Processes of a workspace by what they are: agent, coding agent, other."""
        found: dict[str, list[int]] = defaultdict(list)
        for pid in parents():
            if workspace_of(pid) == workspace:
                found[_kind(pid)].append(pid)
        return found

    # what is left

    def query(self, sql: str, *values: object) -> list[asyncpg.Record]:
        """Rows straight from Postgres."""
        return asyncio.run(self._query(sql, *values))

    async def _query(self, sql: str, *values: object) -> list[asyncpg.Record]:
        conn = await asyncpg.connect(EmbeddedPostgres(self.data_dir / "postgres").url)
        try:
            return list(await conn.fetch(sql, *values))
        finally:
            await conn.close()

    def quiet(self) -> None:
        """Returns once no job is open any more."""

        def look() -> bool | None:
            try:
                return None if self.query(OPEN_JOBS) else True
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                return None

        try:
            soon("jobs to end", look)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.query(OPEN_JOBS)}") from error

    def effects(self, made: Made) -> list[str]:
        """The marks that the task's prompts left, each as often as it was run."""
        file = self.data_dir / "workspaces" / made.workspace / "home" / "effects"
        return file.read_text().split() if file.exists() else []

    def wrong(self, made: Made, status: TaskStatus) -> list[str]:
        """What is wrong with a task that is to have this status; nothing, if all is well."""
        task = self.find(made.name)
        found = (
            [] if task is not None and task.status is status else [f"it is {task and task.status}"]
        )
        return [*found, *self._wrong_items(made), *self._wrong_processes(made, status)]

    def _wrong_items(self, made: Made) -> Iterator[str]:
        rows = self.query(ITEMS, made.id)
        numbers = [row["number"] for row in rows]
        if numbers != list(range(1, len(rows) + 1)):
            yield f"the numbers of its items are {numbers}"
        marks = self.effects(made)
        prompts = {row["content"]: row["state"] for row in self.query(PROMPTS, made.id)}
        for sent in made.sent:
            said = [
                r for r in rows if r["kind"] == "user_message" and f'said {sent.mark}"' in r["data"]
            ]
            run = marks.count(sent.mark)
            state = prompts.get(sent.text)
            if len(said) > 1 or run > 1:
                yield f"{sent.mark} stands {len(said)} times in the transcript and was run {run} times"
            if run == 1 and len(said) == 0:
                yield f"{sent.mark} was run and is not in the transcript"
            due = sent.taken or sent is made.sent[0]
            excused = state in ("uncertain", "failed") or any(_is_cut(rows, one) for one in said)
            if due and run == 0 and not excused:
                yield f"{sent.mark} was never run, and nothing says so ({state})"

    def _wrong_processes(self, made: Made, status: TaskStatus) -> Iterator[str]:
        inside = self.inside(made.workspace)
        wanted = 1 if status is TaskStatus.ACTIVE else 0
        for kind in ("agent", "coding agent"):
            if len(inside[kind]) != wanted:
                yield f"it has {len(inside[kind])} processes that are its {kind}"
        if wanted == 0 and any(inside.values()):
            yield f"it left processes: {dict(inside)}"

    def left_of(self, made: Made) -> list[str]:
        """What is left of a task that was deleted."""
        found = []
        if any((inside := self.inside(made.workspace)).values()):
            found.append(f"processes {dict(inside)}")
        folder = self.data_dir / "workspaces" / made.workspace
        if made.workspace and folder.exists():
            found.append(f"files {[each.name for each in folder.iterdir()]}")
        rows = self.query(
            "select 1 from workspaces where id = $1 and not deleted", UUID(made.workspace)
        )
        return [*found, *(["a row of its workspace"] if rows else [])]


def _is_cut(rows: list[asyncpg.Record], said: asyncpg.Record) -> bool:
    """Whether the turn that this message began ended otherwise than by itself."""
    after = [row for row in rows if row["number"] > said["number"]]
    for row in after:
        if row["kind"] == "turn_end":
            return '"end_turn"' not in row["data"]
        if row["kind"] == "user_message":
            return False
    return False


def _kind(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "gone"
    if state in "ZX" or not words[0]:
        return "gone"
    if b"python" in words[0] and b"taskyard_agent.shell" in words:
        return "coding agent"
    if b"python" in words[0] and b"taskyard_agent" in words and b"run" in words:
        return "agent"
    return "other"


def parents() -> dict[int, int]:
    """Every process with the one that started it."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError):
                text = (entry / "stat").read_text()
                found[int(entry.name)] = int(text.rpartition(")")[2].split()[1])
    return found


@contextmanager
def open_yard(log: Path) -> Iterator[Yard]:
    """A server and a worker; nothing of them is left at the end."""
    with open_folder() as home:
        yard = Yard(home, log)
        try:
            yard.start()
            yield yard
        finally:
            yard.stop()
