"""Real coding agents through the whole product: the life of a task."""

import pytest

from taskyard.wire.enums import TaskState
from tests.agents.model.server import Model
from tests.agents.programs.product_kit import Product
from tests.agents.programs.program import Program

pytestmark = [pytest.mark.all_tier, pytest.mark.xdist_group("programs")]


def test_the_life_of_a_task(product: Product, program: Program, model: Model) -> None:
    """Works with two tool calls, is sent to, paused, resumed, goes on with what it knows, and is deleted."""
    work = product.create(
        program,
        f"say: I will write it, {program.name}.",
        "write: hello.py print('hello ' + 'world')\\n",
        "shell: python3 hello.py",
        "say: It says hello.",
    )
    work.agree("hello.py?", "proceed?")
    said = work.until(TaskState.IDLE, "It says hello.")
    assert "I will write it" in said
    assert "hello world" in model.results(f"I will write it, {program.name}.")[-1]
    work.send("say: the word is heron")
    work.until(TaskState.IDLE, "the word is heron")
    work.pause()
    assert "the word is heron" in work.said
    work.resume()
    work.until(TaskState.IDLE)
    work.send(f"say: alive again, {program.name}")
    work.until(TaskState.IDLE, f"alive again, {program.name}")
    assert "the word is heron" in model.conversation(f"alive again, {program.name}")
    work.delete()
