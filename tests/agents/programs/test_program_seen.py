"""The page about coding agents says what they do."""

import os
from pathlib import Path

import msgspec
import pytest

from scripts.write_agents import Seen, seen
from tests.agents.model.server import Model
from tests.agents.programs.program import CLAUDE_SCREEN, Program
from tests.agents.programs.seen import look, look_at_screen, write

pytestmark = [pytest.mark.anyio, pytest.mark.all_tier, pytest.mark.xdist_group("programs")]

WRITE = "TASKYARD_WRITE_SEEN"
"""Set by whoever wants the page to say what is seen now; then `./yard docs`."""


async def test_what_the_page_says(home: Path, speaker: Program, model: Model) -> None:
    """Each row is as the program behaves, but for its memory, which is only shown."""
    held(await look(home, speaker, model))


async def test_what_the_page_says_of_a_screen(home: Path, model: Model) -> None:
    """The same for a program that is talked to through its screen."""
    held(await look_at_screen(home, CLAUDE_SCREEN, model))


def held(row: Seen) -> None:
    """Fails unless the row is as it is checked in."""
    if os.environ.get(WRITE):
        write(row)
    rows = {each.name: each for each in seen()}
    stands = rows.get(row.name)
    assert stands is not None, f"no row for {row.name}; {WRITE}=1 writes it"
    assert msgspec.structs.replace(row, memory_mb=stands.memory_mb) == stands
