"""A hostile program in a workspace, and the token of its agent."""

import json

import pytest

from tests.drivers.sandbox_kit import PYTHON, new_yard, quiet, spec, until

pytestmark = pytest.mark.anyio

TOKEN = "f2ab0000-token-of-this-generation"
THIEF = """
import json, subprocess, sys, time
agent = subprocess.Popen([sys.executable, "-m", "taskyard_agent", "run"], pass_fds=[7])
def tried(name, mode="rb"):
    try:
        with open(f"/proc/{agent.pid}/{name}", mode) as file:
            return "TOKEN" in file.read().decode() if name == "environ" else True
    except OSError as error:
        return type(error).__name__
until = time.monotonic() + 50
while tried("environ") is not True and time.monotonic() < until:
    time.sleep(0.01)  # not our program yet
while tried("environ") is True and time.monotonic() < until:
    time.sleep(0.01)
found = [tried("environ"), tried("mem", "r+b"), agent.poll()]
agent.kill()
with open("seen.json", "w") as file:
    json.dump(found, file)
time.sleep(1000)
"""
"""Runs the agent as a coding agent finds it beside itself: a process of the same user, which waits for its server."""


@pytest.mark.attack(
    "A program beside the agent reads its environment and memory",
    wall="the agent cannot be read or traced by its own user",
)
async def test_programs_beside_the_agent_cannot_read_its_token() -> None:
    """Neither environment nor memory of the agent can be read, though all in a workspace are one user."""
    async with new_yard() as yard:
        driver = yard.driver((PYTHON, "-c", THIEF))
        made = spec(agent_token=TOKEN)
        await driver.ensure(made, quiet)
        seen = yard.home(made.workspace_id) / "seen.json"
        await until(lambda: seen.exists() and seen.stat().st_size > 0)
        assert json.loads(seen.read_text()) == ["PermissionError", "PermissionError", None]
