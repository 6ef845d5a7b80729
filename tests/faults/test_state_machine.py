"""Legal and illegal verbs in any order, with a driver that fails and agents that die: no state has no way out.

The walks are hypothesis's: a failure prints the steps that lead to it. TASKYARD_WALKS is how many there are;
without it there are as many as some seconds have room for.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import ClassVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from taskyard.lifecycle.task import TaskFacts, derive_status
from taskyard.sdk import ApiError, SdkError
from taskyard.wire.enums import AgentLifecycle, AppHealth, JobStatus, TaskStatus, Transition
from taskyard.wire.tasks import (
    CreateTaskRequest,
    SendWhen,
    TaskSendRequest,
    UpdateTaskInputRequest,
)
from tests.system.kit import World, open_folder, pushed, serving
from tests.waiting import until

WALKS = int(os.environ.get("TASKYARD_WALKS", "0"))
"""How many walks; 0: as many as there is time for."""

WALK_S = 12.0
"""Seconds after which no other walk begins when they are not counted; one takes some seconds at most."""

LEAST_WALKS = 2
STEPS = 20

SETTINGS = {
    "TASKYARD_RECONCILE_S": "0.2",
    "TASKYARD_STOP_GRACE_S": "1",
    "TASKYARD_MAX_RUNNING": "100",
}

VERBS = ("ensure", "stop", "destroy")

ACTIVE = frozenset({JobStatus.PENDING, JobStatus.RUNNING, JobStatus.CANCELING})

Answers = frozenset[tuple[int, str]]
"""Statuses with the words of refusals; of what succeeds the word is empty."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A task as its owner sees it between two steps."""

    status: TaskStatus
    build: UUID
    transition: Transition
    job: JobStatus


@dataclass(frozen=True, slots=True)
class Known:
    """A task that was made."""

    id: UUID
    workspace: UUID


def expected(verb: str, seen: Seen) -> Answers:
    """What the contract's matrix says a verb answers to a task that is seen so. Source: tasks-api 11."""
    busy = seen.job in ACTIVE
    match verb:
        case "delete" | "pause" | "resume" | "retry" if busy:
            return _one(409, "build_active")
        case "delete" | "pause":
            return _one(202)
        case "resume":
            runs = (seen.transition, seen.job) == (Transition.START, JobStatus.SUCCEEDED)
            return _one(409, "workspace_running") if runs else _one(202)
        case "input":
            is_paused = seen.status is TaskStatus.PAUSED
            return _one(204) if is_paused else _one(409, "task_not_paused")
        case "send":
            return _send(seen.status)
        case "retry":
            failed = seen.job in (JobStatus.FAILED, JobStatus.CANCELED)
            return _one(202) if failed else _one(409, "nothing_to_retry")
    raise AssertionError(verb)


def _send(status: TaskStatus) -> Answers:
    match status:
        case TaskStatus.ACTIVE:  # an agent that just died is not known to be dead yet
            words = {(502, "agent_unreachable"), (502, "app_failed"), (409, "app_busy"), (204, "")}
            return frozenset(words)
        case TaskStatus.ERROR | TaskStatus.UNKNOWN:
            return _one(400, "task_not_active")
    return _one(409, f"task_{status}")


def _one(status: int, word: str = "") -> Answers:
    return frozenset({(status, word)})


def possible(transition: Transition, job: JobStatus) -> set[TaskStatus]:
    """Every status that a task with such a build may have, whatever its agent and app do."""
    return {
        derive_status(TaskFacts(True, transition, job, agent, app)).status
        for agent, app in product([None, *AgentLifecycle], [None, *AppHealth])
    }


