"""What every session of a bridge is made of."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from taskyard_agent.bridge.launch import Launch
from taskyard_agent.bridge.life import CONTINUE, Life
from taskyard_agent.bridge.record import Log, Record
from taskyard_agent.bridge.session import TRIM, Place
from taskyard_agent.bridge.tools import TOOL_BYTES
from taskyard_agent.journal import SessionFile


@dataclass(frozen=True, slots=True)
class Parts:
    """A session's place, its memory, and whom it tells what.

    url: of the bridge itself, for the report tool; token: what that has to show, null for nothing.
    cut_off: the last run left a turn behind, which is closed by now. tool_bytes: kept of the data of a tool
    call. inline_tools: each makes a line in the conversation.
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
    tool_bytes: int = TOOL_BYTES
    inline_tools: bool = True

    @property
    def first(self) -> str:
        """The prompt that nobody has to send, empty for none. Source: A40, A44, N19."""
        prompt = self.life.prompt.strip(TRIM)
        if prompt and prompt != self.file.session.initial_prompt:
            return prompt
        goes_on = self.cut_off and self.place.on_interrupted == "continue"
        return CONTINUE if goes_on else ""
