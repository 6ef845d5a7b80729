"""Real coding agents through the whole product: permissions, errors of the model, states, reports, many at once."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec import UNSET

from taskyard.wire.enums import PermissionAnswerer, TaskState
from taskyard.wire.tasks import AnswerTaskPermissionRequest, WaitingFor
from tests.agents.model.server import Model
from tests.agents.programs.product_kit import ENTER, ESCAPE, Product, Work
from tests.agents.programs.program import CLAUDE_SCREEN, Program
from tests.agents.programs.program_kit import memory_mb
from tests.waiting import until

pytestmark = [pytest.mark.all_tier, pytest.mark.xdist_group("programs")]

TEN, THREE = 10, 3

MANY_S = 110.0
"""Seconds until ten programs that take four of a processor each to start have answered, on two that others use as well."""


def test_a_permission_that_is_refused(product: Product, program: Program) -> None:
    """The template denies, or Escape on a screen: the command has not run, and the task takes the next message."""
    work = product.create(program, program.asking("touch made.txt"), permissions="deny")
    if program.has_screen:
        work.asks("proceed?")
        work.press(ESCAPE)
    work.until(TaskState.IDLE)
    assert not work.made("made.txt")
    work.send("say: so it is")
    work.until(TaskState.IDLE, "so it is")
    work.delete()


def test_a_permission_that_a_person_gives(product: Product, speaker: Program) -> None:
    """The template asks: the task says what for, waits, and goes on once it is answered over HTTP."""
    work = product.create(speaker, speaker.asking("touch made.txt"), permissions="ask")
    (asked,) = until("a request", lambda: work.permissions() or None)
    waiting = until("a task that waits", lambda: work.task.waiting_for or None)
    assert isinstance(waiting, WaitingFor)
    assert (waiting.kind, waiting.id) == ("permission", asked.id)
    assert work.state is TaskState.WORKING
    assert not work.made("made.txt")
    (option,) = [each for each in asked.options if each.kind == "allow_once"]
    answer = AnswerTaskPermissionRequest(option_id=option.option_id)
    product.world.owner.answer_task_permission("me", work.id, asked.id, answer)
    work.until(TaskState.IDLE)
    assert work.made("made.txt")
    (answered,) = work.permissions(every=True)
    assert answered.answer is not None
    assert (answered.answer.by, answered.answer.username) == (PermissionAnswerer.PERSON, "ada")
    work.delete()


def test_a_question_on_a_screen(product: Product) -> None:
    """The task says what is asked, waits, and goes on once somebody who is attached presses Enter."""
    work = product.create(CLAUDE_SCREEN, CLAUDE_SCREEN.asking("touch made.txt"), "say: so be it")
    work.asks("proceed?")
    assert work.state is TaskState.WORKING
    assert not work.made("made.txt")
    work.press(ENTER)
    work.until(TaskState.IDLE, "so be it")
    assert work.made("made.txt")
    assert work.task.waiting_for is UNSET
    work.delete()


def test_an_error_of_the_model_fails_the_turn(product: Product, program: Program) -> None:
    """Status 400 shows as a failure; the next message is taken."""
    work = product.create(program, "error: 400", f"say: {program.name} in the product")
    work.until(TaskState.FAILED)
    work.send("say: better")
    work.until(TaskState.IDLE, "better")
    work.delete()


def test_a_model_that_is_busy_for_a_while(product: Product, program: Program, model: Model) -> None:
    """Status 529 twice is no failure."""
    words = f"at last, {program.name} in the product"
    work = product.create(program, "error: 529 2", f"say: {words}")
    work.until(TaskState.IDLE, words)
    assert [request.status for request in model.asked(words)] == [529, 529, 200]
    work.delete()


def test_a_turn_that_is_held(product: Product, program: Program, model: Model) -> None:
    """While the model thinks the task works, between two steps of a turn too; then it is idle."""
    gate = f"{program.name} in the product"
    work = product.create(program, "shell: true", f"gate: {gate}", "say: released")
    model.held(gate)
    until("a task that works", lambda: work.state is TaskState.WORKING or None)
    model.open(gate)
    work.until(TaskState.IDLE, "released")
    work.delete()


def test_the_report_tool(product: Product, program: Program) -> None:
    """What the coding agent says of itself is what the task shows, once it is idle; nobody is asked for it."""
    report = {"summary": "The heron is counted.", "outcome": "complete"}
    work = product.create(
        program, f"tool: report_task {json.dumps(report)}", "say: reported", permissions="ask"
    )
    work.until(TaskState.COMPLETE, "reported")
    state = work.task.current_state
    assert state is not None
    assert state.message == "The heron is counted."
    answers = [each.answer for each in work.permissions(every=True)]
    assert all(answer is not None and answer.by is PermissionAnswerer.POLICY for answer in answers)
    assert work.task.waiting_for is UNSET
    work.delete()


def test_many_at_once(product: Product, program: Program, figure: Callable[[str], None]) -> None:
    """Ten tasks started together all work, each in a workspace of its own; three of the one with a screen.

    Ten of those take over 2 GB and most of a minute, in which the same is seen.
    """
    count = THREE if program.has_screen else TEN
    product.version(program, "allow")  # made once, not by each of them at the same time

    def one(number: int) -> Work:
        words = f"{number} of many"
        work = product.create(program, f"shell: echo {words} > n.txt", f"say: {words}")
        work.agree("proceed?")
        said = work.until(TaskState.IDLE, words, within_s=MANY_S)
        assert (work.folder / "home" / "n.txt").read_text() == f"{words}\n"
        assert not any(f"{other} of many" in said for other in range(count) if other != number)
        return work

    began = time.monotonic()
    with ThreadPoolExecutor(count) as pool:
        works = list(pool.map(one, range(count)))
        took_s = time.monotonic() - began
        used_mb = memory_mb([pid for work in works for pid in work.processes()])
        figure(f"{count} tasks of {program.name} at once: {took_s:.1f} s, then {used_mb} MB")
        list(pool.map(Work.delete, works))
