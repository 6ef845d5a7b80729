"""Real coding agents through the whole product: turns that are cut off."""

import pytest

from taskyard.wire.enums import TaskState
from tests.agents.model.server import Model
from tests.agents.programs.product_kit import Product
from tests.agents.programs.program import Program

pytestmark = [pytest.mark.all_tier, pytest.mark.xdist_group("programs")]

SLEEP = "sleep 78.5"
"""A command that lasts longer than any test."""


def test_a_cancel_in_a_tool(product: Product, program: Program) -> None:
    """The turn ends, the command is gone, and the task takes the next message."""
    work = product.create(program, f"shell: {SLEEP}")
    work.runs(SLEEP)
    work.interrupt()
    work.until(TaskState.IDLE)
    work.ended(SLEEP)
    work.send("say: next")
    work.until(TaskState.IDLE, "next")
    work.delete()


def test_a_kill_in_a_tool(product: Product, program: Program, model: Model) -> None:
    """The task says that it failed; a new process goes on with the conversation when it is sent to."""
    work = product.create(program, "say: the word is heron")
    work.until(TaskState.IDLE, "the word is heron")
    work.send(f"shell: {SLEEP}")
    work.runs(SLEEP)
    work.kill(program.process)
    work.ended(SLEEP)
    work.sent(f"say: back again, {program.name} in the product")
    work.until(TaskState.IDLE, "back again")
    assert "the word is heron" in model.conversation(f"back again, {program.name} in the product")
    work.delete()
