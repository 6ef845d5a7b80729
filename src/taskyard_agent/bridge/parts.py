"""What every session of a bridge is made of."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from taskyard_agent.bridge.launch import Launch
from taskyard_agent.bridge.life import Life
from taskyard_agent.bridge.record import Log, Record
from taskyard_agent.bridge.session import Place
from taskyard_agent.journal import SessionFile


@dataclass(frozen=True, slots=True)
class Parts:
    """A session's place, its memory, and whom it tells what.

    url: of the bridge itself, for the report tool; token: what that has to show, null for nothing.
    cut_off: the last run left a turn behind, which is closed by now.
    """

    place: Place
    launch: Launch
    url: str
    token: str | None
    record: Record
    file: SessionFile
    tasks: asyncio.TaskGroup
    log: Log
    on_health: Callable[[str], None]
    cut_off: bool = False
    life: Life = field(default_factory=Life)
