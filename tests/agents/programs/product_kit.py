"""Real coding agents through the whole product: a server, sandboxed workspaces, the starters' templates."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import msgspec

from taskyard.sdk import ApiError
from taskyard.wire import attached
from taskyard.wire.enums import JobStatus, LogEntryType, TaskState, TaskStatus
from taskyard.wire.secrets import SetSecretRequest
from taskyard.wire.tasks import (
    CreateTaskRequest,
    Task,
    TaskPermission,
    TaskSendRequest,
    WaitingFor,
)
from tests.agents.model.server import Model
from tests.agents.programs.installed import programs
from tests.agents.programs.program import KEY, Program
from tests.system.kit import LASTING, World, open_folder, processes_of, pushed, serving
from tests.waiting import DEADLINE_S, until

T = TypeVar("T")

ENTER, ESCAPE = "\r", "\x1b"
"""Keys that answer a question on a screen: the choice that is marked, and no."""

SECRETS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY")
"""What the programs' templates ask for; the model takes any key."""


class Product:
    """A server whose workspaces see the programs, and tasks of a program on it."""

    def __init__(self, world: World, model: Model) -> None:
        self.world = world
        self.model = model
        self._versions: dict[tuple[str, str], UUID] = {}
        for name in SECRETS:
            world.owner.set_user_secret("me", name, SetSecretRequest(value=KEY))

    def version(self, program: Program, permissions: str) -> UUID:
        """The program's starter, with our model for the vendor's."""
        key = (program.name, permissions)
        if key not in self._versions:
            found = pushed(
                self.world, f"t{len(self._versions)}", self._template(program, permissions)
            )
            assert found.job.status is JobStatus.SUCCEEDED, found.job.error
            self._versions[key] = found.id
        return self._versions[key]

    def _template(self, program: Program, permissions: str) -> dict[str, str]:
        starter = files("taskyard") / "starters" / program.type
        tree = {each.name: each.read_text() for each in starter.iterdir() if each.is_file()}
        text = _replaced(tree["taskyard.toml"], f"{program.vendor}:443", self.model.address)
        agent = f'permissions = "{permissions}"\n{program.command_line}'
        text = _replaced(text, 'permissions = "allow"', agent)
        # Codex offers other tools, in another way, to the models that it knows.
        text = _with_default(text, "model", "scripted")
        text = _with_default(text, "base_url", f"{self.model.url}{program.base}")
        setup = _replaced(tree["setup.sh"], *program.setup)
        return tree | {"taskyard.toml": text, "setup.sh": setup}

    def create(self, program: Program, *script: str, permissions: str = "allow") -> "Work":
        """A new task whose input is this script."""
        request = CreateTaskRequest(
            template_version_id=self.version(program, permissions), input="\n".join(script)
        )
        created = self.world.owner.create_task("me", request)
        return Work(self, created.id, has_screen=program.has_screen)