class Place:
    """A server with a template whose driver waits and fails as files say."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder
        folder.mkdir()
        self.version_id = pushed(world, "scripted", self._files()).id
        self.names = 0

    def _files(self) -> dict[str, str]:
        script: dict[str, object] = {
            verb: [
                {"wait_for": str(self.gate(verb))},
                {"fail": f"{verb} fails", "fail_while": str(self.failing(verb))},
            ]
            for verb in VERBS
        }
        script["agent"] = {
            "lifecycle": ["starting", "ready"],
            "apps": {"agent": "healthy"},
            "steps": [{"wait_for": str(self.folder / "death"), "exit": True}],
            "agentapi": {},
        }
        return {
            "taskyard.toml": "[task]\napp = 'agent'\n[workspace]\ndriver = 'echo'\n"
            "[agent]\ntype = 'shell'\n",
            "echo.json": json.dumps(script),
        }

    def gate(self, verb: str) -> Path:
        """The file without which a verb of the driver waits."""
        return self.folder / f"{verb}-may-go"

    def failing(self, verb: str) -> Path:
        """The file with which a verb of the driver fails."""
        return self.folder / f"{verb}-fails"

    def heal(self) -> None:
        """Nothing waits or fails any more."""
        for verb in VERBS:
            self.gate(verb).touch()
            self.failing(verb).unlink(missing_ok=True)
        (self.folder / "death").unlink(missing_ok=True)

    def see(self, task: Known) -> Seen:
        """The task between two looks at its build that tell the same."""

        def look() -> Seen | None:
            owner = self.world.owner
            before = owner.get_workspace(task.workspace).latest_build
            status = owner.get_task("me", task.id).status
            after = owner.get_workspace(task.workspace).latest_build
            if (before.id, before.job.status) != (after.id, after.job.status):
                return None
            return Seen(status, after.id, after.transition, after.job.status)

        return until("a task that stands still", look)


class Walk(RuleBasedStateMachine):
    """One walk: its tasks, and what its driver does."""

    place: ClassVar[Place]
    tasks: Bundle[Known] = Bundle("tasks")

    def __init__(self) -> None:
        super().__init__()
        self.live: list[Known] = []
        self.gone: list[Known] = []
        self.place.heal()

    @initialize(target=tasks)
    def begin(self) -> Known:
        return self.made()

    @rule(target=tasks)
    def create(self) -> "Known | MultipleResults[Known]":
        return self.made() if len(self.live) < 3 else multiple()

    def made(self) -> Known:
        self.place.names += 1
        request = CreateTaskRequest(
            template_version_id=self.place.version_id, input="go", name=f"w{self.place.names}"
        )
        task = self.place.world.owner.create_task("me", request)
        assert task.workspace_id is not None
        known = Known(task.id, task.workspace_id)
        self.live.append(known)
        return known

    @rule(task=tasks, verb=st.sampled_from(["pause", "resume", "input", "send", "retry"]))
    def do(self, task: Known, verb: str) -> None:
        if task in self.live:
            before = self.place.see(task)
            answer = self.ask(task, verb)
            after = self.place.see(task)
            if before.build == after.build or answer == (202, ""):
                wanted = expected(verb, before) | expected(verb, after)
                if verb == "send" and before.status is not after.status:
                    # On the way from one to the other it may have had any.
                    wanted |= frozenset().union(*map(_send, TaskStatus))
                assert answer in wanted, (verb, before, after)

    @rule(task=tasks, verb=st.sampled_from(["pause", "delete"]))
    def force(self, task: Known, verb: str) -> None:
        if task in self.live:
            answer = self.ask(task, verb, force=True)
            assert answer == (202, ""), answer
            if verb == "delete":
                self.left(task)

    @rule(task=consumes(tasks))
    def delete(self, task: Known) -> None:
        if task in self.live:
            before = self.place.see(task)
            answer = self.ask(task, "delete")
            if answer == (202, ""):
                self.left(task)
            else:
                assert answer in expected("delete", before) | expected(
                    "delete", self.place.see(task)
                )

    @rule(task=tasks)
    def queue(self, task: Known) -> None:
        if task in self.live:
            request = TaskSendRequest(input="later", when=SendWhen.QUEUE)
            self.place.world.owner.send_task_input("me", task.id, request)

    @rule(task=tasks)
    def interrupt(self, task: Known) -> None:
        if task in self.live:
            answer = self.called(lambda: self.place.world.owner.interrupt_task("me", task.id), 204)
            assert answer[0] in (204, 409, 502), answer

    @rule(task=tasks)
    def cancel(self, task: Known) -> None:
        if task in self.live:
            build = self.place.see(task).build
            owner = self.place.world.owner
            answer = self.called(lambda: owner.cancel_workspace_build(build), 200)
            assert answer[0] < 500, answer

    @rule(verb=st.sampled_from(VERBS), opens=st.booleans())
    def gate(self, verb: str, *, opens: bool) -> None:
        if opens:
            self.place.gate(verb).touch()
        else:
            self.place.gate(verb).unlink(missing_ok=True)

    @rule(verb=st.sampled_from(VERBS), fails=st.booleans())
    def driver_fails(self, verb: str, *, fails: bool) -> None:
        if fails:
            self.place.failing(verb).touch()
        else:
            self.place.failing(verb).unlink(missing_ok=True)

    @rule(lasts=st.booleans())
    def agents_die(self, *, lasts: bool) -> None:
        (self.place.folder / "death").touch()
        if not lasts:
            until("somebody to look", lambda: True)
            (self.place.folder / "death").unlink()

    @rule()
    def settle(self) -> None:
        """Builds come to their ends, well or not."""
        for verb in VERBS:
            self.place.gate(verb).touch()
        for task in self.live:
            self.until_over(task)

    @invariant()
    def statuses_are_possible(self) -> None:
        for task in self.live:
            seen = self.place.see(task)
            assert seen.status in possible(seen.transition, seen.job), seen

    def teardown(self) -> None:
        """From wherever it came to, a task is made active, and deleted; one is by force, while all is broken."""
        for task in self.live[1:2]:
            assert self.ask(task, "delete", force=True) == (202, "")
            self.left(task)
        self.place.heal()
        for task in list(self.live):
            self.until_active(task)
            self.until_deleted(task)
        for task in self.gone:
            folder = self.place.world.server.data_dir / "echo" / str(task.workspace)
            until("a deleted workspace to be gone", lambda: None if folder.exists() else True)  # noqa: B023 asked in the loop

    def left(self, task: Known) -> None:
        self.live.remove(task)
        self.gone.append(task)
        with pytest.raises(ApiError):
            self.place.world.owner.get_task("me", task.id)

    def until_over(self, task: Known) -> Seen:
        def over() -> Seen | None:
            seen = self.place.see(task)
            return None if seen.job in ACTIVE else seen

        return until("a build to be over", over)

    def until_active(self, task: Known) -> None:
        def active() -> bool | None:
            seen = self.until_over(task)
            if seen.status is TaskStatus.ACTIVE:
                return True
            with suppress(SdkError):  # it runs and its agent is on the way: it is looked at again
                self.place.world.owner.resume_task("me", task.id)
            return None

        until("a way to active", active)

    def until_deleted(self, task: Known) -> None:
        def deleted() -> bool | None:
            return True if self.ask(task, "delete") == (202, "") else None

        until("a way to deleted", deleted)
        self.left(task)

    def ask(self, task: Known, verb: str, *, force: bool = False) -> tuple[int, str]:
        """Status and word of the answer."""
        owner = self.place.world.owner
        match verb:
            case "pause":
                return self.called(lambda: owner.pause_task("me", task.id, force=force), 202)
            case "delete":
                return self.called(lambda: owner.delete_task("me", task.id, force=force), 202)
            case "resume":
                return self.called(lambda: owner.resume_task("me", task.id), 202)
            case "retry":
                return self.called(lambda: owner.retry_task("me", task.id), 202)
            case "input":
                changed = UpdateTaskInputRequest(input="other words")
                return self.called(lambda: owner.update_task_input("me", task.id, changed), 204)
            case "send":
                sent = TaskSendRequest(input="hello")
                return self.called(lambda: owner.send_task_input("me", task.id, sent), 204)
        raise AssertionError(verb)

    def called(self, call: Callable[[], object], well: int) -> tuple[int, str]:
        try:
            call()
        except ApiError as error:
            return error.status, error.reason
        return well, ""


ONE_WALK = settings(
    max_examples=2,  # of which hypothesis makes the first as short as can be
    stateful_step_count=STEPS,
    deadline=None,
    derandomize=False,
    suppress_health_check=list(HealthCheck),
    database=None,
    print_blob=True,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    log = tmp_path_factory.mktemp("walks") / "log"
    with open_folder() as home, serving(home / "data", log, SETTINGS) as world:
        yield Place(world, home / "script")


@pytest.mark.all_tier
def test_walks(place: Place, figure: Callable[[str], None]) -> None:
    """Every verb answers as the matrix says, every status fits its build, and each state has a way to active and gone."""
    Walk.place = place
    began = time.monotonic()
    count = 0
    while count < (WALKS or LEAST_WALKS) or (not WALKS and time.monotonic() - began < WALK_S):
        count += 1
        run_state_machine_as_test(Walk, settings=ONE_WALK)
    figure(f"walks: {count}, {place.names} tasks, {time.monotonic() - began:.0f} s")