def _replaced(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


def _with_default(text: str, parameter: str, value: str) -> str:
    """The template, with this default of a parameter that had none."""
    before, name, after = text.partition(f'name = "{parameter}"')
    assert name, parameter
    return before + name + after.replace('default = ""', f'default = "{value}"', 1)


class Work:
    """A task, as people see it."""

    def __init__(self, product: Product, task_id: UUID, *, has_screen: bool) -> None:
        self.product = product
        self.id = task_id
        self.has_screen = has_screen

    @property
    def task(self) -> Task:
        """The task now."""
        return self.product.world.owner.get_task("me", self.id)

    @cached_property
    def folder(self) -> Path:
        """Where its workspace's files are."""
        found = self.task.workspace_id
        assert found is not None
        return self.product.world.server.data_dir / "workspaces" / str(found)

    @property
    def state(self) -> TaskState | None:
        """The word of its current state while it is active."""
        task = self.task
        active = task.status is TaskStatus.ACTIVE
        return task.current_state.state if active and task.current_state is not None else None

    @property
    def said(self) -> str:
        """What the coding agent said so far."""
        logs = self.product.world.owner.get_task_logs("me", self.id).logs
        return "\n".join(entry.content for entry in logs if entry.type is LogEntryType.OUTPUT)

    def until(self, state: TaskState, words: str = "", *, within_s: float = DEADLINE_S) -> str:
        """What the coding agent said, once the task is in this state and the words are in it."""

        def look() -> str | None:
            said = self.said if self.state is state else ""
            return said if self.state is state and words in said else None

        return self._found(f"{words!r} and {state}", look, within_s=within_s)

    def runs(self, word: str) -> None:
        """Returns once there is a process whose command line has this word."""
        self._found(f"a running {word}", lambda: self.pids(word) or None)

    def ended(self, word: str) -> None:
        """Returns once there is none."""
        self._found(f"no {word}", lambda: None if self.pids(word) else True)

    def _found(self, what: str, look: Callable[[], T | None], *, within_s: float = DEADLINE_S) -> T:
        """What the look finds; a failure shows how the task is."""
        try:
            return until(what, look, within_s=within_s)
        except AssertionError as error:
            logs = self.product.world.owner.get_task_logs("me", self.id).logs
            said = "\n".join(f"{entry.type}: {entry.content}" for entry in logs)
            runs = "\n".join(line[:200] for line in self.processes().values())
            raise AssertionError(f"{error}\n{self.task}\n{said}\n{runs}") from None

    def send(self, *script: str) -> None:
        """A message is with the coding agent."""
        request = TaskSendRequest(input="\n".join(script))
        self.product.world.owner.send_task_input("me", self.id, request)

    def sent(self, *script: str) -> None:
        """As send(), as soon as the coding agent takes a message."""

        def look() -> bool | None:
            try:
                self.send(*script)
            except ApiError as error:
                if error.status not in {409, 502, 504}:
                    raise
                return None
            return True

        until("a coding agent that takes a message", look)

    def interrupt(self) -> None:
        """The turn is asked to end."""
        self._attached(attached.AttachInterrupt())

    def press(self, keys: str) -> None:
        """Somebody who is attached presses these keys."""
        self._attached(attached.AttachKeys(data=keys))

    def _attached(self, message: attached.FromClient) -> None:
        with self.product.world.owner.attach_task("me", self.id) as socket:
            socket.recv()
            socket.send(msgspec.json.encode(message).decode())
            socket.ping().wait(10)

    def agree(self, *asked: str) -> None:
        """Enter is pressed at the questions on its screen with these words, in their order; nothing without a screen."""
        for words in asked if self.has_screen else ():
            self.asks(words)
            self.press(ENTER)

    def asks(self, words: str) -> None:
        """Returns once there is a question with these words on its screen, which shows as what it waits for."""

        def look() -> bool | None:
            found = self.task.waiting_for
            if not isinstance(found, WaitingFor) or found.kind != "dialog":
                return None
            return True if words in found.title else None

        self._found(f"a question on {words!r}", look)

    def pause(self) -> None:
        """The workspace is stopped."""
        self.product.world.owner.pause_task("me", self.id)
        until("a pause", lambda: self.product.world.status(self.id, TaskStatus.PAUSED))

    def resume(self) -> None:
        """The workspace is being started again."""
        self.product.world.owner.resume_task("me", self.id)

    def delete(self) -> None:
        """Task and workspace are gone, with every process."""
        folder = self.folder
        self.product.world.owner.delete_task("me", self.id)
        until("the workspace's files to be gone", lambda: None if folder.exists() else True)
        until("its processes to be gone", lambda: None if processes_of(folder) else True)

    def permissions(self, *, every: bool = False) -> list[TaskPermission]:
        """What the coding agent asks for, or has asked for so far."""
        owner = self.product.world.owner
        return owner.list_task_permissions("me", self.id, answered=every).permissions

    def made(self, name: str) -> bool:
        """Whether there is such a file in its home directory."""
        return (self.folder / "home" / name).exists()

    def pids(self, word: str) -> list[int]:
        """Processes in its workspace whose command line has this word."""
        return [pid for pid, line in self.processes().items() if word in line]

    def processes(self) -> dict[int, str]:
        """Everything that runs in its workspace, by command line."""
        return inside(self.folder)

    def kill(self, word: str) -> None:
        """Kills the processes whose command line has this word."""
        for pid in self.pids(word):
            os.kill(pid, signal.SIGKILL)


def inside(folder: Path) -> dict[int, str]:
    """The processes in the pid namespaces of a workspace's own processes, by command line."""
    spaces = {_space(pid) for pid in processes_of(folder)} - {_space(os.getpid()), None}
    found: dict[int, str] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        if _space(pid) in spaces:
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            found[pid] = words.replace(b"\0", b" ").decode(errors="replace").strip()
    return found


def _space(pid: int) -> str | None:
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return None


@contextmanager
def open_product(log: Path, model: Model) -> Iterator[Product]:
    """A server of its own; no process of it may be left at the end."""
    environment = LASTING | {"TASKYARD_PROGRAMS": str(programs())}
    with open_folder() as home, serving(home / "data", log, environment) as world:
        yield Product(world, model)
